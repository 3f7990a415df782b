import type { LimitStore, LimitStoreUsage } from './store.ts'

export interface PolicyCounters {
  allowed: number
  denied: number
  shadowDenied: number
}

/** Counters since the start. */
export interface LimitStats extends PolicyCounters {
  /** Decisions that were taken while a store was out. */
  readonly storeErrors: number
  /** Concurrent permits out in this process. */
  readonly permits: number
  readonly policies: Readonly<Record<string, Readonly<PolicyCounters>>>
  readonly store: LimitStoreUsage
}

/** Counts what a limiter decides. */
export class LimitCounters {
  readonly #total: PolicyCounters = { allowed: 0, denied: 0, shadowDenied: 0 }
  readonly #policies = new Map<string, PolicyCounters>()
  #storeErrors = 0

  of(policy: string): PolicyCounters {
    let counters = this.#policies.get(policy)
    if (!counters) {
      counters = { allowed: 0, denied: 0, shadowDenied: 0 }
      this.#policies.set(policy, counters)
    }
    return counters
  }

  count(what: keyof PolicyCounters): void {
    this.#total[what]++
  }

  storeError(): void {
    this.#storeErrors++
  }

  read(permits: number, store: LimitStore): LimitStats {
    const policies = Object.fromEntries([...this.#policies].map(([name, counters]) => [name, { ...counters }]))
    return { ...this.#total, storeErrors: this.#storeErrors, permits, policies, store: store.usage() }
  }
}
