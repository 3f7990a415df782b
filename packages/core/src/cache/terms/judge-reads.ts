import type { Input } from '../../exchange/reads/read-observer.ts'
import { personalName, placeOf, showTerm, type Term } from '../../exchange/reads/term.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import type { CacheKey } from '../policy/key.ts'
import type { CachePolicy } from '../policy/options.ts'
import { deliveryFields, hostFields, identifies } from './fields.ts'
import { isSet, type Reads } from './reads.ts'
import type { TermTexts } from './term-texts.ts'

/** Of a request's look-up, what its reads are judged by. */
export interface ReadBy {
  readonly view: RequestView
  readonly policy: CachePolicy
  readonly key: CacheKey
  readonly texts: TermTexts
  /** What tells its visitor from others: for objects that stand on the requests of all of them. */
  readonly credentials: string
}

/** What the reads of a handler come to. */
export interface ReadTerms {
  /** What becomes part of the secondary key. */
  readonly terms: readonly Term[]
  /** What forbids storing: somebody's, or not to be told. In the order it was read. */
  readonly refused: readonly Refused[]
  /** Something that is nobody's alone and that no field of the request shows to caches further on. */
  readonly unseen: boolean
}

export interface Refused {
  /** A field name, `@ip`, `?parameter`, or the term of an input. */
  readonly name: string
  readonly why: 'person' | 'query' | 'object' | 'late' | 'hidden'
}

/** Framework getters that are made of what the URL and its proxies say: caches further on know it. */
const derived: ReadonlySet<string> = new Set(['hostname', 'host', 'protocol', 'secure', 'subdomains', 'origin', 'href'])

/** Names under which loggers, and passport, keep what does not shape an answer. */
const ignoredByDefault: ReadonlySet<string> = new Set(['log', 'logger', 'id', '_passport'])

/** What session middleware reads of what it has just put there itself; it was made of the Cookie field it read. */
const ofSessions: ReadonlySet<string> = new Set(['sessionID', 'sessionId'])

/** What the reads come to: terms by value, and those that must not be stored by. */
export function judgeReads(reads: Reads, by: ReadBy): ReadTerms {
  const terms: Term[] = []
  const refused: Refused[] = []
  let unseen = false
  for (const name of reads.fields) {
    const verdict = judgeField(name, by)
    if (verdict === 'term') terms.push(name)
    else if (verdict !== 'none') refused.push(...verdict)
  }
  for (const input of reads.inputs.values()) {
    const verdict = judgeInput(input, by, reads)
    if (typeof verdict === 'object') refused.push(verdict)
    if (verdict === 'term' || verdict === 'unseen') terms.push(input.term)
    if (verdict === 'unseen') unseen = true
  }
  return { terms, refused, unseen }
}

function judgeField(name: string, by: ReadBy): 'none' | 'term' | readonly Refused[] {
  if (name === '*') {
    const present = (by.view.fieldNames?.() ?? []).filter((one) => identifies(one) && !coversField(one, by))
    return present.length ? present.map((one) => ({ name: one, why: 'person' })) : 'term'
  }
  if (name.startsWith('?')) return [{ name, why: 'query' }]
  if (name.startsWith('@')) return by.key.covered?.has(name) ? 'none' : [{ name, why: 'person' }]
  if (deliveryFields.has(name)) return 'none'
  if (hostFields.includes(name)) return by.view.keyedFields.includes(name) ? 'none' : 'term'
  if (coversField(name, by)) return 'none'
  // What is hidden from the handler is absent for it.
  if (identifies(name) && by.texts.of(by, name) !== '-') return [{ name, why: 'person' }]
  return 'term'
}

function coversField(name: string, { policy, key, view }: ReadBy): boolean {
  return (
    policy.ignored.has(name) ||
    key.covered?.has(name) === true ||
    view.keyedFields.includes(name) ||
    ((name === 'authorization' || name === 'cookie') && key.covered?.has('@identity') === true)
  )
}

