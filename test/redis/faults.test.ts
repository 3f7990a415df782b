import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createSluice, type NodeSluice } from '@sluice/node'
import { type RedisOptions, redis } from '@sluice/redis'
import { Redis } from 'ioredis'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const deadlineMs = 50
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function startServer(...settings: string[]): Promise<RedisServer> {
  const server = await startRedis(...settings)
  closing.push(() => server.stop())
  return server
}

/** An application whose answers are versions: what a correct cache may answer is known at every moment. */
async function application(target: Parameters<typeof redis>[0], options: RedisOptions = {}) {
  const sluice: NodeSluice = createSluice({ backend: redis(target, { tier: false, ...options }) })
  const cached = sluice.cache('1m', { tags: ['v'], guard: 'off' })
  const errors: string[] = []
  sluice.on('error', ({ error }) => errors.push(`${error.code} ${error.message}`))
  let version = 0
  const http: Server = createServer((req: IncomingMessage, res: ServerResponse) =>
    cached(req, res, () => {
      res.setHeader('content-type', 'text/plain')
      res.end(`v${version}`)
    }),
  )
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  closing.push(async () => {
    http.closeAllConnections()
    http.close()
    await sluice.close()
  })
  const get = (path: string) =>
    new Promise<{ status: number; body: string; line: string; ms: number }>((resolve, reject) => {
      const from = performance.now()
      request({ port, host: '127.0.0.1', path }, (res) => {
        let body = ''
        res.on('data', (part) => {
          body += part
        })
        res.on('end', () => {
          const line = String(res.headers['cache-status'])
          resolve({ status: res.statusCode!, body, line, ms: performance.now() - from })
        })
      })
        .on('error', reject)
        .end()
    })
  return {
    sluice,
    errors,
    get,
    change: () => {
      version++
    },
    get version() {
      return `v${version}`
    },
    hit: async (path = '/') => /hit/.test((await get(path)).line),
  }
}

type App = Awaited<ReturnType<typeof application>>

/** Requests while something is wrong: all answered, rightly and in time. */
async function underFault(app: App, forMs: number): Promise<void> {
  let lagMs = 0
  let last = performance.now()
  // A machine that is busy with something else is nobody's fault here.
  const watch = setInterval(() => {
    lagMs = Math.max(lagMs, performance.now() - last - 5)
    last = performance.now()
  }, 5)
  const replies: Awaited<ReturnType<App['get']>>[] = []
  const end = performance.now() + forMs
  for (let i = 0; performance.now() < end; i++) {
    replies.push(...(await Promise.all([0, 1, 2, 3].map((j) => app.get(`/${(i + j) % 6}`)))))
    await sleep(5)
  }
  clearInterval(watch)
  expect(replies.length).toBeGreaterThan(20)
  for (const { status, body, ms } of replies) {
    expect([status, body]).toEqual([200, app.version])
    expect(ms).toBeLessThan(deadlineMs + 50 + lagMs)
  }
}

async function warm(app: App): Promise<void> {
  await until(async () => (await app.get('/0')).line.includes('hit'))
  for (let i = 0; i < 6; i++) await app.get(`/${i}`)
}

const recovered = (app: App) => until(() => app.hit('/0'), 8_000)

