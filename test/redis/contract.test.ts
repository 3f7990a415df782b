import { afterAll, beforeAll } from '@jest/globals'
import { Redis } from 'ioredis'
import Redis5 from 'ioredis5'
import { describeCacheStore } from '../cache-store/contract.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
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
    // The store does not count what Redis holds; the suite wants to know that nothing was left behind.
    const entries = async () => (await shared!.keys(`{${name}:*}*:e`)).length
    return Object.assign(store, { usage: async () => ({ entries: await entries(), bytes: 0, evictions: 0 }) }) as never
  })
}
