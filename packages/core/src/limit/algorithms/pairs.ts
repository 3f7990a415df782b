import type { LimitAlgorithm } from './algorithm.ts'

/** How time is cut for pairs of a slot and the units charged in it. */
export interface Slots {
  readonly quota: number
  /** The slot of a moment. */
  slotOf(ms: number): number
  /** How long a slot is, in milliseconds. */
  readonly slotMs: number
  /** A pair counts while the present slot is less than so many behind its own. */
  readonly reach: number
}

/** What the algorithms over such pairs share: all but their names, their parameters and how they cut time. */
export type PairAlgorithm = Omit<LimitAlgorithm<number[]>, 'kind' | 'params' | 'limit' | 'stateTtlMs' | 'signature'>

/**
 * Counts in `[used, s₁, n₁, s₂, n₂, …]`: pairs of a slot and the units charged in it, ascending, no slot twice, and the sum
 * of all units in front. The sliding log has a slot for every moment, the sliding window sixteen to a window.
 */
export function pairs({ quota, slotOf, slotMs, reach }: Slots): PairAlgorithm {
  /** Time does not run backwards. */
  const slotAt = (state: number[], nowMs: number): number => {
    const slot = slotOf(nowMs)
    const last = state.length > 1 ? state[state.length - 2]! : slot
    return Math.max(slot, last)
  }
  /** Where the pairs that still count begin. */
  const firstLive = (state: number[], slot: number): number => {
    let at = 1
    while (at < state.length && slot - state[at]! >= reach) at += 2
    return at
  }
  const usedAt = (state: number[], nowMs: number): number => {
    const live = firstLive(state, slotAt(state, nowMs))
    let used = state[0]!
    for (let i = 2; i < live; i += 2) used -= state[i]!
    return used
  }
  const endOf = (slot: number): number => (slot + reach) * slotMs

  return {
    fresh: () => [0],

    waitMs(state, cost, nowMs) {
      if (cost > quota) return Number.POSITIVE_INFINITY
      let used = usedAt(state, nowMs)
      if (used + cost <= quota || cost === 0) return 0
      let at = firstLive(state, slotAt(state, nowMs))
      while (used + cost > quota) {
        used -= state[at + 1]!
        at += 2
      }
      return endOf(state[at - 2]!) - nowMs
    },

    charge(state, cost, nowMs) {
      if (cost === 0) return
      const slot = slotAt(state, nowMs)
      const live = firstLive(state, slot)
      if (live > 1) {
        for (let i = 2; i < live; i += 2) state[0]! -= state[i]!
        state.copyWithin(1, live)
        state.length -= live - 1
      }
      state[0]! += cost
      if (state.length > 1 && state[state.length - 2] === slot) state[state.length - 1]! += cost
      else state.push(slot, cost)
    },

    refund(state, cost, _nowMs, atMs) {
      let left = cost
      const slot = atMs === undefined ? undefined : slotOf(atMs)
      for (let i = state.length - 2; i > 0 && left > 0; i -= 2) {
        // Only its own slot: where that has run out the units are back already.
        if (slot !== undefined && state[i] !== slot) continue
        const given = Math.min(left, state[i + 1]!)
        state[i + 1]! -= given
        state[0]! -= given
        left -= given
      }
    },

    remaining: (state, nowMs) => quota - usedAt(state, nowMs),

    resetMs(state, nowMs) {
      for (let at = firstLive(state, slotAt(state, nowMs)); at < state.length; at += 2) {
        // A refund may have emptied a pair.
        if (state[at + 1]! > 0) return endOf(state[at]!) - nowMs
      }
      return 0
    },

    fullMs(state, nowMs) {
      const live = firstLive(state, slotAt(state, nowMs))
      for (let at = state.length - 2; at >= live; at -= 2) if (state[at + 1]! > 0) return endOf(state[at]!) - nowMs
      return 0
    },
  }
}
