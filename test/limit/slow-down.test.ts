import { describe, expect, test } from '@jest/globals'
import type { PolicyInput, PolicyOptions, SlowDownOptions } from '@sluice/core'
import fc from 'fast-check'
import type { Opening, Pipeline } from '../../packages/core/src/exchange/exchange.ts'
import { createLimiter, type LimiterOptions } from '../../packages/core/src/limit/limiter.ts'
import type { LimitStore } from '../../packages/core/src/limit/store/store.ts'
import { exchangeOf, type FakeRequest, fieldsOf, ManualClock, request, Sink, statusOf } from './helpers.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A limiter, and requests that are followed to their end. */
function limiterOf(limits: Record<string, PolicyInput>, more: Partial<LimiterOptions> = {}) {
  const clock = new ManualClock()
  const sink = new Sink()
  const limiter = createLimiter({ limits, clock, events: sink, ...more })
  const ended: string[] = []
  const pipelines = new Map<string, Pipeline>()
  const pipeline = (names: readonly string[]): Pipeline => {
    const known = pipelines.get(names.join()) ?? limiter.pipeline(...names)
    pipelines.set(names.join(), known)
    return known
  }
  const names = Object.keys(limits)
  return {
    clock,
    sink,
    limiter,
    /** The names of requests in the order in which they ended, with their status; `-` for those whose client had left. */
    ended,
    async advance(ms: number) {
      // In steps: what a timer sets going goes on in a microtask.
      for (let left = ms; left > 0; left -= 50) {
        clock.advance(Math.min(50, left))
        await turn()
      }
    },
    /** A request under way. */
    ask(name: string, given: FakeRequest & { by?: readonly string[] } = {}) {
      const listeners = new Set<() => void>()
      const view = {
        ...request(given),
        onGone: (listener: () => void) => {
          listeners.add(listener)
          return () => void listeners.delete(listener)
        },
      }
      let left = false
      const opening = Promise.resolve(pipeline(given.by ?? names).open(view))
      const asked = {
        opening,
        listeners,
        status: undefined as number | undefined,
        leave() {
          left = true
          for (const listener of [...listeners]) listener()
        },
      }
      void opening.then((one: Opening) => {
        asked.status = statusOf(one)
        ended.push(`${name} ${left ? '-' : asked.status}`)
      })
      return asked
    },
  }
}

const log = (rate: string, slowDown: SlowDownOptions, more: Partial<PolicyOptions> = {}): PolicyOptions => ({
  rate,
  algorithm: 'sliding-log',
  slowDown,
  ...more,
})

