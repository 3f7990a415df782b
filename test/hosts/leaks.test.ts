import { gzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { describeHosts, gate } from './harness/host.ts'

/** What the packages people install today get wrong, each row by the name of the package in which it was seen. */
describeHosts('what other packages get wrong', (host) => {
  test.each([
    ['the handler reads the field itself', (c: { header(n: string): string | undefined }) => c.header('authorization')],
    ['the handler answers from what authentication found', (c: { user: unknown }) => String(c.user)],
  ])('apicache, koa-cash: bob never gets what alice was sent; %s (RFC 9111 §3.5)', async (_, say) => {
    const app = await host.boot({
      routes: [
        {
          path: '/me',
          before: [
            (c) => {
              c.user = c.header('authorization') ?? 'nobody'
            },
          ],
          cache: { ttl: '1m' },
          handler: (c) => c.send(`for ${say(c) ?? 'nobody'}`),
        },
      ],
    })
    const texts: string[] = []
    for (const who of ['Bearer alice', 'Bearer bob', undefined, 'Bearer alice', undefined]) {
      texts.push((await app.get('/me', who === undefined ? {} : { authorization: who })).text)
    }
    expect(texts).toEqual(['for Bearer alice', 'for Bearer bob', 'for nobody', 'for Bearer alice', 'for nobody'])
    // Where it is the field that was read, nobody's is stored: its absence is a value.
    expect(app.sluice.stats().cache.entries).toBeLessThanOrEqual(1)
  })

  test('apicache: an answer to credentials is not stored on the strength of max-age alone (RFC 9111 §3.5)', async () => {
    let runs = 0
    const app = await host.boot({
      routes: [
        {
          path: '/me',
          cache: {},
          handler(c) {
            c.set('Cache-Control', 'max-age=60')
            c.send(`run ${++runs}`)
          },
        },
      ],
    })
    const alice = await app.get('/me', { authorization: 'Bearer alice' })
    const anybody = await app.get('/me')
    expect([alice.text, alice.cache, alice.detail]).toEqual(['run 1', 'bypass', 'authorization'])
    expect([anybody.text, anybody.cache, anybody.stored]).toEqual(['run 2', 'uri-miss', true])
    expect((await app.get('/me', { authorization: 'Bearer bob' })).text).toBe('run 3')
  })

  test("apicache: nobody is sent another client's Set-Cookie", async () => {
    let visits = 0
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            c.append('Set-Cookie', `session=${++visits}`)
            c.append('Set-Cookie', 'theme=dark')
            c.send('hello')
          },
        },
      ],
    })
    const [first, second] = [await app.get('/'), await app.get('/')]
    expect(first.lines('set-cookie')).toEqual(['session=1', 'theme=dark'])
    expect(second.lines('set-cookie')).toEqual(['session=2', 'theme=dark'])
    expect(first.detail).toBe('set-cookie')
  })

  test('apicache: a 500 is not stored, and the next client gets the real answer', async () => {
    let broken = true
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1h' },
          handler(c) {
            if (broken) c.status(500).send('broken')
            else c.send('fine')
          },
        },
      ],
    })
    const first = await app.get('/')
    broken = false
    const second = await app.get('/')
    expect([first.status, first.text, first.stored, second.status, second.text]).toEqual([
      500,
      'broken',
      false,
      200,
      'fine',
    ])
  })

  test('apicache: `private, no-store` is neither stored nor rewritten (RFC 9111 §5.2.2)', async () => {
    let runs = 0
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1h' },
          handler(c) {
            c.set('Cache-Control', 'private, no-store')
            c.send(`run ${++runs}`)
          },
        },
      ],
    })
    expect((await app.get('/')).header('cache-control')).toBe('private, no-store')
    expect((await app.get('/')).text).toBe('run 2')
  })

  test("apicache: a POST's answer never answers a later GET (RFC 9111 §4)", async () => {
    const cache = { ttl: '1h' } as const
    const app = await host.boot({
      routes: [
        { path: '/things', cache, handler: (c) => c.send('the list') },
        { path: '/things', method: 'POST', cache, handler: (c) => c.status(200).send('created') },
      ],
    })
    const post = await app.request('/things', { method: 'POST' })
    expect([post.text, post.cache]).toEqual(['created', 'method'])
    expect((await app.get('/things')).text).toBe('the list')
    expect((await app.get('/things')).text).toBe('the list')
  })

  test('apicache: `Vary: Accept-Language` is honoured and not only sent (RFC 9111 §4.1)', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            c.set('Vary', 'Accept-Language')
            c.send(c.header('accept-language') === 'no' ? 'hei' : 'hello')
          },
        },
      ],
    })
    const ask = async (language: string) => {
      const { text, cache } = await app.get('/', { 'accept-language': language })
      return [text, cache]
    }
    expect(await ask('en')).toEqual(['hello', 'uri-miss'])
    expect(await ask('no')).toEqual(['hei', 'vary-miss'])
    expect(await ask('en')).toEqual(['hello', 'hit'])
    expect(await ask('no')).toEqual(['hei', 'hit'])
  })

  test.each([
    { 'x-apicache-bypass': 'true' },
    { 'x-apicache-force-fetch': 'true' },
    { 'cache-control': 'no-cache' },
    { 'cache-control': 'no-store' },
    { 'cache-control': 'max-age=0' },
    { pragma: 'no-cache' },
  ])('apicache: no client can switch the cache off with %j', async (headers) => {
    let runs = 0
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.send(`run ${++runs}`) }],
    })
    await app.get('/')
    const again = await app.get('/', headers as Record<string, string>)
    expect([again.text, again.cache]).toEqual(['run 1', 'hit'])
  })

  test('apicache: a client that aborts mid-stream leaves no short body for the next one', async () => {
    const half = gate()
    let whole = false
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler: (c) =>
            c.stream(
              (async function* () {
                yield 'one '
                if (!whole) await half
                yield 'two'
              })(),
            ),
        },
      ],
    })
    const reader = await app.open('/')
    expect(await reader.piece()).toBe('one ')
    reader.abort()
    half.open()
    whole = true
    const next = await app.get('/')
    expect(next.text).toBe('one two')
    expect((await app.get('/')).text).toBe('one two')
  })

  test('@fastify/caching: GET /b with the ETag of /a is not answered 304', async () => {
    const app = await host.boot({
      routes: ['/a', '/b'].map((path) => ({
        path,
        cache: { ttl: '1m' },
        handler: (c) => c.send(`this is ${path}`),
      })),
    })
    await app.get('/b')
    const tag = (await app.get('/a')).header('etag')!
    expect((await app.get('/a', { 'if-none-match': tag })).status).toBe(304)
    const other = await app.get('/b', { 'if-none-match': tag })
    expect([other.status, other.text]).toEqual([200, 'this is /b'])
  })

  test('@fastify/caching: an ETag does not get anybody past a guard', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/secret',
          before: [(c) => c.header('x-pass') === 'yes' || c.status(401).send('who are you?')],
          cache: { ttl: '1m' },
          handler: (c) => c.send('secret'),
        },
      ],
    })
    const tag = (await app.get('/secret', { 'x-pass': 'yes' })).header('etag')!
    for (const headers of [{}, { 'if-none-match': tag }, { 'if-none-match': '*' }]) {
      const { status, text } = await app.get('/secret', headers as Record<string, string>)
      expect([status, text]).toEqual([401, 'who are you?'])
    }
  })

  test('koa-cash: a hit keeps Cache-Control, Link, Content-Language and fields of the application', async () => {
    const fields = {
      'Cache-Control': 'public, max-age=60',
      'Content-Language': 'no',
      'X-Total': '7',
      'Content-Type': 'application/geo+json',
    }
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: {},
          handler(c) {
            for (const [name, value] of Object.entries(fields)) c.set(name, value)
            c.append('Link', '</a>; rel=next')
            c.append('Link', '</b>; rel=last')
            c.send(Buffer.from('{}'))
          },
        },
      ],
    })
    for (const kind of ['uri-miss', 'hit']) {
      const answer = await app.get('/')
      expect(answer.cache).toBe(kind)
      for (const [name, value] of Object.entries(fields)) expect(answer.header(name)).toBe(value)
      expect(answer.lines('link')).toEqual(['</a>; rel=next', '</b>; rel=last'])
    }
  })

  test('koa-cash: a client that cannot read gzip is not sent a stored gzip body (RFC 9110 §12.5.3)', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            c.set('Vary', 'Accept-Encoding')
            c.set('Content-Type', 'text/plain')
            if (!c.header('accept-encoding')?.includes('gzip')) return c.send(Buffer.from('plain'))
            c.set('Content-Encoding', 'gzip')
            c.send(gzipSync('plain'))
          },
        },
      ],
    })
    const kinds: unknown[] = []
    for (const coding of ['gzip', 'identity', 'gzip', 'identity', 'br']) {
      const answer = await app.get('/', { 'accept-encoding': coding })
      kinds.push([answer.cache, answer.header('content-encoding')])
    }
    expect(kinds).toEqual([
      ['uri-miss', 'gzip'],
      ['vary-miss', undefined],
      ['hit', 'gzip'],
      ['hit', undefined],
      ['hit', undefined],
    ])
  })

  test('apicache, koa-cash: ten concurrent misses run the handler once', async () => {
    const ready = gate()
    let runs = 0
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          async handler(c) {
            runs++
            await ready
            c.send('the one answer')
          },
        },
      ],
    })
    const all = Array.from({ length: 10 }, () => app.get('/'))
    await app.arrived(10)
    ready.open()
    const answers = await Promise.all(all)
    expect(answers.map((a) => a.text)).toEqual(Array(10).fill('the one answer'))
    expect(runs).toBe(1)
    expect(app.sluice.stats().cache).toMatchObject({ stored: 1, coalesced: 9 })
  })

  test('bentocache, cacheable, cache-manager, async-cache-dedupe: read starts, value changes, invalidate, read finishes: the old value does not live on', async () => {
    const reading = gate()
    let value = 'old'
    let started = false
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1h', tags: ['value'] },
          async handler(c) {
            const read = value
            started = true
            await reading
            c.send(read)
          },
        },
      ],
    })
    const slow = app.get('/')
    await app.arrived(1)
    expect(started).toBe(true)
    value = 'new'
    await app.sluice.purge({ tags: ['value'] })
    reading.open()
    const late = await slow
    expect([late.text, late.stored, late.detail]).toEqual(['old', false, 'purged'])
    expect((await app.get('/')).text).toBe('new')
  })

  test('ocache: a hit carries Age, Cache-Control and Cache-Status, and tags invalidate it', async () => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '1m', tags: ['a'] }, handler: (c) => c.send('hello') }],
    })
    await app.get('/')
    await app.clock.advance(7_000)
    const hit = await app.get('/')
    expect(hit.header('age')).toBe('7')
    expect(hit.header('cache-control')).toBe('public, max-age=0, must-revalidate')
    expect(hit.header('cache-status')).toBe('Sluice; hit; ttl=53')
    await app.sluice.purge({ tags: ['a'] })
    expect((await app.get('/')).cache).toBe('uri-miss')
  })

  test('bentocache: a purge is not undone by stale-while-revalidate or stale-if-error', async () => {
    let fails = false
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1s', staleWhileRevalidate: '1h', staleIfError: '1h', tags: ['a'] },
          handler(c) {
            if (fails) throw new Error('down')
            c.send('purged value')
          },
        },
      ],
    })
    await app.get('/')
    await app.clock.advance(2_000)
    await app.sluice.purge({ tags: ['a'] })
    fails = true
    const answer = await app.get('/')
    expect(answer.status).toBe(500)
    expect(answer.text).not.toContain('purged value')
  })

  test('undici MemoryCacheStore: the cap holds after 500 bodies of 10 kB', async () => {
    const app = await host.boot({
      sluice: { cache: { maxBytes: '100kb' } },
      routes: [{ path: '/:n', cache: { ttl: '1h' }, handler: (c) => c.send('x'.repeat(10_000)) }],
    })
    for (let n = 0; n < 500; n += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, i) => app.get(`/${n + i}`)))
      expect(app.sluice.stats().cache.bytes).toBeLessThanOrEqual(100 * 1024)
    }
    expect(app.sluice.stats().cache.evictions).toBeGreaterThan(480)
    expect(app.sluice.stats().cache.entries).toBeGreaterThan(0)
  })

  test('ocache, unstorage: a TTL above 2^31 ms lasts as long as it says', async () => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '30d' }, handler: (c) => c.send('hello') }],
    })
    await app.get('/')
    await app.clock.advance(29.9 * 86_400_000)
    expect((await app.get('/')).cache).toBe('hit')
    await app.clock.advance(0.2 * 86_400_000)
    expect((await app.get('/')).cache).not.toBe('hit')
  })

  test.each([
    ['No-Store, Max-Age=60', undefined],
    ['PRIVATE, max-age=60', undefined],
    ['Max-Age=60', 60],
    ['S-MaxAge="60"', 60],
  ])('http-cache-semantics: names of directives are case-insensitive: %s (RFC 9111 §5.2)', async (value, fresh) => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: {},
          handler(c) {
            c.set('Cache-Control', value)
            c.send('hello')
          },
        },
      ],
    })
    await app.get('/')
    await app.clock.advance(59_000)
    expect((await app.get('/')).cache).toBe(fresh === undefined ? 'uri-miss' : 'hit')
  })

  test('several: CORS and request-id fields of earlier middleware are not frozen into the stored response', async () => {
    let id = 0
    const app = await host.boot({
      use: [
        (c) => {
          c.set('X-Request-Id', String(++id))
          c.set('Access-Control-Allow-Origin', c.header('origin') ?? '*')
          c.append('Vary', 'Origin')
        },
      ],
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.send('hello') }],
    })
    await app.get('/', { origin: 'https://a.example' })
    const hit = await app.get('/', { origin: 'https://b.example' })
    expect(hit.cache).toBe('hit')
    expect(hit.lines('x-request-id')).toEqual(['2'])
    expect(hit.lines('access-control-allow-origin')).toEqual(['https://b.example'])
    expect(hit.header('vary')).toMatch(/^origin$/i)
  })

  test('several: bytes are stored as bytes', async () => {
    const body = Buffer.from(Array.from({ length: 66_000 }, (_, i) => i % 256))
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.send(body) }] })
    await app.get('/')
    const hit = await app.get('/')
    expect(hit.cache).toBe('hit')
    expect(hit.body.equals(body)).toBe(true)
    expect(app.sluice.stats().cache.bytes).toBeLessThan(66_000 + 2_000)
  })
})
