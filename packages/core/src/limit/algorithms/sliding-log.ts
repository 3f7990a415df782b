import type { LimitAlgorithm } from './algorithm.ts'
import { buckets } from './buckets.ts'
import { listOf, part } from './parameters.ts'

/**
 * Remembers every charge for as long as the window reaches back to it.
 *
 * **Guarantee:** at most N units in any window of W ms, and never fewer where more would fit.
 *
 * **Price:** memory O(N) per key: for limits of at most a few hundred.
 *
 * **Parameters:** those of the sliding window, with buckets of one millisecond: the last `windowMs - 1` before the present one
 * count.
 *
 * **State:** `[used, t₁, n₁, t₂, n₂, …]`: pairs of a time and the units charged at it, ascending, no time twice, and the
 * sum of all units in front.
 * - the time of a charge is `t = max(now, last t)`: time does not run backwards;
 * - a pair counts while `t < tᵢ + windowMs`;
 * - charging drops the pairs that no longer count, then adds to the pair of `t`, or appends it; a cost of 0 does nothing;
 * - the wait is the time until so many of the oldest pairs have run out that the cost fits.
 */
export function slidingLog(quota: number, windowMs: number): LimitAlgorithm<number[]> {
  const values = { quota, windowMs, bucketMs: 1, span: windowMs - 1 }
  return {
    kind: 'sliding-log',
    params: listOf('sliding-log', values),
    signature: `sl:${quota}:${windowMs}`,
    scaled: (share) => slidingLog(part(quota, share), windowMs),
    ...buckets(values),
  }
}
