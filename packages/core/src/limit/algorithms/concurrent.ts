import type { LimitAlgorithm } from './algorithm.ts'
import { listOf, part } from './parameters.ts'

/** Permits that are out: three rows of the same length, in the order they were given. */
export interface PermitState {
  readonly permits: string[]
  readonly units: number[]
  /** When each comes back by itself, unless it is renewed before. */
  readonly untilMs: number[]
}

export interface ConcurrentAlgorithm extends LimitAlgorithm<PermitState> {
  readonly kind: 'concurrent'
  /** Prolongs a permit that is still out; whether it was. */
  renew(state: PermitState, permit: string, nowMs: number): boolean
  /** The same for one whose lease is over too, unless somebody has charged since. Where the holder is known to be alive. */
  revive(state: PermitState, permit: string, nowMs: number): boolean
}

/**
 * So many at once. A charge takes a named permit, `refund` with that name gives it back, once. What never gives its
 * permit back (a process that was killed) loses it when its lease ends; who still works renews it before.
 *
 * **Guarantee:** at most N units are out at once, as long as holders renew in time.
 *
 * **Parameters:** `[limit, leaseMs]`.
 *
 * **State:** rows of permit name, units, and the end of its lease.
 * - a permit counts while `now < until`; charging drops those that do not, then appends `until = now + leaseMs`;
 * - a cost of 0 does nothing;
 * - the wait is until so many leases have ended that the cost fits: that much is certain, and it is mostly sooner.
 */
export function concurrent(limit: number, leaseMs: number): ConcurrentAlgorithm {
  const usedAt = (state: PermitState, nowMs: number): number => {
    let used = 0
    for (let i = 0; i < state.units.length; i++) if (nowMs < state.untilMs[i]!) used += state.units[i]!
    return used
  }
  const drop = (state: PermitState, i: number): void => {
    state.permits.splice(i, 1)
    state.units.splice(i, 1)
    state.untilMs.splice(i, 1)
  }

  return {
    kind: 'concurrent',
    params: listOf('concurrent', { limit, leaseMs }),
    limit,
    stateTtlMs: leaseMs,
    signature: `c:${limit}:${leaseMs}`,
    scaled: (share) => concurrent(part(limit, share), leaseMs),
    fresh: () => ({ permits: [], units: [], untilMs: [] }),
    carry: (state) => state,

    waitMs(state, cost, nowMs) {
      if (cost > limit) return Number.POSITIVE_INFINITY
      let used = usedAt(state, nowMs)
      if (cost === 0 || used + cost <= limit) return 0
      const live = state.untilMs.map((until, i) => [until, state.units[i]!] as const).filter(([until]) => nowMs < until)
      live.sort(([a], [b]) => a - b)
      let end = nowMs
      for (const [until, units] of live) {
        if (used + cost <= limit) break
        used -= units
        end = until
      }
      return end - nowMs
    },

    charge(state, cost, nowMs, permit = '') {
      if (cost === 0) return
      for (let i = state.units.length - 1; i >= 0; i--) if (nowMs >= state.untilMs[i]!) drop(state, i)
      state.permits.push(permit)
      state.units.push(cost)
      state.untilMs.push(nowMs + leaseMs)
    },

    refund(state, { permit = '' }) {
      const i = state.permits.lastIndexOf(permit)
      if (i >= 0) drop(state, i)
    },

    revive(state, permit, nowMs) {
      const i = state.permits.indexOf(permit)
      if (i < 0) return false
      state.untilMs[i] = nowMs + leaseMs
      return true
    },

    renew(state, permit, nowMs) {
      const i = state.permits.indexOf(permit)
      if (i < 0 || nowMs >= state.untilMs[i]!) return false
      state.untilMs[i] = nowMs + leaseMs
      return true
    },

    remaining: (state, nowMs) => Math.max(0, limit - usedAt(state, nowMs)),

    resetMs(state, nowMs) {
      let first = Number.POSITIVE_INFINITY
      for (const until of state.untilMs) if (nowMs < until && until < first) first = until
      return first === Number.POSITIVE_INFINITY ? 0 : first - nowMs
    },

    fullMs(state, nowMs) {
      let last = nowMs
      for (const until of state.untilMs) if (until > last) last = until
      return last - nowMs
    },
  }
}