describe('while Redis is in trouble, requests go to their handlers, in time; afterwards all is as before', () => {
  test('nobody listens when the application starts', async () => {
    const server = await startServer()
    await server.kill()
    const app = await application(server.url)
    await underFault(app, 500)
    expect(app.errors.length).toBeGreaterThan(0)
    expect(app.errors.every((error) => error.startsWith('ERR_SLUICE_STORE'))).toBe(true)
    await server.restart()
    await recovered(app)
  }, 20_000)

  test('killed, and restarted empty', async () => {
    const server = await startServer()
    const app = await application(server.url)
    await warm(app)
    await server.kill()
    app.errors.length = 0
    await underFault(app, 500)
    expect(app.errors.length).toBeGreaterThan(0)
    app.change()
    await expect(app.sluice.purge({ tags: ['v'] })).rejects.toMatchObject({ code: 'ERR_SLUICE_STORE' })
    await server.restart()
    await recovered(app)
    expect((await app.get('/0')).body).toBe(app.version)
  }, 20_000)

  test('frozen for a while', async () => {
    const server = await startServer()
    const app = await application(server.url)
    await warm(app)
    server.freeze()
    app.errors.length = 0
    await underFault(app, 1_200)
    expect(app.errors.some((error) => error.includes('longer than 50 ms'))).toBe(true)
    // Once it is known to be out nobody waits for it, and nobody is told again for every request.
    expect(app.errors.length).toBeLessThan(40)
    server.thaw()
    await recovered(app)
  }, 20_000)

  test('frozen while something is purged: purge rejects, and nothing older is served after the thaw', async () => {
    const server = await startServer()
    const app = await application(server.url, { deadlines: { purge: '200ms' } })
    await warm(app)
    server.freeze()
    app.change()
    await expect(app.sluice.purge({ tags: ['v'] })).rejects.toMatchObject({ code: 'ERR_SLUICE_STORE' })
    server.thaw()
    const end = performance.now() + 1_500
    while (performance.now() < end) expect((await app.get('/0')).body).toBe(app.version)
    await recovered(app)
  }, 20_000)

  test('a replica that takes no writes', async () => {
    const server = await startServer()
    const app = await application(server.url)
    await warm(app)
    await server.cli('REPLICAOF', '127.0.0.1', '1')
    await underFault(app, 500)
    app.change()
    await expect(app.sluice.purge({ tags: ['v'] })).rejects.toMatchObject({ code: 'ERR_SLUICE_STORE' })
    await server.cli('REPLICAOF', 'NO', 'ONE')
    await recovered(app)
    expect((await app.get('/0')).body).toBe(app.version)
  }, 20_000)

  test('out of memory, and told not to evict', async () => {
    const server = await startServer('--maxmemory-policy', 'noeviction')
    const app = await application(server.url)
    await warm(app)
    await server.cli('CONFIG', 'SET', 'maxmemory', '1')
    // What is stored still answers; what is not goes to its handler.
    expect(await app.hit('/0')).toBe(true)
    app.errors.length = 0
    for (let i = 0; i < 20; i++) expect(await app.get(`/new/${i}`)).toMatchObject({ status: 200, body: 'v0' })
    expect(app.errors.some((error) => error.includes('OOM'))).toBe(true)
    expect(await app.hit('/0')).toBe(true)
    await server.cli('CONFIG', 'SET', 'maxmemory', '0')
    await app.get('/new/0')
    await until(() => app.hit('/new/0'))
  }, 20_000)

  test('loading its snapshot', async () => {
    const server = await startServer('--key-load-delay', '400', '--loading-process-events-interval-bytes', '1024')
    const app = await application(server.url)
    await warm(app)
    await server.cli('DEBUG', 'POPULATE', '5000').catch(() => server.cli('EVAL', fill, '0'))
    await server.cli('SAVE')
    await server.kill()
    const restarting = server.restart()
    await underFault(app, 800)
    await restarting
    await recovered(app)
  }, 30_000)

  test('scripts flushed under load', async () => {
    const server = await startServer()
    const app = await application(server.url)
    await warm(app)
    app.errors.length = 0
    const flushing = setInterval(() => void server.cli('SCRIPT', 'FLUSH').catch(() => {}), 50)
    await underFault(app, 500)
    clearInterval(flushing)
    expect(app.errors).toEqual([])
    expect(await app.hit('/0')).toBe(true)
  }, 20_000)

  test('connections reset in the middle of a reply', async () => {
    const server = await startServer()
    const proxy = await new TcpProxy(server.port).start()
    closing.push(() => proxy.stop())
    const app = await application(`redis://127.0.0.1:${proxy.port}`)
    await warm(app)
    const cutting = setInterval(() => {
      proxy.resetAfterBytes = 70
    }, 120)
    await underFault(app, 1_000)
    clearInterval(cutting)
    proxy.resetAfterBytes = Number.POSITIVE_INFINITY
    expect(app.errors.length).toBeGreaterThan(0)
    await recovered(app)
  }, 20_000)

  test('a slow link', async () => {
    const server = await startServer()
    const proxy = await new TcpProxy(server.port).start()
    closing.push(() => proxy.stop())
    const app = await application(`redis://127.0.0.1:${proxy.port}`)
    await warm(app)
    proxy.delayMs = 300
    await underFault(app, 1_000)
    expect(app.errors.some((error) => error.includes('longer than'))).toBe(true)
    proxy.delayMs = 0
    await recovered(app)
  }, 20_000)
})

const fill = "for i = 1, 5000 do redis.call('SET', 'fill:' .. i, 'x') end"

describe('whatever the client was told to do', () => {
  test('a client that queues and retries for ever does not hold requests up', async () => {
    const server = await startServer()
    const client = new Redis(server.port, {
      maxRetriesPerRequest: null,
      enableOfflineQueue: true,
      retryStrategy: () => 100,
    })
    client.on('error', () => {})
    closing.push(() => client.disconnect())
    const app = await application(client)
    await warm(app)
    await server.kill()
    await underFault(app, 500)
    await server.restart()
    await recovered(app)
  }, 20_000)

  test('with the memory tier: what it holds is not served while Redis is gone, and nothing stale afterwards', async () => {
    const server = await startServer()
    const app = await application(server.url, { tier: {} })
    await warm(app)
    await server.kill()
    await until(async () => !(await app.hit('/0')))
    await underFault(app, 300)
    app.change()
    await server.restart()
    await recovered(app)
    expect((await app.get('/0')).body).toBe(app.version)
  }, 20_000)

  test('close() ends at once while Redis is frozen', async () => {
    const server = await startServer()
    const app = await application(server.url, { tier: {} })
    await warm(app)
    server.freeze()
    const from = performance.now()
    await app.sluice.close()
    expect(performance.now() - from).toBeLessThan(500)
    server.thaw()
  })
})
