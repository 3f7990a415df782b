import { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import Router from '@koa/router'
import { by, createSluice, type RequestContext } from '@sluice/koa'
import Koa from 'koa'
import mount from 'koa-mount'
import { testClock } from '../hosts/harness/clock.ts'
import { describeKoa } from './harness.ts'

describeKoa('the request as Koa has it', (boot) => {
  /** What a key function is given for one request. */
  const contextOf = async (
    setup: (app: Koa, look: Koa.Middleware) => void,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<RequestContext> => {
    let seen: RequestContext | undefined
    const look = createSluice().cache('1m', {
      varyBy: (c: RequestContext) => {
        seen ??= c
        return ''
      },
    })
    const app = await boot((app) => setup(app, look))
    await app.get(path, headers)
    return seen!
  }
  const say: Koa.Middleware = (ctx) => {
    ctx.body = 'x'
  }

  test.each<[string, (app: Koa, look: Koa.Middleware) => void, string, string | undefined]>([
    ['without a router', (app, look) => app.use(look).use(say), '/a', undefined],
    ['on a route', (app, look) => app.use(new Router().get('/a/:id', look, say).routes() as never), '/a/1', '/a/:id'],
    [
      'on a route of a router with a prefix',
      (app, look) => app.use(new Router({ prefix: '/v1' }).get('/a/:id', look, say).routes() as never),
      '/v1/a/1',
      '/v1/a/:id',
    ],
    [
      'on a route of a nested router',
      (app, look) => {
        const inner = new Router({ prefix: '/in' }).get('/a/:id', look, say)
        app.use(new Router({ prefix: '/out' }).use('/mid', inner.routes()).routes() as never)
      },
      '/out/mid/in/a/1',
      '/out/mid/in/a/:id',
    ],
    [
      'on the router, before the route',
      (app, look) => app.use(new Router().use(look).get('/a/:id', say).routes() as never),
      '/a/1',
      '/a/:id',
    ],
    [
      'on a path of the router, before the route',
      (app, look) =>
        app.use(
          new Router().use('/a', look).post('/a/:other', say).get('/a/:id', say).all('/x', say).routes() as never,
        ),
      '/a/1',
      '/a/:id',
    ],
    [
      'in a mounted application',
      (app, look) =>
        app.use(mount('/api', new Koa().use(new Router().get('/a/:id', look, say).routes() as never) as never)),
      '/api/a/1?b=c',
      '/api/a/:id',
    ],
    [
      'at the root of a mounted application',
      (app, look) => app.use(mount('/api', new Koa().use(new Router().get('/', look, say).routes() as never) as never)),
      '/api',
      '/api/',
    ],
  ])('the route pattern is known %s', async (_, setup, path, route) => {
    let seen: unknown
    const varyBy = (c: RequestContext) => {
      seen = [c.route, c.path]
      return ''
    }
    const app = await boot((app) => setup(app, createSluice().cache('1m', { varyBy })))
    expect((await app.get(path)).status).toBe(200)
    expect(seen).toEqual([route, path.split('?')[0]])
  })

  test.each<[string, (app: Koa) => void, string]>([
    ['a router', (app) => app.use(new Router().get('/a/:id', say).routes() as never), '/a/7'],
    [
      'a mounted application',
      (app) => app.use(mount('/api', new Koa().use(new Router().get('/a/:id', say).routes() as never) as never)),
      '/api/a/7',
    ],
  ])('a cache in front of %s knows the route when the answer is there, and is purged by it', async (_, setup, path) => {
    const sluice = createSluice()
    const app = await boot((app) => setup(app.use(sluice.cache('1m'))))
    expect((await app.get(path)).stored).toBe(true)
    await sluice.purge({ route: path.replace('7', ':id'), params: { id: 7 } })
    expect((await app.get(path)).stored).toBe(true)
    expect((await app.get(path)).cache).toBe('hit')
  })

  test('query, params, body, user, session, cookies and the context itself', async () => {
    const c = await contextOf(
      (app, look) => {
        app.use((ctx, next) => {
          ctx.state.user = { id: 7 }
          ctx.session = { cart: 1 }
          Object.assign(ctx.request, { body: { b: 1 } })
          return next()
        })
        app.use(new Router().get('/a/:id', look, say).routes() as never)
      },
      '/a/1?x=1&x=2&y=%C3%BC',
      { cookie: 'a=1; b="two"; a=3; __proto__=4; get=5;=6; c' },
    )
    expect(c.query).toEqual({ x: ['1', '2'], y: 'ü' })
    expect([c.params, c.body, c.user, c.session]).toEqual([{ id: '1' }, { b: 1 }, { id: 7 }, { cart: 1 }])
    expect(Object.entries(c.cookies)).toEqual([
      ['a', '1'],
      ['b', 'two'],
      ['__proto__', '4'],
      ['get', '5'],
    ])
    expect(Object.getPrototypeOf(c.cookies).get('a')).toBe('1')
    expect(c.native.app).toBeDefined()
    expect(by.hash('cookies.a')(c)).toBeDefined()
  })

  test('the host is one however the client writes the port that is ours, and no other one', async () => {
    const app = await boot((app) => app.use(createSluice().cache('1m')).use(say))
    await app.get('/', { host: 'example.org' })
    expect((await app.get('/', { host: 'EXAMPLE.org' })).cache).toBe('hit')
    expect((await app.get('/', { host: 'example.org:9' })).cache).toBe('uri-miss')
  })

  describe('X-Forwarded-Host and X-Forwarded-Proto', () => {
    const link: Koa.Middleware = (ctx) => {
      ctx.body = `${ctx.protocol}://${ctx.host}/next`
    }
    const start = (proxy: boolean, handler = link) =>
      boot((app) => {
        app.proxy = proxy
        app.use(createSluice().cache('1m')).use(handler)
      })

    test('count behind a proxy, and make entries of their own', async () => {
      const app = await start(true)
      const of = (host: string, proto: string) =>
        app.get('/', { host: 'inner', 'x-forwarded-host': host, 'x-forwarded-proto': proto })
      expect(await of('a.org', 'https')).toMatchObject({ text: 'https://a.org/next', stored: true })
      expect((await of('b.org', 'https')).text).toBe('https://b.org/next')
      expect((await of('a.org', 'http')).text).toBe('http://a.org/next')
      expect(await of('a.org', 'https')).toMatchObject({ text: 'https://a.org/next', cache: 'hit' })
    })

    test('change nothing without one', async () => {
      const app = await start(false)
      await app.get('/', { host: 'a.org', 'x-forwarded-host': 'evil.org', 'x-forwarded-proto': 'https' })
      expect((await app.get('/', { host: 'a.org' })).text).toBe('http://a.org/next')
    })

    test.each([
      ['a scheme that is none', { 'x-forwarded-proto': 'javascript' }],
      ['a scheme in front of markup', { 'x-forwarded-proto': 'https, "><script>' }],
      ['a second host', { 'x-forwarded-host': 'a.org, evil.org' }],
      ['a user in front of the host', { 'x-forwarded-host': 'evil@a.org' }],
    ])('poison nothing: %s', async (_, evil) => {
      const app = await start(true, (ctx) => {
        ctx.body = `${ctx.protocol} ${ctx.get('x-forwarded-proto')} ${ctx.get('x-forwarded-host')}`
      })
      const good = { host: 'in', 'x-forwarded-host': 'a.org', 'x-forwarded-proto': 'http' }
      await app.get('/', { ...good, ...evil })
      expect((await app.get('/', good)).text).toBe('http http a.org')
    })

    test('the port of the host they name is part of it', async () => {
      const app = await boot((app) => {
        app.proxy = true
        app.use(createSluice().cache('1m')).use((ctx) => {
          ctx.body = `${ctx.host} at ${ctx.req.socket.localPort}`
        })
      })
      const [, port] = (await app.get('/probe', { 'x-forwarded-host': 'x' })).text.split(' at ')
      await app.get('/', { 'x-forwarded-host': `a.org:${port}` })
      expect((await app.get('/', { 'x-forwarded-host': 'a.org' })).text).toBe(`a.org at ${port}`)
    })
  })

  test('by.ip follows app.proxy, and covers a handler that reads ctx.ip', async () => {
    const app = await boot((app) => {
      app.proxy = true
      app.use(createSluice().cache('1m', { varyBy: by.ip })).use((ctx) => {
        ctx.body = `for ${ctx.ip}`
      })
    })
    for (const cache of ['uri-miss', 'hit']) {
      for (const ip of ['1.2.3.4', '5.6.7.8']) {
        expect(await app.get('/', { 'x-forwarded-for': ip })).toMatchObject({ cache, text: `for ${ip}` })
      }
    }
  })

  test.each<[string, (ctx: Koa.Context) => unknown]>([
    ['ctx.ip', (ctx) => ctx.ip],
    ['ctx.request.ip', (ctx) => ctx.request.ip],
    ['ctx.ips', (ctx) => ctx.ips],
    ['ctx.get()', (ctx) => ctx.get('X-Tenant')],
    ['ctx.headers', (ctx) => ctx.headers['x-tenant']],
    ['ctx.request.header', (ctx) => ctx.request.header['x-tenant']],
    ['ctx.cookies', (ctx) => ctx.cookies.get('a')],
    ['ctx.state.user', (ctx) => ctx.state.user],
    ["'user' in ctx.state", (ctx) => 'user' in ctx.state],
    ['a copy of ctx.state', (ctx) => ({ ...ctx.state })],
    ['ctx.user', (ctx) => ctx.user],
    ['ctx.session', (ctx) => ctx.session],
    ['ctx.req.user', (ctx) => (ctx.req as { user?: unknown }).user],
    ['ctx.accepts() made before the cache', (ctx) => ctx.accepts('html', 'json')],
  ])('what was made of the request is not everybody’s: %s', async (_, read) => {
    const app = await boot((app) => {
      app.proxy = true
      app
        .use((ctx, next) => {
          void ctx.accept
          const id = ctx.get('x-tenant')
          if (ctx.get('cookie')) Object.assign(ctx.state, { user: { id } })
          Object.assign(ctx, { user: { id }, session: { id } })
          Object.assign(ctx.req, { user: { id } })
          return next()
        })
        .use(createSluice().cache('1m'))
        .use((ctx) => {
          ctx.body = { read: read(ctx) ?? 'nothing' }
        })
    })
    const as = (who: string, ip: string, cookie: string, accept: string) =>
      app.get('/', { 'x-tenant': who, 'x-forwarded-for': ip, cookie, accept })
    const alice = await as('alice', '10.0.0.1', 'a=1', 'text/html')
    const bob = await as('bob', '10.0.0.2', '', 'application/json')
    expect([alice.status, bob.status, bob.cache === 'hit']).toEqual([200, 200, false])
    expect(bob.text).not.toBe(alice.text)
    expect((await as('alice', '10.0.0.1', 'a=1', 'text/html')).text).toBe(alice.text)
  })

  test('the advice for a handler that reads ctx.ip names the address, and not the field it came from', async () => {
    const sluice = createSluice()
    const told: unknown[] = []
    sluice.on('guard', ({ fields }) => told.push(fields))
    const app = await boot((app) => {
      app.proxy = true
      app.use(sluice.cache('1m')).use((ctx) => {
        ctx.body = `for ${ctx.ip}`
      })
    })
    expect((await app.get('/', { 'x-forwarded-for': '1.2.3.4' })).text).toBe('for 1.2.3.4')
    expect(told).toEqual([['@ip']])
  })

  test('the state has in it what was put there, and nothing else', async () => {
    const app = await boot((app) =>
      app.use(createSluice().cache('1m')).use((ctx) => {
        const before = Object.keys(ctx.state)
        ctx.state.user = 'alice'
        ctx.body = { before, after: { ...ctx.state } }
      }),
    )
    expect((await app.get('/')).json()).toEqual({ before: [], after: { user: 'alice' } })
  })

  test('ctx.sluice: tags, lifetimes and skips of the handler, for every cache around it', async () => {
    const outer = createSluice()
    const inner = createSluice()
    const app = await boot((app) =>
      app
        .use(outer.cache('1m'))
        .use(inner.cache('1m'))
        .use((ctx) => {
          ctx.sluice.tag('cities')
          if (ctx.path === '/skip') ctx.sluice.skip('because')
          ctx.body = 'x'
        }),
    )
    await app.get('/')
    await outer.purge({ tags: ['cities'] })
    // The outer one is purged; the inner one answers, and of its answer the outer one does not know the tags.
    expect(await app.get('/')).toMatchObject({ stored: false })
    await inner.purge({ tags: ['cities'] })
    expect((await app.get('/')).stored).toBe(true)
    expect((await app.get('/skip')).header('cache-status')).toMatch(/because.*because/)
  })

  test.each([true, false])(
    'stale-while-revalidate refreshes through the whole application; a server: %s',
    async (server) => {
      const clock = testClock()
      const sluice = createSluice({ clock })
      const urls: string[] = []
      const setup = (app: Koa) =>
        app
          .use((ctx, next) => {
            urls.push(ctx.url)
            ctx.url = ctx.url.replace('/old', '/new')
            return next()
          })
          .use(sluice.cache('1m', { staleWhileRevalidate: '1h' }))
          .use((ctx) => {
            ctx.body = `run ${urls.length}`
          })
      const get = server ? await served(await boot((app) => void setup(app))) : injected(setup(new Koa()))
      expect(await get()).toBe('run 1')
      await clock.advance(90_000)
      expect(await get()).toBe('run 1')
      for (let i = 0; i < 50 && sluice.stats().cache.stored < 2; i++)
        await new Promise((resolve) => setImmediate(resolve))
      expect(await get()).toBe('run 3')
      expect(urls).toEqual(['/old?a=1', '/old?a=1', '/old?a=1', '/old?a=1'])
    },
  )
})

type Get = () => Promise<string>

async function served(app: { get(path: string): Promise<{ text: string }> }): Promise<Get> {
  return async () => (await app.get('/old?a=1')).text
}

/** Calls the application as an injector does: no server, no connection. */
function injected(app: Koa): Get {
  return () =>
    new Promise((resolve) => {
      let text = ''
      const socket = new Duplex({
        read() {},
        write(chunk, _encoding, done) {
          text += String(chunk)
          done()
        },
      })
      const request = new IncomingMessage(socket as never)
      Object.assign(request, {
        method: 'GET',
        url: '/old?a=1',
        headers: { host: 'a.org' },
        httpVersionMajor: 1,
        httpVersionMinor: 1,
      })
      const response = new ServerResponse(request)
      response.assignSocket(socket as never)
      response.once('finish', () => resolve(text.split('\r\n\r\n')[1]!))
      app.callback()(request, response)
    })
}
