import { describe, expect, test } from '@jest/globals'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import type { Vacancy } from '../../packages/core/src/cache/store/store.ts'
import type { RedisCacheStore } from '../../packages/redis/src/cache/store/redis-store.ts'
import { lookUp } from '../../packages/redis/src/cache/store/scripts.ts'
import { Link } from '../../packages/redis/src/connection/link.ts'
import { bodyOf, makeRecord, plain, requestWith, variantFor } from '../cache-store/fixtures.ts'
import { until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { wired } from './library.ts'
import { onOwnServer } from './skips.ts'
import { connect, freshName, storeOn } from './support.ts'
import { clock, one, other, pair, put, read, server } from './two-processes.ts'

/** How many scripts run meanwhile, which is how many round trips there are. */
async function trips(action: () => Promise<unknown>): Promise<number> {
  await server.resetStats()
  await action()
  const { evalsha = 0, eval: evaluated = 0 } = await server.calls()
  return evalsha + evaluated
}

describe('round trips', () => {
  test('a hit, a miss, a store: one each', async () => {
    // No lease is renewed meanwhile, however slow the machine is.
    const [a, b] = pair({ leaseMs: 60_000 })
    await put(a, 'warm', 'up')
    await read(a, 'warm')
    let vacancy: Vacancy | undefined
    expect(
      await trips(async () => {
        vacancy = (await a.get('k', plain.select, { lease: true })) as Vacancy
      }),
    ).toBe(1)
    expect(vacancy?.lease).toBe('taken')
    expect(await trips(() => a.set('k', plain, makeRecord(clock, 'one', { tags: ['x'] }), vacancy!))).toBe(1)
    expect(await trips(() => read(b, 'k'))).toBe(1)
    await b.invalidate([userTag('y')], 'purge')
    expect(await trips(() => read(b, 'k'))).toBe(1)
  })

  test('a variant costs one as well, once a key of its kind was seen', async () => {
    const [a, b] = pair()
    const english = { 'accept-language': 'en' }
    await put(a, 'k', 'hello', {}, variantFor(['accept-language'], english))
    await put(a, 'l', 'hello', {}, variantFor(['accept-language'], english))
    expect(await trips(() => read(b, 'k', requestWith(english)))).toBe(2)
    expect(await trips(() => read(b, 'k', requestWith(english)))).toBe(1)
    expect(await trips(() => read(b, 'l', requestWith(english)))).toBe(1)
  })

  onOwnServer('the two commands of a look-up are on their way together: a slow link is crossed once', async () => {
    const proxy = await new TcpProxy(server.port).start()
    const far = await connect(proxy.port)
    try {
      const a = storeOn(far)
      await put(a, 'k', 'one')
      expect(await read(a, 'k')).toBe('one')
      proxy.delayMs = 150
      for (const [key, body] of [
        ['k', 'one'],
        ['l', 'vacancy:key'],
      ] as const) {
        const start = performance.now()
        expect(await read(a, key)).toBe(body)
        expect(performance.now() - start).toBeLessThan(290)
      }
    } finally {
      far.disconnect()
      proxy.stop()
    }
  })

  test('what one turn asks is one question per entry, and one call for up to sixteen of them', async () => {
    const [a, b] = pair({ laneCount: 1 })
    for (let i = 0; i < 40; i++) await put(a, `k${i}`, `body ${i}`)
    await server.resetStats()
    const found = await Promise.all(Array.from({ length: 120 }, (_, i) => read(b, `k${i % 40}`)))
    expect(found).toEqual(Array.from({ length: 120 }, (_, i) => `body ${i % 40}`))
    const hot = await Promise.all(Array.from({ length: 120 }, () => b.get('k7', plain.select, { lease: true })))
    expect(new Set(hot).size).toBe(1)
    const { evalsha, mget } = await server.calls()
    // The first 120 want no lease, and so have nothing to share but calls.
    expect([evalsha, mget]).toEqual([9, 9])
  })

  test('of those who share a question one gets the lease, and the others know that it is held', async () => {
    const [a] = pair()
    const ask = () => Promise.all(Array.from({ length: 5 }, () => a.get('k', plain.select, { lease: true })))
    const vacancies = (await ask()) as Vacancy[]
    expect(vacancies.map(({ lease }) => lease)).toEqual(['taken', 'held', 'held', 'held', 'held'])
    // What the others give back is not the lease.
    for (const vacancy of vacancies.slice(1)) a.release(vacancy, 'given-up')
    expect(((await a.get('k', plain.select, { lease: true })) as Vacancy).lease).toBe('held')

    const stale = { staleAt: clock.now() - 1, whileRevalidateUntil: clock.now() + 60_000 }
    await a.set('k', plain, makeRecord(clock, 'stale', stale), vacancies[0]!)
    await one.del(...(await one.keys('*:l')))
    const records = (await ask()) as CacheRecord[]
    expect(records.map((record) => bodyOf(record))).toEqual(Array(5).fill('stale'))
    expect(records.map((record) => a.renewal(record)?.lease)).toEqual(['taken', 'held', 'held', 'held', 'held'])
  })

  test('a purge is one per lane, whatever is stored, and nothing is searched for', async () => {
    const [a] = pair({ laneCount: 4 })
    for (let i = 0; i < 500; i++) await put(a, `k${i}`, 'x', { tags: ['many'] })
    expect(await trips(() => a.invalidate([userTag('many')], 'purge'))).toBe(4)
    const { keys, scan, hscan, hgetall, smembers, hset } = await server.calls()
    expect([keys, scan, hscan, hgetall, smembers]).toEqual([undefined, undefined, undefined, undefined, undefined])
    expect(hset).toBeLessThanOrEqual(8)
    expect(await read(a, 'k7')).toBe('vacancy:key')
  })
})

test('shared questions never bring back what was purged before one of those who share it began', async () => {
  const [a, b] = pair({ laneCount: 1 })
  const pauses = [
    () => Promise.resolve(),
    () => new Promise((resolve) => setImmediate(resolve)),
    () => new Promise((resolve) => setTimeout(resolve, 0)),
  ]
  let [version, purged, over, hits] = [0, 0, false, 0]
  const reader = async (store: RedisCacheStore, seed: number) => {
    for (let i = seed; !over; i++) {
      const before = purged
      const found = (await store.get('k', plain.select, { lease: true })) as CacheRecord | Vacancy
      if (found.kind === 'vacancy') store.release(found, 'given-up')
      else {
        hits++
        expect(Number(bodyOf(found))).toBeGreaterThan(before)
      }
      await pauses[i % 3]!()
    }
  }
  const readers = Array.from({ length: 40 }, (_, i) => reader(i % 2 ? a : b, i))
  try {
    for (let round = 0; round < 150; round++) {
      await put(a, 'k', String(++version), { tags: ['t'] })
      for (let i = 0; i <= round % 4; i++) await pauses[(round + i) % 3]!()
      await (round % 2 ? a : b).invalidate([userTag('t')], 'purge')
      purged = version
    }
  } finally {
    over = true
  }
  await Promise.all(readers)
  expect(hits).toBeGreaterThan(100)
})

test('a question whose answer is still on its way is not shared: it may be from before a purge', async () => {
  const name = freshName()
  const a = storeOn(one, { name })
  const link = new Link(wired(other))
  const run = link.run.bind(link)
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const answered: Promise<unknown>[] = []
  link.run = (call) => {
    const answer = run(call)
    if (call.script !== lookUp) return answer
    answered.push(answer)
    return held.then(() => answer)
  }
  const b = storeOn(other, { name, link })
  await put(a, 'k', 'old', { tags: ['t'] })
  const first = b.get('k', plain.select, { lease: true })
  await until(() => answered.length === 1)
  await answered[0]
  await a.invalidate([userTag('t')], 'purge')
  const second = b.get('k', plain.select, { lease: true })
  await until(() => answered.length === 2)
  release()
  expect(bodyOf((await first) as CacheRecord)).toBe('old')
  expect(await second).toMatchObject({ kind: 'vacancy', lease: 'taken' })
})

test('a record of the same length in the place of another has a head of its own', async () => {
  const [a, b] = pair()
  for (const value of ['1', '2', '2', '3']) {
    await put(a, 'k', 'body', { fields: ['X-Value', value] })
    for (let i = 0; i < 2; i++) {
      const found = (await b.get('k', plain.select)) as CacheRecord
      expect([found.fields, bodyOf(found)]).toEqual([['X-Value', value], 'body'])
    }
  }
})

describe('a record that is replaced between the judgement and the reading of its frame', () => {
  /** A store to which things happen just before it reads frames, or before it judges. */
  function disturbed(name: string, before: 'reading' | 'judging', happens: () => Promise<unknown>) {
    const link = new Link(wired(one))
    let waiting: Promise<unknown> | undefined
    const once = () => {
      waiting ??= happens()
      return waiting
    }
    if (before === 'reading') {
      const readFrames = link.read.bind(link)
      link.read = (keys) => once().then(() => readFrames(keys))
    } else {
      const run = link.run.bind(link)
      link.run = (call) => (call.script === lookUp ? once().then(() => run(call)) : run(call))
    }
    return storeOn(one, { name, link })
  }

  test('judged before and read after: the frame is another, and the question is asked again', async () => {
    const name = freshName()
    const b = storeOn(other, { name })
    await put(b, 'k', 'one')
    const a = disturbed(name, 'reading', () => put(b, 'k', 'two'))
    // Which server it is has to be learnt before the first question.
    await a.position('k')
    await server.resetStats()
    expect(await read(a, 'k')).toBe('two')
    expect((await server.calls()).mget).toBe(2)
  })

  test('read before it was purged and judged after it was renewed: nothing purged is served', async () => {
    const name = freshName()
    const b = storeOn(other, { name })
    await put(b, 'k', 'old', { tags: ['t'] })
    const a = disturbed(name, 'judging', async () => {
      await b.invalidate([userTag('t')], 'purge')
      await put(b, 'k', 'new', { tags: ['t'] })
    })
    expect(await read(a, 'k')).toBe('new')
  })

  test('a stale one whose lease was taken in vain gives it back', async () => {
    const name = freshName()
    const b = storeOn(other, { name })
    const soon = clock.now()
    await put(b, 'k', 'stale', { staleAt: soon, whileRevalidateUntil: soon + 60_000 })
    const a = disturbed(name, 'reading', () => put(b, 'k', 'new'))
    const found = (await a.get('k', plain.select, { lease: true })) as CacheRecord
    expect(bodyOf(found)).toBe('new')
    await until(async () => (await one.keys('*:l')).length === 0)
  })
})