describe('a request over its quota', () => {
  test('waits until there is room, in the order of arrival, and is charged when it goes on', async () => {
    const { advance, ask, ended, limiter, clock } = limiterOf({ p: log('2/s', { max: '5s' }) })
    for (const name of ['a', 'b', 'c', 'd', 'e']) ask(name)
    await turn()
    expect([ended, limiter.stats().waiting]).toEqual([['a 200', 'b 200'], 3])
    await advance(950)
    expect(ended).toHaveLength(2)
    await advance(50)
    expect(ended.slice(2)).toEqual(['c 200', 'd 200'])
    expect(await limiter.peek('p', { key: '192.0.2.1' })).toMatchObject({ remaining: 0, retryAfterMs: 1_000 })
    await advance(1_000)
    expect(ended.slice(4)).toEqual(['e 200'])
    expect(limiter.stats()).toMatchObject({ allowed: 5, denied: 0, delayed: 3, left: 0, waiting: 0 })
    expect(clock.timers).toBe(0)
  })

  test('is refused at once where the wait is longer than max, with a Retry-After that is honest', async () => {
    const { advance, ask, ended } = limiterOf({ p: log('2/s', { max: '1500ms' }) })
    for (const name of ['a', 'b', 'c', 'd']) ask(name)
    await advance(100)
    const late = ask('e')
    await turn()
    expect(ended).toEqual(['a 200', 'b 200', 'e 429'])
    // Behind c and d, who go on in 900 ms, it would have been another second.
    expect(fieldsOf(await late.opening).get('retry-after')).toBe('2')
    await advance(2_000)
    ask('f')
    await turn()
    expect(ended.slice(3)).toEqual(['c 200', 'd 200', 'f 200'])
  })

  test('is refused at once where there is no place, in all or for its key', async () => {
    const { advance, ask, ended, limiter } = limiterOf({ p: log('1/s', { max: '9s', queue: 3, perKey: 2 }) })
    for (const name of ['a', 'b', 'c', 'd']) ask(name)
    for (const name of ['x', 'y', 'z']) ask(name, { ip: '192.0.2.2' })
    await turn()
    expect([ended, limiter.stats().waiting]).toEqual([['a 200', 'd 429', 'x 200', 'z 429'], 3])
    await advance(1_000)
    ask('w', { ip: '192.0.2.2' })
    await turn()
    expect(ended.slice(4)).toEqual(['b 200', 'y 200'])
    expect(limiter.stats().waiting).toBe(2)
  })

  test('one that comes later does not overtake it, though there would be room for it', async () => {
    const { advance, ask, ended } = limiterOf({
      p: log('3/s', { max: '5s' }, { cost: (c) => Number(c.header('x-cost') ?? 1) }),
    })
    const costs = (cost: number) => ({ headers: { 'x-cost': String(cost) } })
    ask('a', costs(1))
    await advance(500)
    ask('b', costs(1))
    ask('three', costs(3))
    ask('one', costs(1))
    await advance(600)
    // 'a' has left the window, so that one unit is there; it belongs to who waits for three.
    expect(ended).toEqual(['a 200', 'b 200'])
    await advance(400)
    expect(ended.slice(2)).toEqual(['three 200'])
    await advance(1_000)
    expect(ended.slice(3)).toEqual(['one 200'])
  })

  test('whose client leaves gives up its place at once, was not charged, and lets the next one come', async () => {
    const { advance, ask, ended, limiter, sink } = limiterOf({ p: log('1/s', { max: '3s', queue: 2, perKey: 2 }) })
    ask('a')
    const b = ask('b')
    const c = ask('c')
    expect([...b.listeners, ...c.listeners]).toHaveLength(2)
    b.leave()
    await turn()
    expect([ended, limiter.stats()]).toMatchObject([['a 200', 'b -'], { waiting: 1, left: 1, denied: 0, allowed: 1 }])
    ask('d')
    await advance(1_000)
    expect(ended.slice(2)).toEqual(['c 200'])
    expect([...b.listeners, ...c.listeners]).toEqual([])
    await advance(1_000)
    expect(ended.slice(3)).toEqual(['d 200'])
    expect(sink.of('delayed').map(({ outcome, waitedMs }) => [outcome, waitedMs])).toEqual([
      ['left', 0],
      ['admitted', 1_000],
      ['admitted', 2_000],
    ])
    expect(sink.of('delayed')[0]!.policies).toEqual(['p'])
  })

  test('whose client has left before it waits is not waited for', async () => {
    const { ask, ended, limiter } = limiterOf({ p: log('1/s', { max: '3s' }) })
    ask('a')
    const pipeline = limiter.pipeline('p')
    const opening = pipeline.open({
      ...request(),
      onGone(listener) {
        listener()
        return () => {}
      },
    })
    expect(statusOf(await opening)).toBe(429)
    expect([ended, limiter.stats()]).toMatchObject([['a 200'], { waiting: 0, left: 1 }])
  })

  test('that never can be admitted does not wait', async () => {
    const { ask, ended } = limiterOf({ p: log('2/s', { max: '3s' }, { cost: (c) => Number(c.header('x-cost') ?? 1) }) })
    for (const name of ['a', 'b', 'c']) ask(name)
    ask('three', { headers: { 'x-cost': '3' } })
    await turn()
    expect(ended).toEqual(['a 200', 'b 200', 'three 429'])
  })

  test('waits no longer than max where the clock is set back', async () => {
    let skew = 0
    const manual = new ManualClock()
    const clock = { now: () => manual.now() + skew, wall: () => manual.now() + skew, after: manual.after.bind(manual) }
    const { ask, ended } = limiterOf({ p: log('1/s', { max: '2s' }) }, { clock })
    const advance = async (ms: number) => {
      manual.advance(ms)
      await turn()
    }
    ask('a')
    ask('b')
    await turn()
    skew = -3_600_000
    // When its time has come, what was used is an hour ahead: there is nothing to be had within max.
    await advance(1_000)
    expect(ended).toEqual(['a 200', 'b 429'])
    ask('c')
    await turn()
    expect(ended.slice(2)).toEqual(['c 429'])
  })

  test('is refused, all who wait, when the instance closes; none waits after that', async () => {
    const { ask, ended, limiter, clock } = limiterOf({ p: log('1/s', { max: '3s', from: 0.5, by: '1s' }) })
    ask('held')
    ask('b')
    ask('c')
    await turn()
    expect([ended, limiter.stats().waiting]).toEqual([[], 3])
    await limiter.close()
    await turn()
    // Who was within the quota goes on.
    expect(ended.sort()).toEqual(['b 429', 'c 429', 'held 200'])
    expect([limiter.stats().waiting, clock.timers]).toEqual([0, 0])
    ask('d')
    ask('e')
    await turn()
    expect(ended.slice(3)).toEqual(['d 200', 'e 429'])
  })

  test('that is refused in the end is told what there is to wait for still', async () => {
    const { ask, advance, clock, limiter } = limiterOf({ p: log('1/s', { max: '2s' }) })
    ask('a')
    const b = ask('b')
    // Somebody else takes what it waits for: a job, by `check`, which stands in no line.
    await advance(950)
    clock.block(100)
    expect(await limiter.check('p', { key: '192.0.2.1' })).toMatchObject({ allowed: true })
    // It would be 50 ms longer than it may wait: no use waiting any more.
    await advance(50)
    expect(fieldsOf(await b.opening).get('retry-after')).toBe('1')
    expect(b.status).toBe(429)
  })

  test.each(['reset', 'refund', 'reset all'] as const)('is let go on at once after a %s', async (how) => {
    const { ask, ended, limiter } = limiterOf({ p: log('1/h', { max: '2h' }) })
    ask('a')
    ask('b')
    await turn()
    if (how === 'reset all') await limiter.reset('p')
    else await limiter[how]('p', { key: '192.0.2.1' })
    await turn()
    expect(ended).toEqual(['a 200', 'b 200'])
  })

  test('and what countIf gives back lets the next one go on', async () => {
    const { ask, ended } = limiterOf({ p: log('1/h', { max: '2h' }, { countIf: (r) => r.status === 401 }) })
    const a = ask('a')
    ask('b')
    await turn()
    const { onHead } = exchangeOf(await a.opening)
    onHead.call(exchangeOf(await a.opening), {
      ...{ status: 200, fields: fieldsOf({ kind: 'proceed' }), before: fieldsOf({ kind: 'proceed' }) },
      ...{ body: 'whole', length: 0 },
    })
    await turn()
    expect(ended).toEqual(['a 200', 'b 200'])
  })
})

