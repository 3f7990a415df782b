import { describe, expect, test } from '@jest/globals'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { everythingTag, userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import type { Vacancy } from '../../packages/core/src/cache/store/store.ts'
import { Lanes } from '../../packages/redis/src/cache/store/lanes.ts'
import type { RedisCacheStore } from '../../packages/redis/src/cache/store/redis-store.ts'
import { bodyOf, makeRecord, plain, requestWith, variantFor } from '../cache-store/fixtures.ts'
import { onOwnServer } from './skips.ts'
import { connect, freshName, storeOn } from './support.ts'
import { clock, one, other, pair, put, read, server } from './two-processes.ts'

describe('across processes', () => {
  test('a purge that has resolved in one is honoured by the next read of the other', async () => {
    const [a, b] = pair()
    for (let i = 0; i < 50; i++) {
      await put(a, `k${i}`, 'old', { tags: ['t'] })
      expect(await read(b, `k${i}`)).toBe('old')
    }
    await a.invalidate([userTag('t')], 'purge')
    for (let i = 0; i < 50; i++) expect(await read(b, `k${i}`)).toBe('vacancy:key')
  })

  test('read starts here, purge there, read finishes here: what it read is not stored (ocache)', async () => {
    const [a, b] = pair()
    const vacancy = (await a.get('k', plain.select)) as Vacancy
    await b.invalidate([userTag('t')], 'purge')
    expect(await a.set('k', plain, makeRecord(clock, 'old', { tags: ['t'] }), vacancy)).toBe('fenced')
    expect(await read(b, 'k')).toBe('vacancy:key')
  })

  test('an expire in one makes it stale in the other', async () => {
    const [a, b] = pair()
    const later = clock.now() + 60_000
    await put(a, 'k', 'old', { tags: ['t'], whileRevalidateUntil: later + 60_000, deleteAt: later + 60_000 })
    await a.invalidate([userTag('t')], 'expire')
    const found = (await b.get('k', plain.select)) as CacheRecord
    expect(found.kind).toBe('record')
    expect(found.staleAt).toBeLessThanOrEqual(clock.now() + 5)
  })

  test('a record is as old in one process as in the other, whatever their clocks say', async () => {
    const [a] = pair()
    const name = freshName()
    const ahead = { ...clock, now: () => clock.now() + 3_600_000 }
    const [here, there] = [storeOn(one, { name }), storeOn(other, { name, clock: ahead })]
    await put(here, 'k', 'x')
    await new Promise((resolve) => setTimeout(resolve, 30))
    const found = (await there.get('k', plain.select)) as CacheRecord
    const age = ahead.now() - found.storedAt
    expect(age).toBeGreaterThanOrEqual(28)
    expect(age).toBeLessThan(500)
    expect(found.staleAt - found.storedAt).toBe(60_000)
    await a.close()
  })

  test('applications with other namespaces, and other numbers of lanes, know nothing of each other', async () => {
    const base = freshName()
    const a = storeOn(one, { name: `${base}a` })
    const rest = [storeOn(one, { name: `${base}b` }), storeOn(one, { name: `${base}a`, laneCount: 8 })]
    await put(a, 'k', 'a')
    for (const store of rest) {
      expect(await read(store, 'k')).toBe('vacancy:key')
      await store.invalidate([everythingTag], 'purge')
    }
    expect(await read(a, 'k')).toBe('a')
  })
})

describe('what is lost is a miss', () => {
  test('FLUSHALL', async () => {
    const [a, b] = pair()
    await put(a, 'k', 'old', { tags: ['t'] })
    const vacancy = (await a.get('l', plain.select)) as Vacancy
    await one.flushall()
    expect(await read(b, 'k')).toBe('vacancy:key')
    // Who was filling meanwhile cannot know what was purged and forgotten.
    expect(await a.set('l', plain, makeRecord(clock, 'old'), vacancy)).toBe('fenced')
  })

  test('the clock of a lane: none of its entries is believed again, whatever is purged later', async () => {
    const [a, b] = pair({ laneCount: 1 })
    await put(a, 'k', 'old', { tags: ['t'] })
    await a.invalidate([userTag('t')], 'purge')
    for (const key of await one.keys('*}c')) await one.del(key)
    for (const store of [b, a]) expect(await read(store, 'k')).toBe('vacancy:key')
    await put(b, 'k', 'new')
    expect(await read(a, 'k')).toBe('new')
  })

  test('a server that has lost a purge (failover, old snapshot) is noticed by whoever knew of it', async () => {
    const [a, b] = pair({ laneCount: 1 })
    await put(a, 'k', 'old', { tags: ['t'] })
    const [key] = await one.keys('*}c')
    const dump = await one.dumpBuffer(key!)
    await a.invalidate([userTag('t')], 'purge')
    await one.restore(key!, 0, dump!, 'REPLACE')
    expect(await read(a, 'k')).toBe('vacancy:key')
    // That began a new epoch, so those who knew nothing are safe from here on.
    expect(await read(b, 'k')).toBe('vacancy:key')
    // The old epoch comes back once more: it has ended, and ends again.
    await one.restore(key!, 0, dump!, 'REPLACE')
    expect(await read(a, 'k')).toBe('vacancy:key')
    await put(a, 'k', 'new')
    expect(await read(b, 'k')).toBe('new')
  })

  test('more tags than are remembered: the entries of the lane, never the invalidation', async () => {
    const [a] = pair({ laneCount: 1, maxTags: 50 })
    await put(a, 'k', 'old', { tags: ['t'] })
    await a.invalidate([userTag('t')], 'purge')
    for (let i = 0; i < 60; i++) await a.invalidate([userTag(`n${i}`)], 'purge')
    expect(await read(a, 'k')).toBe('vacancy:key')
    const [key] = await one.keys('*}c')
    expect(await one.hlen(key!)).toBeLessThanOrEqual(53)
    await put(a, 'k', 'new', { tags: ['t'] })
    expect(await read(a, 'k')).toBe('new')
  })

  test('any keys, in any order: entries vanish, none is resurrected and none is foreign', async () => {
    const [a, b] = pair({ laneCount: 2 })
    const version = new Map<string, number>()
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 6; i++) {
        const key = `k${i}`
        const found = await read(round % 2 ? a : b, key)
        if (found.startsWith('vacancy')) await put(a, key, `${key}:${version.get(key) ?? 0}`, { tags: [key] })
        else expect(found).toBe(`${key}:${version.get(key) ?? 0}`)
      }
      const changed = `k${round % 6}`
      version.set(changed, round)
      await b.invalidate([userTag(changed)], 'purge')
      const keys = await one.keys('*')
      for (let i = 0; i < 2; i++) await one.del(keys[(round * 7 + i * 3) % keys.length]!)
    }
  })

  onOwnServer.each(['allkeys-lru', 'allkeys-random', 'volatile-ttl'])('under maxmemory with %s', async (policy) => {
    const [a, b] = pair({ laneCount: 4 })
    await one.config('SET', 'maxmemory-policy', policy)
    const used = Number(/used_memory:(\d+)/.exec(await one.info('memory'))![1])
    await one.config('SET', 'maxmemory', String(used + 3_000_000))
    let hits = 0
    for (let i = 0; i < 400; i++) {
      const body = Buffer.alloc(20_000, i % 251)
      await put(a, `k${i}`, body, { tags: [`t${i}`] })
      if (i % 5 === 0) await a.invalidate([userTag(`t${i}`)], 'purge')
    }
    for (let i = 0; i < 400; i++) {
      const found = (await b.get(`k${i}`, plain.select)) as CacheRecord | Vacancy
      if (found.kind === 'vacancy') continue
      expect(i % 5).not.toBe(0)
      expect(Buffer.from(found.forms[0]!.body).equals(Buffer.alloc(20_000, i % 251))).toBe(true)
      hits++
    }
    expect(hits).toBeGreaterThan(0)
    expect(hits).toBeLessThan(320)
  })

  test('a frame alone', async () => {
    const [a] = pair()
    await put(a, 'k', 'one')
    await one.del(...(await one.keys('*:f')))
    expect(await read(a, 'k')).toBe('vacancy:key')
    await put(a, 'k', 'two')
    expect(await read(a, 'k')).toBe('two')
  })

  test('a damaged frame', async () => {
    const [a] = pair()
    await put(a, 'k', 'x'.repeat(100))
    const [key] = await one.keys('*:f')
    const frame = (await one.getBuffer(key!))!
    frame[frame.length - 1]! ^= 1
    await one.set(key!, frame)
    expect(await read(a, 'k')).toBe('vacancy:key')

    expect(await put(a, 'k', 'x'.repeat(100))).toBe('stored')
    expect(await read(a, 'k')).toBe('x'.repeat(100))
    await one.set(key!, (await one.getBuffer(key!))!.subarray(0, -1))
    expect(await read(a, 'k')).toBe('vacancy:key')
  })
})

