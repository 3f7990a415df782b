import { afterEach, describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { type RedisClient, type RedisOptions, redis } from '@sluice/redis'
import { Cluster, Redis } from 'ioredis'
import * as ioredis5 from 'ioredis5'
import * as redis5 from 'redis'
import * as redis6 from 'redis-6'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import type { RedisCacheStore } from '../../packages/redis/src/cache/store/redis-store.ts'
import { resolveOptions } from '../../packages/redis/src/options.ts'

const clients: unknown[] = []
afterEach(() => {
  for (const client of clients.splice(0)) (client as { disconnect(): void }).disconnect()
})

describe('what redis() is given', () => {
  test('the defaults', () => {
    expect(resolveOptions({})).toMatchObject({
      namespace: 'sluice',
      lanes: undefined,
      tier: { maxBytes: undefined, maxTtlMs: 60_000 },
      maxEntryBytes: 4 * 2 ** 20,
      maxTags: 50_000,
      leaseMs: 2_000,
      deadlines: { readMs: 50, writeMs: 100, purgeMs: 1_000 },
    })
  })

  test('all of it', () => {
    const given: RedisOptions = {
      namespace: 'shop:2',
      lanes: 64,
      tier: { maxBytes: '16mb', maxTtl: '10s' },
      maxEntryBytes: '1mb',
      maxTags: 10,
      lease: '500ms',
      deadlines: { read: 20, write: '30ms', purge: '2s' },
    }
    expect(resolveOptions(given)).toMatchObject({
      namespace: 'shop:2',
      lanes: 64,
      tier: { maxBytes: 16 * 2 ** 20, maxTtlMs: 10_000 },
      maxEntryBytes: 2 ** 20,
      maxTags: 10,
      leaseMs: 500,
      deadlines: { readMs: 20, writeMs: 30, purgeMs: 2_000 },
    })
    expect(resolveOptions({ tier: false }).tier).toBeUndefined()
  })

  const wrong: readonly [unknown, RegExp][] = [
    [{ namespce: 'x' }, /no option `redis.namespce`. Did you mean `namespace`\?/],
    [{ namespace: 'a{b}' }, /`redis.namespace` must be 1 to 100 characters without braces/],
    [{ namespace: '' }, /`redis.namespace`/],
    [{ lanes: 0 }, /`redis.lanes` must be a whole number from 1 to 1024; received 0/],
    [{ lanes: 1.5 }, /`redis.lanes`/],
    [{ tier: true }, /`redis.tier`/],
    [{ tier: { maxSize: 1 } }, /no option `redis.tier.maxSize`/],
    [{ tier: { maxBytes: 'much' } }, /`redis.tier.maxBytes`/],
    [{ maxEntryBytes: -1 }, /`redis.maxEntryBytes`/],
    [{ maxTags: 0 }, /`redis.maxTags`/],
    [{ cluster: 'yes' }, /`redis.cluster`/],
    [{ lease: 0 }, /`redis.lease` must be longer than 0/],
    [{ deadlines: { red: 1 } }, /no option `redis.deadlines.red`. Did you mean `read`\?/],
    [{ deadlines: { read: 'soon' } }, /`redis.deadlines.read`/],
    [{ deadlines: { write: 0 } }, /`redis.deadlines.write` must be longer than 0/],
  ]
  test.each(wrong)('%j is refused', (options, message) => {
    expect(() => redis('redis://localhost', options as never)).toThrow(message)
  })

  test.each(['redis://localhost/2', '/run/redis.sock', 'unix:///run/redis.sock', new Redis({ lazyConnect: true })])(
    '%s is no node of a Cluster',
    (target) => {
      expect(() => redis(target, { cluster: true })).toThrow(/`redis.cluster` (?:must be left out|is for URLs)/)
    },
  )

  test.each([undefined, 'localhost:6379', 'http://localhost', {}, null, 6379])('%p is no server', (target) => {
    expect(() => redis(target as never)).toThrow(/`redis\(url\)` must be a URL such as/)
  })

  test('clients of ioredis 6 and 5, single and Cluster, are clients to the compiler as well', () => {
    const lazy = { lazyConnect: true } as const
    const all: RedisClient[] = [
      new Redis(lazy),
      new ioredis5.Redis(lazy),
      new Cluster([{ port: 1 }], lazy),
      new ioredis5.Cluster([{ port: 1 }], lazy),
    ]
    clients.push(...all)
    for (const client of all) expect(redis(client).kind).toBe('redis')
  })

  test('so are those of node-redis 5 and 6: alone, in a Cluster, behind Sentinel; a pool is not', () => {
    const nodes = { rootNodes: [{ url: 'redis://127.0.0.1:1' }] }
    const watched = { name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }
    const all: RedisClient[] = [
      redis5.createClient(),
      redis5.createClient({ RESP: 3 }).withTypeMapping({ 36: Buffer }),
      redis5.createCluster(nodes),
      redis5.createSentinel(watched),
      redis6.createClient(),
      redis6.createCluster(nodes),
      redis6.createSentinel(watched),
    ]
    for (const client of all) expect(redis(client).kind).toBe('redis')
    // @ts-expect-error what cannot be used is an error to the compiler too
    const pool: RedisClient = redis5.createClientPool()
    expect(() => redis(pool)).toThrow(/pool/)
  })
})

test('one lane on a single node, sixteen in a Cluster, and as many as are asked for', () => {
  const lazy = { lazyConnect: true } as const
  const lanesOf = (client: RedisClient, options: RedisOptions = {}) => {
    clients.push(client)
    const sizes = { maxBytes: 1, maxEntryBytes: 1, maxVariants: 1 }
    const env = { clock: systemClock(), report: () => {}, ...sizes }
    const store = redis(client, { tier: false, ...options }).cacheStore!(env) as RedisCacheStore
    return store.lanes.all.length
  }
  const clusters = () => [new Cluster([{ port: 1 }], lazy), new ioredis5.Cluster([{ port: 1 }], lazy)]
  for (const client of [new Redis(lazy), new ioredis5.Redis(lazy)]) expect(lanesOf(client)).toBe(1)
  for (const client of clusters()) expect(lanesOf(client)).toBe(16)
  for (const client of [new Redis(lazy), ...clusters()]) expect(lanesOf(client, { lanes: 4 })).toBe(4)
})

test('nothing connects before an instance is created, and nothing waits then', async () => {
  const backend = redis('redis://127.0.0.1:1')
  const from = performance.now()
  const sluice = createSluice({ backend })
  // No attempt to connect takes part in that; modules that are loaded late may.
  expect(performance.now() - from).toBeLessThan(500)
  expect(sluice.stats().cache.entries).toBe(0)
  await sluice.close()
})