describe('several policies', () => {
  test('are charged together when it goes on, or none is', async () => {
    const { ask, advance, ended, limiter } = limiterOf({
      p: log('1/s', { max: '5s' }),
      q: log('2/3s', { max: '5s' }),
      free: log('9/min', { max: '5s' }),
    })
    for (const name of ['a', 'b', 'c']) ask(name)
    await advance(2_900)
    expect(ended).toEqual(['a 200', 'b 200'])
    const left = async (name: string) => (await limiter.peek(name, { key: '192.0.2.1' })).remaining
    // 'c' waits for 'q' alone: 'p' would have admitted it.
    expect([await left('p'), await left('q'), await left('free')]).toEqual([1, 0, 7])
    await advance(100)
    expect(ended).toEqual(['a 200', 'b 200', 'c 200'])
    expect([await left('p'), await left('q'), await left('free')]).toEqual([0, 0, 6])
  })

  test('one that does not delay refuses at once', async () => {
    const { ask, ended, limiter } = limiterOf({ p: log('1/s', { max: '5s' }), hard: '1/min' })
    ask('a')
    ask('b')
    await turn()
    expect([ended, limiter.stats().waiting]).toEqual([['a 200', 'b 429'], 0])
  })

  test('who waits for one of them holds nobody up who needs only the other', async () => {
    const { ask, advance, ended } = limiterOf({ p: log('9/s', { max: '5s' }), q: log('1/s', { max: '5s' }) })
    for (const name of ['a', 'b']) ask(name)
    ask('c', { by: ['p'] })
    await turn()
    expect(ended).toEqual(['a 200', 'c 200'])
    await advance(1_000)
    expect(ended).toEqual(['a 200', 'c 200', 'b 200'])
  })

  test('the shortest max of those it waits for holds', async () => {
    const { ask, ended } = limiterOf({ p: log('1/2s', { max: '5s' }), q: log('1/2s', { max: '1s' }) })
    ask('a')
    ask('b')
    await turn()
    expect(ended).toEqual(['a 200', 'b 429'])
  })

  test('one that may not wait any longer is refused in its place, with the wait of all in front of it', async () => {
    const { ask, advance, ended } = limiterOf({
      p: log('1/2s', { max: '9s' }),
      q: { rate: '1 concurrent', slowDown: { max: '1s' } },
    })
    ask('a')
    ask('b', { by: ['p'] })
    const c = ask('c')
    ask('d', { by: ['p'] })
    await advance(950)
    expect(ended).toEqual(['a 200'])
    await advance(50)
    expect(ended).toEqual(['a 200', 'c 429'])
    // b in one second, and itself two seconds later.
    expect(fieldsOf(await c.opening).get('retry-after')).toBe('3')
    await advance(3_000)
    expect(ended.slice(2)).toEqual(['b 200', 'd 200'])
  })

  test('what limits in front have taken of one that leaves is given back', async () => {
    const { ask, ended, limiter } = limiterOf({ front: '9/min', p: log('1/s', { max: '5s' }) })
    const native = {}
    ask('a', { by: ['p'] })
    ask('front', { by: ['front'], native })
    const waits = ask('b', { by: ['p'], native })
    await turn()
    waits.leave()
    await turn()
    expect(ended).toEqual(['a 200', 'front 200', 'b -'])
    expect(await limiter.peek('front', { key: '192.0.2.1' })).toMatchObject({ remaining: 9 })
  })

  test('a shadow policy lets nobody wait', async () => {
    const { ask, ended, limiter } = limiterOf({ p: log('1/s', { max: '5s', from: 0, by: '1s' }, { shadow: true }) })
    ask('a')
    ask('b')
    await turn()
    expect([ended, limiter.stats()]).toMatchObject([['a 200', 'b 200'], { waiting: 0, delayed: 0, shadowDenied: 1 }])
  })

  test('a refresh in the background never waits', () => {
    const { ask, limiter } = limiterOf({ p: log('1/s', { max: '5s' }) })
    ask('a')
    expect(limiter.pipeline('p').open(request({ ticket: {} }))).toEqual({ kind: 'proceed' })
  })
})

