import type { Occupied } from './charge/permits.ts'
import type { LimitStore, LimitStoreUsage, Quota } from './store/store.ts'

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
  /**
   * Charges that were given back: by `countIf`, by `refund`, by an exemption or a refusal further on. A request counts once, however many
   * rates the policy has. Permits of concurrencies are not among them: they always come back.
   */
  refunded: number
  /** Decisions of its `onOutage` while the store was out: let pass, refused, and counted in this process alone. */
  failedOpen: number
  failedClosed: number
  countedLocally: number
}

/** How much of a concurrency is in use, in this process. */
export interface Occupancy extends Occupied {
  /** How many permits one key may have out; `undefined` where that is a function of the request. */
  readonly limit: number | undefined
}

/** What one policy has decided, and what of it is out now. */
export interface PolicyFigures extends Readonly<PolicyStats> {
  /** Of concurrencies only. */
  readonly permits?: Occupancy | undefined
}

/** What of a policy is read. */
interface CountedPolicy {
  readonly counters: PolicyStats
  readonly quotas: readonly Quota[]
  readonly defaultQuotas: readonly Quota[] | undefined
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
  readonly policies: Readonly<Record<string, PolicyFigures>>
  readonly store: LimitStoreUsage
}

export function newPolicyStats(): PolicyStats {
  const decided = { allowed: 0, denied: 0, shadowDenied: 0, nearLimit: 0, bans: 0, banDenied: 0 }
  return { ...decided, delayed: 0, refunded: 0, failedOpen: 0, failedClosed: 0, countedLocally: 0 }
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
    occupied: ReadonlyMap<string, Occupied>,
    policies: Iterable<readonly [string, CountedPolicy]>,
    store: LimitStore,
  ): LimitStats {
    const { allowed, denied, shadowDenied, nearLimit, bans, banDenied, storeErrors, delayed, left } = this
    const each = Object.fromEntries(
      [...policies].map(([name, policy]) => [name, figuresOf(policy, occupied.get(name))]),
    )
    const counted = { allowed, denied, shadowDenied, nearLimit, bans, banDenied, storeErrors, delayed, left }
    return { ...counted, ...now, policies: each, store: store.usage() }
  }
}

function figuresOf({ counters, quotas, defaultQuotas }: CountedPolicy, occupied: Occupied | undefined): PolicyFigures {
  const limits = [...quotas, ...(defaultQuotas ?? [])].flatMap(({ algorithm }) =>
    algorithm.kind === 'concurrent' ? [algorithm.limit] : [],
  )
  if (limits.length === 0 && !occupied) return { ...counters }
  const limit = limits.length > 0 ? Math.min(...limits) : undefined
  return { ...counters, permits: { ...(occupied ?? { out: 0, busiest: 0 }), limit } }
}
