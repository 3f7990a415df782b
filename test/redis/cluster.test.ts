import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { Cluster } from 'ioredis'
import type { CacheRecord } from '../../packages/core/src/cache/record.ts'
import { userTag } from '../../packages/core/src/cache/record-tags.ts'
import type { CacheStore, Vacancy } from '../../packages/core/src/cache/store.ts'
import { systemClock } from '../../packages/core/src/clock.ts'
import { redis } from '../../packages/redis/src/backend.ts'
import { describeCacheStore } from '../cache-store/contract.ts'
import { bodyOf, makeRecord, plain } from '../cache-store/fixtures.ts'
import { type RedisCluster, type RedisServer, startCluster, until } from '../support/redis-server.ts'
import { freshName, storeOn } from './support.ts'

let cluster: RedisCluster
const closing: (() => unknown)[] = []
const clock = systemClock()

beforeAll(async () => {
  cluster = await startCluster(3, 1)
}, 60_000)
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(async () => {
  shared?.disconnect()
  await cluster.stop()
}, 30_000)

async function connect(): Promise<Cluster> {
  const startup = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const client = new Cluster(startup, { clusterRetryStrategy: () => 100, slotsRefreshInterval: 500 })
  client.on('error', () => {})
  if (client.status !== 'ready') await new Promise<void>((resolve) => client.once('ready', () => resolve()))
  return client
}

let shared: Cluster | undefined
describeCacheStore('Redis Cluster', async (storeClock, options) => {
  shared ??= await connect()
  const name = freshName()
  const store = storeOn(shared, { name, clock: storeClock, time: 'clock', ...options })
  const entries = async () =>
    (await Promise.all(shared!.nodes('master').map((node) => node.keys(`{${name}:*}e:*`)))).flat().length
  return Object.assign(store, { usage: async () => ({ entries: await entries(), bytes: 0, evictions: 0 }) }) as never
})

async function open(over: Parameters<typeof storeOn>[1] = {}) {
  const client = await connect()
  closing.push(() => client.disconnect())
  return { client, store: storeOn(client, { laneCount: 16, ...over }) }
}

async function put(store: CacheStore, key: string, body: string, tags: string[] = []) {
  return store.set(key, plain, makeRecord(clock, body, { tags }), (await store.position(key)) as Vacancy)
}

const read = async (store: CacheStore, key: string) => bodyOf((await store.get(key, plain.select)) as CacheRecord)

/** The masters and what they hold of that name. */
async function masters(): Promise<{ server: RedisServer; id: string; slots: string[] }[]> {
  const running = await Promise.all(
    cluster.nodes.map(async (server) => {
      const lines = (await server.cli('CLUSTER', 'NODES').catch(() => '')).split('\n')
      const own = lines.find((line) => line.includes('myself'))?.split(' ')
      if (!own || !own[2]!.includes('master')) return []
      return [{ server, id: own[0]!, slots: own.slice(8) }]
    }),
  )
  return running.flat().filter(({ slots }) => slots.length > 0)
}

