import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { Redis } from 'ioredis'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import { isPromise } from '../../packages/core/src/base/maybe-promise.ts'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import { MemoryCacheStore } from '../../packages/core/src/cache/store/memory-store.ts'
import type { Vacancy } from '../../packages/core/src/cache/store/store.ts'
import { TieredCacheStore } from '../../packages/redis/src/cache/store/tiered-store.ts'
import type { ScriptClient } from '../../packages/redis/src/connection/client.ts'
import { bodyOf, makeRecord, plain, requestWith, variantFor } from '../cache-store/fixtures.ts'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { connect, freshName, storeOn } from './support.ts'

let server: RedisServer
const clients: Redis[] = []
const closing: (() => unknown)[] = []
const clock = systemClock()

beforeAll(async () => {
  server = await startRedis()
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  for (const client of clients.splice(0)) client.disconnect()
})
afterAll(() => server.stop())

async function open() {
  const client = await connect(server.port)
  clients.push(client)
  return client
}

/** One process: its connections, its memory, its bus. */
async function processOn(name: string, { beatMs = 100, maxTtlMs = 60_000 } = {}) {
  const [client, listener] = [await open(), await open()]
  const redis = storeOn(client, { name })
  const memory = new MemoryCacheStore({ clock, maxBytes: 2 ** 20 })
  const changes: boolean[] = []
  const bus = {
    client: client as unknown as ScriptClient,
    listener: listener as unknown as ScriptClient,
    changed: (live: boolean) => changes.push(live),
    beatMs,
    deadlineMs: 200,
  }
  const store = new TieredCacheStore({ memory, redis, clock, maxTtlMs, bus })
  closing.push(() => store.close())
  await until(() => store.bus.live)
  const get = async (key: string, select = plain.select) => (await store.get(key, select)) as CacheRecord | Vacancy
  return {
    store,
    bus: store.bus,
    lanes: redis.lanes,
    listener,
    client,
    changes,
    get,
    read: async (key: string, select = plain.select) => bodyOf(await get(key, select)),
    put: async (key: string, body: string, over: Partial<CacheRecord> = {}, variant = plain) =>
      store.set(key, variant, makeRecord(clock, body, over), (await store.position(key)) as Vacancy),
    /** Whether memory alone answers. */
    holds: (key: string, select = plain.select) => {
      const found = store.get(key, select)
      if (!isPromise(found)) return true
      // Asked already, though nobody wants to know any more: the test may be over by then.
      found.then(undefined, () => {})
      return false
    },
  }
}

const both = async () => {
  const name = freshName()
  return [await processOn(name), await processOn(name)] as const
}

describe('memory in front', () => {
  test('answers at once what this process stored or read', async () => {
    const [a, b] = await both()
    await a.put('k', 'one')
    expect(a.holds('k')).toBe(true)
    expect(b.holds('k')).toBe(false)
    expect(await b.read('k')).toBe('one')
    expect(b.holds('k')).toBe(true)
    expect(await b.read('k')).toBe('one')
  })

  test('no longer than maxTtl', async () => {
    const a = await processOn(freshName(), { maxTtlMs: 60 })
    await a.put('k', 'one')
    expect(a.holds('k')).toBe(true)
    await until(() => !a.holds('k'))
    expect(await a.read('k')).toBe('one')
  })

  test('what has gone stale here may have been renewed there', async () => {
    const [a, b] = await both()
    const soon = clock.now() + 40
    const over = { staleAt: soon, whileRevalidateUntil: soon + 60_000, deleteAt: soon + 60_000 }
    await a.put('k', 'one', over)
    expect(await b.read('k')).toBe('one')
    await a.put('k', 'two')
    await until(() => !b.holds('k'))
    expect(await b.read('k')).toBe('two')
  })

  test('has a form that is made here at once, and one that was made there when it reads Redis again', async () => {
    const name = freshName()
    const [a, b] = [await processOn(name), await processOn(name, { maxTtlMs: 600 })]
    await a.put('k', 'one')
    const codings = (found: unknown) => (found as CacheRecord).forms.map(({ coding }) => coding)
    const form = { coding: 'gzip', body: Buffer.from('gzip'), etag: undefined }
    expect(codings(await b.get('k'))).toEqual(['identity'])
    const taken = a.store.addForm('k', plain.select, (await a.get('k')) as CacheRecord, form)
    expect(codings(a.store.get('k', plain.select))).toEqual(['identity', 'gzip'])
    expect(await taken).toBe(true)
    expect(codings(await b.get('k'))).toEqual(['identity'])
    await until(() => !b.holds('k'))
    expect(codings(await b.get('k'))).toEqual(['identity', 'gzip'])
    expect(b.holds('k')).toBe(true)
    expect(codings(b.store.get('k', plain.select))).toEqual(['identity', 'gzip'])
  })

  test('says of a form what Redis says, since memory is filled from there', async () => {
    const [a, b] = await both()
    await a.put('k', 'one', { tags: ['t'] })
    const form = { coding: 'gzip', body: Buffer.alloc(2 ** 20), etag: undefined }
    expect(await a.store.addForm('k', plain.select, (await a.get('k')) as CacheRecord, form)).toBe(false)
    const record = (await a.get('k')) as CacheRecord
    await b.store.invalidate([userTag('t')], 'purge')
    expect(await a.store.addForm('k', plain.select, record, { ...form, body: Buffer.from('x') })).toBe(false)
    expect(await b.read('k')).toBe('vacancy:key')
  })

  test('variants stay apart', async () => {
    const [a, b] = await both()
    const [en, de] = [{ l: 'en' }, { l: 'de' }]
    await a.put('k', 'hello', {}, variantFor(['l'], en))
    await a.put('k', 'hallo', {}, variantFor(['l'], de))
    for (let i = 0; i < 2; i++) {
      expect(await b.read('k', requestWith(en))).toBe('hello')
      expect(await b.read('k', requestWith(de))).toBe('hallo')
      expect(await b.read('k', requestWith({ l: 'fr' }))).toBe('vacancy:vary')
    }
    expect([b.holds('k', requestWith(en)), b.holds('k', requestWith(de))]).toEqual([true, true])
    // A response that does not vary itself does not answer for those that do.
    await a.put('k', 'plain', {}, { spec: { fields: [], codings: [] }, select: requestWith({}) })
    expect(await a.read('k', requestWith(de))).toBe('hallo')
  })
})

