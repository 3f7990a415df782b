import type { Cancel, Clock } from '../../base/clock.ts'
import type { Charge, LimitStore, Verdict } from '../store/store.ts'

interface Held {
  readonly store: LimitStore
  readonly verdict: Verdict
  readonly sinceMs: number
}

/** Permits that are out. */
export interface Occupied {
  readonly out: number
  /** Of these, those of the key that has most. */
  readonly busiest: number
}

/** How much of a moving average the latest duration is. */
const weight = 1 / 8

/** Nobody is told to come back any sooner. */
const shortestWaitMs = 1_000

/**
 * The concurrent permits this process has out. Their leases are prolonged for as long as they are: one timer for all of
 * them, and once more before each decision that comes when the timer is late, so that a blocked event loop loses none.
 */
export class Permits {
  readonly #clock: Clock
  readonly #renew: (store: LimitStore, charges: readonly Charge[]) => void
  readonly #held = new Map<Charge, Held>()
  /** How long permits are out as a rule, by quota: a moving average. */
  readonly #usualMs = new Map<string, number>()
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
    const now = this.#clock.now()
    this.#held.set(charge, { store, verdict, sinceMs: now })
    const due = now + charge.quota.algorithm.stateTtlMs / 3
    if (due < this.#dueMs) this.#schedule(due)
  }

  /** Whether it was still out: a permit is given back once. */
  drop(charge: Charge): boolean {
    const held = this.#held.get(charge)
    if (!held) return false
    this.#held.delete(charge)
    if (this.#held.size === 0) this.#idle()
    this.#observe(charge.quota.id, this.#clock.now() - held.sinceMs)
    return true
  }

  #observe(id: string, tookMs: number): void {
    const usual = this.#usualMs.get(id) ?? tookMs
    this.#usualMs.set(id, usual + (tookMs - usual) * weight)
  }

  /**
   * The same verdict with a wait that says when a permit will be there: by how long they are out as a rule. All a store knows
   * is when their leases end, which is for processes that were killed.
   */
  expecting({ quota }: Charge, verdict: Verdict): Verdict {
    if (verdict.permanent || verdict.resetMs === 0 || verdict.via === 'closed') return verdict
    const usualMs = Math.ceil(this.#usualMs.get(quota.id) ?? shortestWaitMs)
    const waitMs = Math.max(shortestWaitMs, Math.min(usualMs, quota.algorithm.stateTtlMs))
    return { ...verdict, retryAfterMs: verdict.allowed ? 0 : waitMs, resetMs: waitMs }
  }

  /** How long permits of a quota are out as a rule; `undefined` where none has come back yet. */
  usualMs(id: string): number | undefined {
    return this.#usualMs.get(id)
  }

  /** What is out, by policy. Counted when it is asked, so that permits cost no more. */
  occupied(): Map<string, Occupied> {
    const keys = new Map<string, number>()
    const policies = new Map<string, Occupied>()
    for (const { quota, key } of this.#held.keys()) {
      const ofKey = (keys.get(key) ?? 0) + 1
      keys.set(key, ofKey)
      const { out, busiest } = policies.get(quota.policy) ?? { out: 0, busiest: 0 }
      policies.set(quota.policy, { out: out + 1, busiest: Math.max(busiest, ofKey) })
    }
    return policies
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

  /** A timer may be early, by its own clock or by a calendar that was set back: it is set again, and not lost. */
  #tick(): void {
    if (this.#dueMs > this.#clock.now()) this.#schedule(this.#dueMs)
    else this.renewIfDue()
  }

  #schedule(dueMs: number): void {
    this.#cancel?.()
    this.#dueMs = dueMs
    this.#cancel = this.#clock.after(Math.max(0, dueMs - this.#clock.now()), () => this.#tick())
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
