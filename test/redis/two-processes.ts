import { afterAll, afterEach, beforeAll } from '@jest/globals'
import type { Redis } from 'ioredis'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import type { Vacancy, Variant } from '../../packages/core/src/cache/store/store.ts'
import type { RedisCacheStore } from '../../packages/redis/src/cache/store/redis-store.ts'
import { bodyOf, makeRecord, plain } from '../cache-store/fixtures.ts'
import { serverOfTests } from '../support/outside-redis.ts'
import type { RedisServer } from '../support/redis-server.ts'
import { connect, freshName, storeOn } from './support.ts'

// Whoever imports this gets a server for the tests of its file, and two clients of it as two processes have them. It is
// empty at the beginning of each test.
export let server: RedisServer
export let one: Redis
export let other: Redis
export const clock = systemClock()
const made: RedisCacheStore[] = []

beforeAll(async () => {
  server = await serverOfTests()
  one = await connect(server.port)
  other = await connect(server.port)
})
afterAll(async () => {
  one.disconnect()
  other.disconnect()
  await server.stop()
})
afterEach(async () => {
  // Leases they hold would be renewed during the tests that follow, and counted there.
  await Promise.all(made.splice(0).map((store) => store.close()))
  await one.flushall()
  await one.config('SET', 'maxmemory', '0')
})

/** Two processes that share a namespace. */
export function pair(over: Parameters<typeof storeOn>[1] = {}) {
  const name = freshName()
  const stores = [storeOn(one, { name, ...over }), storeOn(other, { name, ...over })] as const
  made.push(...stores)
  return stores
}

export async function put(
  store: RedisCacheStore,
  key: string,
  body: string | Buffer,
  over: Partial<CacheRecord> = {},
  variant: Variant = plain,
) {
  return store.set(key, variant, makeRecord(clock, body, over), (await store.position(key)) as Vacancy)
}

export const read = async (store: RedisCacheStore, key: string, select = plain.select) =>
  bodyOf((await store.get(key, select)) as CacheRecord | Vacancy)
