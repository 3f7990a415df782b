import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { inspect } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/express'
import express5, { type Express, type RequestHandler } from 'express'
import express4 from 'express4'
import { Client } from './harness/client.ts'
import { turn } from './harness/host.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-express-'))
const file = join(folder, 'hello.txt')
writeFileSync(file, 'hello from a file')
afterAll(() => rmSync(folder, { recursive: true }))

/** What only Express does: its own ways to answer, to mount, and to see the client behind a proxy. */
describe.each([
  ['Express 4', express4 as unknown as typeof express5],
  ['Express 5', express5],
])('%s', (name, express) => {
  let server: http.Server | undefined
  let client: Client | undefined
  afterEach(async () => {
    client?.close()
    server?.closeAllConnections()
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
    server = undefined
  })
  const listen = async (app: Express): Promise<Client> => {
    server = http.createServer(app)
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
    client = new Client((server.address() as AddressInfo).port)
    return client
  }

  const answers: readonly (readonly [string, RequestHandler, number, string])[] = [
    ['res.json', (_q, res) => void res.json({ a: 1 }), 200, '{"a":1}'],
    ['res.jsonp', (_q, res) => void res.jsonp({ a: 1 }), 200, '{"a":1}'],
    ['res.send of text', (_q, res) => void res.send('text'), 200, 'text'],
    ['res.send of bytes', (_q, res) => void res.send(Buffer.from('bytes')), 200, 'bytes'],
    ['res.end', (_q, res) => void res.end('end'), 200, 'end'],
    ['res.redirect', (_q, res) => res.redirect(301, '/there'), 301, 'Moved Permanently. Redirecting to /there'],
    ['res.sendFile', (_q, res) => res.sendFile(file), 200, 'hello from a file'],
    ['res.format', (_q, res) => void res.format({ text: () => res.send('formatted') }), 200, 'formatted'],
    ['res.type and res.status', (_q, res) => void res.status(203).type('html').send('<p>'), 203, '<p>'],
    ['a pipe', (_q, res) => void Readable.from(['pi', 'pe']).pipe(res), 200, 'pipe'],
    ['a pipeline', (_q, res) => pipeline(Readable.from(['line', 's']), res, () => {}), 200, 'lines'],
    [
      'res.links and res.vary',
      (_q, res) => void res.links({ next: '/b' }).vary('Accept').send('linked'),
      200,
      'linked',
    ],
  ]

  test('a handler in a mounted application is watched, and one behind it', async () => {
    const sluice = createSluice()
    const app = express()
    const inner = express()
    const name = (req: express5.Request): unknown => (req as { tenant?: string }).tenant ?? 'nobody'
    inner.get('/inner', (req, res) => void res.json({ inner: name(req), header: res.getHeader('x-tenant') ?? null }))
    app.use((req, res, next) => {
      const tenant = req.headers['x-from']
      if (tenant) Object.assign(req, { tenant })
      if (tenant) res.setHeader('X-Tenant', tenant)
      next()
    })
    app.use(sluice.cache('5m'), inner)
    app.get('/behind', (req, res) => void res.json({ behind: name(req) }))
    const ask = await listen(app)
    for (const path of ['/inner', '/behind']) {
      for (let i = 0; i < 3; i++) {
        for (const [from, who] of [[undefined, 'nobody'] as const, ['a', 'a'] as const, ['b', 'b'] as const]) {
          const answer = await ask.request(path, { headers: from ? { 'x-from': from } : {} })
          expect(answer.text).toContain(who)
          // The first of an application may be sent without being stored.
          if (i === 2 && !from) expect(answer.cache).toBe('hit')
        }
      }
    }
    sluice.close()
  })

  test('methods that an application has given all its responses stay in force', async () => {
    const sluice = createSluice()
    const app = express()
    const inner = express()
    const ended: string[] = []
    const { end } = app.response
    app.response.end = function (this: typeof app.response, ...args: unknown[]) {
      ended.push(this.req.path)
      return end.apply(this, args as never)
    } as never
    app.use(sluice.compress({ threshold: 0 }), sluice.cache('5m'))
    app.get('/outer', (_req, res) => void res.type('text').send('hello '.repeat(500)))
    app.use(inner)
    inner.get('/inner', (_req, res) => void res.type('text').send('hello '.repeat(500)))
    const ask = await listen(app)
    for (const path of ['/outer', '/inner']) {
      for (const time of [1, 2, 3]) {
        const answer = await ask.request(path, { headers: { 'accept-encoding': 'gzip' } })
        // The first in an application mounted in another may be sent without being stored.
        if (time === 3) expect([path, answer.cache]).toEqual([path, 'hit'])
        expect([path, answer.header('content-encoding')]).toEqual([path, 'gzip'])
        expect(gunzipSync(answer.body).toString()).toBe('hello '.repeat(500))
      }
    }
    expect(new Set(ended)).toEqual(new Set(['/outer', '/inner']))
    sluice.close()
  })

  test.each(answers)('%s: the same on miss, hit and HEAD', async (_, handler, status, text) => {
    const app = express()
    app.get('/', createSluice().cache('1m'), handler)
    const ask = await listen(app)
    const [miss, hit] = [await ask.request('/'), await ask.request('/')]
    expect([miss.status, miss.text, hit.status, hit.text, hit.cache]).toEqual([status, text, status, text, 'hit'])
    for (const field of ['content-type', 'location', 'link', 'vary', 'last-modified']) {
      expect([field, hit.lines(field)]).toEqual([field, miss.lines(field)])
    }
    const head = await ask.request('/', { method: 'HEAD' })
    expect([head.status, head.text, head.header('content-length')]).toEqual([
      status,
      '',
      String(Buffer.byteLength(text)),
    ])
  })

  test("Express's own ETag stands, and is answered 304 from the store", async () => {
    const app = express()
    app.get('/', createSluice().cache('1m'), (_q, res) => void res.send('hello'))
    const ask = await listen(app)
    const tag = (await ask.request('/')).header('etag')!
    expect(tag).toMatch(/^W\//)
    expect((await ask.request('/', { headers: { 'if-none-match': tag } })).status).toBe(304)
    expect((await ask.request('/')).text).toBe('hello')
  })

  test('one path under two mounts is two entries, and a mounted route is purged by its whole pattern', async () => {
    const sluice = createSluice()
    const app = express()
    for (const mount of ['/v1', '/v2']) {
      const router = express.Router()
      let runs = 0
      router.get('/things/:id', sluice.cache('1m'), (req, res) => void res.send(`${mount} ${req.params.id} ${++runs}`))
      app.use(mount, router)
    }
    const ask = await listen(app)
    expect((await ask.request('/v1/things/7')).text).toBe('/v1 7 1')
    expect((await ask.request('/v2/things/7')).text).toBe('/v2 7 1')
    await sluice.purge({ route: '/v1/things/:id', params: { id: 7 } })
    expect((await ask.request('/v1/things/7')).text).toBe('/v1 7 2')
    expect((await ask.request('/v2/things/7')).text).toBe('/v2 7 1')
  })

  test('the cache in app.use, in front of every route', async () => {
    const sluice = createSluice()
    const app = express()
    let runs = 0
    app.use(sluice.cache('1m'))
    app.get('/a', (_q, res) => void res.send(`a ${++runs}`))
    app.use((_q, res) => void res.status(404).send('none'))
    const ask = await listen(app)
    await ask.request('/a')
    expect((await ask.request('/a')).text).toBe('a 1')
    expect((await ask.request('/b')).detail).toBe('status')
  })

  test('a host that a proxy names counts only where the proxy is trusted', async () => {
    for (const trusted of [false, true]) {
      const app = express()
      app.set('trust proxy', trusted)
      app.get('/', createSluice().cache('1m'), (req, res) => void res.send(`at ${req.hostname}`))
      const ask = await listen(app)
      const at = (host: string) => ask.request('/', { headers: { host: 'in.test', 'x-forwarded-host': host } })
      expect((await at('a.test')).text).toBe(trusted ? 'at a.test' : 'at in.test')
      expect((await at('b.test')).text).toBe(trusted ? 'at b.test' : 'at in.test')
      expect((await at('a.test')).text).toBe(trusted ? 'at a.test' : 'at in.test')
      client?.close()
      server?.closeAllConnections()
      await new Promise((resolve) => server?.close(resolve))
    }
  })

  test('a handler that throws, at once or later, reaches the error handler, and nothing is stored', async () => {
    const sluice = createSluice()
    const app = express()
    app.get('/now', sluice.cache('1m'), () => {
      throw new Error('now')
    })
    app.get('/later', sluice.cache('1m'), async (_q, _r, next) => {
      await turn()
      next(new Error('later'))
    })
    app.use(((error, _q, res, _n) => void res.status(503).send(error.message)) as express5.ErrorRequestHandler)
    const ask = await listen(app)
    for (const what of ['now', 'later', 'now', 'later']) {
      const answer = await ask.request(`/${what}`)
      expect([answer.status, answer.text, answer.stored]).toEqual([503, what, false])
    }
  })

  test('a handler that calls next() leaves the answer to the one behind', async () => {
    const app = express()
    app.get('/', createSluice().cache('1m'), (_q, _r, next) => next())
    app.get('/', (_q, res) => void res.send(`${name} behind`))
    const ask = await listen(app)
    await ask.request('/')
    expect(await ask.request('/')).toMatchObject({ text: `${name} behind`, cache: 'hit' })
  })

  const identities: readonly (readonly [string, RequestHandler, string])[] = [
    ['req.cookies', (req, res) => void res.send(req.cookies), 'unkeyed-cookie'],
    ['req.signedCookies', (req, res) => void res.send(String(req.signedCookies.a)), 'unkeyed-cookie'],
    ['req.user', (req, res) => void res.send(String((req as { user?: unknown }).user)), 'unkeyed-user'],
    ['req.auth', (req, res) => void res.send(String((req as { auth?: unknown }).auth)), 'unkeyed-user'],
    ['req.session', (req, res) => void res.send(String((req as { session?: unknown }).session)), 'unkeyed-session'],
    ['res.locals.user', (_q, res) => void res.send(String(res.locals.user)), 'unkeyed-user'],
    ['req.ip', (req, res) => void res.send(req.ip), 'unkeyed-ip'],
    ['req.ips', (req, res) => void res.send(req.ips), 'unkeyed-ip'],
    ['the names in req.headers', (req, res) => void res.send(Object.keys(req.headers)), 'unkeyed-x-api-key'],
    ['a name in req.headers', (req, res) => void res.send(String('x-a' in req.headers)), 'unkeyed-x-api-key'],
    ['JSON.stringify(req.headers)', (req, res) => void res.send(JSON.stringify(req.headers)), 'unkeyed-x-api-key'],
    ['a clone of req.headers', (req, res) => void res.send(structuredClone(req.headers)), 'unkeyed-x-api-key'],
    ['inspect(req.headers)', (req, res) => void res.send(inspect(req.headers)), 'unkeyed-x-api-key'],
    [
      'for … in req.headers',
      (req, res) => {
        let names = ''
        for (const header in req.headers) names += header
        res.send(names)
      },
      'unkeyed-x-api-key',
    ],
    ['all of req.headers', (req, res) => void res.send({ ...req.headers }), 'unkeyed-x-api-key'],
    ['entries of req.headers', (req, res) => void res.send(Object.entries(req.headers)), 'unkeyed-x-api-key'],
  ]

  test('fields that are nobody’s are read by value: accepts(), xhr', async () => {
    const app = express()
    app.get('/', createSluice().cache('1m'), (req, res) => {
      res.send(`${name} ${req.accepts(['html', 'json'])} ${req.xhr}`)
    })
    const ask = await listen(app)
    const of = (accept: string, xhr: string) =>
      ask.request('/', { headers: { accept, 'x-requested-with': xhr, 'x-api-key': 'unread' } })
    for (const cache of ['miss', 'hit']) {
      for (const [accept, xhr, text] of [
        ['text/html', 'XMLHttpRequest', 'html true'],
        ['application/json', 'XMLHttpRequest', 'json true'],
        ['text/html', '', 'html false'],
      ] as const) {
        const answer = await of(accept, xhr)
        expect([answer.text, answer.cache]).toEqual([`${name} ${text}`, expect.stringContaining(cache)])
        expect(answer.header('vary')?.toLowerCase()).toContain('x-requested-with')
      }
    }
  })

  test.each(identities)('the guard sees %s, also where it was there before the cache', async (_, handler, detail) => {
    const app = express()
    app.use((req, res, next) => {
      Object.assign(req, { cookies: { a: '1' }, signedCookies: { a: '1' }, user: 'u', auth: 'a', session: 's' })
      res.locals.user = 'u'
      next()
    })
    app.get('/', createSluice().cache('1m'), handler)
    const answer = await (await listen(app)).request('/', {
      headers: { 'x-a': 'b', 'x-api-key': 'k', cookie: 'a=1' },
    })
    expect([answer.status, answer.stored, answer.detail]).toEqual([200, false, detail])
  })

  test('what Express reads by itself does not count', async () => {
    const app = express()
    app.get('/:id', createSluice().cache('1m'), (req, res) => {
      void [req.method, req.path, req.originalUrl, req.baseUrl, req.params, req.query, req.route, req.secure, req.fresh]
      res.json({ id: req.params.id })
    })
    expect((await (await listen(app)).request('/7', { headers: { 'if-none-match': '"a"' } })).stored).toBe(true)
  })

  test('a handler that reads the host is a variant of it', async () => {
    const app = express()
    app.get('/', createSluice().cache('1m'), (req, res) => void res.send(`at ${req.get('host')}`))
    const ask = await listen(app)
    for (const host of ['a.test', 'b.test', 'a.test', 'b.test']) {
      expect((await ask.request('/', { headers: { host } })).text).toBe(`at ${host}`)
    }
  })

  test('two caches around one handler: both say so, and a purge reaches both', async () => {
    const sluice = createSluice()
    const app = express()
    let runs = 0
    app.use(sluice.cache('1m', { name: 'Outer' }))
    app.get('/', sluice.cache('1m', { name: 'Inner', tags: ['a'] }), (_q, res) => void res.send(`run ${++runs}`))
    const ask = await listen(app)
    await ask.request('/')
    expect((await ask.request('/')).text).toBe('run 1')
    await sluice.purge({ url: '/' })
    expect((await ask.request('/')).text).toBe('run 2')
    await sluice.purge({ tags: ['a'] })
    expect((await ask.request('/')).text).toBe('run 3')
  })
})
