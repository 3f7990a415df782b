import { inspect } from 'node:util'
import { afterEach, expect, jest, test } from '@jest/globals'
import { by, type CacheOptions } from '@sluice/core'
import type { RequestFields } from './harness/client.ts'
import { counted } from './harness/handlers.ts'
import { type Ctx, describeHosts, type Step, turn } from './harness/host.ts'

const signIn: Step = (c) => {
  c.user = { id: 7 }
  c.session = { cart: [] }
}

const reads: readonly (readonly [name: string, detail: string, read: (c: Ctx) => unknown])[] = [
  ['cookie', 'unkeyed-cookie', (c) => c.header('cookie')],
  ['a cookie, through the framework', 'unkeyed-cookie', (c) => c.cookie('theme')],
  ['an API key', 'unkeyed-x-api-key', (c) => c.header('X-Api-Key')],
  ['the address a proxy names', 'unkeyed-x-forwarded-for', (c) => c.header('X-Forwarded-For')],
  ['all fields at once', 'unkeyed-', (c) => c.headers()],
  ['the raw fields', 'unkeyed-', (c) => c.raw.req.rawHeaders.length],
  ['the raw fields, spread', 'unkeyed-', (c) => [...c.raw.req.rawHeaders]],
  ['the raw fields, inspected', 'unkeyed-', (c) => inspect(c.raw.req.rawHeaders)],
  ['the raw fields, as JSON', 'unkeyed-', (c) => JSON.stringify({ of: c.raw.req.rawHeaders })],
  ['whether there are more than so many', 'unkeyed-', (c) => 11 in c.raw.req.rawHeaders],
  ['that there are so many', 'unkeyed-', (c) => Object.hasOwn(c.raw.req.rawHeaders, 11)],
  ['the user', 'unkeyed-user', (c) => c.user],
  ['what is in the session', 'unkeyed-session', (c) => (c.session as { cart: unknown }).cart],
  ['all of the session', 'unkeyed-session', (c) => ({ ...(c.session as object) })],
  ['the client’s address', 'unkeyed-ip', (c) => c.ip],
]

const sent = {
  cookie: 'theme=dark',
  'x-tenant': 'acme',
  'accept-language': 'no',
  'user-agent': 'jest',
  'x-api-key': 'k',
  'x-forwarded-for': '10.0.0.1',
}

