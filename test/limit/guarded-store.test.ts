import { describe, expect, test } from '@jest/globals'
import { algorithmFor } from '../../packages/core/src/limit/algorithms/algorithm-for.ts'
import { createLimiter } from '../../packages/core/src/limit/limiter.ts'
import type { PolicyInput, PolicyOptions } from '../../packages/core/src/limit/policy/options.ts'
import { parseRate } from '../../packages/core/src/limit/policy/rate.ts'
import { MemoryLimitStore } from '../../packages/core/src/limit/store/memory-limit-store.ts'
import type { Charge, LimitStore, Settlement, Verdict } from '../../packages/core/src/limit/store/store.ts'
import { bodyOf, exchangeOf, fieldsOf, ManualClock, open, request, Sink, statusOf } from './helpers.ts'

/** A store somewhere else: it answers, fails, throws or hangs as it is told, and counts what it is asked. */
class FaultyStore implements LimitStore {
  readonly kind = 'remote'
  readonly inner: MemoryLimitStore
  mode: 'works' | 'rejects' | 'throws' | 'hangs' = 'works'
  asked = 0
  settled: Settlement[] = []
  renewed = 0
  closed = false
  partOf?: (charges: readonly Charge[]) => string
  /** What hangs. */
  readonly #pending: (() => void)[] = []

  constructor(clock: ManualClock) {
    this.inner = new MemoryLimitStore(clock)
  }

