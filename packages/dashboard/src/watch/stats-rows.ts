import type { FiguresSnapshot, SluiceStats } from '@sluice/core'
import type { PolicyRow, RouteRow, ShedRow, Totals } from '../page/contract.ts'

const mostPolicies = 100
const mostStages = 20

export function totalsOf(
  { invalidations, stats: { cache } }: FiguresSnapshot,
  routes: readonly RouteRow[],
  errors: number,
): Totals {
  const count = (mode: 'purge' | 'expire'): number => invalidations.find((one) => one.mode === mode)?.count ?? 0
  return {
    hit: cache.hits,
    stale: cache.stale,
    miss: cache.misses,
    collapsed: cache.coalesced,
    bypass: cache.bypassed,
    stored: cache.stored,
    notStored: Object.values(cache.refused).reduce((sum, one) => sum + one, 0),
    purges: count('purge'),
    expires: count('expire'),
    savedMs: routes.reduce((sum, { savedMs }) => sum + savedMs, 0),
    errors,
  }
}

export function policyRows({ limits }: SluiceStats): PolicyRow[] {
  return Object.entries(limits.policies)
    .slice(0, mostPolicies)
    .map(([policy, own]) => ({
      policy,
      allowed: own.allowed,
      refused: own.denied,
      shadowRefused: own.shadowDenied,
      banRefused: own.banDenied,
      delayed: own.delayed,
      ...(own.permits?.limit === undefined
        ? {}
        : { occupancy: { out: own.permits.out, busiest: own.permits.busiest, of: own.permits.limit } }),
    }))
}

export function shedRows({ shed }: SluiceStats): ShedRow[] {
  return shed.stages.slice(0, mostStages).map(({ level, admitted, shed: refused, concurrency }, stage) => ({
    stage,
    level,
    admitted,
    refused: Object.values(refused).reduce((sum, one) => sum + one, 0),
    inFlight: concurrency?.inFlight ?? null,
    limit: concurrency?.limit ?? null,
  }))
}
