import http2 from 'node:http2'
import net from 'node:net'
import { expect, test } from '@jest/globals'
import { LimitError, type PolicyOptions } from '@sluice/core'
import type { FastifyInstance } from 'fastify'
import request from 'supertest'
import { counted } from './harness/handlers.ts'
import { type AppSpec, type Ctx, describeHosts, gate, type Route, type TestApp, turn, until } from './harness/host.ts'

/** Exact to the millisecond. */
const slow = (more: Partial<PolicyOptions> = {}): PolicyOptions => ({
  ...{ rate: '1/s', algorithm: 'sliding-log', slowDown: { max: '5s' } },
  ...more,
})

const limits = (app: TestApp) => app.sluice.stats().limits
const waiting = (app: TestApp, count: number) => until(() => limits(app).waiting === count)
const left = async (app: TestApp) => (await app.sluice.peek('p', { key: '127.0.0.1' })).remaining

describeHosts('a limit that would rather delay than refuse', (host) => {
  const boot = (route: Partial<Route> = {}, more: Partial<AppSpec> = {}) =>
    host.boot({
      sluice: { limits: { p: slow() } },
      routes: [
        {
          ...{ path: '/', handler: (c: Ctx) => c.send('done'), ...route },
          ...(route.limitUser || route.limitMisses ? {} : { limit: ['p'] }),
        },
      ],
      ...more,
    })

  test('lets them wait for their turn, wherever it is mounted', async () => {
    for (const at of ['limit', 'limitUser', 'limitMisses'] as const) {
      const handler = counted()
      const app = await boot(
        { handler, [at]: ['p'] },
        { sluice: { limits: { p: slow(at === 'limitUser' ? { phase: 'preHandler' } : {}) } } },
      )
      expect((await app.get('/')).text).toBe('run 1')
      const answers = [app.get('/')]
      await waiting(app, 1)
      answers.push(app.request('/', { method: 'HEAD' }))
      await waiting(app, 2)
      await app.clock.advance(999)
      expect([at, handler.runs, await left(app)]).toEqual([at, 1, 0])
      await app.clock.advance(1)
      await until(() => handler.runs === 2)
      await app.clock.advance(1_000)
      const [get, head] = await Promise.all(answers)
      expect([get!.status, get!.text, get!.header('ratelimit')]).toEqual([200, 'run 2', '"p";r=0;t=1'])
      expect([head!.status, head!.header('retry-after'), handler.runs]).toEqual([200, undefined, 3])
      await app.close()
    }
  })

  test('a body waits with its request', async () => {
    const app = await boot({ method: 'POST', handler: (c) => c.send({ got: c.raw.req.headers['content-length'] }) })
    const post = () =>
      app.request('/', { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } })
    expect((await post()).status).toBe(200)
    const waits = post()
    await waiting(app, 1)
    await app.clock.advance(1_000)
    expect([(await waits).status, (await waits).json()]).toEqual([200, { got: '7' }])
  })

  test('a client that leaves frees its place at once: the handler does not run, and nothing is charged', async () => {
    const handler = counted()
    const app = await boot({ handler }, { sluice: { limits: { p: slow({ slowDown: { max: '5s', queue: 1 } }) } } })
    await app.get('/')
    for (let i = 0; i < 3; i++) {
      const leaving = new AbortController()
      const gone = app.request('/', { signal: leaving.signal }).catch((error) => error.name)
      await waiting(app, 1)
      // There is one place.
      expect((await app.get('/')).status).toBe(429)
      leaving.abort()
      expect(await gone).toBe('AbortError')
      await waiting(app, 0)
    }
    await app.clock.advance(1_000)
    await turn()
    expect([handler.runs, await left(app), limits(app).left]).toEqual([1, 1, 3])
    expect((await app.get('/')).text).toBe('run 2')
  })

  test('of pipelined requests all leave with their connection', async () => {
    const handler = counted()
    const app = await boot({ handler })
    await app.get('/')
    const socket = net.connect(app.port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3))
    await waiting(app, 3)
    socket.destroy()
    await waiting(app, 0)
    await app.clock.advance(5_000)
    expect([handler.runs, limits(app)]).toMatchObject([1, { left: 3, allowed: 1, denied: 0 }])
  })

  test('and pipelined requests that stay are answered in their order', async () => {
    const app = await boot({ handler: counted() })
    const socket = net.connect(app.port, '127.0.0.1')
    let answered = ''
    socket.on('data', (text) => {
      answered += text
    })
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3))
    await waiting(app, 2)
    for (const count of [2, 3]) {
      await app.clock.advance(1_000)
      await until(() => answered.split('HTTP/1.1 200').length === count + 1)
    }
    expect(answered.match(/run \d/g)).toEqual(['run 1', 'run 2', 'run 3'])
    socket.destroy()
  })

  test('whoever answers meanwhile ends the wait: no handler, no permit that is lost', async () => {
    const handler = counted()
    const timeout = gate()
    const app = await boot(
      {
        handler,
        // A timeout, as middleware in front has it.
        before: [
          (c) => {
            void timeout.then(() => {
              if (c.query.timeout === undefined || c.raw.res.headersSent) return
              c.raw.res.statusCode = 504
              c.raw.res.end('timeout')
            })
          },
        ],
        limitMisses: ['p', 'permits'],
      },
      { sluice: { limits: { p: slow(), permits: '9 concurrent' } } },
    )
    await app.get('/')
    const answer = app.get('/?timeout')
    await waiting(app, 1)
    timeout.open()
    expect([(await answer).status, (await answer).text]).toEqual([504, 'timeout'])
    await waiting(app, 0)
    await app.clock.advance(5_000)
    expect([handler.runs, await left(app)]).toEqual([1, 1])
    await until(() => limits(app).permits === 0)
  })

  test('a permit that comes back goes to who waits for it', async () => {
    const opened = gate()
    const handler = counted(async (c, run) => {
      if (run === 1) await opened
      c.send(`run ${run}`)
    })
    const app = await boot(
      { handler },
      { sluice: { limits: { p: { rate: '1 concurrent', slowDown: { max: '5s' } } } } },
    )
    const first = app.get('/')
    await until(() => handler.runs === 1)
    const second = app.get('/')
    await waiting(app, 1)
    opened.open()
    expect([(await first).text, (await second).text]).toEqual(['run 1', 'run 2'])
    await until(() => limits(app).permits === 0)
  })

  test('within the quota it holds up, and who leaves meanwhile is not served', async () => {
    const handler = counted()
    const policy = slow({ rate: '4/min', slowDown: { max: '3s', from: 0.5, by: '1s' } })
    const app = await boot({ handler }, { sluice: { limits: { p: policy } } })
    await app.get('/')
    await app.get('/')
    const leaving = new AbortController()
    const gone = app.request('/', { signal: leaving.signal }).catch(() => 'gone')
    await waiting(app, 1)
    leaving.abort()
    await gone
    await waiting(app, 0)
    const held = app.get('/')
    await waiting(app, 1)
    await app.clock.advance(1_999)
    expect(handler.runs).toBe(2)
    await app.clock.advance(1)
    expect((await held).text).toBe('run 3')
  })

  test('when the instance closes who waits is refused', async () => {
    const app = await boot()
    await app.get('/')
    const waits = app.get('/')
    await waiting(app, 1)
    const closed = app.sluice.close()
    expect([(await waits).status, (await waits).header('retry-after')]).toEqual([429, '1'])
    await closed
  })

  test('a refusal after a wait is answered as the policy says', async () => {
    const seen: unknown[] = []
    const app = await boot(
      {},
      {
        sluice: { limits: { p: { rate: '1 concurrent', refuse: 'error', slowDown: { max: '2s' } } } },
        failed: (c, error) => {
          seen.push(error)
          c.status((error as LimitError).status).send('slow down')
        },
        routes: [
          {
            path: '/',
            limit: ['p'],
            handler: (c) => (c.query.stay === undefined ? c.send('done') : new Promise(() => {})),
          },
        ],
      },
    )
    const stays = new AbortController()
    const staying = app.request('/?stay', { signal: stays.signal }).catch(() => 'gone')
    await until(() => limits(app).permits === 1)
    const waits = app.get('/')
    await waiting(app, 1)
    await app.clock.advance(2_000)
    const refused = await waits
    expect([refused.status, refused.header('retry-after'), refused.header('cache-control')]).toEqual([
      ...[429, expect.stringMatching(/^\d+$/), 'no-store'],
    ])
    expect(seen.map((error) => error instanceof LimitError)).toEqual(host.framework === 'node' ? [] : [true])
    stays.abort()
    await staying
  })

  test('what supertest asks waits as well', async () => {
    const app = await boot()
    await request(app.server).get('/').expect(200)
    const waits = request(app.server).get('/').expect(200, 'done')
    const answered = waits.then(() => true)
    await waiting(app, 1)
    await app.clock.advance(1_000)
    expect(await answered).toBe(true)
  })

  if (host.framework !== 'express') {
    test('HTTP/2 streams that are reset leave, and the others stay', async () => {
      const handler = counted()
      const app = await boot({ handler }, { http2: true })
      const session = http2.connect(`http://127.0.0.1:${app.port}`)
      const ask = () => {
        const stream = session.request({ ':path': '/' })
        stream.on('error', () => {})
        stream.resume()
        return stream
      }
      const status = (stream: http2.ClientHttp2Stream) =>
        new Promise((resolve) => stream.on('response', (head) => resolve(head[':status'])))
      expect(await status(ask())).toBe(200)
      const [leaves, stays] = [ask(), ask()]
      const stayed = status(stays)
      await waiting(app, 2)
      leaves.close(http2.constants.NGHTTP2_CANCEL)
      await waiting(app, 1)
      await app.clock.advance(1_000)
      expect([await stayed, handler.runs]).toEqual([200, 2])
      ask()
      await waiting(app, 1)
      session.destroy()
      await waiting(app, 0)
      expect([handler.runs, limits(app).left]).toEqual([2, 2])
    })
  }

  if (host.framework === 'fastify') {
    test('injected requests wait, and leave', async () => {
      const handler = counted()
      const app = await boot({ handler })
      const { fastify } = app.own as unknown as { fastify: FastifyInstance }
      const ask = (signal?: AbortSignal) => fastify.inject({ url: '/', ...(signal && { signal }) })
      expect((await ask()).statusCode).toBe(200)
      const leaving = new AbortController()
      const gone = ask(leaving.signal).then(
        () => 'answered',
        () => 'gone',
      )
      await waiting(app, 1)
      leaving.abort()
      await waiting(app, 0)
      await gone
      const waits = ask()
      await waiting(app, 1)
      await app.clock.advance(1_000)
      expect([(await waits).body, handler.runs]).toEqual(['run 2', 2])
    })
  }
})
