import { afterEach, describe, expect, test } from '@jest/globals'
import { by, type KeyFunction } from '../../packages/core/src/exchange/client/by.ts'
import type { RequestContext } from '../../packages/core/src/exchange/context.ts'
import type { CheckOptions } from '../../packages/core/src/limit/checks.ts'
import { createLimiter, type Limiter, type LimiterOptions } from '../../packages/core/src/limit/limiter.ts'
import { MemoryLimitStore } from '../../packages/core/src/limit/store/memory-limit-store.ts'
import type { LimitStore } from '../../packages/core/src/limit/store/store.ts'
import { type FakeRequest, fieldsOf, request, Sink } from '../limit/helpers.ts'
import { limitsOn, StillClock } from './limits/support.ts'
import { client } from './one-client.ts'
import { freshName } from './support.ts'

/** Where counts are kept must not change any answer: every row runs in memory and on Redis. */
const stores: Record<string, (clock: StillClock, namespace: string) => LimitStore> = {
  memory: (clock) => new MemoryLimitStore(clock),
  Redis: (clock, namespace) => limitsOn(client, { clock, time: 'clock', unconfirmedMs: 0, namespace }),
}

describe.each(Object.entries(stores))('limits in %s', (name, make) => {
  const closing: Limiter[] = []
  afterEach(async () => {
    for (const limiter of closing.splice(0)) await limiter.close()
  })

  function setUp() {
    const clock = new StillClock()
    const namespace = freshName()
    const store = make(clock, namespace)
    /** A process with these policies; a second one on the same store is the next deploy. */
    const deploy = (limits: LimiterOptions['limits']): Limiter => {
      const limiter = createLimiter({ limits, clock, store, secret: 'the same for all of them', deadlineMs: 10_000 })
      if (name === 'Redis') closing.push(limiter)
      return limiter
    }
    return { clock, deploy }
  }
  const me = { key: 'me' }
  const left = async (limiter: Limiter, policy = 'p', check: CheckOptions = me) =>
    (await limiter.peek(policy, check)).remaining

  describe('a rate that is changed', () => {
    test.each([
      ['100/min', '200/min', 120],
      ['100/min', '90/min', 10],
      ['100/min', '50/min', 0],
      ['100/min', '200/h', 120],
      ['100/h', '200/min', 120],
      ['100/min burst 100', '200/min burst 200', 120],
      ['100/min burst 100', '100/h burst 90', 10],
      ['100/min', '200/min burst 200', 120],
      ['100/min burst 100', '200/min', 120],
      ['100/calendar day', '200/calendar day', 120],
      ['100/calendar month', '200/calendar day', 120],
      ['100/calendar day', '200/calendar week', 120],
      ['100/calendar month', '200/min', 120],
      ['100/min', '200/calendar month', 120],
    ])('carries over what was used, at a deploy from %s to %s', async (before, after, remaining) => {
      const { deploy } = setUp()
      await deploy({ p: before }).check('p', { ...me, cost: 80 })
      expect(await left(deploy({ p: after }))).toBe(remaining)
    })

    test.each(['sliding-window', 'sliding-log', 'fixed-window', 'token-bucket'] as const)(
      'carries over what was used, counted by %s, and back',
      async (algorithm) => {
        const { deploy } = setUp()
        const [small, large] = [
          deploy({ p: { rate: '100/min', algorithm } }),
          deploy({ p: { rate: '200/min', algorithm } }),
        ]
        await small.check('p', { ...me, cost: 80 })
        expect((await large.check('p', { ...me, cost: 10 })).remaining).toBe(110)
        expect(await left(small)).toBe(10)
        expect((await small.check('p', { ...me, cost: 11 })).allowed).toBe(false)
        expect((await small.check('p', { ...me, cost: 10 })).allowed).toBe(true)
      },
    )

    test('carries over what was used at run time, for a plan that was changed', async () => {
      const { deploy } = setUp()
      let plan = '100/min'
      const limiter = deploy({ p: { rate: () => plan, key: () => 'me', cost: 80 } })
      const pipeline = limiter.pipeline('p')
      await pipeline.open(request())
      plan = '200/min'
      const opening = await pipeline.open(request())
      expect(fieldsOf(opening).get('ratelimit')).toMatch(/r=40;/)
      expect(await left(limiter, 'p', { ...me, rate: '200/min' })).toBe(40)
    })

    test('keeps the permits that are out', async () => {
      const { deploy } = setUp()
      const permit = await deploy({ p: '3 concurrent' }).check('p', me)
      const later = deploy({ p: '2 concurrent' })
      expect(await left(later)).toBe(1)
      permit.release!()
      for (let i = 0; i < 50 && (await left(later)) < 2; i++) await new Promise((resolve) => setTimeout(resolve, 5))
      expect(await left(later)).toBe(2)
    })

    test('frees whoever was refused by the old one, in the same process', async () => {
      const { deploy } = setUp()
      let plan = '1/h'
      const limiter = deploy({ p: { rate: () => plan, key: () => 'me' } })
      const pipeline = limiter.pipeline('p')
      const kinds: string[] = []
      for (const now of ['1/h', '1/h', '2/h', '2/h']) {
        plan = now
        kinds.push((await pipeline.open(request())).kind)
      }
      expect(kinds).toEqual(['proceed', 'reply', 'proceed', 'reply'])
    })
  })

  describe('policies whose names or windows collide', () => {
    test('have quotas of their own, in fields too', async () => {
      const { deploy } = setUp()
      const limiter = deploy({ search: '10/min; 5/min', 'search-2': '5/min', 'search-2.2': '5/min' })
      const opening = await limiter.pipeline('search', 'search-2', 'search-2.2').open(request())
      expect(fieldsOf(opening).get('ratelimit-policy')).toBe(
        '"search";q=10;w=60, "search-2.3";q=5;w=60, "search-2";q=5;w=60, "search-2.2";q=5;w=60',
      )
      await limiter.check('search', { key: '192.0.2.1', cost: 4 })
      expect(await left(limiter, 'search', { key: '192.0.2.1' })).toBe(0)
      expect(await left(limiter, 'search-2', { key: '192.0.2.1' })).toBe(4)
      expect(await left(limiter, 'search-2.2', { key: '192.0.2.1' })).toBe(4)
    })

    test('given in place, too', async () => {
      const { deploy } = setUp()
      const limiter = deploy({ a: '9/min; 9/min' })
      const opening = await limiter.pipeline('a', { name: 'a-2', rate: '9/min' }).open(request())
      const names = fieldsOf(opening)
        .get('ratelimit-policy')!
        .match(/"[^"]*"/g)
      expect(new Set(names).size).toBe(3)
      expect(fieldsOf(opening).get('ratelimit')!.match(/r=8/g)).toHaveLength(3)
    })
  })

  describe('reset without a key', () => {
    test('frees all keys of that policy, and of no other, and says how many', async () => {
      const { deploy } = setUp()
      const limiter = deploy({ p: '2/h; 1/min', q: '2/h', 'p*': '1/h' })
      for (let i = 0; i < 250; i++) await limiter.check('p', { key: `k${i}` })
      for (const policy of ['q', 'p*']) await limiter.check(policy, me)
      expect(await limiter.reset('p')).toBe(250)
      expect([await left(limiter, 'p', { key: 'k0' }), await left(limiter, 'p', { key: 'k249' })]).toEqual([2, 2])
      expect([await left(limiter, 'q'), await left(limiter, 'p*')]).toEqual([1, 0])
      expect(await limiter.reset('p*')).toBe(1)
      expect(await limiter.reset('p')).toBe(0)
      expect((await limiter.check('p', { key: 'k1' })).allowed).toBe(true)
    })

    test('of a policy there is not is an error', () => {
      const { deploy } = setUp()
      expect(() => deploy({ p: '1/min' }).reset('q')).toThrow(/no policy/)
    })
  })

  describe('a clock that stands anywhere', () => {
    const year = 366 * 86_400_000
    const moments = [-8.6e15, -year, -60_001, -1, 0, 1, 59_999, 2 ** 31, 8.5e15]
    const rates = ['3/min', '3/min burst 3', '3/min/log', '3/min/fixed', '3/calendar', '3 concurrent'] as const
    const policies = {
      '3/min': '3/min',
      '3/min burst 3': '3/min burst 3',
      '3/min/log': { rate: '3/min', algorithm: 'sliding-log' },
      '3/min/fixed': { rate: '3/min', algorithm: 'fixed-window' },
      '3/calendar': { rate: '3/calendar month', timeZone: 'America/New_York' },
      '3 concurrent': '3 concurrent',
    } as const

    test.each(moments.flatMap((ms) => rates.map((rate) => [ms, rate] as const)))(
      'at %i: %s admits three, and more when their time is up',
      async (ms, rate) => {
        const { clock, deploy } = setUp()
        clock.ms = ms
        const limiter = deploy({ p: policies[rate] })
        const take = async () => (await limiter.check('p', me)).allowed
        expect([await take(), await take(), await take(), await take()]).toEqual([true, true, true, false])
        const { retryAfterMs } = await limiter.peek('p', me)
        expect(retryAfterMs).toBeGreaterThan(0)
        expect(retryAfterMs).toBeLessThanOrEqual(rate === '3/calendar' ? 31 * 86_400_000 : 64_000)
        if (rate === '3 concurrent') return
        clock.ms += retryAfterMs
        expect(await take()).toBe(true)
      },
    )

    test.each(rates)('that is set back: %s opens no window again', async (rate) => {
      const { clock, deploy } = setUp()
      const limiter = deploy({ p: policies[rate] })
      const take = async () => (await limiter.check('p', me)).allowed
      for (let i = 0; i < 3; i++) expect(await take()).toBe(true)
      for (const back of [1, 1_000, 61_000, 40 * 86_400_000, year]) {
        clock.ms -= back
        expect(await take()).toBe(false)
      }
    })
  })

  describe('a soft limit', () => {
    test.each(['10/min', '10/min burst 10', '10/calendar day', '10 concurrent'])(
      'of %s is told of and emitted alike, over costs, refunds and resets',
      async (rate) => {
        const clock = new StillClock()
        const store = make(clock, freshName())
        const sink = new Sink()
        const p = { rate, key: () => 'me', warnAt: 0.8, cost: (c: RequestContext) => Number(c.header('x-cost')) }
        const limits: LimiterOptions['limits'] = { p }
        const limiter = createLimiter({
          limits,
          clock,
          store,
          events: sink,
          secret: 'the same for all of them',
          deadlineMs: 10_000,
        })
        if (name === 'Redis') closing.push(limiter)
        const pipeline = limiter.pipeline('p')
        const seen: (string | undefined)[] = []
        const ask = async (cost: number): Promise<void> => {
          const opening = await pipeline.open(request({ headers: { 'x-cost': String(cost) } }))
          seen.push(fieldsOf(opening).get('ratelimit-warning'))
        }
        await ask(7)
        await ask(1)
        await ask(0)
        if (!rate.includes('concurrent')) {
          await limiter.refund('p', { ...me, cost: 2 })
          await ask(1)
          await ask(3)
          await ask(1)
        }
        await limiter.reset('p', me)
        await ask(7)
        const near = (left: number): string => `"p";r=${left};q=10`
        const between = rate.includes('concurrent') ? [] : [undefined, near(0), near(0)]
        expect(seen).toEqual([undefined, near(2), near(2), ...between, undefined])
        const crossings = sink.of('near-limit').map(({ policy, verdict }) => [policy, verdict.remaining])
        expect(crossings).toEqual([['p', 2], ...(between.length > 0 ? [['p', 0]] : [])])
        expect(limiter.stats().nearLimit).toBe(crossings.length)
      },
    )
  })

  describe('a concurrency', () => {
    test('says when to come back by how long permits were out, a second at least', async () => {
      const { clock, deploy } = setUp()
      const limiter = deploy({ p: { rate: '1 concurrent', permitTtl: '5m' } })
      const wait = async () => (await limiter.check('p', me)).retryAfterMs
      const out = async (ms: number) => {
        const { release } = await limiter.check('p', me)
        const expected = await wait()
        clock.ms += ms
        release!()
        for (let i = 0; i < 50 && (await left(limiter)) < 1; i++) await new Promise((resolve) => setTimeout(resolve, 5))
        return expected
      }
      expect(await out(20)).toBe(1_000)
      for (let i = 0; i < 60; i++) await out(8_000)
      expect(Math.abs((await out(8_000)) - 8_000)).toBeLessThan(10)
      for (let i = 0; i < 60; i++) await out(100)
      expect(await out(100)).toBe(1_000)
    })
  })

  describe('the natural key of a request', () => {
    const asAddress = { ip: '::ffff:192.0.2.1' }
    const asUser = (user: unknown) => ({ properties: { user } })
    const rows: [string, KeyFunction | undefined, FakeRequest, CheckOptions['key'], string?][] = [
      ['an address', undefined, asAddress, '192.0.2.1'],
      ['an address in another notation', by.ip, asAddress, '64:ff9b::192.0.2.1'],
      ['an address of IPv6', by.ip, { ip: '2001:db8::1' }, '2001:DB8:0:0::2'],
      ["a user's id", by.user, asUser({ id: 42 }), 42],
      ["a user's id, as text", by.user, asUser({ id: 42 }), '42'],
      ["a user's subject", by.user, asUser({ sub: 'auth0|7' }), 'auth0|7'],
      ["a user's id, with its member", by.user, asUser({ id: 42 }), 'id:42'],
      ['a user that is a name', by.user, asUser('bob'), 'bob'],
      ['nobody: his address', by.user, asAddress, '192.0.2.1'],
      ['a field', by.header('X-Api-Key'), { headers: { 'x-api-key': 'k1' } }, 'k1'],
      ['an e-mail address', by.hash('body.email'), { properties: { body: { email: 'Bob@X.org' } } }, ' bob@x.ORG'],
      ['a cookie', by.cookie('sid'), { headers: { cookie: 'a=b; sid=s1' } }, 's1'],
      ['nobody and a route', by(by.user, by.route), { ...asAddress, route: '/x' }, ['192.0.2.1', 'GET /x']],
      ['a number', by.hash('params.id'), { properties: { params: { id: 7 } } }, 7],
      ['a route', by.route, { route: '/cities/:id' }, '/cities/:id'],
      ['a route and its method', by.route, { route: '/cities/:id', method: 'POST' }, 'POST /cities/:id'],
      ['a HEAD', by.route, { route: '/cities/:id', method: 'HEAD' }, 'GET /cities/:id'],
      ['user and route', by(by.user, by.route), { ...asUser({ id: 7 }), route: '/x' }, [7, 'GET /x']],
      [
        'address and e-mail',
        by(by.ip, by.hash('query.q')),
        { ...asAddress, properties: { query: { q: 'A' } } },
        ['192.0.2.1', 'a'],
      ],
      ['what a function answers', (c) => `t-${c.header('x-tenant')}`, { headers: { 'x-tenant': '9' } }, 't-9'],
      ['an address, of one route', undefined, { ...asAddress, route: '/a/:b' }, '192.0.2.1', '/a/:b'],
      ['a user, of one route', by.user, { ...asUser({ id: 7 }), route: '/a/:b', method: 'PUT' }, '7', 'PUT /a/:b'],
    ]

    test.each(rows.map(([what, ...row]) => [what, row] as const))(
      'finds what it was counted under: %s',
      async (_, [key, given, natural, route]) => {
        const { deploy } = setUp()
        const limiter = deploy({ p: { rate: '9/h', key, phase: 'onRequest' } })
        const plain = limiter.pipeline('p')
        const pipeline = route === undefined ? plain : plain.per('route')
        await pipeline.open(request(given))
        const check = { key: natural, route }
        expect(await limiter.peek('p', check)).toMatchObject({ remaining: 8 })
        expect(await limiter.check('p', check)).toMatchObject({ remaining: 7 })
        await pipeline.open(request(given))
        expect(await limiter.peek('p', check)).toMatchObject({ remaining: 6 })
        await limiter.refund('p', check)
        expect(await limiter.peek('p', check)).toMatchObject({ remaining: 7 })
        await limiter.reset('p', check)
        expect(await limiter.peek('p', check)).toMatchObject({ remaining: 9 })
        const opening = await pipeline.open(request(given))
        expect(fieldsOf(opening).get('ratelimit')).toMatch(/r=8/)
      },
    )

    test('of a policy that is split by route is reset for all its routes, and for nobody else', async () => {
      const { deploy } = setUp()
      for (const limits of [{ p: '5/h; 5/min' }, { p: { rate: '5/h; 5/min', per: 'route' } }] as const) {
        const limiter = deploy(limits)
        const pipeline = limiter.pipeline('p').per('route')
        for (const route of ['/a', '/b', undefined])
          await pipeline.open(request({ ip: '192.0.2.1', route: route as string }))
        await pipeline.open(request({ ip: '192.0.2.2', route: '/a' }))
        await limiter.reset('p', { key: '192.0.2.1' })
        const used = async (key: string, route: string) => 5 - (await limiter.peek('p', { key, route })).remaining
        expect([
          await used('192.0.2.1', '/a'),
          await used('192.0.2.1', 'GET /b'),
          await used('192.0.2.2', '/a'),
        ]).toEqual([0, 0, 1])
        expect(await limiter.reset('p')).toBe(1)
        expect(await used('192.0.2.2', '/a')).toBe(0)
      }
    })

    test('of a policy that is split by route needs one, and one of parts as many as it has', () => {
      const { deploy } = setUp()
      const limiter = deploy({ p: { rate: '9/h', per: 'route' }, q: { rate: '9/h', key: by(by.user, by.route) } })
      expect(() => limiter.peek('p', me)).toThrow(/`route` must be given/)
      expect(() => limiter.peek('q', { key: ['7'] })).toThrow(/as many parts/)
      expect(() => limiter.peek('q', { key: {} as string })).toThrow(/`key` must be a string/)
    })
  })
})
