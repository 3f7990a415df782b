import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Client } from '../hosts/harness/client.ts'
import { type Booted, frameworks } from './boot.ts'
import type { Cities } from './fixtures/cities.ts'
import { kinds } from './kinds.ts'

const options = { limits: { three: '3/min' } } as const

describe.each(frameworks.map((framework) => [framework.name, framework] as const))('%s', (_name, framework) => {
  let booted: Booted
  let client: Client
  beforeEach(async () => {
    booted = await framework.boot(options)
  })
  afterEach(() => booted.stop())

  const statuses = async (path: string, count: number): Promise<number[]> => {
    const seen: number[] = []
    for (let i = 0; i < count; i++) seen.push((await client.request(path)).status)
    return seen
  }

  describe.each(kinds)('methods under %s', (_kind, citiesClass) => {
    let cities: Cities
    let Class: ReturnType<typeof citiesClass>
    beforeEach(async () => {
      Class = citiesClass(booted.sluice, booted.respond)
      cities = new Class()
      const names = ['list', 'later', 'search', 'change', 'chargesEach', 'chargesMisses', 'all', 'fails', 'failsLater']
      for (const name of names) {
        const method = (cities as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!
        booted.route(`/${name}`, method.bind(cities))
      }
      booted.route('/everywhere', Class.everywhere.bind(Class))
      client = await booted.start()
    })

    test('@cached stores what a method answers, and the method sees its `this`', async () => {
      const first = await client.request('/list')
      expect([first.cache, first.stored]).toEqual(['uri-miss', true])
      expect(first.json()).toEqual({ run: 1, secret: 'of this object' })
      const second = await client.request('/list')
      expect([second.cache, second.json().run, second.header('content-length')]).toEqual([
        'hit',
        1,
        first.header('content-length'),
      ])
    })

    test('@cached on an asynchronous method, and on a static one', async () => {
      expect((await client.request('/later')).stored).toBe(true)
      expect((await client.request('/later')).cache).toBe('hit')
      expect((await client.request('/everywhere')).json()).toEqual({ class: 'Cities' })
      expect((await client.request('/everywhere')).cache).toBe('hit')
    })

    test('@limited answers 429 after the third request, with Retry-After', async () => {
      expect(await statuses('/search', 3)).toEqual([200, 200, 200])
      const refused = await client.request('/search')
      expect([refused.status, refused.header('content-type')]).toEqual([429, 'application/problem+json'])
      expect(Number(refused.header('retry-after'))).toBeGreaterThan(0)
      expect(cities.runs.search).toBe(3)
    })

    test('@invalidates purges its tags when the method succeeded', async () => {
      await client.request('/list')
      expect((await client.request('/list')).cache).toBe('hit')
      expect((await client.request('/change', { method: 'POST' })).status).toBe(200)
      expect((await client.request('/list')).json().run).toBe(2)
    })

    test('@limited over @cached charges every request: the fourth is refused though it is stored', async () => {
      expect(await statuses('/chargesEach', 4)).toEqual([200, 200, 200, 429])
      expect(cities.runs.chargesEach).toBe(1)
    })

    test('@cached over @limited charges only what the cache does not answer', async () => {
      expect(await statuses('/chargesMisses', 5)).toEqual([200, 200, 200, 200, 200])
      expect(cities.runs.chargesMisses).toBe(1)
      // Three other entries of the same handler are three misses: two are left.
      const others = ['?a', '?b', '?c'].map((query) => `/chargesMisses${query}`)
      const seen: number[] = []
      if (framework.name !== 'node:http') for (const path of others) seen.push((await client.request(path)).status)
      expect(seen).toEqual(framework.name === 'node:http' ? [] : [200, 200, 429])
    })

    test('a 429 from inside a cache is not stored', async () => {
      await statuses('/search', 3)
      expect((await client.request('/chargesMisses')).status).toBe(429)
      expect((await client.request('/chargesMisses')).cache).not.toBe('hit')
    })

    test('a hit carries no RateLimit fields that were stored', async () => {
      expect((await client.request('/chargesMisses')).header('ratelimit')).toBeDefined()
      expect((await client.request('/chargesMisses')).header('ratelimit')).toBeUndefined()
    })

    test('three of them stack', async () => {
      const first = await client.request('/all')
      expect([first.status, first.stored]).toEqual([200, true])
      expect((await client.request('/all')).cache).toBe('hit')
    })

    test.each(['/fails', '/failsLater'])('%s: what a method throws goes to the error handling', async (path) => {
      for (let i = 0; i < 2; i++) {
        const answer = await client.request(path)
        expect([answer.status, answer.text.includes('on purpose')]).toEqual([503, true])
      }
      if (path === '/fails') expect(cities.runs.fails).toBe(2)
    })

    test('name and length stay', () => {
      expect([cities.twoNamed.name, cities.twoNamed.length]).toEqual(['twoNamed', 2])
      expect([cities.list.name, cities.list.length]).toEqual(['list', 0])
    })
  })

  describe('wrappers', () => {
    test('cached(ttl)(handler), purged by its tag', async () => {
      let runs = 0
      const { sluice, respond } = booted
      const wrapped = sluice.cached('5m', { tags: ['wrapped'] })((...args: unknown[]) => respond(args, { run: ++runs }))
      booted.route('/wrapped', wrapped)
      client = await booted.start()
      expect((await client.request('/wrapped')).stored).toBe(true)
      expect((await client.request('/wrapped')).json()).toEqual({ run: 1 })
      await sluice.purge({ tags: ['wrapped'] })
      expect((await client.request('/wrapped')).json()).toEqual({ run: 2 })
    })

    test('a HEAD is answered from what a GET stored, with its length', async () => {
      const { sluice, respond } = booted
      booted.route(
        '/wrapped',
        sluice.cached('5m')((...args: unknown[]) => respond(args, { a: 1 })),
      )
      client = await booted.start()
      const got = await client.request('/wrapped')
      const head = await client.request('/wrapped', { method: 'HEAD' })
      expect([head.cache, head.text, head.header('content-length')]).toEqual(['hit', '', got.header('content-length')])
    })

    test('stack in either order, and share what the policy has', async () => {
      const { sluice, respond } = booted
      const handler = (...args: unknown[]) => respond(args, {})
      booted.route('/outer', sluice.limited('three')(sluice.cached('5m')(handler)))
      booted.route('/inner', sluice.cached('5m')(sluice.limited('three')(handler)))
      client = await booted.start()
      expect(await statuses('/outer', 2)).toEqual([200, 200])
      expect(await statuses('/inner', 3)).toEqual([200, 200, 200])
      expect(await statuses('/outer', 1)).toEqual([429])
      expect(await statuses('/inner', 1)).toEqual([200])
    })

    test('limited(...).per("route") counts each route for itself', async () => {
      if (framework.name === 'node:http') return
      const { sluice, respond } = booted
      const limited = sluice.limited('three').per('route')
      for (const path of ['/one', '/two']) {
        booted.route(
          path,
          limited((...args: unknown[]) => respond(args, {})),
        )
      }
      client = await booted.start()
      expect(await statuses('/one', 4)).toEqual([200, 200, 200, 429])
      expect(await statuses('/two', 4)).toEqual([200, 200, 200, 429])
    })
  })
})
