import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import type { RequestContext } from '../../exchange/context.ts'
import type { Callbacks } from '../policy/callbacks.ts'
import type { AnsweringQuota, Policy, Price } from '../policy/policy.ts'

/** Prices a request: by which rate and for how many units. At once, where the functions answer at once. */
export class Pricing {
  readonly #callbacks: Callbacks
  readonly #lastQuotas = new Map<string, readonly AnsweringQuota[]>()

  constructor(callbacks: Callbacks) {
    this.#callbacks = callbacks
  }

  /** Whether the policy leaves this request out. */
  skips(policy: Policy, c: RequestContext): MaybePromise<boolean> {
    const skip = policy.skip!
    return this.#callbacks.attempt(`${policy.where}.skip`, () => skip(c), false)
  }

  /** `undefined` where a rate function has never yet given a rate. */
  price(policy: Policy, c: RequestContext): MaybePromise<Price | undefined> {
    // Most policies have one price for all requests, made once.
    if (policy.price) return policy.price
    const quotas = policy.rate ? this.#quotas(policy, c) : policy.quotas
    const cost = typeof policy.cost === 'number' ? policy.cost : this.#cost(policy, c)
    if (!isPromise(quotas) && !isPromise(cost)) return quotas && { quotas, cost }
    return Promise.all([quotas, cost]).then(([q, n]) => q && { quotas: q, cost: n })
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
