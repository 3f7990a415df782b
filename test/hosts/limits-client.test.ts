import http from 'node:http'
import net from 'node:net'
import { expect, test } from '@jest/globals'
import { addressList, by } from '@sluice/core'
import { says } from './harness/handlers.ts'
import { describeHosts, type Route, type TestApp } from './harness/host.ts'

const hello: Route = { path: '/', handler: says({}) }
const statuses = async (app: TestApp, ...asked: readonly (readonly [string, Record<string, string>?])[]) => {
  const all: number[] = []
  for (const [path, headers] of asked) all.push((await app.get(path, headers)).status)
  return all
}
const forwarded = (value: string): [string, Record<string, string>] => ['/', { 'x-forwarded-for': value }]

describeHosts('who is the client', (host) => {
  const spoofs = ['192.0.2.1', '192.0.2.2', '::1', '192.0.2.3, 192.0.2.4', 'unknown', '', 'x'.repeat(5_000)]

  test('X-Forwarded-For and its like get nobody a fresh limit where no proxy is trusted', async () => {
    const app = await host.boot({ sluice: { limits: { ip: '2/min' } }, limit: ['ip'], routes: [hello] })
    const names = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'cf-connecting-ip', 'true-client-ip', 'x-client-ip']
    const asked = spoofs.flatMap((value) => names.map((name) => ['/', { [name]: value }] as const))
    expect(await statuses(app, ...asked)).toEqual([200, 200, ...asked.slice(2).map(() => 429)])
    expect(await app.sluice.peek('ip', { key: '127.0.0.1' })).toMatchObject({ allowed: false })
  })

  if (host.framework !== 'node') {
    test('where a proxy is trusted, X-Forwarded-For says who it is, in whatever notation', async () => {
      const app = await host.boot({ proxy: true, limit: ['1/min'], routes: [hello] })
      expect(await statuses(app, forwarded('192.0.2.1'), forwarded('192.0.2.2'))).toEqual([200, 200])
      const same = ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:c000:201', '64:ff9b::192.0.2.1']
      expect(await statuses(app, ...same.map(forwarded))).toEqual(same.map(() => 429))
    })

    test('… and IPv6 addresses of one /64 are one client', async () => {
      const app = await host.boot({ proxy: true, limit: ['1/min'], routes: [hello] })
      const addresses = ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ffff::1', '2001:db8:0:1::1']
      expect(await statuses(app, ...addresses.map(forwarded))).toEqual([200, 429, 429, 200])
    })

    test('… and what is no address is one client, and an event: never no limit', async () => {
      const app = await host.boot({ proxy: true, limit: ['1/min'], routes: [hello] })
      const errors: string[] = []
      app.sluice.on('error', ({ error }) => errors.push(error.message))
      const seen = await statuses(app, ...['unknown', 'nobody', '_hidden', '999.1.1.1'].map(forwarded))
      expect(seen).toEqual([200, 429, 429, 429])
      expect(errors[0]).toMatch(/address cannot be told/)
    })
  }

  test('IPv4 over a socket that speaks IPv6 is the IPv4 address', async () => {
    if (!(await speaksIpv6())) return
    const app = await host.boot({
      listen: '::',
      sluice: { limits: { ip: '2/min' } },
      limit: ['ip'],
      routes: [{ path: '/', handler: (c) => c.send(String(c.raw.req.socket.remoteAddress)) }],
    })
    expect((await app.get('/')).text).toBe('::ffff:127.0.0.1')
    expect(await app.sluice.peek('ip', { key: '127.0.0.1' })).toMatchObject({ remaining: 1 })
    // And who comes by IPv6 is somebody else.
    expect(await over6(app.port)).toBe(200)
    expect(await app.sluice.peek('ip', { key: '127.0.0.1' })).toMatchObject({ remaining: 1 })
    expect(await app.sluice.peek('ip', { key: '0:0::1' })).toMatchObject({ remaining: 1 })
  })

  test('by.header: the same bucket for all who do not send it', async () => {
    const app = await host.boot({
      routes: [{ ...hello, limit: [{ rate: '1/min', key: by.header('x-api-key') }] }],
    })
    const [a, b] = [{ 'x-api-key': 'a' }, { 'x-api-key': 'b' }]
    expect(await statuses(app, ['/', a], ['/', b], ['/', a], ['/'], ['/'])).toEqual([200, 200, 429, 200, 429])
  })

  test('by.user: whom authentication found, and one bucket for all it did not', async () => {
    const app = await host.boot({
      routes: [
        {
          ...hello,
          before: [
            (c) => {
              if (c.header('x-user') !== undefined) c.user = { id: c.header('x-user') }
            },
          ],
          limitUser: [{ rate: '1/min', key: by.user }],
        },
      ],
    })
    const user = (id: string): [string, Record<string, string>] => ['/', { 'x-user': id }]
    expect(await statuses(app, user('1'), user('2'), user('1'), ['/'], ['/'])).toEqual([200, 200, 429, 200, 429])
  })

  test('by.hash of the body: the same e-mail in other letters is the same', async () => {
    const app = await host.boot({
      routes: [{ ...hello, method: 'POST', limitUser: [{ rate: '1/min', key: by.hash('body.email') }] }],
    })
    const seen: number[] = []
    for (const email of ['\u00e9@x.org', 'b@x.org', ' \u00c9@x.ORG ', 'e\u0301@x.org', 'E\u0301@X.org']) {
      const answer = await app.request('/', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email }),
      })
      seen.push(answer.status)
    }
    expect(seen).toEqual([200, 200, 429, 429, 429])
  })
})

