import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isPromise } from '../../packages/core/src/base/maybe-promise.ts'
import { everythingTag, userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import { MemoryCacheStore } from '../../packages/core/src/cache/store/memory-store.ts'
import { describeCacheStore } from './contract.ts'
import { bodyOf, makeRecord, plain, requestWith, testClock, variantFor } from './fixtures.ts'

describeCacheStore(
  'memory',
  (clock, options) => new MemoryCacheStore({ clock, maxBytes: 16 * 2 ** 20, maxVariants: 64, ...options }),
)

function open(options: { maxBytes?: number; maxEntryBytes?: number; maxVariants?: number; maxTags?: number } = {}) {
  const clock = testClock()
  const evicted: string[] = []
  const store = new MemoryCacheStore({
    clock,
    maxBytes: 1_000_000,
    ...options,
    onEvict: (record) => evicted.push(bodyOf(record)),
  })
  const put = (key: string, body: string | Uint8Array, tags: string[] = [], variant = plain) =>
    store.set(key, variant, makeRecord(clock, body, { tags }), store.position(key))
  const read = (key: string, select = plain.select) => bodyOf(store.get(key, select))
  return { clock, store, put, read, evicted }
}

describe('a hit', () => {
  test('is a value and not a promise, and the very object that was stored', () => {
    const { store, put } = open()
    put('k', 'one')
    const found = store.get('k', plain.select)
    expect(isPromise(found)).toBe(false)
    expect(store.get('k', plain.select)).toBe(found)
    store.invalidate([userTag('unrelated')], 'purge')
    expect(store.get('k', plain.select)).toBe(found)
  })

  test('after an expire makes one new record, and gives that out from then on', () => {
    const { clock, store } = open()
    const over = { tags: ['a'], deleteAt: clock.now() + 1e6 }
    store.set('k', plain, makeRecord(clock, 'one', over), store.position('k'))
    const before = store.get('k', plain.select)
    store.invalidate([userTag('a')], 'expire')
    const after = store.get('k', plain.select)
    expect(after).not.toBe(before)
    expect(store.get('k', plain.select)).toBe(after)
  })

  test('of a key without variants asks for no secondary key', () => {
    const { store, put } = open()
    put('k', 'one')
    const found = store.get('k', () => {
      throw new Error('asked')
    })
    expect(found.kind).toBe('record')
  })
})

describe('the cap on bytes', () => {
  test('holds after 1,000 inserts of 1,000 bytes into 10 kB (undici held 1,000,000)', () => {
    const { store, put, evicted } = open({ maxBytes: 10_000 })
    for (let i = 0; i < 1_000; i++) {
      put(`k${i}`, 'x'.repeat(1_000))
      expect(store.usage().bytes).toBeLessThanOrEqual(10_000)
    }
    const { entries, evictions } = store.usage()
    expect(entries).toBeGreaterThan(3)
    expect(entries + evictions).toBe(1_000)
    expect(evicted).toHaveLength(evictions)
  })

  test('makes room at the expense of the least recently used', () => {
    const { put, read } = open({ maxBytes: 10_000 })
    put('hot', 'hot')
    for (let i = 0; i < 100; i++) {
      put(`k${i}`, 'x'.repeat(500))
      expect(read('hot')).toBe('hot')
    }
    expect(read('k0')).toBe('vacancy:key')
    expect(read('k99')).not.toMatch(/^vacancy/)
  })

  test.each([
    ['body', (put: Put) => put('big', Buffer.alloc(200_000))],
    ['key', (put: Put) => put('k'.repeat(200_000), 'x')],
    [
      'list of tags',
      (put: Put) =>
        put(
          'big',
          'x',
          Array.from({ length: 9_000 }, (_, i) => `tag${i}`),
        ),
    ],
    ['secondary key', (put: Put) => put('big', 'x', [], variantFor(['a'], { a: 'y'.repeat(200_000) }))],
    ['spec', (put: Put) => put('big', 'x', [], variantFor(['n'.repeat(200_000)], {}))],
  ])('an entry with too large a %s is refused, and nothing makes room for it', (_what, attempt) => {
    const { store, put, read } = open({ maxBytes: 100_000 })
    put('k', 'one')
    expect(attempt(put)).toBe('refused')
    expect(read('k')).toBe('one')
    expect(store.usage()).toMatchObject({ entries: 1, evictions: 0 })
  })

  test('a refused record leaves the one that was there', () => {
    const { put, read } = open({ maxEntryBytes: 5_000 })
    put('k', 'small')
    expect(put('k', Buffer.alloc(5_001))).toBe('refused')
    expect(put('k', Buffer.alloc(5_001), [], variantFor(['a'], {}))).toBe('refused')
    expect(read('k')).toBe('small')
  })

  test('a small body does not keep a large buffer alive', () => {
    const { clock, store } = open()
    const large = Buffer.alloc(500_000, 'z')
    const forms = [{ coding: 'identity', body: large.subarray(10, 20), etag: undefined }]
    store.set('k', plain, { ...makeRecord(clock), forms }, store.position('k'))
    const found = store.get('k', plain.select)
    expect(found.kind === 'record' && found.forms[0]!.body.buffer.byteLength).toBe(10)
  })

  test('counts what purges leave behind: tags without end do not grow without end', () => {
    const { store, put } = open({ maxBytes: 200_000 })
    put('k', 'one')
    for (let i = 0; i < 20_000; i++) store.invalidate([userTag(`${i}:${'t'.repeat(i % 300)}`)], 'purge')
    expect(store.usage().bytes).toBeLessThanOrEqual(200_000 / 8 + 2_000)
  })

  test('holds while a full store is invalidated: what is remembered of purges takes the room of entries', () => {
    const { store, put } = open({ maxBytes: 200_000 })
    for (let i = 0; i < 500; i++) put(`k${i}`, 'x'.repeat(100))
    for (let i = 0; i < 2_000; i++) {
      store.invalidate([userTag(`t${i}`)], 'expire')
      expect(store.usage().bytes).toBeLessThanOrEqual(200_000)
    }
    expect(store.usage().entries).toBeGreaterThan(100)
  })

  test('is empty when everything is', () => {
    const { store, put } = open()
    for (let i = 0; i < 20; i++) {
      put(`k${i}`, 'x')
      put(`v${i % 3}`, 'x', [], variantFor(['a'], { a: String(i) }))
    }
    for (let i = 0; i < 20; i++) store.delete(`k${i}`)
    for (let i = 0; i < 3; i++) store.delete(`v${i}`)
    expect(store.usage()).toMatchObject({ entries: 0, bytes: 0, evictions: 0 })
  })

  type Put = ReturnType<typeof open>['put']
})

describe('whatever is thrown at it', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom('__proto__', '\0', 'a', 'b', 'c', 'ü漢', 'x'.repeat(900)),
  )
  const operation = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        op: fc.constant('set' as const),
        key: text,
        size: fc.integer({ min: 0, max: 4_000 }),
        tag: text,
        vary: fc.option(fc.constantFrom('a', 'b', 'c')),
        value: text,
      }),
    },
    { weight: 4, arbitrary: fc.record({ op: fc.constant('get' as const), key: text, value: text }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('delete' as const), key: text }) },
    {
      weight: 1,
      arbitrary: fc.record({
        op: fc.constant('invalidate' as const),
        tag: text,
        mode: fc.constantFrom('purge' as const, 'expire' as const),
        all: fc.integer({ max: 20, min: 0 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('tick' as const), ms: fc.integer({ min: 0, max: 30_000 }) }) },
  )

  test('the cap holds, the counts agree with a recount, and nothing purged or dead comes out', () => {
    fc.assert(
      fc.property(
        fc.array(operation, { maxLength: 120 }),
        fc.integer({ min: 3_000, max: 40_000 }),
        (operations, maxBytes) => {
          const { clock, store } = open({ maxBytes, maxVariants: 3, maxTags: 8 })
          /** What each body was stored with, and whether it was purged since. */
          const stored = new Map<
            string,
            { key: string; tag: string; deleteAt: number; purged: boolean; expiredAt: number }
          >()
          let serial = 0
          for (const step of operations) {
            if (step.op === 'set') {
              const id = `#${serial++}#`
              const record = makeRecord(clock, id.padEnd(step.size, '.'), {
                tags: [step.tag],
                deleteAt: clock.now() + 90_000,
              })
              const variant =
                step.vary === null ? plain : variantFor([step.vary], { a: step.value, b: step.value, c: step.value })
              const outcome = store.set(step.key, variant, record, store.position(step.key))
              expect(['stored', 'refused', 'full']).toContain(outcome)
              stored.set(id, {
                key: step.key,
                tag: step.tag,
                deleteAt: record.deleteAt,
                purged: false,
                expiredAt: Infinity,
              })
            } else if (step.op === 'get') {
              const found = store.get(step.key, requestWith({ a: step.value, b: step.value, c: step.value }))
              if (found.kind === 'record') {
                const truth = stored.get(/^#\d+#/.exec(bodyOf(found))![0])!
                expect(truth.key).toBe(step.key)
                expect(truth.purged).toBe(false)
                expect(clock.now()).toBeLessThan(truth.deleteAt)
                if (truth.expiredAt <= clock.now()) expect(found.staleAt).toBeLessThanOrEqual(clock.now())
              }
            } else if (step.op === 'delete') {
              store.delete(step.key)
            } else if (step.op === 'invalidate') {
              const everything = step.all === 0
              store.invalidate([everything ? everythingTag : userTag(step.tag)], step.mode)
              for (const truth of stored.values()) {
                if (!everything && truth.tag !== step.tag) continue
                if (step.mode === 'purge') truth.purged = true
                else truth.expiredAt = Math.min(truth.expiredAt, clock.now())
              }
            } else {
              clock.tick(step.ms)
            }
            const { bytes, entries } = store.usage()
            expect(bytes).toBeLessThanOrEqual(maxBytes)
            const held = [...store.records()]
            expect(held.length).toBeLessThanOrEqual(entries)
            const recount = held.reduce(
              (sum, { key, record, variant }) => sum + (variant ? 0 : key.length) + record.forms[0]!.body.length,
              0,
            )
            expect(recount).toBeLessThanOrEqual(bytes)
            expect(new Set(held.map(({ key, variant }) => JSON.stringify([key, variant?.secondary]))).size).toBe(
              held.length,
            )
          }
          for (const { key } of stored.values()) store.delete(key)
          store.invalidate([everythingTag], 'purge')
          expect(store.usage().entries).toBe(0)
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('forgetting', () => {
  test('a version that was evicted reads as purged, never as not invalidated', () => {
    const { store, put, read } = open({ maxTags: 10 })
    put('k', 'one', ['a'])
    const early = store.position('f')
    store.invalidate([userTag('a')], 'purge')
    for (let i = 0; i < 1_000; i++) store.invalidate([userTag(`other${i}`)], 'purge')
    expect(read('k')).toBe('vacancy:key')
    expect(store.set('f', plain, makeRecord(testClock(), 'old', { tags: ['a'] }), early)).toBe('fenced')
  })

  test('does not hurt what is in use', () => {
    const { store, put, read } = open({ maxTags: 10 })
    put('k', 'one', ['a'])
    for (let i = 0; i < 1_000; i++) {
      store.invalidate([userTag(`other${i}`)], 'purge')
      expect(read('k')).toBe('one')
    }
  })

  test('one invalidation of very many tags is complete, however few are remembered', () => {
    const { store, put, read } = open({ maxTags: 10 })
    for (let i = 0; i < 50; i++) put(`k${i}`, 'one', [`t${i}`])
    store.invalidate(
      Array.from({ length: 50 }, (_, i) => userTag(`t${i}`)),
      'purge',
    )
    for (let i = 0; i < 50; i++) expect(read(`k${i}`)).toBe('vacancy:key')
  })

  test('a purged record gives its memory back when it is asked for, and everything at once when all is purged', () => {
    const { store, put, read } = open()
    for (let i = 0; i < 100; i++) put(`k${i}`, 'one', ['a'])
    store.invalidate([userTag('a')], 'purge')
    for (let i = 0; i < 50; i++) read(`k${i}`)
    expect(store.usage().entries).toBe(50)
    store.invalidate([everythingTag], 'purge')
    expect(store.usage().entries).toBe(0)
  })
})

describe('closing', () => {
  test('leaves nothing, and takes nothing', () => {
    const { store, put, read } = open()
    put('k', 'one')
    store.close()
    expect(read('k')).toBe('vacancy:key')
    expect(put('k', 'one')).toBe('refused')
    expect(store.usage().entries).toBe(0)
  })
})
