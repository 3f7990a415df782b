import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import Router from '@koa/router'
import { createSluice as createExpress } from '@sluice/express'
import { createSluice as createKoa } from '@sluice/koa'
import express5 from 'express'
import express4 from 'express4'
import Koa from 'koa'
import mount from 'koa-mount'
import { describeHosts } from './harness/host.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function ports(listener: http.RequestListener): Promise<(path: string, method?: string) => Promise<number>> {
  const server = http.createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return (path, method = 'GET') =>
    new Promise((resolve, reject) => {
      http
        .request({ port, path, method, agent: false }, (message) => {
          message.resume()
          resolve(message.statusCode!)
        })
        .on('error', reject)
        .end()
    })
}

const spellings = [
  '/api/tenants/1/users/1',
  '/API/tenants/2/users/2',
  '/api/tenants/%33/users/3',
  '/Api/TENANTS/4/USERS/4?x',
  '/api/tenants/5/users/5/',
]

describe.each([
  ['Express 4', express4 as unknown as typeof express5],
  ['Express 5', express5],
])('the pattern of a route on %s', (_, express) => {
  const start = (): { sluice: ReturnType<typeof createExpress>; routes: (string | undefined)[] } => {
    const routes: (string | undefined)[] = []
    const sluice = createExpress({
      limits: { p: { rate: '2/min', key: (c) => void routes.push(c.route) as undefined } },
    })
    closing.push(() => sluice.close())
    return { sluice, routes }
  }
  const ok: express5.RequestHandler = (_req, res) => void res.json({})

  test('is the whole of it under mounted routers, whatever the spelling of the request', async () => {
    const { sluice, routes } = start()
    const [app, api, tenant] = [express(), express.Router(), express.Router()]
    tenant.get('/users/:id', sluice.limit('p').per('route'), ok)
    api.use('/tenants/:tenant', tenant)
    app.use('/api', api)
    const ask = await ports(app)
    const seen: number[] = []
    for (const path of spellings) seen.push(await ask(path))
    expect(seen).toEqual([200, 200, 429, 429, 429])
    expect(new Set(routes)).toEqual(new Set(['/api/tenants/:tenant/users/:id']))
  })

  test('is another one for each place a router is mounted at', async () => {
    const { sluice, routes } = start()
    const [app, users] = [express(), express.Router()]
    users.get('/:id', sluice.limit('p').per('route'), ok)
    app.use('/v1', users)
    app.use('/v2/:more', users)
    const ask = await ports(app)
    expect([
      await ask('/v1/1'),
      await ask('/v1/2'),
      await ask('/V1/3'),
      await ask('/v2/a/1'),
      await ask('/v2/b/2'),
      await ask('/v2/c/3'),
    ]).toEqual([200, 200, 429, 200, 200, 429])
    expect(new Set(routes)).toEqual(new Set(['/v1/:id', '/v2/:more/:id']))
  })

  test('has the mount of an application in an application', async () => {
    const { sluice, routes } = start()
    const [app, inner, router] = [express(), express(), express.Router()]
    router.get('/x', sluice.limit('p').per('route'), ok)
    inner.use('/r', router)
    app.use('/inner/:n', inner)
    const ask = await ports(app)
    expect([await ask('/inner/1/r/x'), await ask('/inner/2/R/x'), await ask('/INNER/3/r/x')]).toEqual([200, 200, 429])
    expect(new Set(routes)).toEqual(new Set(['/inner/:n/r/x']))
  })
})

test('the pattern of a route on Koa has the prefixes of nested routers and mounts', async () => {
  const routes: (string | undefined)[] = []
  const sluice = createKoa({ limits: { p: { rate: '2/min', key: (c) => void routes.push(c.route) as undefined } } })
  closing.push(() => sluice.close())
  const [app, inner] = [new Koa(), new Koa()]
  const [users, api] = [new Router(), new Router()]
  users.get('/users/:id', sluice.limit('p').per('route'), (ctx) => {
    ctx.body = {}
  })
  api.use('/tenants/:tenant', users.routes())
  inner.use(api.routes())
  app.use(mount('/api', inner))
  const ask = await ports(app.callback())
  const seen: number[] = []
  for (const path of [
    '/api/tenants/1/users/1',
    '/api/tenants/2/users/2',
    '/api/tenants/3/USERS/3',
    '/api/tenants/4/users/4/',
  ]) {
    seen.push(await ask(path))
  }
  expect(seen).toEqual([200, 200, 429, 429])
  expect(new Set(routes)).toEqual(new Set(['/api/tenants/:tenant/users/:id']))
})

describeHosts(
  'methods that nobody knows',
  (host) => {
    test('share one bucket, for HTTP/2 lets anybody make them up', async () => {
      const app = await host.boot({ http2: true, limit: ['2/min'], limitPer: 'route', routes: [] })
      const session = http2.connect(`http://127.0.0.1:${app.port}`)
      const ask = (method: string): Promise<number> =>
        new Promise((resolve, reject) => {
          const stream = session.request({ ':method': method, ':path': '/nowhere' })
          stream.on('response', (fields) => resolve(fields[':status'] as number)).on('error', reject)
          stream.resume()
          stream.end()
        })
      const seen: number[] = []
      for (const method of ['FOO', 'BAR', 'BAZ', 'QUX', 'foo']) seen.push(await ask(method))
      session.destroy()
      expect(seen.slice(2)).toEqual([429, 429, 429])
      expect(seen.slice(0, 2)).not.toContain(429)
    })
  },
  // Express speaks no HTTP/2; Fastify answers 404 before any of its hooks.
  ({ framework }) => framework === 'node' || framework === 'koa',
)