describe('what is in Redis', () => {
  const frames = async () => (await one.keys('*:f')).length

  test('no frame that nobody can be given: of purged entries, of variants too many, of what no longer varies so', async () => {
    const [a] = pair({ maxVariants: 3 })
    await put(a, 'k', 'one', { tags: ['t'] })
    await a.invalidate([userTag('t')], 'purge')
    expect(await frames()).toBe(1)
    expect(await read(a, 'k')).toBe('vacancy:key')
    expect(await frames()).toBe(0)

    await put(a, 'l', 'plain')
    for (const l of ['a', 'b', 'c', 'd', 'e']) await put(a, 'l', l, {}, variantFor(['l'], { l }))
    expect(await frames()).toBe(3)
    expect(await read(a, 'l', requestWith({ l: 'a' }))).toBe('a')
    expect(await read(a, 'l', requestWith({ l: 'e' }))).toBe('vacancy:vary')
    await a.delete('l')
    expect(await frames()).toBe(0)
  })

  test('every key ends by itself', async () => {
    const [a] = pair()
    await put(a, 'k', 'x', { deleteAt: clock.now() + 10_000 })
    await a.get('other', plain.select, { lease: true })
    await a.invalidate([userTag('t')], 'purge')
    for (const key of await one.keys('*')) {
      const left = await one.pttl(key)
      expect([key, left > 0]).toEqual([key, true])
      if (/:[ef]$/.test(key)) expect(left).toBeLessThanOrEqual(15_000)
    }
  })

  test('bodies are bytes: an entry takes little more than they do', async () => {
    const [a, b] = pair()
    const body = Buffer.from(Array.from({ length: 66_000 }, (_, i) => (i * 7919) % 256))
    await put(a, 'k', body)
    const sizes = await Promise.all((await one.keys('*')).map((key) => one.memory('USAGE', key)))
    expect(sizes.reduce<number>((sum, size) => sum + Number(size), 0)).toBeLessThan(84_000)
    const found = (await b.get('k', plain.select)) as CacheRecord
    expect(Buffer.from(found.forms[0]!.body).equals(body)).toBe(true)
  })

  test('nothing above the limit', async () => {
    const [a] = pair({ maxEntryBytes: 1_000 })
    expect(await put(a, 'k', 'x'.repeat(2_000))).toBe('refused')
    expect(await put(a, 'k', 'x'.repeat(500))).toBe('stored')
  })

  test('keys of one lane share a slot of a Cluster, and lanes are spread over its nodes', () => {
    const { all } = new Lanes('sluice', 16)
    const tags = all.map((lane) => /\{(.*?)\}/.exec(lane.clock)![1])
    expect(new Set(tags).size).toBe(16)
    for (const lane of all) {
      const { lease, frame } = lane.variant('x', 'y')
      for (const key of [lane.entry('x'), lease, frame]) expect(key).toContain(`{${tags[lane.index]}}`)
    }
  })

  test('scripts that Redis has forgotten are sent again', async () => {
    const [a] = pair()
    await put(a, 'k', 'x')
    await one.script('FLUSH')
    expect(await read(a, 'k')).toBe('x')
    await one.script('FLUSH')
    await a.invalidate([everythingTag], 'purge')
    expect(await read(a, 'k')).toBe('vacancy:key')
  })
})

