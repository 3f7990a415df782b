import { afterAll, beforeAll } from '@jest/globals'
import { Redis } from 'ioredis'
import Redis5 from 'ioredis5'
import { MemoryCacheStore } from '../../packages/core/src/cache/store/memory-store.ts'
import type { CacheStore } from '../../packages/core/src/cache/store/store.ts'
import { TieredCacheStore } from '../../packages/redis/src/cache/store/tiered-store.ts'
import { describeCacheStore } from '../cache-store/contract.ts'
import { outside, serverOfTests } from '../support/outside-redis.ts'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { type SentinelServer, startSentinel, startTls, type TlsServer } from '../support/redis-ways.ts'
import { nodeRedis, wired } from './library.ts'
import { freshName, storeOn } from './support.ts'

let server: RedisServer | undefined
let secured: TlsServer | undefined
let watched: SentinelServer | undefined
const clients: { disconnect(): void }[] = []

beforeAll(async () => {
  if (outside) return
  server = await startRedis()
  secured = await startTls()
  watched = await startSentinel(server.port)
}, 30_000)
afterAll(async () => {
  if (outside) await (await serverOfTests()).stop()
  for (const client of clients) client.disconnect()
  await Promise.all([server?.stop(), secured?.stop(), watched?.stop()])
})

const address = (): string => outside ?? server!.url

for (const [version, Client] of [
  ['ioredis 6', Redis],
  ['ioredis 5', Redis5 as unknown as typeof Redis],
] as const) {
  let shared: Redis | undefined
  describeCacheStore(`Redis, ${version}`, async (clock, options) => {
    if (!shared) {
      shared = new Client(address())
      clients.push(shared)
      await shared.ping()
    }
    const name = freshName()
    const store = storeOn(shared, { name, clock, time: 'clock', ...options })
    return counting(store, shared, name)
  })
}

for (const version of ['node-redis', 'node-redis-6']) {
  let shared: Awaited<ReturnType<typeof clientOf>> | undefined
  let plain: Redis | undefined
  const clientOf = async () => {
    const { createClient } = await nodeRedis(version)
    const client = createClient({ url: address() })
    client.on('error', () => {})
    clients.push({ disconnect: () => client.destroy() })
    return client.connect()
  }
  describeCacheStore(`Redis, ${version}`, async (clock, options) => {
    shared ??= await clientOf()
    if (!plain) {
      plain = new Redis(address())
      clients.push(plain)
    }
    const name = freshName()
    return counting(storeOn(shared, { name, clock, time: 'clock', ...options }), plain, name)
  })
}

/** The ways there are to a server. */
const ways: readonly (readonly [string, () => Redis])[] = outside
  ? []
  : [
      ['a key prefix and a database', () => new Redis({ port: server!.port, db: 7, keyPrefix: 'pre:' })],
      ['TLS', () => new Redis(secured!.url, { tls: { ca: secured!.ca } })],
      ['Sentinel', () => new Redis({ sentinels: [{ host: '127.0.0.1', port: watched!.port }], name: watched!.name })],
    ]

for (const [way, connect] of ways) {
  let shared: Redis | undefined
  describeCacheStore(`Redis by ${way}`, async (clock, options) => {
    if (!shared) {
      shared = connect()
      clients.push(shared)
      await shared.ping()
    }
    const name = freshName()
    return counting(storeOn(shared, { name, clock, time: 'clock', ...options }), shared, name)
  })
}

describeCacheStore('memory in front of Redis', async (clock, options) => {
  const [client, listener] = [new Redis(address()), new Redis(address())]
  clients.push(client, listener)
  await Promise.all([client.ping(), listener.ping()])
  const name = freshName()
  const redis = storeOn(client, { name, clock, time: 'clock', ...options })
  const memory = new MemoryCacheStore({ clock, maxBytes: 2 ** 22, ...options })
  const bus = {
    client: wired(client),
    listener: wired(listener),
    changed: () => {},
    leaseMs: 600,
  }
  const store = new TieredCacheStore({ memory, redis, clock, maxTtlMs: 60_000, bus })
  await until(() => store.bus.live)
  return counting(store, client, name)
})

/** The store does not count what Redis holds; the suite wants to know that nothing was left behind. */
function counting(store: CacheStore, client: Redis, name: string): CacheStore {
  const entries = async () => (await client.keys(`*{${name}:*}*:e`)).length
  return Object.assign(store, { usage: async () => ({ entries: await entries(), bytes: 0, evictions: 0 }) }) as never
}
