import { afterAll, beforeAll } from '@jest/globals'
import { Redis } from 'ioredis'
import Redis5 from 'ioredis5'
import { MemoryCacheStore } from '../../packages/core/src/cache/store/memory-store.ts'
import type { CacheStore } from '../../packages/core/src/cache/store/store.ts'
import { TieredCacheStore } from '../../packages/redis/src/cache/store/tiered-store.ts'
import type { ScriptClient } from '../../packages/redis/src/connection/client.ts'
import { describeCacheStore } from '../cache-store/contract.ts'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { freshName, storeOn } from './support.ts'

let server: RedisServer
const clients: { disconnect(): void }[] = []

beforeAll(async () => {
  server = await startRedis()
})
afterAll(async () => {
  for (const client of clients) client.disconnect()
  await server.stop()
})

for (const [version, Client] of [
  ['ioredis 6', Redis],
  ['ioredis 5', Redis5 as unknown as typeof Redis],
] as const) {
  let shared: Redis | undefined
  describeCacheStore(`Redis, ${version}`, async (clock, options) => {
    if (!shared) {
      shared = new Client(server.port)
      clients.push(shared)
      await shared.ping()
    }
    const name = freshName()
    const store = storeOn(shared, { name, clock, time: 'clock', ...options })
    return counting(store, shared, name)
  })
}

describeCacheStore('memory in front of Redis', async (clock, options) => {
  const [client, listener] = [new Redis(server.port), new Redis(server.port)]
  clients.push(client, listener)
  await Promise.all([client.ping(), listener.ping()])
  const name = freshName()
  const redis = storeOn(client, { name, clock, time: 'clock', ...options })
  const memory = new MemoryCacheStore({ clock, maxBytes: 2 ** 22, ...options })
  const bus = {
    client: client as unknown as ScriptClient,
    listener: listener as unknown as ScriptClient,
    changed: () => {},
    leaseMs: 600,
  }
  const store = new TieredCacheStore({ memory, redis, clock, maxTtlMs: 60_000, bus })
  await until(() => store.bus.live)
  return counting(store, client, name)
})

/** The store does not count what Redis holds; the suite wants to know that nothing was left behind. */
function counting(store: CacheStore, client: Redis, name: string): CacheStore {
  const entries = async () => (await client.keys(`{${name}:*}*:e`)).length
  return Object.assign(store, { usage: async () => ({ entries: await entries(), bytes: 0, evictions: 0 }) }) as never
}
