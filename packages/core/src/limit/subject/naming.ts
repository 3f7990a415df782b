import { optionError } from '../../base/errors.ts'
import { isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { by, joinParts, type KeyFunction } from '../../exchange/client/by.ts'
import { clientAddress } from '../../exchange/client/client-address.ts'
import { anonymous, type NaturalKey, naturalOf, naturalRoute } from '../../exchange/client/natural-key.ts'
import { routeParts } from '../../exchange/client/route-name.ts'
import type { RequestContext } from '../../exchange/context.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { type Asked, type Callbacks, late, threw } from '../policy/callbacks.ts'
import type { Policy } from '../policy/policy.ts'
import { type Subject, Subjects } from './subjects.ts'

/** What a policy that is split by route looks at. */
type Routed = Pick<RequestView, 'method' | 'route'>

/** Names the subject: whom a request is counted for. At once, where the key function answers at once. */
export class Naming {
  readonly #callbacks: Callbacks
  readonly #hash: (text: string) => string
  readonly #subjects = new Map<string, Subjects>()

  constructor(callbacks: Callbacks, hash: (text: string) => string) {
    this.#callbacks = callbacks
    this.#hash = hash
  }

  /** Of policies by address there is {@link Naming.byAddress}. */
  subject(policy: Policy, c: RequestContext): MaybePromise<Subject | typeof late> {
    const key = this.#callbacks.ask<unknown>(policy, 'key', () => policy.key(c))
    return isPromise(key) ? key.then((k) => this.#byKey(policy, c, k)) : this.#byKey(policy, c, key)
  }

  /**
   * The subject of a key that was given and not found out of a request: by its natural name, or in parts. A policy nobody gave
   * a key is by address, and finds one in any notation; but a job may count whatever it likes by it.
   *
   * @param route - the part of a policy that is split by route
   */
  subjectOf(policy: Policy, key: NaturalKey, route?: string): Subject {
    const subjects = this.#subjectsOf(policy)
    const split = route === undefined ? undefined : joinParts(naturalRoute(route))
    if (!policy.byIp) return subjects.of(keyText(policy.key, key), split)
    const text = String(key)
    const known = split === undefined ? subjects.ofAddress(text) : undefined
    if (known) return known
    const address = clientAddress(text, policy)
    if (address === undefined || split !== undefined) return subjects.of(address ?? text, split)
    return subjects.rememberAddress(text, address)
  }

  /** What the hash of a subject was made of, where this process still remembers it: it must be asked soon. */
  textOf(policy: string, hash: string): string | undefined {
    // Of a policy with several rates verdicts name the rate: `search-2`.
    return (this.#subjects.get(policy) ?? this.#subjects.get(policy.replace(/-\d+$/, '')))?.textOf(hash)
  }

  #subjectsOf(policy: Policy): Subjects {
    let subjects = this.#subjects.get(policy.name)
    if (!subjects) {
      subjects = new Subjects(this.#hash, policy.quotas, policy.ban)
      this.#subjects.set(policy.name, subjects)
    }
    return subjects
  }

  /** The subject of all requests of which it cannot be told. */
  unknown(policy: Policy, c: RequestContext): Subject {
    return this.#subjectsOf(policy).of(undefined, routeOf(policy, c))
  }

  #byKey(policy: Policy, c: RequestContext, key: Asked<unknown>): Subject | typeof late {
    if (key === late) return late
    if (key === threw) return this.unknown(policy, c)
    // Nobody is signed in: each address counts for itself, so that one of them cannot use up what all the others have.
    if (key === undefined && policy.key === by.user) return this.byAddress(policy, c.ip, c)
    return this.#subjectsOf(policy).of(this.#text(policy, key), routeOf(policy, c))
  }

  /** The subject of a policy that counts by address. */
  byAddress(policy: Policy, raw: string | undefined, c: Routed): Subject {
    const subjects = this.#subjectsOf(policy)
    const route = routeOf(policy, c)
    const known = raw === undefined || route !== undefined ? undefined : subjects.ofAddress(raw)
    if (known) return known
    const found = clientAddress(raw, policy)
    // No user is called like that.
    const address = found !== undefined && !policy.byIp ? anonymous(found) : found
    if (raw !== undefined && address !== undefined && route === undefined) return subjects.rememberAddress(raw, address)
    if (address === undefined) {
      this.#callbacks.report(
        `The client's address cannot be told (policy \`${policy.name}\`): the request counts in the bucket \`unknown\``,
        c.route,
      )
    }
    return subjects.of(address, route)
  }

  /** `undefined` is an answer: it cannot be told, nobody is signed in. What is no text at all is a mistake. */
  #text(policy: Policy, key: unknown): string | undefined {
    if (typeof key === 'string' || key === undefined || key === null) return key ?? undefined
    if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean') return String(key)
    this.#callbacks.nonsense(`${policy.where}.key`, 'must answer a string or undefined', key)
    return undefined
  }
}

/** Without a pattern all requests share one part: split by the raw URL, whoever makes URLs up would never be counted. */
function routeOf(policy: Policy, c: Routed): string | undefined {
  return policy.perRoute ? joinParts(routeParts(c)) : undefined
}

/** What the key function answers where a request is of that subject. */
function keyText(key: KeyFunction, given: NaturalKey): string {
  if (!Array.isArray(given)) return naturalOf(key, String(given))
  const { parts } = key as { readonly parts?: readonly KeyFunction[] }
  if (parts?.length !== given.length) {
    throw optionError(
      'key',
      `must have as many parts as the policy's key function (${parts?.length ?? 'it has none'})`,
      given,
    )
  }
  const values: (string | undefined)[] = given.map((one, i) => partText(parts[i]!, one))
  // As `by(…)` has it: whoever is not signed in is known by his address, behind all the parts.
  const nobody = given.find((_, i) => parts[i] === by.user && values[i] === undefined)
  if (nobody !== undefined) values.push(clientAddress(String(nobody)))
  return joinParts(values)
}

function partText(part: KeyFunction, given: string | number | bigint): string | undefined {
  const address = part === by.ip || part === by.user ? clientAddress(String(given)) : undefined
  if (part === by.ip) return address
  return address === undefined ? keyText(part, given) : undefined
}
