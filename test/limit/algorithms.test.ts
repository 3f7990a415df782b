import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type LimitAlgorithm, step } from '../../packages/core/src/limit/algorithms/algorithm.ts'
import { concurrent } from '../../packages/core/src/limit/algorithms/concurrent.ts'
import { fixedWindow } from '../../packages/core/src/limit/algorithms/fixed-window.ts'
import { slidingLog } from '../../packages/core/src/limit/algorithms/sliding-log.ts'
import { slidingWindow } from '../../packages/core/src/limit/algorithms/sliding-window.ts'
import { missingAfter, tokenBucket } from '../../packages/core/src/limit/algorithms/token-bucket.ts'

type Algorithm = LimitAlgorithm<number[]>
type Arrival = { gapMs: number; cost: number }
type Admitted = { at: number; cost: number }

const year = 366 * 86_400_000
const epoch = 1_790_000_000_000

const windows = fc.oneof(
  fc.integer({ min: 1, max: 40 }),
  fc.integer({ min: 41, max: 100_000 }),
  fc.constantFrom(1_000, 60_000, 86_400_000, year),
)
const quotas = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 13, max: 2_000 }))

/** Gaps that know the window: none, one ms to either side of it, fractions of it. */
const gaps = (w: number) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.constantFrom(w - 1, w, w + 1, Math.ceil(w / 16), Math.ceil(w / 16) + 1, 1) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: Math.max(1, Math.ceil(w / 3)) }) },
  )
const costs = (n: number) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.constantFrom(0, n, Math.max(1, n - 1), n + 1) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: n }) },
  )

const scenario = fc.tuple(quotas, windows).chain(([quota, windowMs]) =>
  fc.record({
    quota: fc.constant(quota),
    windowMs: fc.constant(windowMs),
    burst: fc.oneof(fc.constant(quota), fc.integer({ min: 1, max: 3 * quota })),
    start: fc.integer({ min: 0, max: 100_000 }).map((n) => epoch + n),
    arrivals: fc.array(fc.record({ gapMs: gaps(windowMs), cost: costs(quota) }), { maxLength: 120 }),
  }),
)

function drive(algorithm: Algorithm, start: number, arrivals: readonly Arrival[]): Admitted[] {
  const state = algorithm.fresh()
  const admitted: Admitted[] = []
  let now = start
  for (const { gapMs, cost } of arrivals) {
    now += gapMs
    if (algorithm.waitMs(state, cost, now) !== 0) continue
    algorithm.charge(state, cost, now)
    admitted.push({ at: now, cost })
  }
  return admitted
}

/** The most units whose first and last instant are less than `spanMs` apart. */
function busiest(admitted: readonly Admitted[], spanMs: number): number {
  let from = 0
  let sum = 0
  let most = 0
  for (const { at, cost } of admitted) {
    sum += cost
    while (at - admitted[from]!.at >= spanMs) sum -= admitted[from++]!.cost
    most = Math.max(most, sum)
  }
  return most
}

/** Adversaries that know the algorithm: everything at once, at every edge there is. */
function adversary(n: number, w: number): Arrival[][] {
  const burst = (gapMs: number): Arrival[] => [{ gapMs, cost: 1 }, ...Array(2 * n).fill({ gapMs: 0, cost: 1 })]
  const edges = [w - 1, w, w + 1]
  return [
    ...edges.map((edge) => [1, 2, 3, 4].flatMap(() => burst(edge))),
    // One to open a window, the rest just before it ends, then the next.
    ...edges.map((edge) => [{ gapMs: 0, cost: 1 }, ...burst(edge), ...burst(1), ...burst(edge), ...burst(1)]),
    // At every sixteenth.
    Array.from({ length: 64 }, () => burst(Math.ceil(w / 16))).flat(),
    Array.from({ length: 64 }, () => burst(Math.max(1, Math.floor(w / 16)))).flat(),
  ]
}

const make = {
  'sliding-window': (n: number, w: number, _b: number) => slidingWindow(n, w),
  'sliding-log': (n: number, w: number, _b: number) => slidingLog(n, w),
  'token-bucket': (n: number, w: number, b: number) => tokenBucket(n, w, b),
  'fixed-window': (n: number, w: number, _b: number) => fixedWindow(n, w),
}
/** The guarantee, as in the table: how much may be admitted in any span of `spanMs`. */
const bound: { [K in keyof typeof make]: (n: number, w: number, b: number) => number } = {
  'sliding-window': (n) => n,
  'sliding-log': (n) => n,
  'token-bucket': (n, _w, b) => b + n,
  'fixed-window': (n) => 2 * n - 1,
}
const kinds = Object.keys(make) as (keyof typeof make)[]