describe('while a store is out', () => {
  const fails = () => Promise.reject(new Error('out'))
  const out: LimitStore = {
    ...{ kind: 'remote', consume: fails, peek: fails, settle: fails, renew: fails, refund: fails, reset: fails },
    ...{ usage: () => ({ entries: 0, evictions: 0, overflowed: 0 }), close: () => {} },
  }

  test.each([
    ['closed', ['a 503', 'b 503'], 0],
    ['open', ['a 200', 'b 200'], 0],
    ['local', ['a 200'], 1],
  ] as const)('%s', async (onOutage, expected, waiting) => {
    const policy = log('1/s', { max: '5s', from: 1, by: '1s' }, { onOutage })
    const { ask, ended, limiter, advance } = limiterOf({ p: policy }, { store: out })
    ask('a')
    ask('b')
    await turn()
    await turn()
    expect([ended, limiter.stats().waiting]).toEqual([expected, waiting])
    await advance(1_100)
    expect(ended).toHaveLength(2)
  })
})

describe('a concurrency', () => {
  const end = async (asked: { opening: Promise<Opening> }) => exchangeOf(await asked.opening).onClose('sent')

  test('is waited for until a permit comes back in this process, and in order', async () => {
    const { ask, ended, limiter, advance } = limiterOf({ p: { rate: '2 concurrent', slowDown: { max: '5s' } } })
    const [a, b] = [ask('a'), ask('b')]
    ask('c')
    ask('d')
    await advance(300)
    expect([ended, limiter.stats().permits]).toEqual([['a 200', 'b 200'], 2])
    await end(b)
    await turn()
    expect([ended.slice(2), limiter.stats().permits]).toEqual([['c 200'], 2])
    await end(a)
    await turn()
    expect([ended.slice(3), limiter.stats().permits, limiter.stats().waiting]).toEqual([['d 200'], 2, 0])
  })

  test('no permit is lost with who leaves, before or after it has one', async () => {
    const { ask, limiter, ended } = limiterOf({ p: { rate: '1 concurrent', slowDown: { max: '5s' } } })
    const a = ask('a')
    const b = ask('b')
    const c = ask('c')
    b.leave()
    await turn()
    await end(a)
    await turn()
    expect([ended, limiter.stats().permits]).toEqual([['a 200', 'b -', 'c 200'], 1])
    await end(c)
    expect(limiter.stats()).toMatchObject({ permits: 0, waiting: 0 })
  })

  test('is not waited for where it takes longer than max as a rule', async () => {
    const { ask, ended, advance } = limiterOf({ p: { rate: '1 concurrent', slowDown: { max: '1s' } } })
    const a = ask('a')
    await advance(3_000)
    await end(a)
    const b = ask('b')
    ask('c')
    await turn()
    expect(ended).toEqual(['a 200', 'b 200', 'c 429'])
    await end(b)
  })

  test('and where none comes back, it is refused when max is over', async () => {
    const { ask, ended, advance } = limiterOf({ p: { rate: '1 concurrent', slowDown: { max: '3s' } } })
    ask('a')
    ask('b')
    await advance(2_950)
    expect(ended).toEqual(['a 200'])
    await advance(50)
    expect(ended).toEqual(['a 200', 'b 429'])
  })
})

