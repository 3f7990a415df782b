import type { AnsweringQuota, Policy, Price } from '../policy/policy.ts'
import type { Charge, Verdict } from '../store/store.ts'
import type { Subject } from '../subject/subjects.ts'

/** A charge, and the policy it was made for. */
export interface PolicyCharge extends Charge {
  readonly quota: AnsweringQuota
  readonly policy: Policy
}

/** A charge that was made. */
export interface Made {
  readonly charge: PolicyCharge
  readonly verdict: Verdict
}

/** Charges that are made together or not at all, and what came of them: what the {@link Charger} works on. */
export interface Charging {
  readonly charges: readonly PolicyCharge[]
  /** One per charge; `undefined` for one that was not asked, because another store had refused. */
  verdicts: readonly (Verdict | undefined)[]
  allowed: boolean
}

/** The charges that were made, of those that `which` picks. */
export function madeOf({ charges, verdicts }: Charging, which: (charge: PolicyCharge) => boolean): readonly Made[] {
  return charges.flatMap((charge, i) => {
    const verdict = verdicts[i]
    return verdict?.allowed && which(charge) ? [{ charge, verdict }] : []
  })
}

/** Puts subject and price together: one charge per quota. */
export class Charges {
  readonly #permitPrefix: string
  #permits = 0

  /** @param permitPrefix - unique among all processes that share a store */
  constructor(permitPrefix: string) {
    this.#permitPrefix = permitPrefix
  }

  of(policy: Policy, subject: Subject, price: Price): readonly PolicyCharge[] {
    return subject.ban === ''
      ? this.#counted(policy, subject, price)
      : [...this.#counted(policy, subject, price), banOf(policy, subject)]
  }

  #counted(policy: Policy, subject: Subject, price: Price): readonly PolicyCharge[] {
    // Nearly always one: a list that grows takes 150 bytes before it holds anything.
    if (price.quotas.length === 1) return [this.first(policy, subject, price)]
    const { cost } = price
    return price.quotas.map((quota, i) => {
      const key = price.quotas === policy.quotas ? subject.keys[i]! : keyOf(quota, subject)
      return { quota, key, cost, permit: this.#permit(quota), policy }
    })
  }

  /** The charge of the first quota, without a list around it. */
  first(policy: Policy, subject: Subject, { quotas, cost }: Price): PolicyCharge {
    const quota = quotas[0]!
    const key = quotas === policy.quotas ? subject.keys[0]! : keyOf(quota, subject)
    return { quota, key, cost, permit: this.#permit(quota), policy }
  }

  /** The same once more. Permits have new names: what was given back of the former ones is known by theirs. */
  again(charges: readonly PolicyCharge[]): readonly PolicyCharge[] {
    return charges.map((charge) => ({ ...charge, permit: this.#permit(charge.quota) }))
  }

  #permit(quota: AnsweringQuota): string {
    return quota.algorithm.kind === 'concurrent' ? `${this.#permitPrefix}${this.#permits++}` : ''
  }
}

/** What asks whether the subject is shut out of the policy, and tells of its refusals. Takes nothing. */
export function banOf(policy: Policy, subject: Pick<Subject, 'ban'>): PolicyCharge {
  return { quota: policy.ban!, key: subject.ban, cost: 0, permit: '', policy }
}

/** Without those that were made for the same request before. A ban goes with the last of the quotas whose refusals it counts. */
export function withoutMade(charges: readonly PolicyCharge[], made: readonly Made[]): readonly PolicyCharge[] {
  const before = new Set(made.map(({ charge }) => charge.key))
  return charges.filter(({ key, quota, policy }) => {
    if (quota !== policy.ban) return !before.has(key)
    const own = charges.filter((other) => other.policy === policy && other.quota !== quota)
    return own.length === 0 || own.some((other) => !before.has(other.key))
  })
}

function keyOf(quota: AnsweringQuota, { hash, suffix }: Subject): string {
  return `${hash}${quota.id}${suffix}`
}
