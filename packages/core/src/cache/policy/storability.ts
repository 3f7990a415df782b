import type { ResponseHead } from '../../exchange/exchange.ts'
import { isField, personalName, placeOf, type Term } from '../../exchange/reads/term.ts'
import { parseCacheControl } from '../../http/caching/cache-control.ts'
import { notStorable } from '../../http/caching/storable.ts'
import { parseVary } from '../../http/caching/vary.ts'
import type { Fields } from '../../http/fields/fields.ts'
import { parseContentRange } from '../../http/selection/range.ts'
import type { CacheCore } from '../cache-core.ts'
import { allowsAuthorization, type ResponseTerms } from '../fill/make-record.ts'
import type { NotStored } from '../reasons.ts'
import { hostFields } from '../terms/fields.ts'
import { judgeReads, type ReadBy, type ReadTerms, type Refused } from '../terms/judge-reads.ts'
import type { Reads } from '../terms/reads.ts'

/** How much of a request an answer may depend on: what reads more is no answer to anybody else. */
const mostTerms = 64

const noReads: ReadTerms = Object.freeze({ terms: [], refused: [], unseen: false })

/** Of the request's look-up, what the judgement is about. */
interface Judged extends ReadBy {
  readonly core: CacheCore
  /** Where a part of the response could be stored. */
  readonly part?: object | undefined
}

/** Decides what the response to one request may be used for: stored or not, for whom, and told apart by what. */
export class Storability {
  readonly #lookup: Judged
  readonly #reads: Reads
  #reported = false
  #vary: ReturnType<typeof parseVary> | undefined

  constructor(lookup: Judged, reads: Reads) {
    this.#lookup = lookup
    this.#reads = reads
  }

  /** Why the response must not be stored; `undefined` when it may. */
  refusal(head: ResponseHead, own: Fields, said: ResponseTerms): NotStored | undefined {
    const { policy, view, key } = this.#lookup
    const authorized = policy.public || this.identified || key.covered?.has('authorization') === true
    // No body to store: a HEAD response never becomes the entry of a GET.
    if (view.method === 'HEAD') return 'head'
    const rules = {
      explicit: said.explicit,
      guessed: !said.explicit && said.lifetimeMs > 0,
      part: this.#isPart(head, said),
      ttlRoute: policy.mode === 'route',
      negativeTtl: policy.negativeTtlMs !== undefined,
      // One that a second witness must confirm is for its own visitor until then.
      authorizationCovered: authorized || (policy.witness && policy.mode === 'route'),
      directives: said.directives,
      methods: policy.methods,
    }
    const reason = notStorable(view, { status: head.status, fields: judgedFields(head, own) }, rules)
    if (reason !== undefined) return reason
    // Of a body in pieces the handler may have said it: who waits need not wait for its end.
    const length = head.length ?? Number(head.fields.get('content-length'))
    if (length > policy.maxEntryBytes) return 'too-large'
    return this.unkeyed(head)
  }