describeHosts(
  'a limit split by route',
  (host) => {
    const variants = ['/cities/1', '/cities/1?x', '/cities/1?x=1&y', '/cities/%31', '/cities/2', '/cities/a%2Fb']
    // What of these a router takes for the same route differs; a variant it does not know is no route, and counts as such.
    const odd = [
      '//cities/1',
      '/Cities/1',
      '/CITIES/1',
      '/cities/1/',
      '/c%69ties/1',
      '/cities//1',
      '/cities/./1',
      '/x/../cities/1',
    ]

    test('is split by pattern: no variant of the path has a bucket of its own', async () => {
      const app = await host.boot({
        routes: [{ path: '/cities/:id', limit: ['2/min'], limitPer: 'route', handler: says({}) }],
      })
      const seen = await statuses(app, ...variants.map((path) => [path] as const))
      expect(seen).toEqual([200, 200, ...variants.slice(2).map(() => 429)])
      for (const path of odd) expect([429, 404]).toContain((await app.get(path)).status)
    })

    test('for all: variants no route knows share one bucket', async () => {
      const app = await host.boot({
        limit: ['3/min'],
        limitPer: 'route',
        routes: [{ path: '/cities/:id', handler: says({}) }],
      })
      const allowed: number[] = []
      for (const path of [...variants, ...odd, ...variants, ...odd]) {
        const { status } = await app.get(path)
        if (status !== 429) allowed.push(status)
      }
      // Three for the route and three for what is none; without routing in front of the limit, three for everything.
      const cities = allowed.filter((status) => status === 200).length
      expect([cities, allowed.length]).toEqual(host.framework === 'fastify' ? [3, 6] : [expect.any(Number), 3])
    })

    test('and by method; HEAD counts as GET', async () => {
      const route = { path: '/it', limit: ['1/min'], limitPer: 'route', handler: says({}) } as const
      const app = await host.boot({ routes: [route, { ...route, method: 'POST' }] })
      const ask = async (method: string) => (await app.request('/it', { method })).status
      expect(await ask('GET')).toBe(200)
      expect(await ask('HEAD')).toBe(429)
      expect(await ask('POST')).toBe(200)
      expect(await ask('POST')).toBe(429)
    })

    test('each route has its own', async () => {
      const route = { limit: ['1/min'], limitPer: 'route', handler: says({}) } as const
      const app = await host.boot({
        routes: [
          { ...route, path: '/a' },
          { ...route, path: '/b' },
        ],
      })
      expect(await statuses(app, ['/a'], ['/b'], ['/a'], ['/b'])).toEqual([200, 200, 429, 429])
    })
  },
  // Plain node:http has no routes.
  ({ framework }) => framework !== 'node',
)

describeHosts('lists of addresses', (host) => {
  test('whom a list allows is not counted, whom one denies gets 403 and is not charged, and both change at run time', async () => {
    const [allow, deny] = [addressList(), addressList()]
    const app = await host.boot({
      sluice: { limits: { p: { rate: '1/min', allow, deny } } },
      limit: ['p'],
      routes: [hello],
    })
    const denied: unknown[] = []
    app.sluice.on('denied', ({ violated }) => denied.push(violated))
    const ask = async () => (await app.get('/')).status
    expect([await ask(), await ask()]).toEqual([200, 429])
    allow.add('127.0.0.0/8')
    expect([await ask(), await ask()]).toEqual([200, 200])
    allow.remove('127.0.0.0/8')
    deny.add('::ffff:127.0.0.1')
    const refused = await app.get('/')
    expect([refused.status, refused.header('retry-after'), refused.header('cache-control')]).toEqual([
      403,
      undefined,
      'no-store',
    ])
    expect(refused.header('content-type')).toBe('application/problem+json')
    expect(refused.json()).toEqual({ title: 'Forbidden', status: 403, 'violated-policies': ['p'] })
    deny.replace(['192.0.2.0/24'])
    expect([await ask(), denied]).toEqual([429, [['p'], ['p'], ['p']]])
    await app.sluice.reset('p', { key: '127.0.0.1' })
    expect(await ask()).toBe(200)
  })

  if (host.framework !== 'node') {
    test('know a client by the address the framework has, in any notation; `allow` goes first', async () => {
      const app = await host.boot({
        proxy: true,
        limit: [{ rate: '1/min', allow: ['192.0.2.7', '2001:db8:1::/48'], deny: ['192.0.2.0/24', '2001:db8::/32'] }],
        routes: [hello],
      })
      const addresses = [
        '192.0.2.7',
        '192.0.2.7',
        '192.0.2.8',
        '::ffff:192.0.2.9',
        '64:ff9b::192.0.2.10',
        '2001:db8:1::1',
        '2001:db8:2::1',
      ]
      expect(await statuses(app, ...addresses.map(forwarded))).toEqual([200, 200, 403, 403, 403, 200, 403])
    })
  }
})

function speaksIpv6(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen(0, '::1', () => server.close(() => resolve(true)))
  })
}

function over6(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    http
      .get({ host: '::1', port, path: '/', agent: false }, (message) => {
        message.resume()
        resolve(message.statusCode!)
      })
      .on('error', reject)
  })
}
