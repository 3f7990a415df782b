import { afterEach, describe, expect, test } from '@jest/globals'
import sluice, { by, type SluiceRoute } from '@sluice/fastify'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'

let app: FastifyInstance
afterEach(() => app.close())

async function withRoute(read: (request: FastifyRequest) => unknown, config: SluiceRoute = {}, options: object = {}) {
  app = Fastify(options)
  await app.register(sluice)
  app.decorateRequest('user', null as never)
  app.addHook('onRequest', async (request) => {
    const { user } = request.headers
    if (user) (request as { user?: unknown }).user = { id: user }
  })
  app.get('/it/:id', { config: { sluice: { cache: '5m', ...config } } }, async (request) => ({ read: read(request) }))
}

const statusOf = async (headers: Record<string, string> = {}): Promise<string> =>
  String((await app.inject({ url: '/it/1?q=1', headers })).headers['cache-status'])

const stored = /stored$/

describe('the unkeyed-input guard', () => {
  const refused: readonly (readonly [string, (request: FastifyRequest) => unknown, string])[] = [
    ['request.headers.user', (r) => r.headers.user, 'unkeyed-user'],
    ['request.raw.headers', (r) => r.raw.headers.user, 'unkeyed-user'],
    ['request.raw.rawHeaders', (r) => r.raw.rawHeaders.length, 'unkeyed-user'],
    ['all of the fields', (r) => ({ ...r.headers }).accept, 'unkeyed-user'],
    ['request.user', (r) => (r as { user?: unknown }).user, 'unkeyed-user'],
    ['request.ip', (r) => r.ip, 'unkeyed-ip'],
    ['request.ips', (r) => r.ips, 'unkeyed-ip'],
  ]
  test.each(refused)('a handler that reads %s is not stored', async (_, read, detail) => {
    await withRoute(read)
    expect(await statusOf({ user: 'alice' })).toBe(`Sluice; fwd=uri-miss; detail=${detail}`)
  })

  test.each(refused.filter(([name]) => name.startsWith('request.ip')))('also behind a proxy: %s', async (_, read) => {
    await withRoute(read, {}, { trustProxy: true })
    expect(await statusOf({ 'x-forwarded-for': '10.0.0.1' })).toMatch(/detail=unkeyed-ip$/)
  })

  const kept: readonly (readonly [string, (request: FastifyRequest) => unknown])[] = [
    ['request.params', (r) => r.params],
    ['request.query', (r) => r.query],
    ['request.url', (r) => r.url],
    ['request.method', (r) => r.method],
    ['request.host', (r) => r.host],
    ['request.hostname', (r) => r.hostname],
    ['request.port', (r) => r.port],
    ['request.protocol', (r) => r.protocol],
    ['request.routeOptions.url', (r) => r.routeOptions.url],
    ['request.headers["if-none-match"]', (r) => r.headers['if-none-match']],
    // Not there, which is a value.
    ['request.headers.authorization', (r) => r.headers.authorization],
    ['request.headers.cookie', (r) => r.headers.cookie],
    ['request.headers["accept-language"]', (r) => r.headers['accept-language']],
    ['request.session', (r) => (r as { session?: unknown }).session],
    ['request.cookies', (r) => (r as { cookies?: unknown }).cookies],
    ['request.user', (r) => (r as { user?: unknown }).user],
  ]
  test.each(kept)('a handler that reads %s is stored', async (_, read) => {
    await withRoute(read)
    expect(await statusOf()).toMatch(stored)
  })
  test.each(kept)('also behind a proxy: %s', async (_, read) => {
    await withRoute(read, {}, { trustProxy: true })
    expect(await statusOf({ 'x-forwarded-host': 'a.example', 'x-forwarded-proto': 'https' })).toMatch(stored)
    expect(await statusOf({ 'x-forwarded-proto': 'https' })).toMatch(stored)
  })

  test('what varyBy declares may be read, and gives each its own answer', async () => {
    await withRoute((r) => (r as unknown as { user: { id: string } }).user?.id, { varyBy: by.user })
    const as = async (user: string) => (await app.inject({ url: '/it/1', headers: { user } })).json().read
    for (let i = 0; i < 2; i++) for (const user of ['alice', 'bob']) expect(await as(user)).toBe(user)
    expect(app.sluice.stats().cache.hits).toBe(2)
  })

  test('by.ip may be read behind a proxy', async () => {
    await withRoute((r) => r.ip, { varyBy: by.ip }, { trustProxy: true })
    const as = async (ip: string) =>
      (await app.inject({ url: '/it/1', headers: { 'x-forwarded-for': ip } })).json().read
    for (let i = 0; i < 2; i++) for (const ip of ['10.0.0.1', '10.0.0.2']) expect(await as(ip)).toBe(ip)
    expect(app.sluice.stats().cache.hits).toBe(2)
  })

  test('a schema for headers does not count as reading them, and does not blind the guard', async () => {
    app = Fastify()
    await app.register(sluice)
    const schema = { headers: { type: 'object', properties: { 'x-page': { type: 'integer' } } } }
    const config = { sluice: { cache: '5m' } } as const
    app.get('/quiet', { schema, config }, async () => 'body')
    app.get('/reads', { schema, config }, async (request) => ({ page: request.headers['x-page'] }))
    const get = (url: string) => app.inject({ url, headers: { 'x-page': '2', 'if-none-match': '"x"' } })
    expect((await get('/quiet')).headers['cache-status']).toMatch(stored)
    const read = await get('/reads')
    expect(read.json()).toEqual({ page: 2 })
    expect([read.headers['cache-status'], read.headers.vary]).toEqual([expect.stringMatching(stored), 'x-page'])
    const other = await app.inject({ url: '/reads', headers: { 'x-page': '3' } })
    expect(other.json()).toEqual({ page: 3 })
  })

  test('what loggers read after the head was sent does not count', async () => {
    app = Fastify()
    await app.register(sluice)
    app.addHook('onResponse', async (request) => void request.headers['user-agent'])
    app.get('/it/:id', { config: { sluice: { cache: '5m' } } }, async () => 'body')
    expect(await statusOf()).toMatch(stored)
  })
})