describe.each(kinds)('%s', (kind) => {
  test('its guarantee holds in every window, over random arrivals', () => {
    fc.assert(
      fc.property(scenario, ({ quota, windowMs, burst, start, arrivals }) => {
        const admitted = drive(make[kind](quota, windowMs, burst), start, arrivals)
        expect(busiest(admitted, windowMs)).toBeLessThanOrEqual(bound[kind](quota, windowMs, burst))
      }),
      { numRuns: 400 },
    )
  })

  test.each([1, 16, 17, 1_000, 60_000, year])('… and against bursts at W − 1, W and W + 1 ms, W = %i', (w) => {
    for (const n of [1, 2, 7, 50]) {
      for (const offset of [0, 1, Math.floor(w / 2), w - 1]) {
        for (const arrivals of adversary(n, w)) {
          const admitted = drive(make[kind](n, w, n), epoch + offset, arrivals)
          expect(busiest(admitted, w)).toBeLessThanOrEqual(bound[kind](n, w, n))
          expect(admitted.length).toBeGreaterThan(0)
        }
      }
    }
  })

  test('Retry-After is honest: wait that long, alone, and you are admitted; and not a millisecond too long', () => {
    fc.assert(
      fc.property(scenario, ({ quota, windowMs, burst, start, arrivals }) => {
        const algorithm = make[kind](quota, windowMs, burst)
        const state = algorithm.fresh()
        let now = start
        for (const { gapMs, cost } of arrivals) {
          now += gapMs
          const waitMs = algorithm.waitMs(state, cost, now)
          if (waitMs === 0) algorithm.charge(state, cost, now)
          else if (cost > algorithm.limit) expect(waitMs).toBe(Number.POSITIVE_INFINITY)
          else {
            expect(Number.isSafeInteger(waitMs)).toBe(true)
            expect(algorithm.waitMs(state, cost, now + waitMs)).toBe(0)
            expect(algorithm.waitMs(state, cost, now + waitMs - 1)).toBe(1)
            expect(waitMs).toBeLessThanOrEqual(algorithm.stateTtlMs)
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  test('resetMs is when more is there than now, and remaining is what can be charged', () => {
    fc.assert(
      fc.property(scenario, ({ quota, windowMs, burst, start, arrivals }) => {
        const algorithm = make[kind](quota, windowMs, burst)
        const state = algorithm.fresh()
        let now = start
        for (const { gapMs, cost } of arrivals) {
          now += gapMs
          if (algorithm.waitMs(state, cost, now) === 0) algorithm.charge(state, cost, now)
          const remaining = algorithm.remaining(state, now)
          expect(remaining).toBeGreaterThanOrEqual(0)
          expect(algorithm.waitMs(state, remaining, now)).toBe(0)
          if (remaining < algorithm.limit) expect(algorithm.waitMs(state, remaining + 1, now)).toBeGreaterThan(0)
          const resetMs = algorithm.resetMs(state, now)
          expect(resetMs === 0).toBe(remaining === algorithm.limit)
          if (resetMs > 0) {
            expect(algorithm.remaining(state, now + resetMs)).toBeGreaterThan(remaining)
            expect(algorithm.remaining(state, now + resetMs - 1)).toBe(remaining)
          }
          const fullMs = algorithm.fullMs(state, now)
          expect(algorithm.remaining(state, now + fullMs)).toBe(algorithm.limit)
          if (fullMs > 0) expect(algorithm.remaining(state, now + fullMs - 1)).toBeLessThan(algorithm.limit)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('after stateTtlMs a state is as good as a new one', () => {
    fc.assert(
      fc.property(scenario, ({ quota, windowMs, burst, start, arrivals }) => {
        const algorithm = make[kind](quota, windowMs, burst)
        const state = algorithm.fresh()
        let now = start
        for (const { gapMs, cost } of arrivals) {
          now += gapMs
          if (algorithm.waitMs(state, cost, now) === 0) algorithm.charge(state, cost, now)
        }
        expect(algorithm.remaining(state, now + algorithm.stateTtlMs)).toBe(algorithm.limit)
      }),
    )
  })

  test('a refusal changes nothing, nor does asking', () => {
    const algorithm = make[kind](3, 1_000, 3)
    let state: number[] | undefined
    for (let i = 0; i < 3; i++) state = step(algorithm, state, 1, epoch + i).state
    const before = structuredClone(state)
    for (const at of [3, 500, 900]) {
      const refused = step(algorithm, state, 3, epoch + at)
      expect(refused.verdict.allowed).toBe(false)
      expect(refused.state).toEqual(before)
    }
    expect(state).toEqual(before)
  })

  test('cost 0 is always admitted and never changes anything', () => {
    const algorithm = make[kind](2, 1_000, 2)
    const state = algorithm.fresh()
    algorithm.charge(state, 0, epoch)
    expect(state).toEqual(algorithm.fresh())
    algorithm.charge(state, 2, epoch)
    expect(algorithm.waitMs(state, 0, epoch)).toBe(0)
    expect(algorithm.waitMs(state, 1, epoch)).toBeGreaterThan(0)
  })

  test('a cost above the limit is refused for ever, distinctly', () => {
    const algorithm = make[kind](5, 1_000, 5)
    expect(step(algorithm, undefined, 6, epoch).verdict).toMatchObject({
      allowed: false,
      permanent: true,
      retryAfterMs: Number.POSITIVE_INFINITY,
      remaining: 5,
    })
    expect(step(algorithm, undefined, 5, epoch).verdict).toMatchObject({
      allowed: true,
      permanent: false,
      remaining: 0,
    })
  })

  test('a clock that jumps back never grants extra', () => {
    fc.assert(
      fc.property(
        scenario,
        fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 60 }),
        ({ quota, windowMs, burst, start }, backs) => {
          const algorithm = make[kind](quota, windowMs, burst)
          const state = algorithm.fresh()
          while (algorithm.waitMs(state, 1, start) === 0) algorithm.charge(state, 1, start)
          for (const back of backs) {
            expect(algorithm.waitMs(state, 1, start - back)).toBeGreaterThan(0)
            expect(algorithm.remaining(state, start - back)).toBe(0)
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  test('… however often it jumps: by the latest time it has charged at, the guarantee holds', () => {
    fc.assert(
      fc.property(scenario, fc.array(fc.integer({ min: -40, max: 60 }), { maxLength: 120 }), (s, jumps) => {
        const algorithm = make[kind](s.quota, s.windowMs, s.burst)
        const state = algorithm.fresh()
        const admitted: Admitted[] = []
        let now = s.start
        let latest = 0
        for (const jump of jumps) {
          now += Math.round((jump * s.windowMs) / 50)
          for (let i = 0; i < 3; i++) {
            if (algorithm.waitMs(state, 1, now) !== 0) break
            latest = Math.max(latest, now)
            algorithm.charge(state, 1, now)
            admitted.push({ at: latest, cost: 1 })
          }
        }
        expect(busiest(admitted, s.windowMs)).toBeLessThanOrEqual(bound[kind](s.quota, s.windowMs, s.burst))
      }),
      { numRuns: 300 },
    )
  })

  test('refunding what was charged restores the quota, once', () => {
    const algorithm = make[kind](4, 1_000, 4)
    const state = algorithm.fresh()
    algorithm.charge(state, 3, epoch)
    algorithm.refund(state, { cost: 2, atMs: epoch }, epoch + 10)
    expect(algorithm.remaining(state, epoch)).toBe(3)
    algorithm.refund(state, { cost: 99, atMs: epoch }, epoch + 10)
    expect(algorithm.remaining(state, epoch + 10)).toBe(4)
    algorithm.refund(state, { cost: 99 }, epoch + 10)
    expect(algorithm.remaining(state, epoch + 10)).toBe(4)
  })

  test('windows of a year count like windows of a second', () => {
    const algorithm = make[kind](10, year, 10)
    const admitted = drive(
      algorithm,
      epoch,
      Array.from({ length: 100 }, () => ({ gapMs: 86_400_000, cost: 1 })),
    )
    // 100 days: the bucket drips a little, the others give nothing back.
    expect(admitted.length).toBe(kind === 'token-bucket' ? 12 : 10)
  })
})

describe('what tells them apart', () => {
  test('the sliding log never refuses what would fit', () => {
    fc.assert(
      fc.property(scenario, ({ quota, windowMs, start, arrivals }) => {
        const algorithm = slidingLog(quota, windowMs)
        const state = algorithm.fresh()
        const log: Admitted[] = []
        let now = start
        for (const { gapMs, cost } of arrivals) {
          now += gapMs
          const used = log.filter(({ at }) => now - at < windowMs).reduce((sum, a) => sum + a.cost, 0)
          const admitted = algorithm.waitMs(state, cost, now) === 0
          expect(admitted).toBe(used + cost <= quota)
          if (!admitted) continue
          algorithm.charge(state, cost, now)
          log.push({ at: now, cost })
        }
      }),
    )
  })

  test('the sliding window gives a unit back at most a sixteenth of the window (and a bucket) late', () => {
    fc.assert(
      fc.property(windows, fc.integer({ min: 0, max: 100_000 }), (w, offset) => {
        const algorithm = slidingWindow(1, w)
        const state = algorithm.fresh()
        algorithm.charge(state, 1, epoch + offset)
        const waitMs = algorithm.waitMs(state, 1, epoch + offset)
        expect(waitMs).toBeGreaterThanOrEqual(w)
        expect(waitMs).toBeLessThanOrEqual(w + 2 * Math.ceil(w / 16))
      }),
    )
  })

  test('the sliding window keeps at most 17 pairs, and under 1.5 × overload admits within 10 % of the log', () => {
    const w = 60_000
    const n = 600
    const window = slidingWindow(n, w)
    const log = slidingLog(n, w)
    const states = { window: window.fresh(), log: log.fresh() }
    const count = { window: 0, log: 0 }
    // 900 a minute for 20 minutes.
    for (let now = epoch; now < epoch + 20 * w; now += 66) {
      if (window.waitMs(states.window, 1, now) === 0) {
        window.charge(states.window, 1, now)
        count.window++
      }
      if (log.waitMs(states.log, 1, now) === 0) {
        log.charge(states.log, 1, now)
        count.log++
      }
      expect(states.window.length).toBeLessThanOrEqual(1 + 2 * 17)
    }
    expect(count.window).toBeLessThanOrEqual(count.log)
    expect(count.window / count.log).toBeGreaterThan(0.9)
  })

  test('the fixed window does reach 2N − 1: its bound is tight', () => {
    const n = 10
    const w = 1_000
    const arrivals = [
      { gapMs: 0, cost: 1 },
      ...Array(20)
        .fill(0)
        .map((_, i) => ({ gapMs: i ? 0 : w - 1, cost: 1 })),
    ]
    const next = Array(20)
      .fill(0)
      .map((_, i) => ({ gapMs: i ? 0 : 1, cost: 1 }))
    expect(busiest(drive(fixedWindow(n, w), epoch, [...arrivals, ...next]), w)).toBe(2 * n - 1)
  })

  test('the token bucket admits burst + floor(L · N / W) in any span of L ms, whatever L', () => {
    fc.assert(
      fc.property(
        scenario,
        fc.integer({ min: 1, max: 300_000 }),
        ({ quota, windowMs, burst, start, arrivals }, spanMs) => {
          const admitted = drive(tokenBucket(quota, windowMs, burst), start, arrivals)
          expect(busiest(admitted, spanMs)).toBeLessThanOrEqual(burst + Math.floor((spanMs * quota) / windowMs))
        },
      ),
      { numRuns: 300 },
    )
  })

  test('the token bucket is exact where the interval is no whole number of milliseconds', () => {
    // 7 in 1000 ms: after the burst one every 142 6/7 ms, so about 700 in 100 s.
    const algorithm = tokenBucket(7, 1_000, 1)
    const state = algorithm.fresh()
    let admitted = 0
    for (let now = epoch; now <= epoch + 100_000; now++) {
      if (algorithm.waitMs(state, 1, now) !== 0) continue
      algorithm.charge(state, 1, now)
      admitted++
    }
    // An admission falls on the next whole millisecond, and what that wastes is kept in the bucket only up to its burst.
    expect(admitted).toBeLessThanOrEqual(701)
    expect(admitted).toBeGreaterThanOrEqual(695)
  })

  test.each([
    [9_999_991, year, 9_999_991],
    [Number.MAX_SAFE_INTEGER, year, Number.MAX_SAFE_INTEGER],
    [1, year, 100],
  ])('a token bucket of %i in %i ms, burst %i, neither overflows nor is faster than asked', (quota, w, burst) => {
    const [, perToken, perMs] = tokenBucket(quota, w, burst).params
    expect(burst * perToken!).toBeLessThanOrEqual(2 ** 53)
    expect(BigInt(perMs!) * BigInt(w)).toBeLessThanOrEqual(BigInt(quota) * BigInt(perToken!))
  })
})

describe('concurrent', () => {
  test('never more than N out at once, whatever is taken and given back', () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant('take' as const), cost: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ do: fc.constant('give' as const), which: fc.nat() }),
      fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 700 }) }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(action, { maxLength: 80 }), (limit, actions) => {
        const algorithm = concurrent(limit, 1_000)
        const state = algorithm.fresh()
        let out: { permit: string; cost: number; until: number }[] = []
        let now = epoch
        let serial = 0
        for (const a of actions) {
          if (a.do === 'pass') now += a.ms
          out = out.filter(({ until }) => until > now)
          if (a.do === 'take') {
            const used = out.reduce((sum, { cost }) => sum + cost, 0)
            const waitMs = algorithm.waitMs(state, a.cost, now)
            expect(waitMs === 0).toBe(used + a.cost <= limit || a.cost === 0)
            if (waitMs === 0) {
              const permit = String(serial++)
              algorithm.charge(state, a.cost, now, permit)
              if (a.cost > 0) out.push({ permit, cost: a.cost, until: now + 1_000 })
            } else if (Number.isFinite(waitMs)) {
              expect(algorithm.waitMs(state, a.cost, now + waitMs)).toBe(0)
              expect(algorithm.waitMs(state, a.cost, now + waitMs - 1)).toBeGreaterThan(0)
            }
          }
          if (a.do === 'give' && out.length > 0) {
            const [given] = out.splice(a.which % out.length, 1)
            algorithm.refund(state, { cost: given!.cost, permit: given!.permit }, now)
            // Once: the second time gives nothing.
            algorithm.refund(state, { cost: given!.cost, permit: given!.permit }, now)
          }
          expect(limit - algorithm.remaining(state, now)).toBe(out.reduce((sum, { cost }) => sum + cost, 0))
        }
      }),
    )
  })

  test('a permit that is not renewed comes back after its lease; one that is stays out', () => {
    const algorithm = concurrent(2, 1_000)
    const state = algorithm.fresh()
    algorithm.charge(state, 1, epoch, 'a')
    algorithm.charge(state, 1, epoch, 'b')
    expect(algorithm.renew(state, 'a', epoch + 900)).toBe(true)
    expect(algorithm.remaining(state, epoch + 999)).toBe(0)
    expect(algorithm.remaining(state, epoch + 1_000)).toBe(1)
    expect(algorithm.renew(state, 'b', epoch + 1_000)).toBe(false)
    expect(algorithm.remaining(state, epoch + 1_900)).toBe(2)
  })
})

describe.each(['sliding-window', 'sliding-log', 'token-bucket'] as const)('a refund of %s', (kind) => {
  test('never makes more than there would be had that charge not been made', () => {
    const others = fc.array(
      fc.record({ gapMs: fc.integer({ min: 0, max: 700 }), cost: fc.integer({ min: 1, max: 4 }) }),
      {
        maxLength: 12,
      },
    )
    fc.assert(
      fc.property(
        others,
        fc.integer({ min: 1, max: 6 }),
        others,
        fc.integer({ min: 0, max: 3_000 }),
        (before, cost, after, gapMs) => {
          const algorithm = make[kind](20, 1_000, 12)
          const [settled, without] = [algorithm.fresh(), algorithm.fresh()]
          let now = epoch
          const both = ({ gapMs, cost }: Arrival): void => {
            now += gapMs
            if (algorithm.waitMs(settled, cost, now) !== 0 || algorithm.waitMs(without, cost, now) !== 0) return
            algorithm.charge(settled, cost, now)
            algorithm.charge(without, cost, now)
          }
          before.forEach(both)
          if (algorithm.waitMs(settled, cost, now) !== 0) return
          algorithm.charge(settled, cost, now)
          const atMs = now
          const verdict = { remaining: algorithm.remaining(settled, now), resetMs: algorithm.resetMs(settled, now) }
          const missing = kind === 'token-bucket' ? missingAfter(verdict, algorithm.params) : undefined
          after.forEach(both)
          now += gapMs
          algorithm.refund(settled, { cost, atMs, missing }, now)
          for (const ms of [0, 1, 50, 500, 1_000]) {
            expect(algorithm.remaining(settled, now + ms)).toBeLessThanOrEqual(algorithm.remaining(without, now + ms))
          }
        },
      ),
      { numRuns: 1_000 },
    )
  })

  test('at once gives all of it back', () => {
    const algorithm = make[kind](5, 1_000, 5)
    const state = algorithm.fresh()
    algorithm.charge(state, 2, epoch)
    const verdict = { remaining: algorithm.remaining(state, epoch), resetMs: algorithm.resetMs(state, epoch) }
    const missing = kind === 'token-bucket' ? missingAfter(verdict, algorithm.params) : undefined
    algorithm.refund(state, { cost: 2, atMs: epoch, missing }, epoch)
    expect([algorithm.remaining(state, epoch), algorithm.fullMs(state, epoch)]).toEqual([5, 0])
  })
})