  /** What has hung is answered after all. */
  release(): void {
    for (const answer of this.#pending.splice(0)) answer()
  }

  #do<T>(fn: () => T): Promise<T> {
    this.asked++
    if (this.mode === 'throws') throw new Error('thrown')
    if (this.mode === 'rejects') return Promise.reject(new Error('refused connection'))
    if (this.mode === 'works') return Promise.resolve(fn())
    return new Promise((resolve) => this.#pending.push(() => resolve(fn())))
  }

  consume(charges: readonly Charge[]): Promise<readonly Verdict[]> {
    return this.#do(() => this.inner.consume(charges))
  }
  peek(charges: readonly Charge[]): Promise<readonly Verdict[]> {
    return this.#do(() => this.inner.peek(charges))
  }
  settle(settlements: readonly Settlement[]): Promise<void> {
    this.settled.push(...settlements)
    return this.#do(() => this.inner.settle(settlements))
  }
  renew(charges: readonly Charge[]): Promise<void> {
    this.renewed++
    return this.#do(() => this.inner.renew(charges))
  }
  refund(charges: readonly Charge[]): Promise<void> {
    return this.#do(() => this.inner.refund(charges))
  }
  reset(charges: readonly Charge[]): Promise<void> {
    return this.#do(() => this.inner.reset(charges))
  }
  usage() {
    return this.inner.usage()
  }
  close(): void {
    this.closed = true
  }
}

const tick = () => new Promise(setImmediate)

function make(limits: Record<string, PolicyInput>) {
  const clock = new ManualClock()
  const store = new FaultyStore(clock)
  const sink = new Sink()
  const limiter = createLimiter({ limits, clock, store, events: sink })
  return { clock, store, sink, limiter }
}

const p = (extra: Partial<PolicyOptions> = {}): Record<string, PolicyInput> => ({ p: { rate: '3/min', ...extra } })

describe('while the store works', () => {
  test('its verdicts count, and no timer is left over', async () => {
    const { limiter, clock } = make(p())
    const pipeline = limiter.pipeline('p')
    const statuses = []
    for (let i = 0; i < 4; i++) statuses.push(statusOf(await pipeline.open(request())))
    expect(statuses).toEqual([200, 200, 200, 429])
    expect(clock.timers).toBe(0)
  })

  test('the memory store does not go through it: no promise', () => {
    const clock = new ManualClock()
    const limiter = createLimiter({ clock, store: new MemoryLimitStore(clock), limits: p() })
    expect(statusOf(open(limiter.pipeline('p')))).toBe(200)
  })

  test('refund, reset and peek reach it', async () => {
    const { limiter } = make(p())
    await limiter.check('p', { key: 'a', cost: 3 })
    await limiter.refund('p', { key: 'a', cost: 2 })
    expect(await limiter.peek('p', { key: 'a' })).toMatchObject({ remaining: 2 })
    await limiter.reset('p', { key: 'a' })
    expect(await limiter.peek('p', { key: 'a' })).toMatchObject({ remaining: 3 })
  })

  test('close gives permits back before it closes the store', async () => {
    const { limiter, store } = make({ p: '2 concurrent' })
    await limiter.check('p', { key: 'a' })
    await limiter.close()
    expect(store.settled).toHaveLength(1)
    expect(store.closed).toBe(true)
  })
})

describe.each(['rejects', 'throws', 'hangs'] as const)('a store that %s', (mode) => {
  const outOf = async (limits: Record<string, PolicyInput>, times: number) => {
    const { limiter, store, clock, sink } = make(limits)
    store.mode = mode
    const pipeline = limiter.pipeline(...Object.keys(limits))
    const openings = []
    for (let i = 0; i < times; i++) {
      const opening = pipeline.open(request())
      if (clock.timers > 0) clock.advance(100)
      openings.push(await opening)
    }
    return { limiter, store, clock, sink, openings, statuses: openings.map(statusOf) }
  }

  test("onOutage 'open' admits everything, without telling of a quota nobody knows", async () => {
    const { statuses, openings } = await outOf(p({ onOutage: 'open' }), 10)
    expect(statuses).toEqual(Array(10).fill(200))
    expect([...fieldsOf(openings[0]!).names()]).toEqual([])
  })

  test("onOutage 'closed' refuses everything with 503 and a Retry-After", async () => {
    const { statuses, openings } = await outOf(p({ onOutage: 'closed' }), 3)
    expect(statuses).toEqual([503, 503, 503])
    expect(fieldsOf(openings[0]!).get('retry-after')).toBe('1')
    expect(fieldsOf(openings[0]!).get('cache-control')).toBe('no-store')
    expect(bodyOf(openings[0]!).type).toBe('https://iana.org/assignments/http-problem-types#temporary-reduced-capacity')
  })

  test("onOutage 'local' (the default) counts in memory", async () => {
    const { statuses, openings } = await outOf(p(), 5)
    expect(statuses).toEqual([200, 200, 200, 429, 429])
    expect(fieldsOf(openings[0]!).get('ratelimit')).toMatch(/^"p";r=2;/)
  })

  test('… at its share of the limit', async () => {
    expect((await outOf({ p: { rate: '8/min', share: 0.25 } }, 4)).statuses).toEqual([200, 200, 429, 429])
    expect((await outOf({ p: { rate: '3/min', share: 0.1 } }, 2)).statuses).toEqual([200, 429])
  })

  test('a cost above the share is refused for now, not for ever', async () => {
    const { openings } = await outOf({ p: { rate: '8/min', share: 0.25, cost: 4 } }, 1)
    expect(fieldsOf(openings[0]!).get('retry-after')).toBe('1')
    expect(bodyOf(openings[0]!).type).toContain('#quota-exceeded')
  })

  test('all or none here too: what is closed leaves the local count alone', async () => {
    const { limiter, store } = await outOf({ p: '3/min', q: { rate: '3/min', onOutage: 'closed' } }, 5)
    expect(await limiter.peek('p', { key: '192.0.2.1' })).toMatchObject({ remaining: 3, via: 'local' })
    expect(store.asked).toBeGreaterThan(0)
  })

  test('is an event, with the policies, and is not asked for ever: after five failures the breaker opens', async () => {
    const { store, sink, limiter } = await outOf(p({ onOutage: 'open' }), 20)
    expect(store.asked).toBe(5)
    expect(sink.of('store-error')).toHaveLength(5)
    expect(sink.of('store-error')[0]!.policies).toEqual(['p'])
    expect(limiter.stats().storeErrors).toBe(5)
    // And then a decision waits for nothing.
    expect(statusOf(open(limiter.pipeline('p')))).toBe(200)
  })

  test('recovers by itself: one request asks, and where it is answered all do again', async () => {
    const { store, clock, limiter } = await outOf(p({ onOutage: 'open' }), 10)
    const pipeline = limiter.pipeline('p')
    // Still out: one probe each time, at growing distances.
    for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      clock.advance(pauseMs - 1)
      open(pipeline)
      const asked = store.asked
      clock.advance(1)
      const openings = [pipeline.open(request()), pipeline.open(request()), pipeline.open(request())]
      if (mode === 'hangs') clock.advance(100)
      await Promise.all(openings)
      expect(store.asked).toBe(asked + 1)
    }
    store.mode = 'works'
    clock.advance(10_000)
    expect(statusOf(await pipeline.open(request()))).toBe(200)
    const asked = store.asked
    for (let i = 0; i < 3; i++) await pipeline.open(request())
    expect(store.asked).toBe(asked + 3)
    expect(statusOf(await pipeline.open(request()))).toBe(429)
  })

  test('check answers too; reset and refund say that they failed', async () => {
    const { limiter, store, clock } = make(p())
    store.mode = mode
    const asked = [limiter.check('p', { key: 'a' }), limiter.peek('p', { key: 'a' })]
    if (mode === 'hangs') clock.advance(100)
    expect(await Promise.all(asked)).toMatchObject([
      { allowed: true, via: 'local' },
      { allowed: true, via: 'local' },
    ])
    const attempt = async (fn: () => unknown) => {
      try {
        const answer = fn()
        if (mode === 'hangs') clock.advance(100)
        await answer
        return 'done'
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(await attempt(() => limiter.reset('p', { key: 'a' }))).toBe('ERR_SLUICE_STORE')
    expect(await attempt(() => limiter.refund('p', { key: 'a' }))).toBe('ERR_SLUICE_STORE')
  })
})

test('of several servers those that are out are skipped, and the others are asked', async () => {
  const { limiter, store } = make(p({ rate: '1000/min', onOutage: 'open' }))
  const asked: number[] = []
  store.partOf = (charges) => `server ${charges[0]!.cost}`
  store.consume = (charges) => {
    const { cost } = charges[0]!
    asked.push(cost)
    return cost === 2 ? Promise.reject(new Error('lost')) : Promise.resolve(store.inner.consume(charges))
  }
  const check = async (cost: number) => (await limiter.check('p', { key: 'a', cost })).via
  for (let i = 0; i < 10; i++) expect(await check(2)).toBe('open')
  for (let i = 0; i < 10; i++) expect(await check(1)).toBe('store')
  expect(asked).toEqual([...Array(5).fill(2), ...Array(10).fill(1)])
})

describe('an answer that comes too late', () => {
  test('no decision is later than its deadline', async () => {
    const { limiter, store, clock } = make(p())
    store.mode = 'hangs'
    let answered = false
    const opening = Promise.resolve(limiter.pipeline('p').open(request())).then((o) => {
      answered = true
      return o
    })
    clock.advance(99)
    await tick()
    expect(answered).toBe(false)
    clock.advance(1)
    expect(statusOf(await opening)).toBe(200)
  })

  test('what was refused meanwhile is given back; what was admitted stays counted', async () => {
    for (const [onOutage, left] of [
      ['closed', 3],
      ['open', 2],
    ] as const) {
      const { limiter, store, clock } = make(p({ onOutage }))
      store.mode = 'hangs'
      const opening = limiter.pipeline('p').open(request())
      clock.advance(100)
      await opening
      store.mode = 'works'
      store.release()
      await tick()
      expect(await limiter.peek('p', { key: '192.0.2.1' })).toMatchObject({ remaining: left, via: 'store' })
    }
  })

  test('a permit nobody waits for any more is given back', async () => {
    const { limiter, store, clock } = make({ p: { rate: '1 concurrent', onOutage: 'open' } })
    store.mode = 'hangs'
    const opening = limiter.pipeline('p').open(request())
    clock.advance(100)
    await opening
    store.mode = 'works'
    store.release()
    await tick()
    expect(statusOf(await limiter.pipeline('p').open(request()))).toBe(200)
  })
})

describe('settling', () => {
  test('goes where the charge was made: the store, or this process', async () => {
    const { limiter, store } = make(p({ countIf: () => false }))
    const pipeline = limiter.pipeline('p')
    const head = { status: 200, body: 'whole', length: 0 } as const
    const { Fields } = await import('../../packages/core/src/http/fields/fields.ts')
    const exchange = async () => exchangeOf(await pipeline.open(request()))
    ;(await exchange()).onHead({ ...head, fields: Fields.from(), before: Fields.from() })
    expect(store.settled).toHaveLength(1)
    store.mode = 'rejects'
    for (let i = 0; i < 5; i++) (await exchange()).onHead({ ...head, fields: Fields.from(), before: Fields.from() })
    await tick()
    expect(store.settled).toHaveLength(1)
    expect(await limiter.peek('p', { key: '192.0.2.1' })).toMatchObject({ remaining: 3, via: 'local' })
  })

  test('a settlement that fails is an event and disturbs nobody', async () => {
    const { limiter, store, sink } = make({ c: '1 concurrent' })
    const exchange = exchangeOf(await limiter.pipeline('c').open(request()))
    store.mode = 'rejects'
    exchange.onClose('sent')
    await tick()
    expect(sink.of('store-error')).toHaveLength(1)
  })

  test('leases are prolonged in the store', async () => {
    const { limiter, store, clock } = make({ c: { rate: '1 concurrent', permitTtl: '30s' } })
    await limiter.pipeline('c').open(request())
    clock.advance(29_000)
    await tick()
    expect(store.renewed).toBe(2)
    store.mode = 'rejects'
    clock.advance(1_001)
    await tick()
    store.mode = 'works'
    expect(statusOf(await limiter.pipeline('c').open(request()))).toBe(429)
  })
})

describe('a share of a limit', () => {
  test.each([
    ['10/min', 0.5, 5],
    ['10/min', 0.01, 1],
    ['7 concurrent', 0.5, 3],
    ['10/s burst 30', 0.5, 15],
  ])('%s at %d is %i', (rate, share, limit) => {
    const algorithm = algorithmFor('p', parseRate('p', rate)[0]!, undefined, 1_000)
    expect(algorithm.scaled(share).limit).toBe(limit)
    expect(algorithm.scaled(1).limit).toBe(algorithm.limit)
  })

  test('a bucket flows at its share too', () => {
    const half = algorithmFor('p', { quota: 10, windowMs: 1_000, burst: 10 }, undefined, 1_000).scaled(0.5)
    const state = half.fresh()
    half.charge(state, 5, 0)
    expect(half.waitMs(state, 1, 0)).toBe(200)
  })
})
