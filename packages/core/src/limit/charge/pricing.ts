import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import type { RequestContext } from '../../exchange/context.ts'
import { type Asked, type Callbacks, late, threw } from '../policy/callbacks.ts'
import type { AnsweringQuota, Policy, Price } from '../policy/policy.ts'

/** Prices a request: by which rate and for how many units. At once, where the functions answer at once. */
export class Pricing {
  readonly #callbacks: Callbacks

  constructor(callbacks: Callbacks) {
    this.#callbacks = callbacks
  }

  /** Whether the policy leaves this request out. */
  skips(policy: Policy, c: RequestContext): MaybePromise<boolean | typeof late> {
    const skip = policy.skip!
    return chain(
      this.#callbacks.ask<unknown>(policy, 'skip', () => skip(c)),
      (yes) => yes === true || (yes === late && late),
    )
  }

  /** `undefined` where there is no rate to be had. */
  price(policy: Policy, c: RequestContext): MaybePromise<Price | typeof late | undefined> {
    // Most policies have one price for all requests, made once.
    if (policy.price) return policy.price
    const quotas = policy.rate ? this.#quotas(policy, c) : policy.quotas
    const cost = typeof policy.cost === 'number' ? policy.cost : this.#cost(policy, c)
    return isPromise(quotas) || isPromise(cost) ? priceLater(quotas, cost) : priceOf(quotas, cost)
  }

  /** The price where a function was too late for another. */
  fallback(policy: Policy): Price | undefined {
    const quotas = policy.rate ? policy.defaultQuotas : policy.quotas
    return quotas && { quotas, cost: typeof policy.cost === 'number' ? policy.cost : 1 }
  }

  /**
   * A rate that cannot be found is the default one, or none at all. Never the one that was found for somebody else.
   */
  #quotas(policy: Policy, c: RequestContext): MaybePromise<readonly AnsweringQuota[] | typeof late | undefined> {
    const read = (rate: Asked<unknown>): readonly AnsweringQuota[] | typeof late | undefined => {
      if (rate === late) return late
      if (rate === threw) return policy.defaultQuotas
      if (rate === undefined || rate === null) {
        if (!policy.defaultQuotas) this.#callbacks.nonsense(`${policy.where}.rate`, 'must answer a rate', rate)
        return policy.defaultQuotas
      }
      try {
        return policy.quotasOf(rate)
      } catch (cause) {
        this.#callbacks.report(`The function given as \`${policy.where}.rate\` must answer a rate`, c.route, cause)
        return policy.defaultQuotas
      }
    }
    return chain(
      this.#callbacks.ask<unknown>(policy, 'rate', () => policy.rate!(c)),
      read,
    )
  }

  #cost(policy: Policy, c: RequestContext): MaybePromise<number | typeof late> {
    const ask = policy.cost as Exclude<Policy['cost'], number>
    const asked = (context: RequestContext) => this.#callbacks.ask<unknown>(policy, 'cost', () => ask(context))
    const read = (given: Asked<unknown>): number | typeof late => (given === late ? late : this.#units(policy, given))
    return chain(asked(c), (given) =>
      // `1 + c.query.depth` is text where the query is: asked again with numbers, it is the sum that was meant.
      typeof given === 'string' ? chain(asked(c.inNumbers), read) : read(given),
    )
  }

  #units(policy: Policy, given: unknown): number {
    if (given === threw) return 1
    const units = typeof given === 'string' && /^\s*\d+\s*$/.test(given) ? Number(given) : given
    if (Number.isSafeInteger(units) && (units as number) >= 0) return units as number
    this.#callbacks.nonsense(`${policy.where}.cost`, 'must answer a whole number of 0 or more', given)
    // Rounded up, and past what can be counted never admitted.
    return typeof units === 'number' && units >= 0 ? Math.min(Math.ceil(units), Number.MAX_SAFE_INTEGER) : 1
  }
}

async function priceLater(
  quotas: MaybePromise<readonly AnsweringQuota[] | typeof late | undefined>,
  cost: MaybePromise<number | typeof late>,
): Promise<Price | typeof late | undefined> {
  return priceOf(await quotas, await cost)
}

function priceOf(
  quotas: readonly AnsweringQuota[] | typeof late | undefined,
  cost: number | typeof late,
): Price | typeof late | undefined {
  if (quotas === late || cost === late) return late
  return quotas && { quotas, cost }
}
