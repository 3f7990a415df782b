import type { AnsweringQuota } from '../policy/policy.ts'
import type { Verdict } from '../store/store.ts'

/** What the soft limit of a quota is asked about. */
interface Told {
  readonly quota: Pick<AnsweringQuota, 'warnAt'>
  readonly verdict: Pick<Verdict, 'allowed' | 'limit' | 'remaining'>
}

/**
 * Whether so much is used that clients are warned: `warnAt` of the limit or more. By what the verdict says, whoever came to it:
 * the store, the bucket that unknown keys share, or this process alone at its share of the limit.
 */
export function isNear({ quota: { warnAt }, verdict: { limit, remaining } }: Told): boolean {
  return warnAt !== undefined && limit - remaining >= mark(warnAt, limit)
}

/** Whether it was this charge that brought it there. */
export function crosses(told: Told, cost: number): boolean {
  const { quota, verdict } = told
  return (
    verdict.allowed && isNear(told) && verdict.limit - verdict.remaining - cost < mark(quota.warnAt!, verdict.limit)
  )
}

/** In whole units. A product that should be whole may be a little above: 0.07 · 100 is 7.000000000000001. */
function mark(warnAt: number, limit: number): number {
  return Math.ceil(warnAt * limit * (1 - 4 * Number.EPSILON))
}
