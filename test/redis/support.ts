import { Redis } from 'ioredis'
import type { Clock } from '../../packages/core/src/base/clock.ts'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import { Lanes } from '../../packages/redis/src/cache/store/lanes.ts'
import { RedisCacheStore, type RedisCacheStoreOptions } from '../../packages/redis/src/cache/store/redis-store.ts'
import { Link } from '../../packages/redis/src/connection/link.ts'
import { outside, ownMark, visitor } from '../support/outside-redis.ts'
import { likewise, likewiseWaits, wired } from './library.ts'

let names = 0

/** A namespace no other test has. */
export const freshName = (): string => `${ownMark}-${names++}`

/** A client as an application would make it, connected. */
export async function connect(port: number): Promise<Redis> {
  const patient = { maxRetriesPerRequest: null, retryStrategy: () => 50 }
  const client =
    outside !== undefined && port === portOf(outside)
      ? visitor(outside, patient)
      : new Redis({ port, host: '127.0.0.1', ...patient })
  client.on('error', () => {})
  if (client.status !== 'ready') await new Promise<void>((resolve) => client.once('ready', () => resolve()))
  likewise(client)
  return client
}

const portOf = (url: string): number => Number(new URL(url).port || 6379)

/** A store as one process has it; several under one name are several processes. */
export function storeOn(
  client: unknown,
  over: Partial<RedisCacheStoreOptions> & { readonly name?: string; readonly laneCount?: number; clock?: Clock } = {},
): RedisCacheStore {
  const { name = freshName(), laneCount = 4, ...rest } = over
  return new RedisCacheStore({
    link: new Link(wired(client), likewiseWaits),
    clock: systemClock(),
    lanes: new Lanes(name, laneCount),
    maxEntryBytes: 2 ** 20,
    maxVariants: 64,
    maxTags: 10_000,
    leaseMs: 1_000,
    deadlines: { readMs: 1_000, writeMs: 1_000, purgeMs: 1_000 },
    ...rest,
  })
}