describe('within the quota', () => {
  test('each unit beyond a part of it delays by so much longer, up to max, and is charged at once', async () => {
    const { ask, advance, ended, limiter } = limiterOf({ p: log('10/min', { max: '700ms', from: 0.5, by: '200ms' }) })
    for (let i = 1; i <= 10; i++) ask(String(i))
    await turn()
    expect(ended.map((one) => one.split(' ')[0])).toEqual(['1', '2', '3', '4', '5'])
    expect(limiter.stats()).toMatchObject({ waiting: 5, delayed: 5 })
    expect(await limiter.peek('p', { key: '192.0.2.1' })).toMatchObject({ remaining: 0 })
    const sixth = [200, 400, 600, 700]
    let elapsed = 0
    for (const [i, at] of sixth.entries()) {
      await advance(at - elapsed)
      elapsed = at
      expect([at, ended.length]).toEqual([at, at === 700 ? 10 : 6 + i])
    }
    expect(limiter.stats()).toMatchObject({ allowed: 10, waiting: 0 })
  })

  test('who leaves does not go on, stays charged, and gives its permit back', async () => {
    const { ask, ended, limiter, advance, sink } = limiterOf({
      p: log('2/min', { max: '5s', from: 0, by: '1s' }),
      c: '1 concurrent',
    })
    const a = ask('a')
    await turn()
    expect(limiter.stats()).toMatchObject({ permits: 1, waiting: 1 })
    a.leave()
    await advance(5_000)
    expect([ended, limiter.stats()]).toMatchObject([['a -'], { permits: 0, waiting: 0, left: 1, allowed: 0 }])
    expect(await limiter.peek('p', { key: '192.0.2.1' })).toMatchObject({ remaining: 1 })
    expect(sink.of('delayed')).toEqual([{ route: undefined, policies: ['p'], waitedMs: 0, outcome: 'left' }])
  })

  test('where all the places are taken it goes on undelayed', async () => {
    const { ask, ended, limiter } = limiterOf({ p: log('9/min', { max: '5s', queue: 2, from: 0, by: '1s' }) })
    for (const name of ['a', 'b', 'c', 'd']) ask(name)
    await turn()
    expect([ended, limiter.stats().waiting]).toEqual([['c 200', 'd 200'], 2])
  })
})

