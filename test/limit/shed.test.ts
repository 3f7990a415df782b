import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Gradient2 } from '../../packages/core/src/shed/gradient2.ts'
import { type Load, nodeSampler } from '../../packages/core/src/shed/load.ts'
import { Pressure, type Priority } from '../../packages/core/src/shed/pressure.ts'
import { createShedder, type ShedEvents, type ShedOptions } from '../../packages/core/src/shed/shedder.ts'
import { bodyOf, exchangeOf, fieldsOf, head, ManualClock, open, statusOf } from './helpers.ts'

const calm: Load = { delayMs: 1, utilisation: 0.2 }

function make(options: ShedOptions = {}, random = () => 0.5) {
  const clock = new ManualClock()
  const load = { ...calm } as { delayMs: number; utilisation: number }
  let samples = 0
  let closed = false
  const events: { name: keyof ShedEvents; event: unknown }[] = []
  const shedder = createShedder({
    clock,
    random,
    events: { wants: () => true, emit: (name, event) => void events.push({ name, event }) },
    sampler: () => ({
      sample: () => {
        samples++
        return { ...load }
      },
      close: () => {
        closed = true
      },
    }),
  })
  const pipeline = shedder.pipeline({
    maxDelay: 100,
    priority: (c) => (c.header('priority') ?? 'default') as Priority,
    ...options,
  })
  const status = (priority: string = 'default') => statusOf(open(pipeline, { headers: { priority } }))
  const all = () => ['critical', 'default', 'sheddable'].map(status)
  return {
    ...{ clock, load, shedder, pipeline, status, all, events },
    samples: () => samples,
    closed: () => closed,
  }
}

describe('the answer', () => {
  test('503 temporary-reduced-capacity with a Retry-After, stored by nobody', () => {
    const { load, pipeline, events } = make()
    load.delayMs = 1_000
    const opening = open(pipeline, { route: '/a' })
    expect(statusOf(opening)).toBe(503)
    expect(bodyOf(opening)).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
      title: 'Request cannot be satisfied due to temporary server capacity constraints',
      status: 503,
    })
    const fields = fieldsOf(opening)
    expect(fields.get('content-type')).toBe('application/problem+json')
    expect(fields.get('cache-control')).toBe('no-store')
    expect(fields.get('retry-after')).toBe('5')
    expect(events).toEqual([{ name: 'shed', event: { route: '/a', priority: 'default', reason: 'load' } }])
  })

  test.each([
    [0, '10s', '5'],
    [0.999, '10s', '15'],
    [0.5, '10s', '10'],
    [0, '100ms', '1'],
  ])('Retry-After is jittered by a half either way: random %d of %s is %s', (random, retryAfter, expected) => {
    const { load, pipeline } = make({ retryAfter: retryAfter as '10s' }, () => random)
    load.delayMs = 1_000
    expect(fieldsOf(open(pipeline)).get('retry-after')).toBe(expected)
  })
})

describe('priorities are shed lowest first', () => {
  test.each([
    [99, [200, 200, 200]],
    [100, [200, 200, 503]],
    [199, [200, 200, 503]],
    [200, [200, 503, 503]],
    [499, [200, 503, 503]],
    [500, [503, 503, 503]],
  ])('at a delay of %i ms with maxDelay 100: critical, default, sheddable are %j', (delayMs, expected) => {
    const { load, all } = make()
    load.delayMs = delayMs
    expect(all()).toEqual(expected)
  })

  test('utilisation alone sheds only what is sheddable', () => {
    const { load, all } = make({ maxUtilisation: 0.9 })
    load.utilisation = 1
    expect(all()).toEqual([200, 200, 503])
  })

  test('a refresh in the background is sheddable', () => {
    const { load, pipeline } = make({ priority: 'critical' })
    load.delayMs = 150
    expect(statusOf(open(pipeline, { ticket: {} }))).toBe(503)
    expect(statusOf(open(pipeline))).toBe(200)
  })

  test.each([
    ['nonsense', () => 'urgent' as never],
    [
      'an exception',
      () => {
        throw new Error('no')
      },
    ],
  ])('%s as a priority is an event and counts as default', (_, priority) => {
    const { load, status, events } = make({ priority })
    load.delayMs = 150
    expect(status()).toBe(200)
    load.delayMs = 1_000
    expect(events.map(({ name }) => name)).toEqual(['error'])
  })
})

