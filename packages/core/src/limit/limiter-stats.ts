import type { LimitStore, LimitStoreUsage } from './store/store.ts'

export interface PolicyCounters {
  allowed: number
  denied: number
  shadowDenied: number
  /** Bans that began by refusals; of a shadow policy those that would have. */
  bans: number
  /** Of `denied` (of a shadow policy: of `shadowDenied`), those refused because they were shut out. */
  banDenied: number
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
  bans = 0
  banDenied = 0
  storeErrors = 0

  read(
    permits: number,
    policies: Iterable<readonly [string, { readonly counters: PolicyCounters }]>,
    store: LimitStore,
  ): LimitStats {
    const { allowed, denied, shadowDenied, bans, banDenied, storeErrors } = this
    const each = Object.fromEntries([...policies].map(([name, { counters }]) => [name, { ...counters }]))
    return {
      allowed,
      denied,
      shadowDenied,
      bans,
      banDenied,
      storeErrors,
      permits,
      policies: each,
      store: store.usage(),
    }
  }
}
