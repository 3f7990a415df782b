import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { everythingTag, userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import { recordWith } from '../../packages/core/src/cache/entry/record-with.ts'
import { Compactor } from '../../packages/core/src/cache/store/compact.ts'
import { FrequencySketch, hashOf, most } from '../../packages/core/src/cache/store/eviction/sketch.ts'
import { KeyMap } from '../../packages/core/src/cache/store/key-map.ts'
import { MemoryCacheStore } from '../../packages/core/src/cache/store/memory-store.ts'
import { bodyOf, makeRecord, plain, target, testClock, variantFor } from './fixtures.ts'

function open(maxBytes: number) {
  const clock = testClock()
  const store = new MemoryCacheStore({ clock, maxBytes })
  const put = (key: string, size = 10, over: Partial<CacheRecord> = {}, variant = plain) => {
    const record = makeRecord(clock, key.padEnd(size, '.'), { target: { ...target, path: `/${key}` }, ...over })
    return store.set(key, variant, record, store.position(key))
  }
  const has = (key: string) => store.get(key, plain.select).kind === 'record'
  return { clock, store, put, has }
}

/** A store that is full of as many entries, half of which were asked for twice. */
function full(entries = 400) {
  const measured = open(1e9)
  for (let i = 0; i < entries; i++) measured.put(`w${i}`)
  const opened = open(measured.store.usage().bytes)
  for (let i = 0; i < entries; i++) opened.put(`w${i}`)
  const working = Array.from({ length: entries / 2 }, (_, i) => `w${i}`)
  for (let round = 0; round < 2; round++) for (const key of working) opened.has(key)
  const left = () => working.filter(opened.has).length / working.length
  return { ...opened, working, left }
}

describe('who leaves', () => {
  test('a flood of requests that come once pushes out nothing that is asked for again', () => {
    const { put, left, store } = full()
    for (let i = 0; i < 1_200; i++) put(`junk${i}`)
    expect(store.usage().evictions).toBeGreaterThan(1_000)
    expect(left()).toBeGreaterThan(0.9)
  })

  test('however long these took, and however small they are', () => {
    const { put, left } = full()
    for (let i = 0; i < 1_200; i++) put(`junk${i}`, 1, { fillMs: 60_000 })
    expect(left()).toBeGreaterThan(0.8)
  })

  test('and however large: what was beaten by none is beaten by as many as it is large', () => {
    const { put, left } = full()
    for (let i = 0; i < 300; i++) put(`junk${i}`, 20_000)
    expect(left()).toBeGreaterThan(0.75)
  })

  test('a working set that is over makes room for the next', () => {
    const { put, has, left } = full()
    const next = Array.from({ length: 200 }, (_, i) => `n${i}`)
    for (let round = 0; round < 60; round++) for (const key of next) if (!has(key)) put(key)
    expect(next.filter(has).length / next.length).toBeGreaterThan(0.95)
    expect(left()).toBeLessThan(1)
  })

  test('of two that are asked for as often, the one that took longer and takes less room stays', () => {
    const { put, has } = open(400_000)
    const keys = (what: string) => Array.from({ length: 40 }, (_, i) => `${what}${i}`)
    for (let round = 0; round < 8; round++) {
      for (const [cheap, dear] of keys('cheap').map((key, i) => [key, `dear${i}`] as const)) {
        if (!has(cheap)) put(cheap, 20_000, { fillMs: 0 })
        if (!has(dear)) put(dear, 2_000, { fillMs: 800 })
      }
    }
    expect(keys('dear').filter(has).length).toBeGreaterThan(35)
    expect(keys('cheap').filter(has).length).toBeGreaterThan(3)
  })

  test('first what is past its time, and what was purged', () => {
    const { clock, put, has, store } = open(1e9)
    for (let i = 0; i < 300; i++)
      put(`k${i}`, 10, i < 100 ? { tags: ['gone'] } : i < 200 ? { deleteAt: clock.now() + 10 } : {})
    const other = open(store.usage().bytes)
    for (let i = 0; i < 300; i++) {
      other.put(`k${i}`, 10, i < 100 ? { tags: ['gone'] } : i < 200 ? { deleteAt: other.clock.now() + 10 } : {})
      // Popular as they may be.
      if (i < 200) for (let j = 0; j < 20; j++) other.has(`k${i}`)
    }
    other.clock.tick(20)
    other.store.invalidate([userTag('gone')], 'purge')
    for (let i = 0; i < 150; i++) other.put(`new${i}`)
    let kept = 0
    for (let i = 200; i < 300; i++) if (other.has(`k${i}`)) kept++
    expect(kept).toBeGreaterThan(95)
    expect(has('k250')).toBe(true)
  })

  test('never what was just stored, and the cap holds: whatever is stored, asked for, purged and removed', () => {
    const step = fc.record({
      op: fc.constantFrom(
        'set',
        'set',
        'set',
        'set',
        'set',
        'set',
        'vary',
        'get',
        'purge',
        'expire',
        'delete',
        'form',
        'tick',
        'all',
      ),
      key: fc.integer({ min: 0, max: 40 }),
      size: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 2_000, max: 4_000 })),
      tag: fc.constantFrom('a', 'b', 'c'),
      fillMs: fc.double({ min: 0, max: 1e7, noNaN: true }),
    })
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 60, maxLength: 150 }),
        fc.integer({ min: 8_000, max: 20_000 }),
        (steps, maxBytes) => {
          const { clock, store, put } = open(maxBytes)
          for (const { op, key, size, tag, fillMs } of steps) {
            const name = `k${key}`
            if (op === 'set' || op === 'vary') {
              const variant = op === 'set' ? plain : variantFor(['x'], { x: String(size % 5) })
              if (put(name, size, { tags: [tag], fillMs }, variant) === 'stored') {
                expect(bodyOf(store.get(name, variant.select)).startsWith(name)).toBe(true)
              }
            } else if (op === 'get') store.get(name, plain.select)
            else if (op === 'delete') store.delete(name)
            else if (op === 'tick') clock.tick(size * 10)
            else if (op === 'all') store.invalidate([everythingTag], 'purge')
            else if (op === 'form') {
              const found = store.get(name, plain.select)
              const form = { coding: 'gzip', body: Buffer.alloc(size), etag: undefined }
              if (found.kind === 'record') store.addForm(name, plain.select, found, form)
            } else {
              store.invalidate([userTag(tag)], op)
              if (op === 'purge') for (const { record } of store.records()) expect(record.tags).not.toContain(tag)
            }
            expect(store.usage().bytes).toBeLessThanOrEqual(maxBytes)
          }
          for (let i = 0; i <= 40; i++) store.delete(`k${i}`)
          expect(store.usage().entries).toBe(0)
          store.invalidate([everythingTag], 'purge')
          // Nothing is left of what records share, of markers, or of what is remembered: only of purges.
          expect(store.usage().bytes).toBe(store.order.bytes)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('a purge is seen by all of very many, and costs what it names', () => {
    const { store, put, has } = open(1e9)
    for (let i = 0; i < 20_000; i++) put(`k${i}`, 1, { tags: i % 2 ? ['odd'] : ['even'] })
    store.invalidate([userTag('odd')], 'purge')
    let found = 0
    for (let i = 0; i < 20_000; i++) if (has(`k${i}`)) found++
    expect(found).toBe(10_000)
    expect(store.usage().entries).toBe(10_000)
  })
})

