import type { LimitAlgorithm } from './algorithm.ts'
import { listOf, part } from './parameters.ts'

/**
 * Counts from the first charge of a key until the window is over, then from nothing again. It is here for parity and
 * because external stores know nothing else.
 *
 * **Guarantee:** at most 2N − 1 units in any window of W ms (one opens the window, N − 1 come at its end, and N in the
 * next). Take `sliding-window` where N is meant.
 *
 * **Parameters:** `[quota, windowMs]`.
 *
 * **State:** `[start, used]`; `[0, 0]` before the first charge.
 * - the window is running while `used > 0` and `now < start + windowMs`; a clock that was set back is still in it;
 * - charging in a running window adds to `used`; else `start = now`, `used = cost`; a cost of 0 does nothing;
 * - the wait is `start + windowMs − now`.
 */
export function fixedWindow(quota: number, windowMs: number): LimitAlgorithm<number[]> {
  const resetMs = (state: number[], nowMs: number): number =>
    usedAt(state, nowMs) > 0 ? state[0]! + windowMs - nowMs : 0
  const usedAt = (state: number[], nowMs: number): number => (nowMs < state[0]! + windowMs ? state[1]! : 0)

  return {
    kind: 'fixed-window',
    params: listOf('fixed-window', { quota, windowMs }),
    limit: quota,
    stateTtlMs: windowMs,
    signature: `fw:${quota}:${windowMs}`,
    scaled: (share) => fixedWindow(part(quota, share), windowMs),
    fresh: () => [0, 0],
    carry: (state, [, formerMs], nowMs) => (nowMs < state[0]! + formerMs! ? state : [0, 0]),

    waitMs(state, cost, nowMs) {
      if (cost > quota) return Number.POSITIVE_INFINITY
      return cost === 0 || usedAt(state, nowMs) + cost <= quota ? 0 : state[0]! + windowMs - nowMs
    },

    charge(state, cost, nowMs) {
      if (cost === 0) return
      const used = usedAt(state, nowMs)
      if (used === 0) state[0] = nowMs
      state[1] = used + cost
    },

    refund(state, { cost, atMs }, nowMs) {
      const used = usedAt(state, nowMs)
      // A charge of an earlier window is back already.
      if (used === 0 || (atMs !== undefined && atMs < state[0]!)) return
      state[1] = Math.max(0, used - cost)
    },

    remaining: (state, nowMs) => Math.max(0, quota - usedAt(state, nowMs)),
    resetMs,
    fullMs: resetMs,
  }
}
