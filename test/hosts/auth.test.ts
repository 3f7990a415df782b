import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { by, type CacheOptions } from '@sluice/core'
import { createSluice } from '@sluice/express'
import express5, { type RequestHandler } from 'express'
import express4 from 'express4'
import { Client } from './harness/client.ts'
import { type Ctx, describeHosts, type Step } from './harness/host.ts'

/** Who may pass, by what the client shows: a token or a session cookie. */
const users: Readonly<Record<string, string>> = {
  'Bearer alice': 'alice',
  'Bearer bob': 'bob',
  'sid=a1': 'alice',
  'sid=b2': 'bob',
}
const shown = [
  ['header', { authorization: 'Bearer alice' }, { authorization: 'Bearer bob' }],
  ['session', { cookie: 'sid=a1' }, { cookie: 'sid=b2' }],
] as const

const guard: Step = (c) => {
  const name = users[c.header('authorization') ?? c.header('cookie') ?? '']
  if (name === undefined) return c.status(401).send('who are you?')
  c.user = { id: name }
  c.session = { user: name }
}

const policies: readonly (readonly [string, CacheOptions])[] = [
  ['a TTL', { ttl: '1m' }],
  ['a TTL and stale answers', { ttl: '1m', staleWhileRevalidate: '1h', staleIfError: '1h' }],
  ['a TTL per user', { ttl: '1m', varyBy: by.user }],
  ['the handler’s own fields', {}],
]

const secret = (c: Ctx) => {
  c.set('Cache-Control', 'max-age=60')
  c.send(`secret of ${(c.user as { id: string }).id}`)
}

describeHosts('a guard in front of the cache', (host) => {
  test.each(policies)('no stored answer goes around it: %s', async (_, cache) => {
    for (const [, alice] of shown) {
      const app = await host.boot({ routes: [{ path: '/', before: [guard], cache, handler: (c) => c.send('secret') }] })
      const tag = (await app.get('/', alice)).header('etag') ?? '*'
      await app.get('/', alice)
      for (const headers of [
        {},
        { 'if-none-match': tag },
        { range: 'bytes=0-1' },
        { 'cache-control': 'only-if-cached' },
        { authorization: 'Bearer mallory' },
      ]) {
        const answer = await app.get('/', headers as Record<string, string>)
        expect([answer.status, answer.text]).toEqual([401, 'who are you?'])
        expect((await app.request('/', { method: 'HEAD', headers: headers as Record<string, string> })).status).toBe(
          401,
        )
      }
    }
  })

  test('a guard that stops working stops everybody, whatever is stored', async () => {
    let works = true
    const broken: Step = () => {
      if (!works) throw new Error('no directory')
    }
    const app = await host.boot({
      routes: [
        { path: '/', before: [broken], cache: { ttl: '1m', staleIfError: '1h' }, handler: (c) => c.send('secret') },
      ],
    })
    await app.get('/')
    works = false
    const answer = await app.get('/')
    expect([answer.status, answer.text.includes('secret')]).toEqual([500, false])
  })
})

describeHosts('a guard behind the cache', (host) => {
  test.each(policies.filter(([, cache]) => cache.ttl !== undefined))(
    'nobody without a right is sent a stored answer, nobody another’s: %s',
    async (_, cache) => {
      for (const [, alice, bob] of shown) {
        const app = await host.boot({ routes: [{ path: '/', cache, between: [guard], handler: secret }] })
        for (let round = 0; round < 2; round++) {
          expect((await app.get('/', alice)).text).toBe('secret of alice')
          expect((await app.get('/', bob)).text).toBe('secret of bob')
          const nobody = await app.get('/')
          expect([nobody.status, nobody.text]).toEqual([401, 'who are you?'])
        }
      }
    },
  )

  test('its refusal is not stored either', async () => {
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, between: [guard], handler: secret }] })
    expect((await app.get('/')).status).toBe(401)
    expect((await app.get('/', { authorization: 'Bearer alice' })).text).toBe('secret of alice')
  })

  test('where the handler’s own fields decide, credentials are enough to keep it from being shared', async () => {
    const app = await host.boot({ routes: [{ path: '/', cache: {}, between: [guard], handler: secret }] })
    for (const who of ['alice', 'bob', 'alice']) {
      expect((await app.get('/', { authorization: `Bearer ${who}` })).text).toBe(`secret of ${who}`)
    }
    expect((await app.get('/')).status).toBe(401)
  })
})

/** On Express, where people mount things: every place for the guard, every place for the cache. */
describe.each([
  ['Express 4', express4 as unknown as typeof express5],
  ['Express 5', express5],
])('%s: every place for a guard and a cache', (_, express) => {
  let server: http.Server | undefined
  let client: Client | undefined
  afterEach(async () => {
    client?.close()
    server?.closeAllConnections()
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
  })

  type Place = 'app' | 'app path' | 'router' | 'route'
  const places: readonly Place[] = ['app', 'app path', 'router', 'route']
  const rows = places.flatMap((guardAt) =>
    places.flatMap((cacheAt) => shown.map((s) => [guardAt, cacheAt, s[0], s[1], s[2]] as const)),
  )

  test.each(rows)('guard on the %s, cache on the %s, by %s', async (guardAt, cacheAt, _by, alice, bob) => {
    const sluice = createSluice()
    const cache = sluice.cache('1m')
    type WithUser = { user?: string }
    const check: RequestHandler = (req, res, next) => {
      const name = users[req.get('authorization') ?? req.get('cookie') ?? '']
      if (name === undefined) res.status(401).send('who are you?')
      else {
        ;(req as WithUser).user = name
        next()
      }
    }
    const app = express()
    const router = express.Router()
    const at = (place: Place): RequestHandler[] => [
      // The cache in front of the guard: the more dangerous order.
      ...(cacheAt === place ? [cache] : []),
      ...(guardAt === place ? [check] : []),
    ]
    for (const handler of at('app')) app.use(handler)
    for (const handler of at('app path')) app.use('/api', handler)
    for (const handler of at('router')) router.use(handler)
    router.get('/secret', ...at('route'), (req, res) => {
      res.send(`secret of ${(req as WithUser).user}`)
    })
    app.use('/api', router)
    server = http.createServer(app)
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
    client = new Client((server.address() as AddressInfo).port)
    for (let round = 0; round < 2; round++) {
      expect((await client.request('/api/secret', { headers: alice })).text).toBe('secret of alice')
      expect((await client.request('/api/secret')).status).toBe(401)
      expect((await client.request('/api/secret', { headers: bob })).text).toBe('secret of bob')
      expect((await client.request('/api/secret', { headers: { authorization: 'Bearer mallory' } })).status).toBe(401)
    }
  })

  test('a whole application behind one cache: public routes are stored, others are not', async () => {
    const sluice = createSluice()
    const app = express()
    app.use(sluice.cache('1m'))
    app.get('/public', (_req, res) => void res.send('for all'))
    app.get('/mine', (req, res) => void res.send(`for ${req.get('cookie')}`))
    server = http.createServer(app)
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
    client = new Client((server.address() as AddressInfo).port)
    await client.request('/public')
    expect((await client.request('/public')).cache).toBe('hit')
    expect((await client.request('/mine', { headers: { cookie: 'a' } })).text).toBe('for a')
    expect((await client.request('/mine', { headers: { cookie: 'b' } })).text).toBe('for b')
  })
})
