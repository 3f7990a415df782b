import { expect, test } from '@jest/globals'
import type { PolicyInput } from '@sluice/core'
import { counted, says } from './harness/handlers.ts'
import { describeHosts, type Route } from './harness/host.ts'

const log = (rate: string): PolicyInput => ({ rate, algorithm: 'sliding-log' })
const cache = { ttl: '1m' } as const

describeHosts('a limit and a cache', (host) => {
  test('a hit carries fresh RateLimit fields, and none that were stored', async () => {
    const app = await host.boot({ routes: [{ path: '/', limit: [log('5/min')], cache, handler: counted() }] })
    const told: (string | undefined)[] = []
    for (let i = 0; i < 3; i++) {
      const answer = await app.get('/')
      expect(answer.text).toBe('run 1')
      expect(answer.lines('ratelimit-policy')).toEqual(['"5/min";q=5;w=60'])
      told.push(answer.header('ratelimit'))
      await app.clock.advance(1_000)
    }
    expect(told).toEqual(['"5/min";r=4;t=60', '"5/min";r=3;t=59', '"5/min";r=2;t=58'])
  })

  test.each(['legacy', 'both'] as const)('also in the style %s', async (headers) => {
    const app = await host.boot({
      routes: [{ path: '/', limit: [{ rate: '5/min', headers }], cache, handler: counted() }],
    })
    const told: (string | undefined)[] = []
    for (let i = 0; i < 3; i++) told.push((await app.get('/')).header('x-ratelimit-remaining'))
    expect(told).toEqual(['4', '3', '2'])
  })

  test('one client is not told another one’s quota by the cache', async () => {
    const app = await host.boot({
      proxy: true,
      routes: [{ path: '/', limit: [log('5/min')], cache, handler: counted() }],
    })
    const from = (ip: string) => app.get('/', host.framework === 'node' ? {} : { 'x-forwarded-for': ip })
    await from('192.0.2.1')
    await from('192.0.2.1')
    const other = await from('192.0.2.2')
    expect(other.cache).toBe('hit')
    expect(other.header('ratelimit')).toBe(host.framework === 'node' ? '"5/min";r=2;t=60' : '"5/min";r=4;t=60')
  })

  test('hits count; a refused request costs no look-up and no run', async () => {
    const handler = counted()
    const app = await host.boot({ routes: [{ path: '/', limit: ['3/min'], cache, handler }] })
    const answers = []
    for (let i = 0; i < 6; i++) answers.push(await app.get('/'))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429, 429])
    expect(answers.map(({ cache: found }) => found)).toEqual(['uri-miss', 'hit', 'hit', '', '', ''])
    const { hits, misses } = app.sluice.stats().cache
    expect([hits, misses, handler.runs]).toEqual([2, 1, 1])
  })

  test('a 304 from the cache counts and carries the fields', async () => {
    const app = await host.boot({ routes: [{ path: '/', limit: [log('5/min')], cache, handler: counted() }] })
    await app.get('/')
    const { header } = await app.get('/').then((answer) => ({ header: answer.header('etag')! }))
    const known = await app.get('/', { 'if-none-match': header })
    expect([known.status, known.header('ratelimit')]).toEqual([304, '"5/min";r=2;t=60'])
  })

  test('a 429 is not stored, and nothing stored is sent in its place: by our cache', async () => {
    const app = await host.boot({
      routes: [{ path: '/', limit: [log('1/10s')], cache: { ttl: '1h', negativeTtl: '1h' }, handler: counted() }],
    })
    await app.get('/')
    expect((await app.get('/')).status).toBe(429)
    await app.clock.advance(10_000)
    const back = await app.get('/')
    expect([back.status, back.text, back.cache]).toEqual([200, 'run 1', 'hit'])
    expect(app.sluice.stats().cache.entries).toBe(1)
  })

  test('a 429 from a limit behind the cache is not stored either', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/:id',
          limitMisses: [log('1/10s')],
          cache: { ttl: '1h', negativeTtl: '1h' },
          handler: counted((c, run) => c.send(`${c.params.id} ${run}`)),
        },
      ],
    })
    await app.get('/a')
    const refused = await app.get('/b')
    expect([refused.status, refused.stored, refused.header('cache-control')]).toEqual([429, false, 'no-store'])
    await app.clock.advance(10_000)
    expect((await app.get('/b')).text).toBe('b 2')
  })

  test('who waits for a miss that is refused behind the cache is not kept waiting', async () => {
    const app = await host.boot({
      routes: [{ path: '/:id', limitMisses: [log('1/10s')], cache, handler: counted() }],
    })
    await app.get('/a')
    const seen = await Promise.all([app.get('/b'), app.get('/b'), app.get('/b')])
    expect(seen.map(({ status }) => status)).toEqual([429, 429, 429])
  })

  test('a limit behind the cache counts misses only, and does not keep the answer from being stored', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/:id',
          limitMisses: ['2/min'],
          cache,
          handler: counted((c, run) => c.send(`${c.params.id} ${run}`)),
        },
      ],
    })
    const seen: string[] = []
    for (const path of ['/a', '/a', '/a', '/b', '/b', '/c', '/a', '/b']) {
      const answer = await app.get(path)
      seen.push(answer.status === 200 ? answer.cache : String(answer.status))
    }
    expect(seen).toEqual(['uri-miss', 'hit', 'hit', 'uri-miss', 'hit', '429', 'hit', 'hit'])
  })

  test('… and what it says of the quota is not stored with the answer', async () => {
    const app = await host.boot({
      routes: [{ path: '/', limitMisses: [log('2/min')], cache, handler: counted() }],
    })
    expect((await app.get('/')).header('ratelimit')).toBe('"2/min";r=1;t=60')
    const hit = await app.get('/')
    expect([hit.cache, hit.header('ratelimit'), hit.header('ratelimit-policy')]).toEqual(['hit', undefined, undefined])
  })

  test('a limit by user behind the cache is not taken for a handler that reads the user', async () => {
    const policy: PolicyInput = { rate: '5/min', key: (c) => c.user?.id ?? c.ip, name: 'mine', phase: 'preHandler' }
    const app = await host.boot({ routes: [{ path: '/', limitMisses: [policy], cache, handler: counted() }] })
    await app.get('/')
    expect((await app.get('/')).cache).toBe('hit')
  })

  test('the refusal of an unsafe request purges nothing', async () => {
    const routes: Route[] = [
      { path: '/', cache, handler: counted() },
      { method: 'POST', path: '/', limit: ['1/min'], invalidate: [], handler: says({}) },
    ]
    const app = await host.boot({ routes })
    await app.request('/', { method: 'POST' })
    await app.get('/')
    expect((await app.request('/', { method: 'POST' })).status).toBe(429)
    expect((await app.get('/')).cache).toBe('hit')
  })

  test('background refreshes are charged to nobody', async () => {
    const handler = counted()
    const app = await host.boot({
      limit: ['3/min'],
      routes: [{ path: '/', cache: { ttl: '1s', staleWhileRevalidate: '1h' }, handler }],
    })
    await app.get('/')
    await app.clock.advance(2_000)
    expect((await app.get('/')).text).toBe('run 1')
    for (let i = 0; i < 20 && handler.runs < 2; i++) await app.clock.advance(0)
    expect(handler.runs).toBe(2)
    expect(await app.sluice.stats().limits.allowed).toBe(2)
  })
})