describe('whatever comes', () => {
  const perMs = (algorithm: string) => (algorithm === 'fixed-window' ? 2 : 1)
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ ask: fc.integer({ min: 1, max: 3 }), key: fc.constantFrom('1', '2') }) },
    { weight: 3, arbitrary: fc.record({ advance: fc.constantFrom(10, 60, 130, 500, 1_100) }) },
    { weight: 1, arbitrary: fc.record({ leave: fc.nat(50) }) },
  )

  test.each(['sliding-window', 'sliding-log', 'token-bucket', 'fixed-window'] as const)(
    'the limit holds, the order is kept, waits and places are bounded, and all of them end (%s)',
    async (algorithm) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const [quota, windowMs, maxMs, queue, perKey] = [4, 1_000, 2_500, 7, 5]
          const { ask, advance, limiter, clock } = limiterOf({
            p: {
              ...{ rate: `${quota}/s`, algorithm, slowDown: { max: maxMs, queue, perKey } },
              cost: (c) => Number(c.header('x-cost')),
            },
          })
          const asked: { key: string; cost: number; at: number; left: boolean; leave(): void; status?: number }[] = []
          const ends: { of: (typeof asked)[number]; at: number }[] = []
          for (const one of steps) {
            if ('advance' in one) await advance(one.advance)
            else if ('leave' in one) {
              const leaving = asked[one.leave % Math.max(1, asked.length)]
              if (leaving && leaving.status === undefined) {
                leaving.left = true
                leaving.leave()
              }
            } else {
              const given = ask('x', { ip: `192.0.2.${one.key}`, headers: { 'x-cost': String(one.ask) } })
              const entry: (typeof asked)[number] = {
                ...{ key: one.key, cost: one.ask, at: clock.now(), left: false, leave: given.leave },
              }
              asked.push(entry)
              void given.opening.then((opening) => {
                entry.status = statusOf(opening)
                if (!entry.left && entry.status === 200) ends.push({ of: entry, at: clock.now() })
                expect(clock.now() - entry.at).toBeLessThanOrEqual(maxMs + 50)
              })
              await turn()
            }
            expect(limiter.stats().waiting).toBeLessThanOrEqual(queue)
          }
          await advance(maxMs + 100)
          expect(asked.filter(({ status }) => status === undefined)).toEqual([])
          expect(limiter.stats()).toMatchObject({ waiting: 0, allowed: ends.length })
          expect(clock.timers).toBe(0)
          for (const key of ['1', '2']) {
            const admitted = ends.filter(({ of }) => of.key === key)
            // First come, first served.
            expect(admitted.map(({ of }) => asked.indexOf(of))).toEqual(
              admitted.map(({ of }) => asked.indexOf(of)).sort((a, b) => a - b),
            )
            for (const { at } of admitted) {
              const within = admitted.filter((other) => other.at >= at && other.at < at + windowMs)
              const units = within.reduce((sum, { of }) => sum + of.cost, 0)
              const most = algorithm === 'token-bucket' ? 2 * quota : perMs(algorithm) * quota
              expect(units).toBeLessThanOrEqual(most)
            }
          }
        }),
        { numRuns: 40 },
      )
    },
  )

  test('several limits at once, in any order: nobody waits for ever, and each of them holds', async () => {
    const some = fc.subarray(['p', 'q', 'r'], { minLength: 1 })
    const steps = fc.array(fc.tuple(some, fc.constantFrom(0, 40, 150), fc.boolean()), { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(steps, async (given) => {
        const rates = { p: 3, q: 2, r: 5 } as const
        const { ask, advance, limiter, clock } = limiterOf({
          p: log('3/s', { max: 900 }),
          q: log('2/s', { max: 2_000, perKey: 4, queue: 4 }),
          r: log('5/s', { max: 3_000 }),
        })
        const admitted: { by: readonly string[]; at: number }[] = []
        const all: Promise<unknown>[] = []
        for (const [by, ms, leaves] of given) {
          const one = ask('x', { by })
          let left = false
          all.push(
            one.opening.then((opening) => !left && statusOf(opening) === 200 && admitted.push({ by, at: clock.now() })),
          )
          await turn()
          if (ms > 0) await advance(ms)
          if (leaves && one.status === undefined) {
            left = true
            one.leave()
          }
        }
        await advance(3_100)
        await Promise.all(all)
        expect([limiter.stats().waiting, clock.timers]).toEqual([0, 0])
        for (const [name, quota] of Object.entries(rates)) {
          const of = admitted.filter(({ by }) => by.includes(name))
          for (const { at } of of) {
            expect(of.filter((other) => other.at >= at && other.at < at + 1_000).length).toBeLessThanOrEqual(quota)
          }
        }
      }),
      { numRuns: 40 },
    )
  })
})

describe('options', () => {
  test.each<[unknown, RegExp]>([
    [{}, /`limits\.p\.slowDown\.max` must be given/],
    [{ max: 0 }, /`limits\.p\.slowDown\.max` must be a millisecond or longer/],
    [{ max: 'soon' }, /`limits\.p\.slowDown\.max` must be milliseconds or a duration/],
    [{ max: '1s', queue: 0 }, /`limits\.p\.slowDown\.queue` must be a whole number above 0/],
    [{ max: '1s', queue: 5, perKey: 6 }, /`limits\.p\.slowDown\.perKey` must not be more than `queue`/],
    [{ max: '1s', from: 0.5 }, /`limits\.p\.slowDown\.by` must be given beside `from`/],
    [{ max: '1s', by: 5 }, /`limits\.p\.slowDown\.from` must be given beside `by`/],
    [{ max: '1s', from: 50, by: 5 }, /`limits\.p\.slowDown\.from` must be a number from 0 to 1/],
    [{ max: '1s', delay: 5 }, /no option `limits\.p\.slowDown\.delay`/],
    ['5s', /`limits\.p\.slowDown` must be an object/],
  ])('%j', (slowDown, message) => {
    expect(() => createLimiter({ limits: { p: { rate: '1/s', slowDown: slowDown as SlowDownOptions } } })).toThrow(
      message,
    )
  })
})
