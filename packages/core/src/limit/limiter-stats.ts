import type { LimitStore, LimitStoreUsage } from './store/store.ts'

export interface PolicyCounters {
  allowed: number
  denied: number
  shadowDenied: number
  /** Charges that brought what is used to the `warnAt` of a policy. */
  nearLimit: number
  /** Bans that began by refusals; of a shadow policy those that would have. */
  bans: number
  /** Of `denied` (of a shadow policy: of `shadowDenied`), those refused because they were shut out. */
  banDenied: number
}

/** What one policy has decided. */
export interface PolicyStats extends PolicyCounters {
  /** Requests that it had a part in delaying. */
  delayed: number
  /** Decisions of its `onOutage` while the store was out: let pass, refused, and counted in this process alone. */
  failedOpen: number
  failedClosed: number
  countedLocally: number
}

/** Counters since the start. */
export interface LimitStats extends PolicyCounters {
  /** Decisions that were taken while a store was out. */
  readonly storeErrors: number
  /** Concurrent permits out in this process. */
  readonly permits: number
  /** Requests that `slowDown` has delayed, and of these those whose clients left meanwhile. */
  readonly delayed: number
  readonly left: number
  /** Requests that are delayed now. */
  readonly waiting: number
  readonly policies: Readonly<Record<string, Readonly<PolicyStats>>>
  readonly store: LimitStoreUsage
}

export function newPolicyStats(): PolicyStats {
  const decided = { allowed: 0, denied: 0, shadowDenied: 0, nearLimit: 0, bans: 0, banDenied: 0 }
  return { ...decided, delayed: 0, failedOpen: 0, failedClosed: 0, countedLocally: 0 }
}

/** Counts what a limiter decides. What each policy decided it counts itself. */
export class LimitCounters implements PolicyCounters {
  allowed = 0
  denied = 0
  shadowDenied = 0
  nearLimit = 0
  bans = 0
  banDenied = 0
  storeErrors = 0
  delayed = 0
  left = 0

  /** @param now - what is out, and what is delayed, at this moment */
  read(
    now: Pick<LimitStats, 'permits' | 'waiting'>,
    policies: Iterable<readonly [string, { readonly counters: PolicyStats }]>,
    store: LimitStore,
  ): LimitStats {
    const { allowed, denied, shadowDenied, nearLimit, bans, banDenied, storeErrors, delayed, left } = this
    const each = Object.fromEntries([...policies].map(([name, { counters }]) => [name, { ...counters }]))
    const counted = { allowed, denied, shadowDenied, nearLimit, bans, banDenied, storeErrors, delayed, left }
    return { ...counted, ...now, policies: each, store: store.usage() }
  }
}
