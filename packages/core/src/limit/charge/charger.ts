import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { type QuotaVerdict, refuses, waitOf } from '../answer/answer.ts'
import type { Policy } from '../policy/policy.ts'
import type { Charge, LimitStore, Verdict } from '../store/store.ts'
import type { Charging, Made, PolicyCharge } from './charges.ts'
import type { Permits } from './permits.ts'

/** Puts charges to their stores, all or none of them, and gives back what turned out not to count. */
export class Charger {
  readonly #storeOf: (policy: Policy) => LimitStore
  readonly #permits: Permits
  readonly #failed: (error: unknown, policies: readonly string[]) => void
  /** What was given back: `countIf`, an exemption and a refusal further on may all want to. */
  readonly #returned = new WeakSet<PolicyCharge>()

  readonly #freed: (key: string) => void

  /** @param freed - told when something of a key was given back */
  constructor(
    storeOf: (policy: Policy) => LimitStore,
    permits: Permits,
    failed: (error: unknown, policies: readonly string[]) => void,
    freed: (key: string) => void,
  ) {
    this.#storeOf = storeOf
    this.#permits = permits
    this.#failed = failed
    this.#freed = freed
  }

  isRemote(policy: Policy): boolean {
    return this.#storeOf(policy).kind === 'remote'
  }