function judgeInput(input: Input, by: ReadBy, reads: Reads): 'none' | 'term' | 'unseen' | Refused {
  const { term, value, late, hidden, names } = input
  const place = placeOf(term)
  const { covered } = by.key
  if (place.root === 'cookie') {
    const name = place.path[0]!
    if (covered?.has('@identity') || covered?.has('cookie') || covered?.has(`cookie.${name}`)) return 'none'
    if (by.policy.ignored.has('cookie') || by.policy.ignored.has(`cookie.${name}`)) return 'none'
    return by.texts.of(by, term) === '-' ? 'term' : { name: term, why: 'person' }
  }
  if (isIgnored(term, place.path, by.policy)) return 'none'
  const person = personalName(place)
  if (person === '@session.cookie') {
    // How a session's cookie is made says nothing that its Cookie field does not.
    if (coversField('cookie', by) || coversPerson(person, covered)) return 'none'
    return by.texts.of(by, 'cookie') === '-' ? 'term' : { name: 'cookie', why: 'person' }
  }
  if (person !== undefined) {
    if (coversPerson(person, covered)) return 'none'
    // Its parts are looked at one by one, and one of them is covered.
    if (place.path.length === 1 && !hidden && isFollowed(value) && coversPart(person, covered)) return 'none'
    if (hidden || (names ? anySet(value) : isPerson(value, place.path))) return { name: term, why: 'person' }
    return 'term'
  }
  if (typeof value === 'function' || (typeof value === 'object' && value !== null && !names)) {
    const met = by.texts.identities.meet(value, reads, by.credentials)
    if (met === 'new') return { name: term, why: hidden ? 'hidden' : 'object' }
    // One that came late is not there for a look-up, and need not be: it is the same on every request.
    if (late) return 'none'
    return met === 'shared' ? 'term' : 'unseen'
  }
  if (hidden) return { name: term, why: 'hidden' }
  if (late && !names) return isSet(value) && !ofSessions.has(place.path[0]!) ? { name: term, why: 'late' } : 'none'
  return isSet(value) && !names && !derived.has(place.path[0]!) ? 'unseen' : 'term'
}

/** `req.t`, `res.locals.title`: as users write it, and by its name alone for what loggers keep. */
function isIgnored(term: Term, path: readonly string[], policy: CachePolicy): boolean {
  if (path.length === 1 && ignoredByDefault.has(path[0]!)) return true
  if (policy.ignored.size === 0) return false
  const shown = showTerm(term).toLowerCase()
  for (const name of policy.ignored) if (shown === name || shown.startsWith(`${name}.`)) return true
  return false
}

/** Whether a key function has read it, or what it is a part of. */
function coversPerson(person: string, covered: ReadonlySet<string> | undefined): boolean {
  if (!covered) return false
  if (covered.has('@identity')) return true
  for (let name = person; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
    if (covered.has(name)) return true
  }
  return false
}

function coversPart(person: string, covered: ReadonlySet<string> | undefined): boolean {
  return covered !== undefined && [...covered].some((name) => name.startsWith(`${person}.`))
}

const isFollowed = (value: unknown): boolean => typeof value === 'object' && value !== null && isPlain(value)

/**
 * Whether a value at a personal place is somebody's. An object there is nobody's yet: what is in it is looked at by itself.
 * But where that cannot be seen, or a user object stands there with anything in it, it is.
 */
function isPerson(value: unknown, path: readonly string[]): boolean {
  if (!isSet(value)) return false
  if (typeof value !== 'object') return true
  if (path[0] === 'session') return !(path.length === 1 || isPlain(value as object))
  return !isPlain(value as object) || anySet(value)
}

/** Whether any value in it is set. What a session keeps for itself is not. */
function anySet(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return isSet(value)
  return Object.entries(value).some(([name, one]) => name !== 'cookie' && !name.startsWith('_') && isSet(one))
}

export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  // Of whatever realm: what stands at the very top is an Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