describe('a record as it is held', () => {
  const anything = fc.record({
    status: fc.integer({ min: 200, max: 599 }),
    fields: fc.constantFrom<string[]>([], ['A', 'b'], ['Link', '</a>', 'Link', 'é']),
    dateMs: fc.integer({ min: 0, max: 2e12 }),
    storedAt: fc.oneof(fc.integer({ min: 0, max: 2e12 }), fc.constant(1_800_000_000_000.5)),
    initialAgeMs: fc.integer({ min: 0, max: 1e9 }),
    mustRevalidate: fc.boolean(),
    shared: fc.boolean(),
    ownTag: fc.boolean(),
    fillMs: fc.integer({ min: 0, max: 1e6 }),
    tags: fc.array(fc.string({ maxLength: 8 }), { maxLength: 3 }),
    reason: fc.option(fc.constant('Fine'), { nil: undefined }),
    without: fc.option(fc.constant(['x-a']), { nil: undefined }),
    witness: fc.constantFrom<CacheRecord['witness']>(
      undefined,
      { of: ['cookie'], visitor: '', marks: [], state: 'first' },
      { of: ['cookie'], visitor: 'me', marks: ['m'], state: 'contradicted' },
    ),
    promise: fc.constantFrom<CacheRecord['promise']>(
      undefined,
      { scope: 'public', clientMs: 1, cdnMs: undefined, noTransform: false },
      { scope: 'private', clientMs: 1, cdnMs: 0, noTransform: true },
    ),
    target: fc.record({
      scheme: fc.constantFrom('http', 'https'),
      authority: fc.constantFrom('a.test', 'b.test:81'),
      path: fc.constantFrom('/', '/a', '/in the key', '/x'.repeat(20_000)),
      query: fc.constantFrom(undefined, '', 'a=1', 'not=there'),
      route: fc.constantFrom(undefined, '/:id'),
      params: fc.constantFrom(undefined, '2:id=1:7;'),
    }),
  })
  const lasting = fc.integer({ min: 0, max: 1e10 })

  test('says what it was made of, whatever it has in common with others', () => {
    const compactor = new Compactor()
    const coding = fc.constantFrom('identity', 'gzip')
    fc.assert(
      fc.property(
        anything,
        fc.array(lasting, { minLength: 4, maxLength: 4 }),
        coding,
        (members, [a, b, c, d], first) => {
          const staleAt = members.storedAt + a!
          const record: CacheRecord = {
            kind: 'record',
            ...members,
            staleAt,
            whileRevalidateUntil: staleAt + b!,
            ifErrorUntil: staleAt + c!,
            deleteAt: members.storedAt + d!,
            forms: [
              { coding: first, body: Buffer.from('body'), etag: '"t"', best: first === 'gzip' || undefined },
              { coding: 'br', body: Buffer.from('other'), etag: undefined },
            ].slice(0, 1 + (a! % 2)),
          }
          const held = compactor.record(record, 'http:6:a.test11:/in the key3:a=1;')
          const { forms, ...rest } = recordWith(held, {})
          const { forms: given, ...expected } = record
          expect(rest).toEqual(expected)
          expect(forms.map(({ coding, body, etag, best }) => ({ coding, body, etag, best }))).toEqual(
            given.map(({ coding, body, etag, best }) => ({ coding, body, etag, best })),
          )
        },
      ),
    )
  })

  test('that was expired and replaced is not held by the next, nor by its neighbours', () => {
    const { store, put, has } = open(1e6)
    put('a', 10, { tags: ['t'], deleteAt: 1e9 })
    put('b')
    const before = store.get('a', plain.select) as CacheRecord & { older: unknown; newer: unknown }
    store.invalidate([userTag('t')], 'expire')
    const after = store.get('a', plain.select) as typeof before
    expect(after).not.toBe(before)
    expect([before.older, before.newer]).toEqual([undefined, undefined])
    expect(after.staleAt).toBeLessThan(before.staleAt)
    expect(has('b')).toBe(true)
    store.delete('a')
    expect([after.older, after.newer]).toEqual([undefined, undefined])
    expect(store.usage().entries).toBe(1)
  })
})

