import type { Cancel, Clock } from '../../base/clock.ts'
import type { Charge, LimitStore, Verdict } from '../store/store.ts'

/**
 * The concurrent permits this process has out. Their leases are prolonged for as long as they are: one timer for all of
 * them, and once more before each decision that comes when the timer is late, so that a blocked event loop loses none.
 */
export class Permits {
  readonly #clock: Clock
  readonly #renew: (store: LimitStore, charges: readonly Charge[]) => void
  readonly #held = new Map<Charge, { readonly store: LimitStore; readonly verdict: Verdict }>()
  #cancel: Cancel | undefined
  #dueMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, renew: (store: LimitStore, charges: readonly Charge[]) => void) {
    this.#clock = clock
    this.#renew = renew
  }

  get size(): number {
    return this.#held.size
  }

  hold(charge: Charge, verdict: Verdict, store: LimitStore): void {
    this.#held.set(charge, { store, verdict })
    const due = this.#clock.now() + charge.quota.algorithm.stateTtlMs / 3
    if (due < this.#dueMs) this.#schedule(due)
  }

  /** Whether it was still out: a permit is given back once. */
  drop(charge: Charge): boolean {
    const held = this.#held.delete(charge)
    if (this.#held.size === 0) this.#idle()
    return held
  }

  renewIfDue(): void {
    if (this.#dueMs > this.#clock.now()) return
    const byStore = new Map<LimitStore, Charge[]>()
    let shortest = Number.POSITIVE_INFINITY
    for (const [charge, { store }] of this.#held) {
      const charges = byStore.get(store)
      if (charges) charges.push(charge)
      else byStore.set(store, [charge])
      shortest = Math.min(shortest, charge.quota.algorithm.stateTtlMs)
    }
    this.#schedule(this.#clock.now() + shortest / 3)
    for (const [store, charges] of byStore) this.#renew(store, charges)
  }

  #schedule(dueMs: number): void {
    this.#cancel?.()
    this.#dueMs = dueMs
    this.#cancel = this.#clock.after(Math.max(0, dueMs - this.#clock.now()), () => this.renewIfDue())
  }

  /** Stops the timer; answers with what is still out. */
  close(): readonly { readonly charge: Charge; readonly verdict: Verdict; readonly store: LimitStore }[] {
    const out = [...this.#held].map(([charge, held]) => ({ charge, ...held }))
    this.#held.clear()
    this.#idle()
    return out
  }

  #idle(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#dueMs = Number.POSITIVE_INFINITY
  }
}
