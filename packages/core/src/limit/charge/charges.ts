import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { by, joinParts } from '../../exchange/client/by.ts'
import { clientAddress } from '../../exchange/client/client-address.ts'
import type { RequestContext } from '../../exchange/context.ts'
import type { Callbacks } from '../policy/callbacks.ts'
import type { AnsweringQuota, Policy } from '../policy/policy.ts'
import type { Charge } from '../store/store.ts'
import { type Subject, Subjects } from './subject.ts'

/** A charge, and the policy it was made for. */
export interface PolicyCharge extends Charge {
  readonly quota: AnsweringQuota
  readonly policy: Policy
}

/** The charges of one policy; `unknown-rate` where a rate function has never yet given a rate. */
export type Reckoned = readonly PolicyCharge[] | 'unknown-rate'

/** Finds out what a request is charged: whom, how much, at which rate. At once, where all the functions answer at once. */
export class Reckoner {
  readonly #callbacks: Callbacks
  readonly #hash: (text: string) => string
  readonly #permitPrefix: string
  readonly #subjects = new Map<string, Subjects>()
  readonly #lastQuotas = new Map<string, readonly AnsweringQuota[]>()
  #permits = 0

  constructor(callbacks: Callbacks, hash: (text: string) => string, permitPrefix: string) {
    this.#callbacks = callbacks
    this.#hash = hash
    this.#permitPrefix = permitPrefix
  }

  /** Empty where the policy skips the request. */
  reckon(policy: Policy, c: RequestContext): MaybePromise<Reckoned> {
    if (!policy.skip) return this.#unskipped(policy, c)
    const skip = policy.skip
    const skipped = this.#callbacks.attempt(`${policy.where}.skip`, () => skip(c), false)
    if (isPromise(skipped)) return skipped.then((yes) => (yes === true ? [] : this.#unskipped(policy, c)))
    return skipped === true ? [] : this.#unskipped(policy, c)
  }

  #unskipped(policy: Policy, c: RequestContext): MaybePromise<Reckoned> {
    const quotas = policy.rate ? this.#quotas(policy, c) : policy.quotas
    const subject = this.#subject(policy, c)
    const cost = typeof policy.cost === 'number' ? policy.cost : this.#cost(policy, c)
    if (!isPromise(quotas) && !isPromise(subject) && !isPromise(cost)) {
      return quotas ? this.charges(policy, quotas, subject, cost) : 'unknown-rate'
    }
    return Promise.all([quotas, subject, cost]).then(([q, s, n]) =>
      q ? this.charges(policy, q, s, n) : 'unknown-rate',
    )
  }

  charges(policy: Policy, quotas: readonly AnsweringQuota[], subject: Subject, cost: number): readonly PolicyCharge[] {
    // Nearly always one: a list that grows takes 150 bytes before it holds anything.
    if (quotas.length === 1) return [this.charge(policy, quotas, 0, subject, cost)]
    return quotas.map((_, i) => this.charge(policy, quotas, i, subject, cost))
  }

  charge(policy: Policy, quotas: readonly AnsweringQuota[], i: number, subject: Subject, cost: number): PolicyCharge {
    const quota = quotas[i]!
    const key = quotas === policy.quotas ? subject.keys[i]! : `${subject.hash}${quota.id}${subject.suffix}`
    return { quota, key, cost, permit: this.#permit(quota), policy }
  }

  /**
   * The subject of a key that was given and not found out of a request. A policy nobody gave a key is by address, and
   * finds one in any notation; but a job may count whatever it likes by it.
   */
  subjectOf(policy: Policy, key: string): Subject {
    const subjects = this.#subjectsOf(policy)
    if (!policy.byIp) return subjects.of(key, undefined)
    const known = subjects.ofAddress(key)
    if (known) return known
    const address = clientAddress(key, policy)
    return address === undefined ? subjects.of(key, undefined) : subjects.rememberAddress(key, address)
  }

  #permit(quota: AnsweringQuota): string {
    return quota.algorithm.kind === 'concurrent' ? `${this.#permitPrefix}${this.#permits++}` : ''
  }

  #subjectsOf(policy: Policy): Subjects {
    let subjects = this.#subjects.get(policy.name)
    if (!subjects) {
      subjects = new Subjects(this.#hash, policy.quotas)
      this.#subjects.set(policy.name, subjects)
    }
    return subjects
  }

  #subject(policy: Policy, c: RequestContext): MaybePromise<Subject> {
    const subjects = this.#subjectsOf(policy)
    // Without a pattern all requests share one part: split by the raw URL, whoever makes URLs up would never be counted.
    const route = policy.perRoute ? joinParts([c.method === 'HEAD' ? 'GET' : c.method, c.route]) : undefined
    if (policy.byIp) return this.#address(policy, c, subjects, route)
    const key = this.#callbacks.attempt(`${policy.where}.key`, () => policy.key(c), undefined)
    // Nobody is signed in: each address counts for itself, so that one of them cannot use up what all the others have.
    if (key === undefined && policy.key === by.user) return this.#address(policy, c, subjects, route)
    if (isPromise(key)) return key.then((k) => subjects.of(this.#text(policy, k), route))
    return subjects.of(this.#text(policy, key), route)
  }

  #address(policy: Policy, c: RequestContext, subjects: Subjects, route: string | undefined): Subject {
    const raw = c.ip
    const known = raw === undefined || route !== undefined ? undefined : subjects.ofAddress(raw)
    if (known) return known
    const address = clientAddress(raw, policy)
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

  #quotas(policy: Policy, c: RequestContext): MaybePromise<readonly AnsweringQuota[] | undefined> {
    const option = `${policy.where}.rate`
    const read = (rate: unknown): readonly AnsweringQuota[] | undefined => {
      if (rate === undefined) return this.#lastQuotas.get(policy.name)
      try {
        const quotas = policy.quotasOf(rate as string)
        this.#lastQuotas.set(policy.name, quotas)
        return quotas
      } catch (cause) {
        this.#callbacks.report(`The function given as \`${option}\` must answer a rate`, c.route, cause)
        return this.#lastQuotas.get(policy.name)
      }
    }
    const rate = this.#callbacks.attempt<unknown>(
      option,
      () => {
        const given = policy.rate!(c)
        if (given === undefined) this.#callbacks.nonsense(option, 'must answer a rate', given, c.route)
        return given
      },
      undefined,
    )
    return isPromise(rate) ? rate.then(read) : read(rate)
  }

  #cost(policy: Policy, c: RequestContext): MaybePromise<number> {
    const option = `${policy.where}.cost`
    const ask = policy.cost as Exclude<Policy['cost'], number>
    const read = (given: unknown): number => {
      const units = typeof given === 'string' && /^\s*\d+\s*$/.test(given) ? Number(given) : given
      if (typeof units === 'number' && units >= 0) {
        if (Number.isSafeInteger(units)) return units
        this.#callbacks.nonsense(option, 'must answer a whole number of 0 or more', given, c.route)
        // Rounded up, and past what can be counted never admitted.
        return Math.min(Math.ceil(units), Number.MAX_SAFE_INTEGER)
      }
      this.#callbacks.nonsense(option, 'must answer a whole number of 0 or more', given, c.route)
      return 1
    }
    const asked = (context: RequestContext) => this.#callbacks.attempt<number | string>(option, () => ask(context), 1)
    // `1 + c.query.depth` is text where the query is: asked again with numbers, it is the sum that was meant.
    const settle = (given: number | string): MaybePromise<number> =>
      typeof given === 'string' ? chain(asked(c.inNumbers), read) : read(given)
    return chain(asked(c), settle)
  }
}