describe('a Cluster of three', () => {
  test('entries are spread over all nodes, and each is in one slot with what belongs to it', async () => {
    const name = freshName()
    const { store, client } = await open({ name })
    for (let i = 0; i < 200; i++) expect(await put(store, `k${i}`, 'x')).toBe('stored')
    const counts = await Promise.all(
      client.nodes('master').map(async (node) => (await node.keys(`{${name}:*}e:*`)).length),
    )
    expect(counts.length).toBe(3)
    for (const count of counts) expect(count).toBeGreaterThan(20)
  })

  test('a purge reaches all of them', async () => {
    const name = freshName()
    const [{ store: a }, { store: b }] = [await open({ name }), await open({ name })]
    for (let i = 0; i < 100; i++) await put(a, `k${i}`, 'old', ['t'])
    await a.invalidate([userTag('t')], 'purge')
    for (let i = 0; i < 100; i++) expect(await read(b, `k${i}`)).toBe('vacancy:key')
  })

  test('memory in front follows the bus here too', async () => {
    const clients = [await connect(), await connect()]
    const namespace = freshName()
    const env = { clock, maxBytes: 2 ** 20, maxEntryBytes: 2 ** 20, maxVariants: 8, report: () => {} }
    const backends = clients.map((client) => redis(client, { namespace, deadlines: { read: '1s' } }))
    const [a, b] = backends.map((backend) => backend.cacheStore(env))
    closing.push(async () => {
      await Promise.all([a!.close(), b!.close()])
      for (const backend of backends) await backend.close?.()
      for (const client of clients) client.disconnect()
    })
    const held = () => (b!.get('k', plain.select) as { kind?: string }).kind === 'record'
    await until(async () => {
      await put(a!, 'k', 'old', ['t'])
      await read(b!, 'k')
      return held()
    })
    await a!.invalidate([userTag('t')], 'purge')
    await until(() => !held(), 1_000)
    expect(await read(b!, 'k')).toBe('vacancy:key')
  }, 20_000)

  test('slots that move under load: nothing fails for long, nothing older than a purge is served', async () => {
    const { store, client } = await open({ deadlines: { readMs: 1_000, writeMs: 1_000, purgeMs: 3_000 } })
    const [from, to] = await masters()
    const lane = store.lanes.all.find(({ clock: key }) => holds(from!.slots, slotOf(client, key)))!
    const keys = Array.from({ length: 400 }, (_, i) => `k${i}`).filter((key) => store.lanes.place(key).lane === lane)
    let done = false
    let version = 0
    const wrong: string[] = []
    let failures = 0
    let served = 0
    const load = (async () => {
      while (!done) {
        const expected = version
        for (const key of keys.slice(0, 8)) {
          const found = await read(store, key).catch(() => 'failed')
          if (found === 'failed') failures++
          else if (!found.startsWith('vacancy')) {
            served++
            if (Number(found) < expected) wrong.push(`${key}: ${found} after ${expected}`)
          } else await put(store, key, String(version), ['t']).catch(() => failures++)
        }
        await store.invalidate([userTag('t')], 'purge').then(
          () => version++,
          () => failures++,
        )
        for (const key of keys.slice(0, 8)) await put(store, key, String(version), ['t']).catch(() => failures++)
      }
    })()
    const slot = String(slotOf(client, lane.clock))
    await to!.server.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from!.id)
    await from!.server.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to!.id)
    for (;;) {
      const some = (await from!.server.cli('CLUSTER', 'GETKEYSINSLOT', slot, '10')).split('\n').filter(Boolean)
      if (some.length === 0) break
      await from!.server.cli(
        'MIGRATE',
        '127.0.0.1',
        String(to!.server.port),
        '',
        '0',
        '1000',
        'REPLACE',
        'KEYS',
        ...some,
      )
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    for (const { server } of [to!, from!]) await server.cli('CLUSTER', 'SETSLOT', slot, 'NODE', to!.id)
    await new Promise((resolve) => setTimeout(resolve, 300))
    done = true
    await load
    expect(wrong).toEqual([])
    expect(served).toBeGreaterThan(10)
    expect(await put(store, keys[0]!, 'after')).toBe('stored')
    expect(await read(store, keys[0]!)).toBe('after')
    expect(failures).toBeLessThan(served)
  }, 30_000)

  test('a node lost: its part goes to the handlers, the rest goes on, and its replica takes over', async () => {
    const { store } = await open({ deadlines: { readMs: 100, writeMs: 200, purgeMs: 300 } })
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`)
    for (const key of keys) await put(store, key, 'old', ['t'])
    const [lost] = await masters()
    await new Promise((resolve) => setTimeout(resolve, 200))
    await lost!.server.kill()
    const from = performance.now()
    const during = await Promise.all(keys.map((key) => read(store, key).catch(() => 'failed')))
    expect(performance.now() - from).toBeLessThan(1_000)
    expect(during.filter((found) => found === 'old').length).toBeGreaterThan(10)
    expect(during.every((found) => found === 'old' || found === 'failed')).toBe(true)
    await expect(store.invalidate([userTag('t')], 'purge')).rejects.toThrow()
    // What was purged where there was somebody to ask is gone, and what was not is not believed until it is.
    for (const key of keys) expect(await read(store, key).catch(() => 'failed')).not.toBe('old')
    await until(async () => {
      const now = await Promise.all(keys.map((key) => put(store, key, 'new', ['t']).catch(() => 'failed')))
      return now.every((outcome) => outcome === 'stored')
    }, 20_000)
    for (const key of keys) expect(await read(store, key)).toBe('new')
    await store.close()
  }, 60_000)
})

function slotOf(client: Cluster, key: string): number {
  const { slots } = client as unknown as { slots: unknown[] }
  return slots.length > 0 ? crc16(/\{(.*?)\}/.exec(key)![1]!) % 16_384 : 0
}

/** CRC16/XMODEM, by which a Cluster assigns slots. */
function crc16(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff
  }
  return crc
}

function holds(ranges: readonly string[], slot: number): boolean {
  return ranges.some((range) => {
    const [from, to = from] = range.split('-').map(Number)
    return slot >= from! && slot <= to!
  })
}
