import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import type { RedisOptions } from '@sluice/redis'
import { Redis } from 'ioredis'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { redis } from './library.ts'

jest.setTimeout(60_000)

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function application(server: RedisServer, target: Parameters<typeof redis>[0], options: RedisOptions = {}) {
  const sluice = createSluice({
    backend: redis(target, { tier: false, ...options }),
    limits: { few: { rate: '1000/min', onOutage: 'open' } },
  })
  closing.push(() => sluice.close())
  await sluice.ready()
  let loads = 0
  const memo = sluice.memo(async (id: number) => ++loads + id, { name: 'm', ttl: '10m' })
  /** Whether requests are served with Redis: a hit, and a count that goes on. */
  const served = async () => {
    const before = loads
    await memo(1)
    const { remaining } = await sluice.check('few', { key: 'k' })
    return loads === before && remaining < 1_000
  }
  await until(served)
  return { sluice, served, server }
}

/** Nobody asks while it is out: then nothing but a probe can notice that it is back. */
async function outage(
  app: Awaited<ReturnType<typeof application>>,
  forMs: number,
  end: () => unknown,
): Promise<number> {
  for (let i = 0; i < 12; i++) await app.served()
  expect(await app.served()).toBe(false)
  await new Promise((resolve) => setTimeout(resolve, forMs))
  await end()
  const from = performance.now()
  await until(app.served, 15_000)
  return performance.now() - from
}

// Half a second, and what a machine that runs many tests at once adds.
const soon = 1_000

describe('Redis answers again, and is used again at once, however long it was out', () => {
  test.each([300, 4_000])('frozen for %i ms', async (ms) => {
    const server = await startRedis()
    closing.push(() => server.stop())
    const app = await application(server, server.url)
    server.freeze()
    expect(await outage(app, ms, () => server.thaw())).toBeLessThan(soon)
  })

  test.each(['a URL', 'a client'])('refused for 4 s: %s', async (what) => {
    const server = await startRedis('--appendonly', 'yes', '--appendfsync', 'always')
    closing.push(() => server.stop())
    const proxy = await new TcpProxy(server.port).start()
    closing.push(() => proxy.stop())
    const client = new Redis({ port: proxy.port, lazyConnect: true, retryStrategy: () => 200 })
    client.on('error', () => {})
    closing.push(() => client.disconnect())
    const app = await application(server, what === 'a URL' ? `redis://127.0.0.1:${proxy.port}` : client)
    proxy.refuse()
    expect(await outage(app, 4_000, () => proxy.start())).toBeLessThan(soon)
  })

  test('read-only, and then not any more: limits are counted there again', async () => {
    const server = await startRedis()
    closing.push(() => server.stop())
    const app = await application(server, server.url)
    await server.cli('REPLICAOF', '127.0.0.1', '1')
    await until(async () => {
      const { remaining } = await app.sluice.check('few', { key: 'k' })
      return remaining === 1_000
    })
    await new Promise((resolve) => setTimeout(resolve, 2_000))
    await server.cli('REPLICAOF', 'NO', 'ONE')
    const from = performance.now()
    await until(async () => (await app.sluice.check('few', { key: 'k' })).remaining < 1_000)
    expect(performance.now() - from).toBeLessThan(soon)
  })
})
