import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { Redis } from 'ioredis'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import { isPromise } from '../../packages/core/src/base/maybe-promise.ts'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import { MemoryCacheStore } from '../../packages/core/src/cache/store/memory-store.ts'
import type { Vacancy } from '../../packages/core/src/cache/store/store.ts'
import { hold, member, members } from '../../packages/redis/src/cache/invalidation/scripts.ts'
import { TieredCacheStore } from '../../packages/redis/src/cache/store/tiered-store.ts'
import { bodyOf, makeRecord, plain, requestWith, variantFor } from '../cache-store/fixtures.ts'
import { serverOfTests } from '../support/outside-redis.ts'
import { type RedisServer, until } from '../support/redis-server.ts'
import { wired } from './library.ts'
import { onIoredis, onOwnServer } from './skips.ts'
import { connect, freshName, storeOn } from './support.ts'

let server: RedisServer
const clients: Redis[] = []
const closing: (() => unknown)[] = []
const clock = systemClock()

beforeAll(async () => {
  server = await serverOfTests()
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
async function processOn(name: string, { beatMs = 100, maxTtlMs = 60_000, leaseMs = 300 } = {}) {
  const [client, listener] = [await open(), await open()]
  const redis = storeOn(client, { name })
  const memory = new MemoryCacheStore({ clock, maxBytes: 2 ** 20 })
  const changes: boolean[] = []
  const bus = {
    client: wired(client),
    listener: wired(listener),
    changed: (live: boolean) => changes.push(live),
    leaseMs,
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
  test('that has resolved is honoured here and there', async () => {
    const [a, b] = await both()
    for (let round = 0; round < 20; round++) {
      await a.put('k', 'old', { tags: ['t'] })
      expect(await b.read('k')).toBe('old')
      expect(b.holds('k')).toBe(true)
      await a.store.invalidate([userTag('t')], 'purge')
      expect(await a.read('k')).toBe('vacancy:key')
      expect(b.holds('k')).toBe(false)
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
      expect(b.holds(key)).toBe(false)
    }
  })

  test('an expire makes it stale, which Redis is then asked about', async () => {
    const [a, b] = await both()
    const later = clock.now() + 60_000
    await a.put('k', 'old', { tags: ['t'], whileRevalidateUntil: later + 60_000, deleteAt: later + 60_000 })
    await b.read('k')
    await a.store.invalidate([userTag('t')], 'expire')
    expect(b.holds('k')).toBe(false)
    const found = await b.get('k')
    expect(found).toMatchObject({ kind: 'record' })
    expect((found as CacheRecord).staleAt).toBeLessThanOrEqual(clock.now())
  })
})

/** What that process would hear of purges comes later by so much, or never. */
function delayMessages({ listener }: { readonly listener: Redis }, ms: number): () => void {
  const emit = listener.emit
  listener.emit = ((event: string, ...args: unknown[]) => {
    if (event !== 'message' || !/purge|expire/.test(String(args[1]))) return emit.call(listener, event, ...args)
    if (ms !== Number.POSITIVE_INFINITY) setTimeout(() => emit.call(listener, event, ...args), ms)
    return true
  }) as never
  return () => {
    listener.emit = emit
  }
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const from = performance.now()
  await work()
  return performance.now() - from
}

describe('a purge waits for those who answer from memory', () => {
  const purge = (process: Awaited<ReturnType<typeof processOn>>) => process.store.invalidate([userTag('t')], 'purge')

  onIoredis.each(['purge', 'expire'] as const)('until they have heard of it: %s', async (mode) => {
    const [a, b] = await both()
    await a.put('k', 'old', { tags: ['t'] })
    await b.read('k')
    delayMessages(b, 100)
    const purged = a.store.invalidate([userTag('t')], mode)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(b.holds('k')).toBe(true)
    await purged
    expect(b.holds('k')).toBe(false)
  })

  onIoredis('or until their lease is over, by their own clock too', async () => {
    const name = freshName()
    const [a, b] = [await processOn(name), await processOn(name, { leaseMs: 400 })]
    await a.put('k', 'old', { tags: ['t'] })
    await b.read('k')
    delayMessages(b, Number.POSITIVE_INFINITY)
    let resolved = false
    const purged = purge(a).then(() => {
      resolved = true
    })
    // Whatever it believes of its memory at any moment, it does not once the purge has resolved.
    while (!resolved) {
      await new Promise((resolve) => setImmediate(resolve))
      if (resolved) expect(b.holds('k')).toBe(false)
    }
    await purged
    expect(await b.read('k')).toBe('vacancy:key')
  })

  test('not longer than a lease for one that is gone, and not again', async () => {
    const name = freshName()
    const [a, b] = [await processOn(name), await processOn(name)]
    await a.put('k', 'old', { tags: ['t'] })
    // As a process that is killed: nobody says good-bye.
    for (const client of [b.client, b.listener]) client.disconnect()
    const first = await timed(() => purge(a))
    expect(first).toBeGreaterThan(100)
    expect(first).toBeLessThan(700)
    await until(async () => (await timed(() => purge(a))) < 100)
  })

  test('not at all for one that was closed, nor for itself', async () => {
    const name = freshName()
    const [a, b] = [await processOn(name), await processOn(name)]
    await b.store.close()
    // The lane is younger than a lease could be, in a store that is told of none.
    expect(await timed(() => purge(a))).toBeLessThan(100)
  })

  test('whose loop was blocked: it does not believe its memory any more when it goes on', async () => {
    const [a, b] = await both()
    await b.put('k', 'old', { tags: ['t'] })
    const end = performance.now() + 400
    while (performance.now() < end);
    expect(b.holds('k')).toBe(false)
    await until(() => b.bus.live && a.bus.live)
    expect(await b.read('k')).toBe('old')
    await until(() => b.holds('k'))
  })

  onIoredis('of which it cannot know, because Redis has forgotten them', async () => {
    const name = freshName()
    const b = await processOn(name, { leaseMs: 500 })
    await b.put('k', 'old', { tags: ['t'] })
    // A process that does not answer from memory itself, with the options of all.
    const a = storeOn(await open(), { name, memoryLeaseMs: 500 })
    closing.push(() => a.close())
    delayMessages(b, Number.POSITIVE_INFINITY)
    await b.client.flushall()
    expect(await timed(() => Promise.resolve(a.invalidate([userTag('t')], 'purge')))).toBeGreaterThan(300)
    expect(b.holds('k')).toBe(false)
  })

  onIoredis(
    'and rejects where that takes longer than its deadline; it has succeeded as soon as it can be',
    async () => {
      const name = freshName()
      const b = await processOn(name, { leaseMs: 1_000 })
      await b.put('k', 'old', { tags: ['t'] })
      const a = storeOn(await open(), { name, deadlines: { readMs: 1_000, writeMs: 1_000, purgeMs: 100 } })
      closing.push(() => a.close())
      const again = delayMessages(b, Number.POSITIVE_INFINITY)
      await expect(a.invalidate([userTag('t')], 'purge')).rejects.toThrow('longer than')
      again()
      await until(() => !b.holds('k'), 3_000)
      expect(await b.read('k')).toBe('vacancy:key')
      await until(async () => (await a.position('k')) !== undefined, 3_000)
    },
  )

  test('a storm of purges does not take the right away from those who keep up', async () => {
    const [a, b] = await both()
    await b.put('k', 'kept', { tags: ['other'] })
    let over = false
    const storm = async () => {
      while (!over) await purge(a)
    }
    const storms = [storm(), storm(), storm(), storm()]
    let held = 0
    for (let i = 0; i < 60; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (b.holds('k')) held++
    }
    over = true
    await Promise.all(storms)
    expect(held).toBeGreaterThan(40)
  })

  test('a thousand that joined and went cost no more than that, and one purge the length of a lease', async () => {
    const name = freshName()
    const a = storeOn(await open(), { name, laneCount: 1, memoryLeaseMs: 100 })
    closing.push(() => a.close())
    for (let i = 0; i < 1_200; i++) {
      await a.scripts.run(a.lanes.all[0]!, hold, [], [String(i).padStart(12, '0'), '', 0, 100, 0])
    }
    const { values } = await a.scripts.run(a.lanes.all[0]!, members, [], [])
    expect((values[2] as Buffer).length / member.bytes).toBeLessThanOrEqual(1_000)
    expect(await timed(() => Promise.resolve(a.invalidate([userTag('t')], 'purge')))).toBeLessThan(1_000)
  })
})

describe('a bus that may have missed something', () => {
  onIoredis(
    'whose connection is cut: memory is not used until it has caught up, and then holds nothing purged',
    async () => {
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
    },
  )

  test('that is sent nonsense stays what it is', async () => {
    const b = await processOn(freshName())
    const { channel } = b.lanes
    for (const text of [
      '',
      'x',
      '0 e 1 a {',
      '0 e 1 a ["drop",[]]',
      '99 e 1 a ["purge",["t"]]',
      '0 e 1 a ["purge",[1]]',
    ]) {
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

  onIoredis('a gap in the count means that one was lost', async () => {
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
    expect(b.holds('k')).toBe(false)
  })

  onIoredis('a lost message is noticed at the next beat, even if no other follows', async () => {
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

  onOwnServer('while Redis is frozen, memory is not believed for longer than a beat', async () => {
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