describeHosts('the unkeyed-input guard', (host) => {
  const boot = (read: (c: Ctx) => unknown, cache: CacheOptions = { ttl: '1m' }) =>
    host.boot({
      use: [signIn],
      routes: [
        {
          path: '/things/:id',
          cache,
          handler: counted(async (c, run) => {
            await read(c)
            c.send(`run ${run}`)
          }),
        },
      ],
    })
  test.each(reads)('a handler that reads %s: sent, not stored, and Cache-Status says why', async (_, detail, read) => {
    const app = await boot(read)
    const heard: { route: string | undefined; fields: readonly string[]; advice: string }[] = []
    app.sluice.on('guard', (event) => heard.push(event))
    const first = await app.get('/things/7', sent)
    expect([first.text, first.stored]).toEqual(['run 1', false])
    expect(first.detail).toContain(detail)
    expect(heard).toHaveLength(1)
    expect(heard[0]!.route).toBe(host.framework === 'node' ? '/things/7' : '/things/:id')
    expect(heard[0]!.fields.length).toBeGreaterThan(0)
    expect(heard[0]!.advice.length).toBeGreaterThan(10)
    expect((await app.get('/things/7', sent)).text).toBe('run 2')
    expect(app.sluice.stats().cache.refused).toEqual({ [first.detail!]: 2 })
  })

  const harmless: readonly (readonly [string, (c: Ctx) => unknown])[] = [
    ['method and path', (c) => [c.method, c.path]],
    ['query and parameters', (c) => [c.query, c.params]],
    ...(
      ['if-none-match', 'if-modified-since', 'range', 'accept-encoding', 'content-length', 'content-type'] as const
    ).map((name) => [name, (c: Ctx) => c.header(name)] as const),
    ['connection', (c) => c.header('connection')],
    ['cache-control', (c) => c.header('cache-control')],
  ]

  test.each(harmless)('%s may be read', async (_, read) => {
    const app = await boot(read)
    expect((await app.get('/things/7', sent)).stored).toBe(true)
  })

  const declared: readonly (readonly [string, (c: Ctx) => unknown, CacheOptions])[] = [
    ['varyBy names the field', (c) => c.header('x-tenant'), { ttl: '1m', varyBy: 'x-tenant' }],
    ['varyBy names it in another case', (c) => c.header('x-tenant'), { ttl: '1m', varyBy: 'X-Tenant' }],
    ['varyBy has a function of it', (c) => c.header('x-tenant'), { ttl: '1m', varyBy: by.header('x-tenant') }],
    [
      'varyBy is a function that reads it',
      (c) => c.header('x-tenant'),
      { ttl: '1m', varyBy: (r) => r.header('x-tenant') },
    ],
    ['the key is made of it', (c) => c.header('x-tenant'), { ttl: '1m', key: (r) => `k ${r.header('x-tenant')}` }],
    ['varyBy: by.user covers the user', (c) => c.user, { ttl: '1m', varyBy: by.user }],
    ['varyBy: by.user covers the session', (c) => c.session, { ttl: '1m', varyBy: by.user }],
    ['varyBy: by.user covers authorization', (c) => c.header('authorization'), { ttl: '1m', varyBy: by.user }],
    ['varyBy: by.user covers cookies', (c) => c.header('cookie'), { ttl: '1m', varyBy: by.user }],
    ['guard: { ignore }', (c) => c.header('x-tenant'), { ttl: '1m', guard: { ignore: ['X-Tenant'] } }],
    ["guard: 'off'", (c) => c.header('x-tenant'), { ttl: '1m', guard: 'off' }],
    ['guard: false', (c) => c.header('x-tenant'), { ttl: '1m', guard: false }],
    ["guard: 'warn'", (c) => c.header('x-tenant'), { ttl: '1m', guard: 'warn' }],
    [
      'Vary names it',
      (c) => {
        c.set('Vary', 'X-Tenant')
        return c.header('x-tenant')
      },
      { ttl: '1m' },
    ],
  ]

  test.each(declared)('storable where it is declared: %s', async (_, read, cache) => {
    const app = await boot(read, cache)
    expect((await app.get('/things/7', sent)).stored).toBe(true)
    expect((await app.get('/things/7', sent)).cache).toBe('hit')
  })

  test("guard: 'warn' stores, and tells", async () => {
    const app = await boot((c) => c.header('x-api-key'), { ttl: '1m', guard: 'warn' })
    const heard: unknown[] = []
    app.sluice.on('guard', (event) => heard.push(event.fields))
    await app.get('/things/7', sent)
    expect(heard).toEqual([['x-api-key']])
  })

  test('ignore is for the fields it names', async () => {
    const app = await boot((c) => [c.header('x-api-key'), c.header('x-forwarded-for')], {
      ttl: '1m',
      guard: { ignore: ['x-api-key'] },
    })
    expect((await app.get('/things/7', sent)).detail).toBe('unkeyed-x-forwarded-for')
  })

  const fields: RequestFields = { 'x-api-key': 'k' }

  test.each([
    [{}, true],
    [{ guard: true }, false],
  ] as const)('where the handler’s own fields decide it is off unless asked for: %j', async (cache, stored) => {
    const app = await boot((c) => {
      c.set('Cache-Control', 'max-age=60')
      return c.header('x-api-key')
    }, cache)
    expect((await app.get('/things/7', fields)).stored).toBe(stored)
  })

  test('nothing is noticed on a hit', async () => {
    const app = await boot((c) => c.header('x-api-key'), { ttl: '1m', guard: 'warn' })
    let heard = 0
    app.sluice.on('guard', () => heard++)
    for (let i = 0; i < 3; i++) await app.get('/things/7', sent)
    expect([heard, app.sluice.stats().cache.hits]).toEqual([1, 2])
  })

  test('what stands in front of the cache may read what it likes', async () => {
    const app = await host.boot({
      use: [(c) => [c.headers(), c.user, c.cookie('theme')]],
      routes: [{ path: '/', before: [(c) => c.header('authorization')], cache: { ttl: '1m' }, handler: counted() }],
    })
    await app.get('/', sent)
    expect((await app.get('/', sent)).cache).toBe('hit')
  })

  test('reads after the head was sent do not count (loggers)', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            c.raw.res.on('finish', () => [c.header('user-agent'), c.headers(), c.user])
            c.send('hello')
          },
        },
      ],
    })
    await app.get('/', sent)
    expect((await app.get('/', sent)).cache).toBe('hit')
    expect(app.sluice.stats().cache.refused).toEqual({})
  })

  test('reads of a body in pieces count up to its head', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            const tenant = c.header('x-tenant')
            return c.stream(
              (async function* () {
                yield `for ${tenant}`
              })(),
            )
          },
        },
      ],
    })
    expect((await app.get('/', { 'x-tenant': 'a' })).text).toBe('for a')
    expect((await app.get('/', { 'x-tenant': 'b' })).text).toBe('for b')
    const again = await app.get('/', { 'x-tenant': 'a' })
    expect([again.text, again.cache]).toEqual(['for a', 'hit'])
  })

  test('a body in pieces is still being made behind its head: reads count to its end', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler: (c) =>
            c.stream(
              (async function* () {
                yield 'for '
                await turn()
                yield String(c.header('x-tenant'))
              })(),
            ),
        },
      ],
    })
    expect((await app.get('/', { 'x-tenant': 'a' })).text).toBe('for a')
    expect((await app.get('/', { 'x-tenant': 'b' })).text).toBe('for b')
    expect((await app.get('/', { 'x-tenant': 'a' })).text).toBe('for a')
    expect(app.sluice.stats().cache).toMatchObject({ entries: 2, hits: 1 })
  })

  test('one route that reads nothing is not held up by another that does', async () => {
    const app = await host.boot({
      routes: [
        { path: '/a', cache: { ttl: '1m' }, handler: (c) => c.send(String(c.header('cookie'))) },
        { path: '/b', cache: { ttl: '1m' }, handler: counted() },
      ],
    })
    for (const path of ['/a', '/b', '/a', '/b']) await app.get(path, sent)
    expect(app.sluice.stats().cache).toMatchObject({ stored: 1, hits: 1, refused: { 'unkeyed-cookie': 2 } })
  })

  const mode = process.env.NODE_ENV
  afterEach(() => {
    process.env.NODE_ENV = mode
    jest.restoreAllMocks()
  })

  test('in development the first refusal per route is printed, with the line to write', async () => {
    process.env.NODE_ENV = 'development'
    const printed: string[] = []
    jest.spyOn(console, 'warn').mockImplementation((line: string) => void printed.push(line))
    const app = await boot((c) => c.header('x-api-key'))
    for (let i = 0; i < 3; i++) await app.get('/things/7', sent)
    expect(printed).toHaveLength(1)
    expect(printed[0]).toContain('/things/')
    expect(printed[0]).toContain("varyBy: 'x-api-key'")
    expect(printed[0]).toContain("guard: { ignore: ['x-api-key'] }")
  })

  test('in production nothing is printed', async () => {
    process.env.NODE_ENV = 'production'
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => {})
    const app = await boot((c) => c.header('x-api-key'))
    await app.get('/things/7', sent)
    expect(warn).not.toHaveBeenCalled()
  })
})