describe('hysteresis', () => {
  test('up at once, down one level at a time, each after two calm seconds', () => {
    const { load, clock, all } = make()
    load.delayMs = 1_000
    expect(all()).toEqual([503, 503, 503])
    load.delayMs = 0
    const seen: string[] = []
    for (let ms = 0; ms <= 7_000; ms += 250) {
      clock.advance(250)
      const now = all().join()
      if (seen.at(-1) !== now) seen.push(now)
    }
    expect(seen).toEqual(['503,503,503', '200,503,503', '200,200,503', '200,200,200'])
  })

  test('a load that swings around the limit does not make it flap', () => {
    const { load, clock, status } = make()
    const statuses = new Set<number>()
    for (let i = 0; i < 200; i++) {
      load.delayMs = i % 2 ? 90 : 110
      clock.advance(250)
      statuses.add(status('sheddable'))
    }
    expect([...statuses]).toEqual([503])
  })

  test('calm must last: one look above it begins the two seconds anew', () => {
    const pressure = new Pressure({ maxDelayMs: 100, maxUtilisation: 1 })
    pressure.observe({ delayMs: 100, utilisation: 0 }, 0)
    for (let now = 250; now < 20_000; now += 250) {
      const delayMs = now % 1_500 === 0 ? 80 : 10
      expect(pressure.observe({ delayMs, utilisation: 0 }, now)).toBe(1)
    }
  })

  test('the level is never below what the load asks for, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 100 }), (delays) => {
        const pressure = new Pressure({ maxDelayMs: 100, maxUtilisation: 1 })
        delays.forEach((delayMs, i) => {
          const asked = delayMs >= 500 ? 3 : delayMs >= 200 ? 2 : delayMs >= 100 ? 1 : 0
          const level = pressure.observe({ delayMs, utilisation: 0 }, i * 250)
          expect(level).toBeGreaterThanOrEqual(asked)
          expect(level).toBeLessThanOrEqual(3)
        })
      }),
    )
  })
})

describe('the load', () => {
  test('is looked at once in 250 ms at most, when requests come, and by no timer', () => {
    const { clock, status, samples, shedder, closed } = make()
    for (let i = 0; i < 100; i++) status()
    expect(samples()).toBe(1)
    expect(clock.timers).toBe(0)
    clock.advance(250)
    status()
    expect(samples()).toBe(2)
    shedder.close()
    expect(closed()).toBe(true)
  })

  test("Node's own figures: a blocked loop is seen, an idle one is calm", async () => {
    const sampler = nodeSampler()
    const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
    await sleep(50)
    sampler.sample()
    for (let i = 0; i < 3; i++) {
      const end = performance.now() + 80
      while (performance.now() < end);
      await sleep(0)
    }
    await sleep(1)
    const busy = sampler.sample()
    expect(busy.delayMs).toBeGreaterThan(40)
    expect(busy.utilisation).toBeGreaterThan(0.5)
    sampler.close()
  })
})

