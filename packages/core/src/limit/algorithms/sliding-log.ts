import type { LimitAlgorithm } from './algorithm.ts'

/**
 * Remembers every charge for as long as the window reaches back to it.
 *
 * **Guarantee:** at most N units in any window of W ms, and never fewer where more would fit.
 *
 * **Price:** memory O(N) per key: for limits of at most a few hundred.
 *
 * **Parameters:** `[quota, windowMs]`.
 *
 * **State:** `[used, t₁, n₁, t₂, n₂, …]`: pairs of a time and the units charged at it, ascending, no time twice, and the
 * sum of all units in front.
 * - the time of a charge is `t = max(now, last t)`: time does not run backwards;
 * - a pair counts while `t < tᵢ + windowMs`;
 * - charging drops the pairs that no longer count, then adds to the pair of `t`, or appends it; a cost of 0 does nothing;
 * - the wait is the time until so many of the oldest pairs have run out that the cost fits.
 */
export function slidingLog(quota: number, windowMs: number): LimitAlgorithm<number[]> {
  const timeOf = (state: number[], nowMs: number): number => {
    const last = state.length > 1 ? state[state.length - 2]! : nowMs
    return Math.max(nowMs, last)
  }
  const firstLive = (state: number[], t: number): number => {
    let at = 1
    while (at < state.length && t - state[at]! >= windowMs) at += 2
    return at
  }
  const usedAt = (state: number[], nowMs: number): number => {
    const live = firstLive(state, timeOf(state, nowMs))
    let used = state[0]!
    for (let i = 2; i < live; i += 2) used -= state[i]!
    return used
  }

  return {
    kind: 'sliding-log',
    params: Object.freeze([quota, windowMs]),
    limit: quota,
    stateTtlMs: windowMs,
    signature: `sl:${quota}:${windowMs}`,
    fresh: () => [0],

    waitMs(state, cost, nowMs) {
      if (cost > quota) return Number.POSITIVE_INFINITY
      let used = usedAt(state, nowMs)
      if (used + cost <= quota || cost === 0) return 0
      let at = firstLive(state, timeOf(state, nowMs))
      while (used + cost > quota) {
        used -= state[at + 1]!
        at += 2
      }
      return state[at - 2]! + windowMs - nowMs
    },

    charge(state, cost, nowMs) {
      if (cost === 0) return
      const t = timeOf(state, nowMs)
      const live = firstLive(state, t)
      if (live > 1) {
        for (let i = 2; i < live; i += 2) state[0]! -= state[i]!
        state.copyWithin(1, live)
        state.length -= live - 1
      }
      state[0]! += cost
      if (state.length > 1 && state[state.length - 2] === t) state[state.length - 1]! += cost
      else state.push(t, cost)
    },

    refund(state, cost, _nowMs, atMs) {
      let left = cost
      for (let i = state.length - 2; i > 0 && left > 0; i -= 2) {
        // Only its own time: where that has run out the units are back already.
        if (atMs !== undefined && state[i] !== atMs) continue
        const given = Math.min(left, state[i + 1]!)
        state[i + 1]! -= given
        state[0]! -= given
        left -= given
      }
    },

    remaining: (state, nowMs) => quota - usedAt(state, nowMs),

    resetMs(state, nowMs) {
      for (let at = firstLive(state, timeOf(state, nowMs)); at < state.length; at += 2) {
        // A refund may have emptied a pair.
        if (state[at + 1]! > 0) return state[at]! + windowMs - nowMs
      }
      return 0
    },

    fullMs(state, nowMs) {
      const live = firstLive(state, timeOf(state, nowMs))
      for (let at = state.length - 2; at >= live; at -= 2) if (state[at + 1]! > 0) return state[at]! + windowMs - nowMs
      return 0
    },
  }
}
