import { describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { Calendar, calendarOf, calendarUnits } from '../../packages/core/src/base/calendar.ts'
import type { AnyAlgorithm } from '../../packages/core/src/limit/algorithms/algorithm-for.ts'
import { calendarWindow } from '../../packages/core/src/limit/algorithms/calendar-window.ts'
import { carried } from '../../packages/core/src/limit/algorithms/carry.ts'
import { fixedWindow } from '../../packages/core/src/limit/algorithms/fixed-window.ts'
import { createLimiter } from '../../packages/core/src/limit/limiter.ts'
import type { PolicyInput } from '../../packages/core/src/limit/policy/options.ts'
import type { LimitStore } from '../../packages/core/src/limit/store/store.ts'
import { fieldsOf, ManualClock, open, request, statusOf } from './helpers.ts'

const hour = 3_600_000
const day = 24 * hour
const at = (text: string): number => Date.parse(text)

interface Admitted {
  readonly at: number
  readonly cost: number
}

const zones = ['UTC', 'Europe/Berlin', 'America/Sao_Paulo', 'America/St_Johns', 'Pacific/Apia', 'Australia/Lord_Howe']

/** Around changes of clocks, and anywhere else. */
const starts = fc.oneof(
  fc.constantFrom(
    at('2009-10-31T12:00:00Z'),
    at('2011-12-29T00:00:00Z'),
    at('2018-11-03T20:00:00Z'),
    at('2024-02-27T00:00:00Z'),
    at('2026-10-24T22:00:00Z'),
  ),
  fc.integer({ min: at('1990-01-01T00:00:00Z'), max: at('2036-01-01T00:00:00Z') }),
)
const gaps = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.constantFrom(1, hour - 1, hour, day - hour, day - 1, day, day + hour) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 3 * day }) },
)
const scenario = fc.record({
  quota: fc.integer({ min: 1, max: 12 }),
  unit: fc.constantFrom(...calendarUnits),
  zone: fc.constantFrom(...zones),
  start: starts,
  arrivals: fc.array(fc.record({ gapMs: gaps, cost: fc.constantFrom(1, 1, 1, 2, 0) }), { maxLength: 120 }),
})

/** The most units in one period, and in a span as long as that one, wherever it begins. */
function busiest(admitted: readonly Admitted[], calendar: Calendar): { period: number; span: number } {
  let [period, span] = [0, 0]
  for (const { at } of admitted) {
    const { fromMs, untilMs } = calendar.at(at)
    const within = (from: number, until: number): number =>
      admitted.filter((one) => one.at >= from && one.at < until).reduce((sum, { cost }) => sum + cost, 0)
    period = Math.max(period, within(fromMs, untilMs))
    span = Math.max(span, within(at, at + untilMs - fromMs))
  }
  return { period, span }
}