describe('the adaptive concurrency limit (Gradient2)', () => {
  /** A server that can work on `capacity` at a time and takes `serviceMs` for each; more than that wait their turn. */
  const run = (
    gradient: Gradient2,
    capacity: number,
    serviceMs: number,
    windows: number,
    offered = Infinity,
    from = 0,
  ) => {
    let now = from
    for (let i = 0; i < windows; i++) {
      const inFlight = Math.min(gradient.limit, offered)
      const tookMs = serviceMs * Math.max(1, inFlight / capacity)
      for (let j = 0; j < 10; j++) {
        now += 20
        gradient.sample(tookMs, inFlight, now)
      }
    }
    return now
  }

  test('grows while responses are as quick as ever, up to its maximum', () => {
    const gradient = new Gradient2({ initial: 20, max: 200 })
    run(gradient, 10_000, 50, 500)
    expect(gradient.limit).toBe(200)
  })

  test('settles near what the server can do: a small queue and no more', () => {
    const gradient = new Gradient2({ initial: 20, min: 1, max: 10_000 })
    run(gradient, 100, 50, 300)
    expect(gradient.limit).toBeGreaterThan(80)
    expect(gradient.limit).toBeLessThan(400)
  })

  test('sinks when the server becomes slower, down to its minimum, and recovers', () => {
    const gradient = new Gradient2({ initial: 100, min: 10, max: 200 })
    let now = run(gradient, 1_000, 50, 100)
    const before = gradient.limit
    now = run(gradient, 1_000, 1_000, 30, Infinity, now)
    expect(gradient.limit).toBeLessThan(before / 2)
    expect(gradient.limit).toBeGreaterThanOrEqual(10)
    run(gradient, 1_000, 50, 400, Infinity, now)
    expect(gradient.limit).toBeGreaterThan(before / 2)
  })

  test('does not grow while nobody asks for more', () => {
    const gradient = new Gradient2({ initial: 50 })
    run(gradient, 1_000, 50, 200, 10)
    expect(gradient.limit).toBe(50)
  })

  test('stays within its bounds, whatever the times are', () => {
    const times = fc.array(fc.tuple(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.integer({ min: 0, max: 500 })))
    fc.assert(
      fc.property(times, (samples) => {
        const gradient = new Gradient2({ initial: 20, min: 5, max: 50 })
        samples.forEach(([tookMs, inFlight], i) => {
          gradient.sample(tookMs, inFlight, i * 50)
          expect(gradient.limit).toBeGreaterThanOrEqual(5)
          expect(gradient.limit).toBeLessThanOrEqual(50)
        })
      }),
    )
  })

  test('bounds the requests in flight, the lowest priority first, and counts each out once', () => {
    const { pipeline, shedder, events } = make({ concurrency: { initial: 8, min: 8, max: 8 } })
    const enter = (priority: string) => open(pipeline, { headers: { priority } })
    const taken = (priority: string) => {
      const openings = []
      for (;;) {
        const opening = enter(priority)
        if (statusOf(opening) === 503) return openings
        openings.push(opening)
      }
    }
    const sheddable = taken('sheddable')
    const ordinary = taken('default')
    const critical = taken('critical')
    expect([sheddable.length, ordinary.length, critical.length]).toEqual([6, 2, 4])
    expect(events[0]).toMatchObject({ name: 'shed', event: { reason: 'concurrency' } })
    const [first] = sheddable.map(exchangeOf)
    first!.onHead(head(200))
    for (const outcome of ['aborted', 'sent', 'failed'] as const) first!.onClose(outcome)
    expect(shedder.stats().stages[0]!.concurrency).toMatchObject({ limit: 8, inFlight: 11 })
    for (const opening of [...sheddable, ...ordinary, ...critical]) exchangeOf(opening).onClose('sent')
    expect(shedder.stats().stages[0]!.concurrency!.inFlight).toBe(0)
  })

  test('its figures are in stats', () => {
    const { pipeline, shedder, clock, load } = make({ concurrency: true })
    load.delayMs = 3
    for (let i = 0; i < 20; i++) {
      const exchange = exchangeOf(open(pipeline))
      clock.advance(30)
      exchange.onHead(head(200))
      exchange.onClose('sent')
    }
    expect(shedder.stats()).toEqual({
      delayMs: 3,
      utilisation: 0.2,
      stages: [
        {
          level: 0,
          admitted: 20,
          shed: { critical: 0, default: 0, sheddable: 0 },
          concurrency: { limit: 20, inFlight: 0, usualMs: 30, presentMs: 30 },
        },
      ],
    })
  })
})

describe('options', () => {
  test.each([
    [{ maxDelay: 'soon' }, /shed\.maxDelay/],
    [{ maxUtilisation: 2 }, /shed\.maxUtilisation/],
    [{ priority: 'low' }, /shed\.priority/],
    [{ concurrency: { maximum: 5 } }, /shed\.concurrency\.maximum.*`max`|maximum/],
    [{ concurrency: { min: 0 } }, /shed\.concurrency\.min/],
    [{ concurency: true }, /`concurrency`/],
  ])('%j is refused', (options, message) => {
    expect(() => make(options as never)).toThrow(message)
  })
})
