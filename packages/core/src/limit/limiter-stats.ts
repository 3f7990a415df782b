import type { LimitStore, LimitStoreUsage } from './store/store.ts'

export interface PolicyCounters {
  allowed: number
  denied: number
  shadowDenied: number
  /** Charges that brought what is used to the `warnAt` of a policy. */
  nearLimit: number
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

/** Counts what a limiter decides. What each policy decided it counts itself. */
export class LimitCounters implements PolicyCounters {
  allowed = 0
  denied = 0
  shadowDenied = 0
  nearLimit = 0
  storeErrors = 0

  read(
    permits: number,
    policies: Iterable<readonly [string, { readonly counters: PolicyCounters }]>,
    store: LimitStore,
  ): LimitStats {
    const { allowed, denied, shadowDenied, nearLimit, storeErrors } = this
    const each = Object.fromEntries([...policies].map(([name, { counters }]) => [name, { ...counters }]))
    return { allowed, denied, shadowDenied, nearLimit, storeErrors, permits, policies: each, store: store.usage() }
  }
}