describe('calendar-window', () => {
  test('its guarantee holds: at most N in each period, so at most 2N in any span as long', () => {
    fc.assert(
      fc.property(scenario, ({ quota, unit, zone, start, arrivals }) => {
        const algorithm = calendarWindow(quota, new Calendar(unit, zone))
        const state = algorithm.fresh()
        const admitted: Admitted[] = []
        let now = start
        for (const { gapMs, cost } of arrivals) {
          now += gapMs
          if (algorithm.waitMs(state, cost, now) !== 0) continue
          algorithm.charge(state, cost, now)
          admitted.push({ at: now, cost })
        }
        // Asked of another one: what the algorithm's own remembers must not matter.
        const { period, span } = busiest(admitted, new Calendar(unit, zone))
        expect(period).toBeLessThanOrEqual(quota)
        expect(span).toBeLessThanOrEqual(2 * quota)
      }),
      { numRuns: 60 },
    )
  })

  test('its bound is tight: N in the last millisecond of a month, and N in the first of the next', () => {
    const algorithm = calendarWindow(5, calendarOf('month', 'Europe/Berlin'))
    const state = algorithm.fresh()
    const end = at('2026-10-31T23:00:00Z')
    let admitted = 0
    for (const now of [end - 1, end]) {
      for (let i = 0; i < 20; i++) {
        if (algorithm.waitMs(state, 1, now) !== 0) continue
        algorithm.charge(state, 1, now)
        admitted++
      }
    }
    expect(admitted).toBe(10)
  })

  test('waits, resets and what remains are exact to the millisecond', () => {
    fc.assert(
      fc.property(scenario, ({ quota, unit, zone, start, arrivals }) => {
        const calendar = new Calendar(unit, zone)
        const algorithm = calendarWindow(quota, calendar)
        const state = algorithm.fresh()
        let now = start
        for (const { gapMs, cost } of arrivals) {
          now += gapMs
          const waitMs = algorithm.waitMs(state, cost, now)
          if (waitMs === 0) algorithm.charge(state, cost, now)
          else if (cost > quota) expect(waitMs).toBe(Number.POSITIVE_INFINITY)
          else {
            expect(now + waitMs).toBe(calendar.at(now).untilMs)
            expect(algorithm.waitMs(state, cost, now + waitMs)).toBe(0)
            expect(algorithm.waitMs(state, cost, now + waitMs - 1)).toBe(1)
          }
          const remaining = algorithm.remaining(state, now)
          expect(algorithm.waitMs(state, remaining, now)).toBe(0)
          const resetMs = algorithm.resetMs(state, now)
          expect(resetMs === 0).toBe(remaining === quota)
          expect(algorithm.fullMs(state, now)).toBe(resetMs)
          expect(resetMs).toBeLessThanOrEqual(algorithm.stateTtlMs)
          if (resetMs > 0) expect(now + resetMs).toBe(calendar.at(now).untilMs)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('a clock that is set back never gives anything twice', () => {
    fc.assert(
      fc.property(scenario, fc.array(fc.integer({ min: -40, max: 40 }), { maxLength: 60 }), (s, jumps) => {
        const calendar = new Calendar(s.unit, s.zone)
        const algorithm = calendarWindow(s.quota, calendar)
        const state = algorithm.fresh()
        const admitted: Admitted[] = []
        let [now, latest] = [s.start, 0]
        for (const jump of jumps) {
          now += jump * 11 * hour
          for (let i = 0; i < 3 && algorithm.waitMs(state, 1, now) === 0; i++) {
            latest = Math.max(latest, now)
            algorithm.charge(state, 1, now)
            admitted.push({ at: latest, cost: 1 })
          }
          const waitMs = algorithm.waitMs(state, 1, now)
          if (waitMs > 0) expect(algorithm.waitMs(state, 1, now + waitMs)).toBe(0)
        }
        expect(busiest(admitted, new Calendar(s.unit, s.zone)).period).toBeLessThanOrEqual(s.quota)
      }),
      { numRuns: 60 },
    )
  })

  test('a refund gives back what was charged in this period, once, and nothing of an earlier one', () => {
    const algorithm = calendarWindow(4, calendarOf('day', 'UTC'))
    const noon = at('2026-11-28T12:00:00Z')
    const state = algorithm.fresh()
    algorithm.charge(state, 3, noon)
    algorithm.refund(state, { cost: 2, atMs: noon }, noon + 10)
    expect(algorithm.remaining(state, noon)).toBe(3)
    algorithm.refund(state, { cost: 99, atMs: noon }, noon + 10)
    expect(algorithm.remaining(state, noon)).toBe(4)
    algorithm.charge(state, 3, noon)
    algorithm.charge(state, 3, noon + day)
    algorithm.refund(state, { cost: 3, atMs: noon }, noon + day)
    expect(algorithm.remaining(state, noon + day)).toBe(1)
    algorithm.refund(state, { cost: 3 }, noon + 2 * day)
    expect(algorithm.remaining(state, noon + 2 * day)).toBe(4)
  })

  test('boundaries are worked out once a period, whatever is asked', () => {
    const algorithm = calendarWindow(1_000_000, new Calendar('day', 'Europe/Berlin'))
    const spy = jest.spyOn(Intl.DateTimeFormat.prototype, 'formatToParts')
    try {
      const state = algorithm.fresh()
      const start = at('2026-11-28T00:00:00Z')
      const ask = (now: number): void => {
        if (algorithm.waitMs(state, 1, now) === 0) algorithm.charge(state, 1, now)
        algorithm.remaining(state, now)
        algorithm.resetMs(state, now)
      }
      ask(start)
      const once = spy.mock.calls.length
      expect(once).toBeGreaterThan(0)
      for (let i = 0; i < 5_000; i++) ask(start + i * 1_000)
      expect(spy.mock.calls.length).toBe(once)
      ask(start + day)
      expect(spy.mock.calls.length).toBeGreaterThan(once)
    } finally {
      spy.mockRestore()
    }
  })
})

describe('what was used is carried over', () => {
  const noon = at('2026-11-28T12:00:00Z')
  const month = (quota: number, zone = 'UTC') => calendarWindow(quota, calendarOf('month', zone))
  const days = (quota: number, zone = 'UTC') => calendarWindow(quota, calendarOf('day', zone))
  const left = (from: object, to: object, state: number[], nowMs: number): number => {
    const algorithm = to as AnyAlgorithm
    return algorithm.remaining(carried(state, from as AnyAlgorithm, { to: algorithm, nowMs }), nowMs)
  }
  const used = (algorithm: ReturnType<typeof month>, cost: number, nowMs = noon): number[] => {
    const state = algorithm.fresh()
    algorithm.charge(state, cost, nowMs)
    return state
  }

  test('to another quota', () => {
    const state = used(month(100), 80)
    expect([left(month(100), month(200), state, noon), left(month(100), month(50), state, noon)]).toEqual([120, 0])
    expect(left(month(100), month(200), state, at('2026-12-01T00:00:00Z'))).toBe(200)
  })

  test('to another zone: until its period ends', () => {
    const state = used(month(100), 80)
    const [first, tokyo] = [at('2026-11-30T15:00:00Z'), month(100, 'Asia/Tokyo')]
    expect([left(month(100), tokyo, state, first - 1), left(month(100), tokyo, state, first)]).toEqual([20, 100])
  })

  test('from a month to days: on the day it was used last, and not for the rest of the month', () => {
    const state = used(month(10_000), 600)
    expect(left(month(10_000), days(500), state, noon)).toBe(0)
    expect(left(month(10_000), days(500), state, noon + day)).toBe(500)
  })

  test('from days to a month: while the day lasts', () => {
    const state = used(days(500), 400)
    expect(left(days(500), month(10_000), state, noon)).toBe(9_600)
    expect(left(days(500), month(10_000), state, noon + day)).toBe(10_000)
  })

  test('while the clock is set back', () => {
    const state = used(month(100), 80)
    const september = at('2026-09-10T00:00:00Z')
    expect(left(month(100), month(100, 'Asia/Tokyo'), state, september)).toBe(20)
    expect(left(month(100), days(100), state, september)).toBe(20)
  })

  test('to and from another way of counting', () => {
    const state = used(month(100), 80)
    const fixed = fixedWindow(200, hour)
    expect(left(month(100), fixed, state, noon)).toBe(120)
    const other = fixed.fresh()
    fixed.charge(other, 50, noon)
    expect(left(fixed, month(100), other, noon)).toBe(50)
  })
})

describe('a policy by the calendar', () => {
  const make = (limits: Record<string, PolicyInput>, start = at('2026-11-28T12:00:00Z')) => {
    const clock = new ManualClock()
    clock.block(start - clock.now())
    return { clock, limiter: createLimiter({ limits, clock, secret: 'a secret of some length' }) }
  }

  test('counts to the end of the month in its zone, and tells how long that is', () => {
    const { clock, limiter } = make({ plan: { rate: '2 per calendar month', timeZone: 'Europe/Berlin' } })
    const pipeline = limiter.pipeline('plan')
    const toGo = (at('2026-11-30T23:00:00Z') - clock.now()) / 1_000
    expect(fieldsOf(open(pipeline)).get('ratelimit-policy')).toBe(`"plan";q=2;w=${30 * 86_400}`)
    expect(fieldsOf(open(pipeline)).get('ratelimit')).toBe(`"plan";r=0;t=${toGo}`)
    const refused = open(pipeline)
    expect([statusOf(refused), fieldsOf(refused).get('retry-after')]).toEqual([429, String(toGo)])
    clock.block(toGo * 1_000 - 1)
    expect(statusOf(open(pipeline))).toBe(429)
    clock.block(1)
    expect(fieldsOf(open(pipeline)).get('ratelimit-policy')).toBe(`"plan";q=2;w=${31 * 86_400}`)
  })

  test('the window of a day on which clocks are changed is 23 or 25 hours', () => {
    for (const [text, hours] of [
      ['2026-03-29T10:00:00Z', 23],
      ['2026-10-25T10:00:00Z', 25],
      ['2026-10-26T10:00:00Z', 24],
    ] as const) {
      const { limiter } = make({ p: { rate: '9/calendar day', timeZone: 'Europe/Berlin' } }, at(text))
      expect(fieldsOf(open(limiter.pipeline('p'))).get('ratelimit-policy')).toBe(`"p";q=9;w=${hours * 3_600}`)
    }
  })

  test('beside other rates, of which an algorithm may be named', () => {
    const { limiter, clock } = make({ p: { rate: '3/calendar day; 2/min', algorithm: 'sliding-log' } })
    const pipeline = limiter.pipeline('p')
    const seen = [open(pipeline), open(pipeline), open(pipeline)]
    expect(seen.map(statusOf)).toEqual([200, 200, 429])
    expect(fieldsOf(seen[0]!).get('ratelimit-policy')).toBe('"p";q=3;w=86400, "p-2";q=2;w=60')
    clock.block(60_000)
    expect([open(pipeline), open(pipeline)].map(statusOf)).toEqual([200, 429])
  })

  test('for plans: the zone is the policy’s', () => {
    let plan = '1 per calendar day'
    const { limiter, clock } = make({ p: { rate: () => plan, timeZone: 'Asia/Tokyo' } })
    const pipeline = limiter.pipeline('p')
    expect([open(pipeline), open(pipeline)].map(statusOf)).toEqual([200, 429])
    plan = '5 per calendar month'
    expect(fieldsOf(open(pipeline)).get('ratelimit')).toMatch(/r=3;/)
    plan = '1 per calendar day'
    clock.block(3 * hour)
    expect(statusOf(open(pipeline))).toBe(200)
  })

  test('check, peek, refund and reset', async () => {
    const { limiter } = make({ p: { rate: '5 per calendar week', per: 'route' } })
    const me = { key: '192.0.2.7', route: 'GET /' }
    const toMonday = at('2026-11-30T00:00:00Z') - at('2026-11-28T12:00:00Z')
    expect(await limiter.check('p', { ...me, cost: 3 })).toMatchObject({ remaining: 2, resetMs: toMonday })
    await limiter.refund('p', me)
    expect(await limiter.peek('p', { ...me, cost: 4 })).toMatchObject({ allowed: false, retryAfterMs: toMonday })
    await limiter.reset('p', me)
    expect(await limiter.peek('p', me)).toMatchObject({ remaining: 5, resetMs: 0 })
  })

  test('while a store is out: at this process’s share of the month', async () => {
    const out = (): Promise<never> => Promise.reject(new Error('out'))
    const store = { kind: 'remote', consume: out, peek: out, settle: out, renew: out, refund: out, reset: out }
    const limiter = createLimiter({
      limits: { p: { rate: '10 per calendar month', share: 0.3 } },
      clock: new ManualClock(),
      store: { ...store, usage: () => ({}), close: () => {} } as unknown as LimitStore,
    })
    const pipeline = limiter.pipeline('p')
    const seen: number[] = []
    for (let i = 0; i < 5; i++) seen.push(statusOf(await pipeline.open(request())))
    expect(seen).toEqual([200, 200, 200, 429, 429])
  })

  test.each<[string, PolicyInput, RegExp]>([
    [
      'a zone that there is not',
      { rate: '1/calendar day', timeZone: 'Europe/Atlantis' },
      /p\.timeZone.*IANA.*Atlantis/,
    ],
    ['an offset for a zone', { rate: '1/calendar day', timeZone: '+02:00' }, /p\.timeZone.*IANA/],
    ['a zone for nothing', { rate: '1/day', timeZone: 'UTC' }, /p\.timeZone.*left out.*calendar/],
    ['a burst', { rate: '1/calendar day', burst: 3 }, /p\.burst.*calendar/],
    ['a burst in the rate', '1/calendar day burst 3', /position 16/],
    [
      'an algorithm that needs a calendar',
      { rate: '1/day', algorithm: 'calendar-window' },
      /p\.rate.*per calendar day/,
    ],
    ['a year', '1 per calendar year', /position 16.*`day`, `week` or `month`/],
    ['nothing', '1 per calendar', /position 15/],
    ['several months', '1 per 2 calendar months', /position 9/],
  ])('%s is an error at the start that says so', (_, policy, message) => {
    expect(() => make({ p: policy })).toThrow(message)
  })
})