describe('a purge', () => {
  test('here is honoured here at once, and there within the bus delay', async () => {
    const [a, b] = await both()
    for (let round = 0; round < 20; round++) {
      await a.put('k', 'old', { tags: ['t'] })
      expect(await b.read('k')).toBe('old')
      expect(b.holds('k')).toBe(true)
      await a.store.invalidate([userTag('t')], 'purge')
      expect(await a.read('k')).toBe('vacancy:key')
      const start = performance.now()
      await until(() => !b.holds('k'), 1_000)
      expect(performance.now() - start).toBeLessThan(200)
      expect(await b.read('k')).toBe('vacancy:key')
    }
  })

  test('that lies between a read of Redis and its arrival in memory keeps it out', async () => {
    const [a, b] = await both()
    for (let round = 0; round < 50; round++) {
      const key = `k${round}`
      await a.put(key, 'old', { tags: ['t'] })
      const reading = b.get(key)
      await a.store.invalidate([userTag('t')], 'purge')
      await reading
      await until(() => !b.holds(key), 1_000)
    }
  })

  test('an expire makes it stale, which Redis is then asked about', async () => {
    const [a, b] = await both()
    const later = clock.now() + 60_000
    await a.put('k', 'old', { tags: ['t'], whileRevalidateUntil: later + 60_000, deleteAt: later + 60_000 })
    await b.read('k')
    await a.store.invalidate([userTag('t')], 'expire')
    await until(() => !b.holds('k'))
    const found = await b.get('k')
    expect(found).toMatchObject({ kind: 'record' })
    expect((found as CacheRecord).staleAt).toBeLessThanOrEqual(clock.now())
  })
})

describe('a bus that may have missed something', () => {
  test('whose connection is cut: memory is not used until it has caught up, and then holds nothing purged', async () => {
    const [a, b] = await both()
    await a.put('k', 'old', { tags: ['t'] })
    await a.put('l', 'other')
    expect([await b.read('k'), await b.read('l')]).toEqual(['old', 'other'])
    b.listener.options.retryStrategy = () => 300
    b.listener.disconnect(true)
    await until(() => !b.bus.live)
    expect(b.holds('k')).toBe(false)
    await a.store.invalidate([userTag('t')], 'purge')
    expect(await b.read('k')).toBe('vacancy:key')
    await until(() => b.bus.live)
    expect(await b.read('k')).toBe('vacancy:key')
    expect(b.changes).toEqual([true, false, true])
  })

  test('that is sent nonsense stays what it is', async () => {
    const b = await processOn(freshName())
    const { channel } = b.lanes
    for (const text of ['', 'x', '0 e 1 {', '0 e 1 ["drop",[]]', '99 e 1 ["purge",["t"]]', '0 e 1 ["purge",[1]]']) {
      await b.client.publish(channel, text)
    }
    await b.put('k', 'one')
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(b.bus.live).toBe(true)
    expect(b.holds('k')).toBe(true)
  })

  test('that missed nothing keeps what memory holds', async () => {
    const b = await processOn(freshName())
    await b.put('k', 'one')
    await b.client.client('KILL', 'TYPE', 'PUBSUB')
    await until(() => !b.bus.live)
    await until(() => b.bus.live)
    expect(b.holds('k')).toBe(true)
  })

  test('a gap in the count means that one was lost', async () => {
    const [a, b] = await both()
    await a.put('k', 'old', { tags: ['t'] })
    await b.read('k')
    // Everything this listener hears of one lane is swallowed once.
    const emit = b.listener.emit.bind(b.listener)
    let swallow = 4
    b.listener.emit = ((event: string, ...args: unknown[]) =>
      event === 'message' && /purge/.test(String(args[1])) && swallow-- > 0 ? true : emit(event, ...args)) as never
    await a.store.invalidate([userTag('t')], 'purge')
    await a.store.invalidate([userTag('unrelated')], 'purge')
    await until(() => !b.holds('k'), 2_000)
    await until(() => b.bus.live)
    expect(b.changes).toContain(false)
    expect(b.holds('k')).toBe(false)
  })

  test('a lost message is noticed at the next beat, even if no other follows', async () => {
    const [a, b] = await both()
    await a.put('k', 'old', { tags: ['t'] })
    await b.read('k')
    const emit = b.listener.emit.bind(b.listener)
    b.listener.emit = ((event: string, ...args: unknown[]) =>
      event === 'message' && /purge/.test(String(args[1])) ? true : emit(event, ...args)) as never
    await a.store.invalidate([userTag('t')], 'purge')
    await until(() => !b.holds('k'), 2_000)
    expect(await b.read('k')).toBe('vacancy:key')
  })

  test('while Redis is frozen, memory is not believed for longer than a beat', async () => {
    const b = await processOn(freshName())
    await b.put('k', 'one')
    server.freeze()
    try {
      await until(() => !b.bus.live, 3_000)
    } finally {
      server.thaw()
    }
    await until(() => b.bus.live)
    expect(await b.read('k')).toBe('one')
  })
})
