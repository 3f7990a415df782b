import { isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { refuses, type Told } from '../answer/answer.ts'
import type { Policy } from '../policy/policy.ts'
import type { LimitStore, Verdict } from '../store/store.ts'
import type { PolicyCharge } from './charges.ts'
import type { Permits } from './permits.ts'

/** What was decided about the charges of a request. */
export interface Decision {
  readonly allowed: boolean
  readonly charges: readonly PolicyCharge[]
  /** One per charge; `undefined` for one that was not asked, because another store had refused. */
  readonly verdicts: readonly (Verdict | undefined)[]
}

/** Puts charges to their stores, all or none of them, and gives back what turned out not to count. */
export class Decider {
  readonly #storeOf: (policy: Policy) => LimitStore
  readonly #permits: Permits
  readonly #failed: (error: unknown, policies: readonly string[]) => void
  /** What was given back: `countIf`, an exemption and a refusal further on may all want to. */
  readonly #returned = new WeakSet<PolicyCharge>()

  constructor(
    storeOf: (policy: Policy) => LimitStore,
    permits: Permits,
    failed: (error: unknown, policies: readonly string[]) => void,
  ) {
    this.#storeOf = storeOf
    this.#permits = permits
    this.#failed = failed
  }

  decide(charges: readonly PolicyCharge[]): MaybePromise<Decision> {
    if (this.#permits.size > 0) this.#permits.renewIfDue()
    const store = this.#storeOf(charges[0]!.policy)
    for (let i = 1; i < charges.length; i++) {
      if (this.#storeOf(charges[i]!.policy) !== store) return this.#acrossStores(charges)
    }
    const verdicts = store.consume(charges)
    if (isPromise(verdicts)) return verdicts.then((v) => this.#decided(charges, v))
    return this.#decided(charges, verdicts)
  }

  #decided(charges: readonly PolicyCharge[], verdicts: readonly Verdict[]): Decision {
    let allowed = true
    for (let i = 0; i < charges.length; i++) if (!verdicts[i]!.allowed && !charges[i]!.quota.shadow) allowed = false
    return this.#holding({ allowed, charges, verdicts })
  }

  /** One store after the other; what the earlier ones took is given back where a later one refuses. */
  async #acrossStores(charges: readonly PolicyCharge[]): Promise<Decision> {
    const verdicts: (Verdict | undefined)[] = charges.map(() => undefined)
    const stores = new Set(charges.map(({ policy }) => this.#storeOf(policy)))
    let allowed = true
    for (const store of stores) {
      const indices = charges.flatMap(({ policy }, i) => (this.#storeOf(policy) === store ? [i] : []))
      const answered = await store.consume(indices.map((i) => charges[i]!))
      indices.forEach((index, i) => {
        verdicts[index] = answered[i]!
      })
      allowed = indices.every((i) => verdicts[i]!.allowed || charges[i]!.quota.shadow)
      if (allowed) continue
      const taken = charges.filter((charge, i) => verdicts[i]?.allowed && this.#storeOf(charge.policy) !== store)
      this.giveBack(taken.map((charge) => ({ charge, verdict: verdicts[charges.indexOf(charge)]! })))
      break
    }
    return this.#holding({ allowed, charges, verdicts })
  }

  #holding(decision: Decision): Decision {
    if (!decision.allowed) return decision
    for (let i = 0; i < decision.charges.length; i++) {
      const charge = decision.charges[i]!
      const verdict = decision.verdicts[i]
      if (charge.permit !== '' && verdict?.allowed) this.#permits.hold(charge, verdict, this.#storeOf(charge.policy))
    }
    return decision
  }

  /** Gives whole charges back, each once. Never throws; a store that fails is reported. */
  giveBack(made: readonly { readonly charge: PolicyCharge; readonly verdict: Verdict }[]): void {
    for (const { charge, verdict } of made) {
      if (!verdict.allowed || this.#returned.has(charge)) continue
      this.#returned.add(charge)
      if (charge.permit !== '') this.#permits.drop(charge)
      this.run(charge.policy, (store) => store.settle([{ charge, verdict, refund: charge.cost }]))
    }
  }

  /** Asks a store for something a request need not wait for. */
  run(policy: Policy, ask: (store: LimitStore) => MaybePromise<unknown>): void {
    try {
      const done = ask(this.#storeOf(policy))
      if (isPromise(done)) done.then(undefined, (error) => this.#failed(error, [policy.name]))
    } catch (error) {
      this.#failed(error, [policy.name])
    }
  }
}

/** The decision, as answers tell of it. */
export function toldOf({ charges, verdicts }: Decision): Told[] {
  if (charges.length === 1) return verdicts[0] ? [{ quota: charges[0]!.quota, verdict: verdicts[0] }] : []
  const told: Told[] = []
  for (let i = 0; i < charges.length; i++) {
    const verdict = verdicts[i]
    if (verdict) told.push({ quota: charges[i]!.quota, verdict })
  }
  return told
}

/** The verdict that stands for several: the refusal with the longest wait, else the one with the least left. */
export function strictest(told: readonly Told[]): Told {
  return told.reduce((a, b) => {
    if (refuses(a) !== refuses(b)) return refuses(a) ? a : b
    if (refuses(a)) return b.verdict.retryAfterMs > a.verdict.retryAfterMs ? b : a
    return b.verdict.remaining / b.verdict.limit < a.verdict.remaining / a.verdict.limit ? b : a
  })
}
