import { METHODS } from 'node:http'
import { expect, test } from '@jest/globals'
import type { CacheOptions } from '@sluice/core'
import { counted, says } from './harness/handlers.ts'
import { type Ctx, describeHosts, type Route, type TestHost } from './harness/host.ts'

describeHosts('options of cache()', (host) => {
  const boot = (cache: CacheOptions, handler: (c: Ctx, run: number) => unknown = (c, run) => c.send(`run ${run}`)) =>
    host.boot({ routes: [{ path: '/', cache, handler: counted(handler) }] })
  const reply =
    (fields: Record<string, string>, status = 200) =>
    (c: Ctx, run: number) =>
      says({ status, fields, body: `run ${run}` })(c)

  test('ttl: in any unit', async () => {
    for (const ttl of [60_000, '60000ms', '60s', '1m', '1 minute'] as const) {
      const app = await boot({ ttl })
      await app.get('/')
      await app.clock.advance(59_999)
      expect((await app.get('/')).cache).toBe('hit')
      await app.clock.advance(1)
      expect((await app.get('/')).cache).not.toBe('hit')
    }
  })

  test('negativeTtl: for 404 and 410, and for as long as it says', async () => {
    const app = await boot({ ttl: '1h', negativeTtl: '5s' }, reply({}, 404))
    await app.get('/')
    await app.clock.advance(4_999)
    expect((await app.get('/')).cache).toBe('hit')
    await app.clock.advance(2)
    expect((await app.get('/')).text).toBe('run 2')
  })

  test('jitter: a TTL is shorter by up to its share, never longer', async () => {
    const app = await host.boot({
      routes: [{ path: '/:n', cache: { ttl: '100s', jitter: 0.5 }, handler: says({}) }],
    })
    const left = async () => {
      const ttls: number[] = []
      for (let n = 0; n < 30; n++) {
        await app.get(`/${n}`)
        ttls.push(Number(/ttl=(-?\d+)/.exec((await app.get(`/${n}`)).header('cache-status')!)![1]))
      }
      return ttls
    }
    const ttls = await left()
    expect(Math.min(...ttls)).toBeGreaterThanOrEqual(50)
    expect(Math.max(...ttls)).toBeLessThanOrEqual(100)
    expect(new Set(ttls).size).toBeGreaterThan(5)
  })

  test('earlyRefresh: a hot entry is refreshed before its end, in the background', async () => {
    let slow: (() => Promise<void>) | undefined
    const app = await boot({ ttl: '10s', earlyRefresh: 500 }, async (c, run) => {
      await slow?.()
      c.send(`run ${run}`)
    })
    slow = () => app.clock.advance(1_000)
    await app.get('/')
    slow = undefined
    await app.clock.advance(8_900)
    for (let i = 0; i < 50 && app.sluice.stats().cache.refreshes === 0; i++) {
      expect((await app.get('/')).cache).toBe('hit')
    }
    expect(app.sluice.stats().cache.refreshes).toBe(1)
  })

  test('query: an allow-list; order and other parameters do not matter, duplicates do', async () => {
    const app = await boot({ ttl: '1m', query: ['page', 'sort'] }, (c, run) =>
      c.send(`run ${run} page ${c.query.page}`),
    )
    const same = ['/?page=2&sort=a', '/?sort=a&page=2', '/?utm=x&page=2&sort=a&&', '/?%70age=2&sort=a']
    await app.get(same[0]!)
    for (const path of same.slice(0, 3)) expect((await app.get(path)).cache).toBe('hit')
    for (const path of ['/?page=2', '/?page=2&sort=b', '/?page=2&page=2&sort=a', '/', '/?page=3&sort=a']) {
      expect((await app.get(path)).cache).toBe('uri-miss')
    }
  })

  test('without it the query is used whole, as it was sent', async () => {
    const app = await boot({ ttl: '1m' })
    await app.get('/?a=1&b=2')
    expect((await app.get('/?a=1&b=2')).cache).toBe('hit')
    for (const path of ['/?b=2&a=1', '/?a=1&b=2&', '/?a=1', '/?', '/']) {
      if (path !== '/') expect((await app.get(path)).text).not.toBe('run 1')
    }
  })

  test('key: in place of path and query; another value is another entry', async () => {
    const app = await boot({ ttl: '1m', key: (c) => String(c.query.group) })
    expect((await app.get('/?group=a&x=1')).text).toBe('run 1')
    expect((await app.get('/?x=2&group=a')).text).toBe('run 1')
    expect((await app.get('/?group=b')).text).toBe('run 2')
  })

  test('key: asynchronous, unknown, and one that throws', async () => {
    const app = await boot({
      ttl: '1m',
      key: async (c) => {
        if (c.query.group === 'bad') throw new Error('no')
        return c.query.group as string | undefined
      },
    })
    const codes: unknown[] = []
    app.sluice.on('error', ({ error }) => codes.push(error.code))
    expect((await app.get('/?group=a')).text).toBe('run 1')
    expect((await app.get('/?group=a')).text).toBe('run 1')
    const none = await app.get('/')
    expect([none.text, none.cache, none.detail]).toEqual(['run 2', 'bypass', 'no-key'])
    const thrown = await app.get('/?group=bad')
    expect([thrown.status, thrown.text, thrown.cache]).toEqual([200, 'run 3', 'bypass'])
    expect(codes).toEqual(['ERR_SLUICE_CALLBACK'])
  })

  test('public: stored for, and served to, whoever sends credentials', async () => {
    const app = await boot({ ttl: '1m', public: true })
    await app.get('/', { authorization: 'alice' })
    const bob = await app.get('/', { authorization: 'bob' })
    expect([bob.cache, bob.text, bob.header('cache-control')]).toEqual([
      'hit',
      'run 1',
      'public, max-age=0, must-revalidate',
    ])
  })

  test('unless: such requests are left alone, both ways', async () => {
    const app = await boot({ ttl: '1m', unless: (c) => c.query.preview === '1' })
    for (const run of ['run 1', 'run 2']) {
      const answer = await app.get('/?preview=1')
      expect([answer.text, answer.cache, answer.detail]).toEqual([run, 'bypass', 'unless'])
    }
    await app.get('/?preview=0')
    expect((await app.get('/?preview=0')).cache).toBe('hit')
  })

  test('unless that throws leaves the request alone, and tells', async () => {
    const app = await boot({
      ttl: '1m',
      unless: () => {
        throw new Error('no')
      },
    })
    const codes: unknown[] = []
    app.sluice.on('error', ({ error }) => codes.push(error.code))
    expect((await app.get('/')).cache).toBe('bypass')
    expect(codes).toEqual(['ERR_SLUICE_CALLBACK'])
  })

  test('storeIf: asked with the response', async () => {
    const app = await boot({ ttl: '1m', storeIf: (r) => r.status === 200 && r.json()?.rows > 0 }, (c, run) =>
      c.send({ rows: run - 1 }),
    )
    const first = await app.get('/')
    expect([first.json(), first.stored, first.detail]).toEqual([{ rows: 0 }, false, 'store-if'])
    expect((await app.get('/')).stored).toBe(true)
    expect((await app.get('/')).json()).toEqual({ rows: 1 })
  })

  test('tags: a function of the response; one that throws keeps it from being stored', async () => {
    let fails = false
    const app = await boot({
      ttl: '1m',
      tags: (r) => {
        if (fails) throw new Error('no')
        return [`status:${r.status}`, `type:${r.header('content-type')?.split(';')[0]}`]
      },
    })
    await app.get('/')
    await app.sluice.purge({ tags: ['type:text/plain'] })
    fails = true
    const answer = await app.get('/')
    expect([answer.text, answer.stored, answer.detail]).toEqual(['run 2', false, 'callback'])
  })

  test('maxEntryBytes: a whole body above it', async () => {
    const app = await boot({ ttl: '1m', maxEntryBytes: '1kb' }, (c) => c.send('x'.repeat(1025)))
    const answer = await app.get('/')
    expect([answer.body.length, answer.stored, answer.detail]).toEqual([1025, false, 'too-large'])
  })

  test('maxEntryBytes: the instance says what is usual, a route what it needs', async () => {
    const body = 'x'.repeat(5_000)
    const app = await host.boot({
      sluice: { cache: { maxEntryBytes: '1kb' } },
      routes: [
        { path: '/usual', cache: { ttl: '1m' }, handler: says({ body }) },
        { path: '/large', cache: { ttl: '1m', maxEntryBytes: '10kb' }, handler: says({ body }) },
      ],
    })
    expect((await app.get('/usual')).detail).toBe('too-large')
    expect((await app.get('/large')).stored).toBe(true)
    expect((await app.get('/large')).cache).toBe('hit')
  })

  test('heuristic: a tenth of the age', async () => {
    const fields = { 'Last-Modified': 'Sat, 21 Nov 2026 11:50:00 GMT', Date: 'Sat, 21 Nov 2026 12:00:00 GMT' }
    const app = await boot({ heuristic: true }, reply(fields))
    await app.get('/')
    await app.clock.advance(59_000)
    expect((await app.get('/')).cache).toBe('hit')
  })

  test('name: what Cache-Status calls it', async () => {
    const app = await boot({ ttl: '1m', name: 'my cache' })
    expect((await app.get('/')).header('cache-status')).toBe('"my cache"; fwd=uri-miss; stored')
  })

  test('showKey: only when asked for', async () => {
    expect((await (await boot({ ttl: '1m' })).get('/?secret=1')).header('cache-status')).not.toContain('secret')
    expect((await (await boot({ ttl: '1m', showKey: true })).get('/?secret=1')).header('cache-status')).toMatch(
      /; key="[^"]*secret=1/,
    )
  })

  test('targets: which fields overrule Cache-Control', async () => {
    const app = await boot(
      { targets: ['My-Cache-Control'] },
      reply({ 'My-Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'no-store', 'Cache-Control': 'no-store' }),
    )
    await app.get('/')
    expect((await app.get('/')).cache).toBe('hit')
  })

  test('the defaults of createSluice({ cache }) apply to every route, and a route’s own word wins', async () => {
    const app = await host.boot({
      sluice: { cache: { ttl: '10s', tags: ['all'], name: 'Ours' } },
      routes: [
        { path: '/a', cache: {}, handler: counted() },
        { path: '/b', cache: { ttl: '1h', name: undefined }, handler: counted() },
      ],
    })
    for (const path of ['/a', '/b'])
      expect((await app.get(path)).header('cache-status')).toBe('Ours; fwd=uri-miss; stored')
    await app.clock.advance(11_000)
    expect((await app.get('/a')).cache).not.toBe('hit')
    expect((await app.get('/b')).cache).toBe('hit')
    await app.sluice.purge({ tags: ['all'] })
    expect((await app.get('/b')).cache).toBe('uri-miss')
  })

  test('two caches of one instance that decide differently share no entry', async () => {
    const at = (path: string, cache: CacheOptions): Route => ({ path, cache, handler: counted() })
    const app = await host.boot({
      routes: [
        at('/:any/one', { ttl: '1m', key: () => 'same' }),
        at('/:any/two', { ttl: '1m', key: () => 'same', public: true }),
      ],
    })
    await app.get('/x/one')
    expect((await app.get('/x/two')).cache).toBe('uri-miss')
  })
})

const rows: readonly (readonly [rule: string, request: Record<string, string>, text: string, status?: number])[] = [
  ['§5.2.1.4 no-cache asks the handler', { 'cache-control': 'no-cache' }, 'run 2'],
  ['§5.4 so does Pragma alone', { pragma: 'no-cache' }, 'run 2'],
  ['§5.4 but not beside Cache-Control', { pragma: 'no-cache', 'cache-control': 'max-age=600' }, 'run 1'],
  ['§5.2.1.1 max-age below the age', { 'cache-control': 'max-age=5' }, 'run 2'],
  ['§5.2.1.1 max-age above it', { 'cache-control': 'max-age=15' }, 'run 1'],
  ['§5.2.1.3 min-fresh', { 'cache-control': 'min-fresh=55' }, 'run 2'],
  ['§5.2.1.5 no-store', { 'cache-control': 'no-store' }, 'run 2'],
  ['§5.2.1.7 only-if-cached, and it is', { 'cache-control': 'only-if-cached' }, 'run 1'],
]

describeHosts('honourRequest (RFC 9111 §5.2.1)', (host) => {
  const boot = (host: TestHost, cache: CacheOptions = {}) =>
    host.boot({ routes: [{ path: '/', cache: { ttl: '60s', honourRequest: true, ...cache }, handler: counted() }] })

  test.each(rows)('%s', async (...[, request, text]) => {
    const app = await boot(host)
    await app.get('/')
    await app.clock.advance(10_000)
    expect((await app.get('/', request)).text).toBe(text)
  })

  test('§5.2.1.7 only-if-cached, and it is not: 504', async () => {
    const app = await boot(host)
    const answer = await app.get('/', { 'cache-control': 'only-if-cached' })
    expect([answer.status, answer.header('cache-control')]).toEqual([504, 'no-store'])
  })

  test('§5.2.1.2 max-stale accepts what is stale, but not under must-revalidate', async () => {
    const app = await boot(host, { staleIfError: '1h' })
    await app.get('/')
    await app.clock.advance(65_000)
    expect((await app.get('/', { 'cache-control': 'max-stale=10' })).text).toBe('run 1')
    expect((await app.get('/', { 'cache-control': 'max-stale=1' })).text).toBe('run 2')
  })
})

describeHosts('methods with a body (RFC 10008)', (host) => {
  const query = METHODS.includes('QUERY') ? ['POST', 'QUERY'] : ['POST']

  test.each(query)('%s: the body is part of the key', async (method) => {
    const cache = { ttl: '1m', methods: [method as 'POST'] } as const
    const app = await host.boot({
      routes: [{ method, path: '/search', cache, handler: counted((c, run) => c.send(`run ${run}`)) }],
    })
    const ask = async (body: object) => {
      const headers = { 'content-type': 'application/json' }
      const { text, cache } = await app.request('/search', { method, headers, body: JSON.stringify(body) })
      return [text, cache]
    }
    expect(await ask({ q: 'a', page: 1 })).toEqual(['run 1', 'uri-miss'])
    expect(await ask({ page: 1, q: 'a' })).toEqual(['run 1', 'hit'])
    expect(await ask({ q: 'b', page: 1 })).toEqual(['run 2', 'uri-miss'])
    expect(await ask({ q: 'a', page: '1' })).toEqual(['run 3', 'uri-miss'])
  })

  test('POST is not cached unless it is named', async () => {
    const app = await host.boot({
      routes: [{ method: 'POST', path: '/search', cache: { ttl: '1m' }, handler: counted() }],
    })
    await app.request('/search', { method: 'POST' })
    expect((await app.request('/search', { method: 'POST' })).text).toBe('run 2')
  })

  test('a POST that is cached answers no GET of the same URL', async () => {
    const cache = { ttl: '1m', methods: ['GET', 'POST'] as ('GET' | 'POST')[] }
    const app = await host.boot({
      routes: [
        { path: '/search', cache, handler: says({ body: 'got' }) },
        { method: 'POST', path: '/search', cache, handler: says({ body: 'posted' }) },
      ],
    })
    await app.request('/search', { method: 'POST' })
    expect((await app.get('/search')).text).toBe('got')
  })
})
