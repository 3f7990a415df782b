import type { LimitAlgorithm, Verdict } from './algorithm.ts'
import { listOf, part } from './parameters.ts'

/**
 * A bucket of `burst` tokens that fills evenly at N per W, kept as the one moment at which it will be full again (the
 * "theoretical arrival time" of GCRA).
 *
 * **Guarantee:** at most `burst + floor(L · N / W)` units in any span of L ms.
 *
 * **Parameters:** `[burst, perToken, perMs]`. Amounts are counted in parts: a token is `perToken = W / g` parts, and
 * `perMs = N / g` parts flow in each millisecond (`g` the greatest common divisor), so nothing is ever rounded. Only
 * where `burst · perToken` would pass 2^53 the rate is made coarser, and slower by less than 1 / perMs: `perToken` is
 * divided and rounded up, `perMs` divided and rounded down.
 *
 * **State:** `[fullMs, extra]`: the bucket is full `extra / perMs` ms after `fullMs`, `0 ≤ extra < perMs`. A bucket that is
 * new was full before there was time, whatever a clock says.
 * - missing parts: `m = max(0, (fullMs − now) · perMs + extra)`;
 * - a cost is admitted if `m + cost · perToken ≤ burst · perToken`;
 * - charging: `m' = m + cost · perToken`, `fullMs = now + floor(m' / perMs)`, `extra = m' mod perMs`; a cost of 0 does
 *   nothing;
 * - the wait is `ceil((m + cost · perToken − burst · perToken) / perMs)`;
 * - a clock that was set back finds more parts missing, never fewer.
 */
export function tokenBucket(quota: number, windowMs: number, burst: number = quota): LimitAlgorithm<number[]> {
  const { perToken, perMs } = parts(quota, windowMs, burst)
  const capacity = burst * perToken

  const missing = (state: number[], nowMs: number): number => {
    const m = (state[0]! - nowMs) * perMs + state[1]!
    return Math.max(m, 0)
  }
  const put = (state: number[], nowMs: number, m: number): void => {
    const whole = Math.floor(m / perMs)
    state[0] = nowMs + whole
    state[1] = m - whole * perMs
  }

  return {
    kind: 'token-bucket',
    params: listOf('token-bucket', { burst, perToken, perMs }),
    limit: burst,
    stateTtlMs: Math.ceil(capacity / perMs),
    signature: `tb:${quota}:${windowMs}:${burst}`,
    // A thousandfold of both, so that a small quota can be cut.
    scaled: (share) => tokenBucket(part(quota * 1_000, share), windowMs * 1_000, part(burst, share)),
    fresh: () => [beginningMs, 0],

    carry(state, [, formerPerToken, formerPerMs], nowMs) {
      if (formerPerToken === perToken && formerPerMs === perMs) return state
      const m = Math.max(0, (state[0]! - nowMs) * formerPerMs! + state[1]!)
      if (m === 0) return [beginningMs, 0]
      const tokens = Math.floor(m / formerPerToken!)
      const rest = m - tokens * formerPerToken!
      const next = [0, 0]
      put(
        next,
        nowMs,
        Math.min(Number.MAX_SAFE_INTEGER, tokens * perToken + Math.ceil((rest * perToken) / formerPerToken!)),
      )
      return next
    },

    waitMs(state, cost, nowMs) {
      if (cost > burst) return Number.POSITIVE_INFINITY
      if (cost === 0) return 0
      const over = missing(state, nowMs) + cost * perToken - capacity
      return over <= 0 ? 0 : Math.ceil(over / perMs)
    },

    charge(state, cost, nowMs) {
      if (cost > 0) put(state, nowMs, missing(state, nowMs) + cost * perToken)
    },

    // What would have flowed in by now without anybody else's charges is there already, and those are not given back.
    refund(state, { cost, atMs, missing: then }, nowMs) {
      const m = missing(state, nowMs)
      let back = Math.min(m, cost * perToken)
      if (atMs !== undefined && then !== undefined) {
        const still = Math.round(then * perToken) - Math.max(0, nowMs - atMs) * perMs
        back = Math.min(back, Math.max(0, still))
      }
      if (back > 0) put(state, nowMs, m - back)
    },

    remaining: (state, nowMs) => Math.max(0, Math.floor((capacity - missing(state, nowMs)) / perToken)),

    resetMs(state, nowMs) {
      const m = missing(state, nowMs)
      if (m === 0) return 0
      // Parts until the next whole token; below an empty bucket (the clock was set back) until the first.
      const until = m > capacity - perToken ? m - (capacity - perToken) : m % perToken || perToken
      return Math.ceil(until / perMs)
    },

    fullMs: (state, nowMs) => Math.ceil(missing(state, nowMs) / perMs),
  }
}

/**
 * How many tokens were missing right after a charge, by what its verdict says: to the millisecond in which the next one
 * comes. A refund is held against it.
 */
export function missingAfter(verdict: Pick<Verdict, 'remaining' | 'resetMs'>, params: readonly number[]): number {
  const [burst, perToken, perMs] = params as readonly [number, number, number]
  return burst - verdict.remaining - 1 + Math.min(perToken, verdict.resetMs * perMs) / perToken
}

/** The earliest moment a `Date` can be. */
const beginningMs = -8.64e15

function parts(quota: number, windowMs: number, burst: number): { perToken: number; perMs: number } {
  const g = gcd(quota, windowMs)
  let perToken = windowMs / g
  let perMs = quota / g
  let coarser = 1
  while (burst * perToken > Number.MAX_SAFE_INTEGER && perMs > 1) {
    coarser *= 2
    perToken = Math.ceil(windowMs / g / coarser)
    perMs = Math.max(1, Math.floor(quota / g / coarser))
  }
  return { perToken, perMs }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}