  /** One part of a whole that would have room here, as long as it says. */
  #isPart(head: ResponseHead, said: ResponseTerms): boolean {
    const { part, policy } = this.#lookup
    if (head.status !== 206 || !part || said.lifetimeMs <= 0) return false
    const range = parseContentRange(head.fields.get('content-range'))
    if (!range || range.length > policy.maxEntryBytes) return false
    return head.length === undefined || head.length === range.end - range.start + 1
  }

  /** What the reads of the handler forbid. */
  unkeyed(head: ResponseHead): NotStored | undefined {
    const { view, policy, core } = this.#lookup
    // The handler looked at which part was asked for, and may have made that one (RFC 9110 §14.2).
    if (policy.guard !== 'off' && view.header('range') !== undefined && this.#reads.fields.has('range')) return 'range'
    const { refused, terms } = this.#judged(head)
    if (refused.length > 0) {
      if (!this.#reported) core.reports.unkeyed(view, refused)
      this.#reported = true
      if (policy.guard !== 'warn') return reasonOf(refused[0]!)
    }
    return terms.length > mostTerms ? 'terms' : undefined
  }

  /**
   * What tells the variants of this response apart: what its handler read, and the fields it named in Vary. A field that a
   * key function has read is told apart by what that made of it. What earlier middleware put into Vary concerns fields
   * that it sets afresh on each hit, so it counts only when the handler read that field too, or when reads do not count.
   */
  terms(head: ResponseHead): readonly Term[] {
    const { policy, key } = this.#lookup
    const all = this.#varyOf(head)
    if (all === '*') return []
    const before = parseVary(head.before.get('vary'))
    const named = all.filter((name) => {
      if (key.covered?.has(name)) return false
      return (
        policy.guard === 'off' || !before.includes(name) || this.#reads.fields.has(name) || this.#reads.fields.has('*')
      )
    })
    const { terms } = this.#judged(head)
    return terms.length ? [...new Set([...named, ...terms])].sort() : named
  }

  /** What caches further on must tell apart too: the fields among the terms, and credentials where nobody's presence was read. */
  downstreamVary(head: ResponseHead): readonly string[] {
    const fields = new Set<string>()
    const { covered } = this.#lookup.key
    for (const name of covered ?? []) if (isField(name) && !name.startsWith('cookie.')) fields.add(name)
    for (const term of this.terms(head)) {
      if (isField(term)) {
        if (term !== '*' && !hostFields.includes(term)) fields.add(term)
        continue
      }
      const { root } = placeOf(term)
      fields.add('cookie')
      // What stands on the framework's objects was made of some credential.
      if (root !== 'cookie') fields.add('authorization')
    }
    return [...fields]
  }

  /** A response for one user is `private` to every cache but this one, and so is one they could not tell apart. */
  scope(head: ResponseHead): 'public' | 'private' {
    const { policy, key } = this.#lookup
    if (policy.public) return 'public'
    const { terms, unseen } = this.#judged(head)
    const personal = key.covered !== undefined && [...key.covered].some(isPersonal)
    return personal || unseen || terms.includes('*') ? 'private' : 'public'
  }

  /** Whether it may answer requests with `Authorization`. A handler that was watched has not looked at it. */
  mayShare(fields: Fields): boolean {
    const { guard } = this.#lookup.policy
    return this.#lookup.policy.public || this.identified || guard === 'on' || allowsAuthorization(fields)
  }

  /**
   * The handler itself says that it may be kept, and for how long, or that it is for everybody: its word (RFC 9111), and
   * a route's TTL is ours.
   */
  declaresItself(head: ResponseHead): boolean {
    if (this.#lookup.policy.mode === 'handler') return true
    const field = head.fields.get('cache-control')
    if (field === undefined || field === head.before.get('cache-control')) return false
    const control = parseCacheControl(field)
    return control.has('public') || control.has('s-maxage') || control.has('max-age')
  }

  /** The key names the user. */
  get identified(): boolean {
    return this.#lookup.key.covered?.has('@identity') === true
  }

  /** As the handler said it: what goes out in front of a stream has got more names from us. */
  #varyOf(head: ResponseHead): ReturnType<typeof parseVary> {
    this.#vary ??= parseVary(head.fields.get('vary'))
    return this.#vary
  }

  #judged(head: ResponseHead): ReadTerms {
    const { policy } = this.#lookup
    if (policy.guard === 'off') return this.#queryAlone()
    const vary = this.#varyOf(head)
    const judged = judgeReads(this.#reads, this.#lookup)
    // What the handler names in Vary it has declared.
    const refused = judged.refused.filter(({ name }) => !vary.includes(name))
    return refused.length === judged.refused.length ? judged : { ...judged, refused }
  }

  /** Vary says nothing of the query: a parameter that was left out of the key is watched for whoever decides on storing. */
  #queryAlone(): ReadTerms {
    const names = [...this.#reads.fields].filter((name) => name.startsWith('?'))
    return names.length ? { ...noReads, refused: names.map((name) => ({ name, why: 'query' as const })) } : noReads
  }
}

/** Of what a key function has read: whether it tells one person from another. */
function isPersonal(name: string): boolean {
  return name.startsWith('@') || name === 'cookie' || name.startsWith('cookie.') || name === 'authorization'
}

/** As `Cache-Status` says it. */
function reasonOf({ name, why }: Refused): NotStored {
  if (why === 'query') return 'unkeyed-query'
  if (why === 'hidden') return 'unwatchable'
  if (isField(name)) return `unkeyed-${name}`
  const { root, path } = placeOf(name)
  if (root === 'cookie') return 'unkeyed-cookie'
  const person = personalName({ path })
  if (person) return `unkeyed-${person.slice(1).split('.')[0]}`
  return `unkeyed-${(path[0] ?? root).replace(/[^\w.-]/g, '')}`
}

/** The fields that decide on storing. Cookies that earlier middleware set are not stored, so they forbid nothing. */
function judgedFields(head: ResponseHead, own: Fields): Fields {
  if (!head.before.has('set-cookie') || own.has('set-cookie')) return head.fields
  const judged = head.fields.copy()
  judged.delete('set-cookie')
  return judged
}
