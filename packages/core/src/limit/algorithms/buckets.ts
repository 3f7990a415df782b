import type { LimitAlgorithm } from './algorithm.ts'
import type { ParametersOf } from './parameters.ts'

/** What the algorithms over buckets share: all but their names. */
export type BucketAlgorithm = Omit<LimitAlgorithm<number[]>, 'kind' | 'signature' | 'scaled'>

/**
 * Counts in buckets of time, `[used, i₁, n₁, i₂, n₂, …]`: pairs of a bucket's number and the units charged in it, ascending,
 * no bucket twice, and the sum of all units in front. The sliding window has sixteen of them, the sliding log one for every
 * millisecond. A bucket counts in full for as long as at most `span` others lie between it and the present one.
 */
export function buckets({ quota, bucketMs, span }: ParametersOf<'sliding-window'>): Omit<BucketAlgorithm, 'params'> {
  const reach = span + 1
  const bucketOf = (ms: number): number => Math.floor(ms / bucketMs)
  /** Time does not run backwards. */
  const bucketAt = (state: number[], nowMs: number): number => {
    const bucket = bucketOf(nowMs)
    return state.length > 1 ? Math.max(bucket, state[state.length - 2]!) : bucket
  }
  /** Where the buckets that still count begin. */
  const firstLive = (state: number[], bucket: number): number => {
    let at = 1
    while (at < state.length && bucket - state[at]! >= reach) at += 2
    return at
  }
  const usedAt = (state: number[], nowMs: number): number => {
    const live = firstLive(state, bucketAt(state, nowMs))
    let used = state[0]!
    for (let i = 2; i < live; i += 2) used -= state[i]!
    return used
  }
  const endOf = (bucket: number): number => (bucket + reach) * bucketMs

  /** Each bucket's units in the bucket of the latest moment they can be of: they come back late rather than early. */
  const carry = (state: number[], [, , formerMs, formerSpan]: readonly number[], nowMs: number): number[] => {
    if (formerMs === bucketMs && formerSpan === span) return state
    const next = [0]
    const present = Math.max(Math.floor(nowMs / formerMs!), state[state.length - 2] ?? 0)
    for (let at = 1; at < state.length; at += 2) {
      const [former, units] = [state[at]!, state[at + 1]!]
      if (units === 0 || present - former > formerSpan!) continue
      const last = (former + 1) * formerMs! - 1
      const bucket = bucketOf(at === state.length - 2 ? Math.min(last, Math.max(nowMs, former * formerMs!)) : last)
      if (next[next.length - 2] === bucket && next.length > 1) next[next.length - 1]! += units
      else next.push(bucket, units)
      next[0]! += units
    }
    return next
  }

  return {
    carry,
    limit: quota,
    stateTtlMs: reach * bucketMs,
    fresh: () => [0],

    waitMs(state, cost, nowMs) {
      if (cost > quota) return Number.POSITIVE_INFINITY
      let used = usedAt(state, nowMs)
      if (used + cost <= quota || cost === 0) return 0
      let at = firstLive(state, bucketAt(state, nowMs))
      while (used + cost > quota) {
        used -= state[at + 1]!
        at += 2
      }
      return endOf(state[at - 2]!) - nowMs
    },

    charge(state, cost, nowMs) {
      if (cost === 0) return
      const bucket = bucketAt(state, nowMs)
      const live = firstLive(state, bucket)
      if (live > 1) {
        for (let i = 2; i < live; i += 2) state[0]! -= state[i]!
        state.copyWithin(1, live)
        state.length -= live - 1
      }
      state[0]! += cost
      if (state.length > 1 && state[state.length - 2] === bucket) state[state.length - 1]! += cost
      else state.push(bucket, cost)
    },

    refund(state, { cost, atMs }) {
      let left = cost
      const bucket = atMs === undefined ? undefined : bucketOf(atMs)
      for (let i = state.length - 2; i > 0 && left > 0; i -= 2) {
        // Only its own bucket: where that has run out the units are back already.
        if (bucket !== undefined && state[i] !== bucket) continue
        const given = Math.min(left, state[i + 1]!)
        state[i + 1]! -= given
        state[0]! -= given
        left -= given
      }
    },

    // More may be used than the quota where it was larger before.
    remaining: (state, nowMs) => Math.max(0, quota - usedAt(state, nowMs)),

    resetMs(state, nowMs) {
      for (let at = firstLive(state, bucketAt(state, nowMs)); at < state.length; at += 2) {
        // A refund may have emptied a bucket.
        if (state[at + 1]! > 0) return endOf(state[at]!) - nowMs
      }
      return 0
    },

    fullMs(state, nowMs) {
      const live = firstLive(state, bucketAt(state, nowMs))
      for (let at = state.length - 2; at >= live; at -= 2) if (state[at + 1]! > 0) return endOf(state[at]!) - nowMs
      return 0
    },
  }
}