describe('what is remembered of what has left', () => {
  test('is never less than it was, until it is halved', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 6 }), { maxLength: 300 }), fc.integer(), (texts, seed) => {
        const sketch = new FrequencySketch(50)
        const truth = new Map<string, number>()
        for (const text of texts) {
          const hash = hashOf(text, seed)
          truth.set(text, (truth.get(text) ?? 0) + 1)
          sketch.raise(hash, Math.min(most, sketch.count(hash) + 1))
        }
        sketch.growFor(500)
        for (const [text, count] of truth)
          expect(sketch.count(hashOf(text, seed))).toBeGreaterThanOrEqual(Math.min(most, count))
        sketch.halve()
        for (let i = 0; i < 10; i++) sketch.work()
        for (const [text, count] of truth) {
          expect(sketch.count(hashOf(text, seed))).toBeGreaterThanOrEqual(Math.min(most, count) >> 1)
        }
      }),
      { numRuns: 50 },
    )
  })

  test('tells apart, mostly: of things that never came hardly any counts as asked for twice', () => {
    const sketch = new FrequencySketch(1_000)
    for (let i = 0; i < 1_000; i++) sketch.raise(hashOf(`seen ${i}`, 7), 3)
    let wrong = 0
    for (let i = 0; i < 1_000; i++) if (sketch.count(hashOf(`never ${i}`, 7)) > 1) wrong++
    expect(wrong).toBeLessThan(30)
  })
})

describe('a map that grows part by part', () => {
  test('is a map', () => {
    const map = new KeyMap<number>()
    const truth = new Map<string, number>()
    for (let i = 0; i < 12_000; i++) {
      const key = `${i % 3 ? 'k' : 'other:'}${(i * 7_919) % 6_000}`
      if (i % 5 === 0) expect(map.delete(key)).toBe(truth.delete(key))
      else {
        map.set(key, i)
        truth.set(key, i)
      }
      if (i % 2_000 === 0) for (const [known, value] of truth) expect(map.get(known)).toBe(value)
    }
    expect(map.get('unknown')).toBeUndefined()
  })
})