describe('leases', () => {
  const lease = { lease: true }
  const ask = async (store: RedisCacheStore, key = 'k', select = plain.select) =>
    (await store.get(key, select, lease)) as Vacancy

  test('the first gets it, the others are told, and a look-up that wants none leaves it alone', async () => {
    const [a, b] = pair()
    expect((await a.get('k', plain.select)) as Vacancy).not.toHaveProperty('lease')
    expect((await ask(a)).lease).toBe('taken')
    expect((await ask(a)).lease).toBe('held')
    expect((await ask(b)).lease).toBe('held')
    expect((await ask(b, 'other')).lease).toBe('taken')
    await Promise.all([a.close(), b.close()])
  })

  test('a follower gets what the owner stores', async () => {
    const [a, b] = pair()
    const vacancy = await ask(a)
    expect((await ask(b)).lease).toBe('held')
    const waiting = b.follow('k', plain.select, 5_000)
    await a.set('k', plain, makeRecord(clock, 'one'), vacancy)
    expect(bodyOf((await waiting) as CacheRecord)).toBe('one')
  })

  test('given back, it goes to one of those who wait; after an unshared answer, to nobody', async () => {
    const [a, b] = pair()
    const vacancy = await ask(a)
    const waiting = b.follow('k', plain.select, 5_000)
    a.release(vacancy, 'given-up')
    const next = (await waiting) as Vacancy
    expect(next.lease).toBe('taken')
    b.release(next, 'unshared')
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await ask(a)).lease).toBe('open')
    expect((await ask(b)).lease).toBe('open')
  })

  test('it lasts as long as its owner lives, and no longer', async () => {
    const name = freshName()
    const dying = await connect(server.port)
    const [a, b] = [storeOn(dying, { name, leaseMs: 150 }), storeOn(other, { name, leaseMs: 150 })]
    expect((await ask(a)).lease).toBe('taken')
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect((await ask(b)).lease).toBe('held')
    dying.disconnect()
    const start = performance.now()
    expect(((await b.follow('k', plain.select, 5_000)) as Vacancy).lease).toBe('taken')
    expect(performance.now() - start).toBeLessThan(600)
    await b.close()
  })

  test('the wait is capped', async () => {
    const [a, b] = pair()
    const vacancy = await ask(a)
    const start = performance.now()
    expect(((await b.follow('k', plain.select, 100)) as Vacancy).lease).toBe('held')
    expect(performance.now() - start).toBeLessThan(300)
    a.release(vacancy, 'given-up')
  })

  test('a stale record comes with it too, and with the position', async () => {
    const [a, b] = pair()
    const now = clock.now()
    await put(a, 'k', 'one', { storedAt: now - 10, staleAt: now - 5, deleteAt: now + 60_000 })
    const first = (await a.get('k', plain.select, lease)) as CacheRecord
    const second = (await b.get('k', plain.select, lease)) as CacheRecord
    expect([first.kind, second.kind]).toEqual(['record', 'record'])
    expect(a.renewal(first)?.lease).toBe('taken')
    expect(b.renewal(second)?.lease).toBe('held')
    expect(await a.set('k', plain, makeRecord(clock, 'two'), a.renewal(first)!)).toBe('stored')
    expect(await read(b, 'k')).toBe('two')
  })

  test('variants of a known key are filled side by side', async () => {
    const [a, b] = pair()
    await put(a, 'k', 'hello', {}, variantFor(['l'], { l: 'en' }))
    expect((await ask(a, 'k', requestWith({ l: 'de' }))).lease).toBe('taken')
    expect((await ask(b, 'k', requestWith({ l: 'fr' }))).lease).toBe('taken')
    expect((await ask(b, 'k', requestWith({ l: 'de' }))).lease).toBe('held')
    await Promise.all([a.close(), b.close()])
  })
})