  /** What there would be to say of these charges; changes nothing. */
  look(charges: readonly PolicyCharge[]): MaybePromise<readonly Verdict[]> {
    const store = this.#storeOf(charges[0]!.policy)
    if (charges.every(({ policy }) => this.#storeOf(policy) === store)) {
      return chain(store.peek(charges), (verdicts) => this.expecting(charges, verdicts))
    }
    // Of several stores each is asked for its own: nothing is charged, so that nothing has to hold together.
    const each = charges.map(async (charge) => (await this.#storeOf(charge.policy).peek([charge]))[0]!)
    return Promise.all(each).then((verdicts) => this.expecting(charges, verdicts))
  }

  /** Sets verdicts and outcome; a promise where one has to be waited for. */
  charge(charging: Charging): MaybePromise<void> {
    const { charges } = charging
    if (this.#permits.size > 0) this.#permits.renewIfDue()
    const store = this.#storeOf(charges[0]!.policy)
    for (let i = 1; i < charges.length; i++) {
      if (this.#storeOf(charges[i]!.policy) !== store) return this.#acrossStores(charging)
    }
    const verdicts = store.consume(charges)
    return isPromise(verdicts) ? this.#decideLater(charging, verdicts) : this.#decide(charging, verdicts)
  }

  /** How a policy is charged once, where its store decides at once; `undefined` where it may be late. */
  atOnce(policy: Policy): ((charge: Charge) => Verdict) | undefined {
    const store = this.#storeOf(policy)
    if (store.kind !== 'local' || !store.consumeOne) return undefined
    return (charge) => {
      if (this.#permits.size > 0) this.#permits.renewIfDue()
      return store.consumeOne!(charge)
    }
  }

  async #decideLater(charging: Charging, verdicts: PromiseLike<readonly Verdict[]>): Promise<void> {
    this.#decide(charging, await verdicts)
  }

  #decide(charging: Charging, verdicts: readonly Verdict[]): void {
    charging.verdicts = this.expecting(charging.charges, verdicts)
    charging.allowed = true
    const { charges } = charging
    for (let i = 0; i < charges.length; i++) {
      if (!verdicts[i]!.allowed && !charges[i]!.quota.shadow) charging.allowed = false
    }
    this.#hold(charging)
  }

  /** With the waits of concurrencies as they are expected to be. */
  expecting(charges: readonly PolicyCharge[], verdicts: readonly Verdict[]): readonly Verdict[] {
    for (let i = 0; i < charges.length; i++) {
      if (charges[i]!.permit !== '') return verdicts.map((verdict, n) => this.#expecting(charges[n]!, verdict))
    }
    return verdicts
  }

  #expecting(charge: PolicyCharge, verdict: Verdict): Verdict {
    return charge.permit === '' ? verdict : this.#permits.expecting(charge, verdict)
  }

  /** One store after the other; what the earlier ones took is given back where a later one refuses. */
  async #acrossStores(charging: Charging): Promise<void> {
    const { charges } = charging
    const verdicts: (Verdict | undefined)[] = charges.map(() => undefined)
    charging.verdicts = verdicts
    const stores = new Set(charges.map(({ policy }) => this.#storeOf(policy)))
    for (const store of stores) {
      const indices = charges.flatMap(({ policy }, i) => (this.#storeOf(policy) === store ? [i] : []))
      const asked = indices.map((i) => charges[i]!)
      const answered = this.expecting(asked, await store.consume(asked))
      indices.forEach((index, i) => {
        verdicts[index] = answered[i]!
      })
      charging.allowed = indices.every((i) => verdicts[i]!.allowed || charges[i]!.quota.shadow)
      if (charging.allowed) continue
      const taken = charges.filter((charge, i) => verdicts[i]?.allowed && this.#storeOf(charge.policy) !== store)
      this.giveBack(taken.map((charge) => ({ charge, verdict: verdicts[charges.indexOf(charge)]! })))
      break
    }
    this.#hold(charging)
  }

  #hold({ allowed, charges, verdicts }: Charging): void {
    if (!allowed) return
    for (let i = 0; i < charges.length; i++) {
      const charge = charges[i]!
      const verdict = verdicts[i]
      if (charge.permit !== '' && verdict?.allowed) this.#permits.hold(charge, verdict, this.#storeOf(charge.policy))
    }
  }

  /** Gives whole charges back, each once. Never throws; a store that fails is reported. */
  giveBack(made: readonly Made[]): void {
    let counted: Policy | undefined
    for (const { charge, verdict } of made) {
      if (!verdict.allowed || this.#returned.has(charge)) continue
      this.#returned.add(charge)
      if (charge.permit !== '') this.#permits.drop(charge)
      else if (charge.cost > 0 && charge.policy !== counted) {
        counted = charge.policy
        counted.counters.refunded++
      }
      this.run(charge.policy, (store) =>
        chain(store.settle([{ charge, verdict, refund: charge.cost }]), () => this.#freed(charge.key)),
      )
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

/** What was decided, as answers tell of it: of a ban only where there is one. */
export function quotaVerdicts({ charges, verdicts }: Pick<Charging, 'charges' | 'verdicts'>): QuotaVerdict[] {
  if (charges.length === 1)
    return isTold(charges[0]!, verdicts[0]) ? [{ quota: charges[0]!.quota, verdict: verdicts[0] }] : []
  const told: QuotaVerdict[] = []
  for (let i = 0; i < charges.length; i++) {
    const verdict = verdicts[i]
    if (isTold(charges[i]!, verdict)) told.push({ quota: charges[i]!.quota, verdict })
  }
  return told
}

function isTold({ quota, policy }: PolicyCharge, verdict: Verdict | undefined): verdict is Verdict {
  return verdict !== undefined && !(quota === policy.ban && verdict.allowed)
}

/**
 * The verdict that stands for several: of a ban with the longest wait there is, else the refusal with the longest wait, else the one
 * with the least left.
 */
export function strictest(told: readonly QuotaVerdict[]): QuotaVerdict {
  const ban = told.find((one) => one.verdict.banned && refuses(one))
  if (ban) return { ...ban, verdict: { ...ban.verdict, retryAfterMs: waitOf(told.filter(refuses)) } }
  return told.reduce((a, b) => {
    if (refuses(a) !== refuses(b)) return refuses(a) ? a : b
    if (refuses(a)) return b.verdict.retryAfterMs > a.verdict.retryAfterMs ? b : a
    return b.verdict.remaining / b.verdict.limit < a.verdict.remaining / a.verdict.limit ? b : a
  })
}
