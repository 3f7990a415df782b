import type { LimitAlgorithm } from './algorithm.ts'
import { buckets } from './buckets.ts'
import { listOf, part } from './parameters.ts'

/** Into how many buckets a window is cut. More would admit a little more under overload, and cost more. */
const bucketsPerWindow = 16

/**
 * Counts in buckets of a sixteenth of the window, and counts a bucket in full for as long as any part of it is within
 * the window.
 *
 * **Guarantee:** at most N units in any window of W ms.
 *
 * **Price:** a unit comes back up to W/16 late. At 1.5 × overload it admits 62.4 % where an exact log admits 65.4 %.
 * The usual sliding window of two weighted counters was not taken: its worst window lets 1.86 N through.
 *
 * **Parameters:** `[quota, windowMs, bucketMs, span]`; `bucketMs = ceil(W / 16)`; `span` is how many buckets before the
 * current one still count: `ceil(W / bucketMs)`, one less where buckets are single milliseconds, which cannot be partly
 * over. (Units charged less than W ms apart lie at most `floor((W − 1) / bucketMs) + 1` buckets apart.)
 *
 * **State:** `[used, i₁, n₁, i₂, n₂, …]`: pairs of bucket number `i = floor(now / bucketMs)` and units, ascending, no
 * pair twice, at most `span + 1` of them, and the sum of all units in front.
 * - the current bucket is `c = max(floor(now / bucketMs), last i)`: time does not run backwards;
 * - a pair counts while `c − i ≤ span`, that is until `(i + span + 1) · bucketMs`;
 * - charging drops the pairs that no longer count, then adds to the pair of `c`, or appends it; a cost of 0 does nothing;
 * - the wait is the time until so many of the oldest pairs have run out that the cost fits.
 */
export function slidingWindow(quota: number, windowMs: number): LimitAlgorithm<number[]> {
  const bucketMs = Math.ceil(windowMs / bucketsPerWindow)
  const span = Math.ceil(windowMs / bucketMs) - (bucketMs === 1 ? 1 : 0)
  const values = { quota, windowMs, bucketMs, span }
  return {
    kind: 'sliding-window',
    params: listOf('sliding-window', values),
    signature: `sw:${quota}:${windowMs}`,
    scaled: (share) => slidingWindow(part(quota, share), windowMs),
    ...buckets(values),
  }
}