describe('the key', () => {
  const key = async (headers: Record<string, string>): Promise<unknown> =>
    (await app.inject({ url: '/it/1', headers })).headers['cache-status']

  test('without trustProxy forwarded fields say nothing', async () => {
    await withRoute(() => 1)
    await key({ host: 'a.example' })
    expect(await key({ host: 'a.example', 'x-forwarded-host': 'evil', 'x-forwarded-proto': 'https' })).toMatch(/; hit/)
  })

  test('with trustProxy they are part of it', async () => {
    await withRoute(() => 1, {}, { trustProxy: true })
    await key({ host: 'a.example' })
    expect(await key({ host: 'a.example', 'x-forwarded-host': 'b.example' })).not.toMatch(/; hit/)
    expect(await key({ host: 'a.example', 'x-forwarded-proto': 'https' })).not.toMatch(/; hit/)
    expect(await key({ host: 'x', 'x-forwarded-host': 'a.example' })).toMatch(/; hit/)
  })

  test('a forwarded field from a peer that is not trusted makes no key, and an entry of its own where it is read', async () => {
    await withRoute((r) => r.headers['x-forwarded-host'], {}, { trustProxy: '10.0.0.0/8' })
    const headers = { host: 'a.example', 'x-forwarded-host': 'evil.example' }
    expect(await key(headers)).toMatch(stored)
    expect(await key({ host: 'a.example' })).toMatch(/fwd=vary-miss; .*stored$/)
  })

  test('a rewritten URL is stored under the one the client sent', async () => {
    await withRoute((r) => r.url, {}, { rewriteUrl: (r: { url: string }) => r.url.replace('/old', '/it') })
    const get = async (url: string) => (await app.inject(url)).headers['cache-status']
    await get('/old/1')
    expect(await get('/old/1')).toMatch(/; hit/)
    expect(await get('/it/1')).not.toMatch(/; hit/)
  })

  test('a POST with its body in the key', async () => {
    app = Fastify()
    await app.register(sluice)
    app.post('/it', { config: { sluice: { cache: '5m', methods: ['POST'] } } }, async (request) => request.body)
    const post = (payload: object) => app.inject({ method: 'POST', url: '/it', payload })
    expect((await post({ a: 1, b: 2 })).json()).toEqual({ a: 1, b: 2 })
    expect((await post({ b: 2, a: 1 })).headers['cache-status']).toMatch(/; hit/)
    expect((await post({ a: 2 })).json()).toEqual({ a: 2 })
  })
})