describeHosts('varyBy: by.user', (host) => {
  const spec = (cache: CacheOptions) => ({
    routes: [
      {
        path: '/',
        before: [
          (c: Ctx) => {
            const id = c.header('authorization')
            if (id !== undefined) c.user = { id }
          },
        ],
        cache,
        handler: counted((c, run) =>
          c.send(`run ${run} for ${(c.user as { id: string } | undefined)?.id ?? 'nobody'}`),
        ),
      },
    ],
  })

  test('each user has an entry of his own, credentials and all', async () => {
    const app = await host.boot(spec({ ttl: '1m', varyBy: by.user }))
    const texts: string[] = []
    for (const who of ['alice', 'bob', 'alice', 'bob']) texts.push((await app.get('/', { authorization: who })).text)
    expect(texts).toEqual(['run 1 for alice', 'run 2 for bob', 'run 1 for alice', 'run 2 for bob'])
  })

  test('such an answer is private to caches further on', async () => {
    const app = await host.boot(spec({ ttl: '1m', varyBy: by.user, clientTtl: '10s', cdnTtl: '1m' }))
    for (const kind of ['uri-miss', 'hit']) {
      const answer = await app.get('/', { authorization: 'alice' })
      expect([answer.cache, answer.header('cache-control')]).toEqual([kind, 'private, max-age=10'])
      expect(answer.header('cdn-cache-control')).toBeUndefined()
    }
  })

  test('a user who signs in while the handler runs does not make an entry for nobody', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m', varyBy: by.user },
          handler(c) {
            c.user = { id: 'alice' }
            c.send(`hello ${(c.user as { id: string }).id}`)
          },
        },
      ],
    })
    const first = await app.get('/')
    expect([first.text, first.stored]).toEqual(['hello alice', false])
    expect(app.sluice.stats().cache.entries).toBe(0)
  })
})
