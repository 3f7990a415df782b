import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { SluiceError } from '../../packages/core/src/base/errors.ts'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import { recordWith } from '../../packages/core/src/cache/entry/record-with.ts'
import { MemoryCacheStore } from '../../packages/core/src/cache/store/memory-store.ts'
import { loadSnapshot, saveSnapshot } from '../../packages/core/src/cache/store/snapshot.ts'
import { memory } from '../../packages/core/src/sluice/backend.ts'
import { bodyOf, makeRecord, plain, requestWith, type TestClock, testClock, variantFor } from './fixtures.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-snapshot-'))
  path = join(folder, 'cache.snapshot')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const storeWith = (clock: TestClock, maxBytes = 1_000_000) => new MemoryCacheStore({ clock, maxBytes })

function put(store: MemoryCacheStore, clock: TestClock, key: string, over = {}, variant = plain): void {
  expect(store.set(key, variant, makeRecord(clock, key, over), store.position(key))).toBe('stored')
}

/** A file with one record in it, saved at the default time of a test clock. */
function savedFile(): Buffer {
  const clock = testClock()
  const store = storeWith(clock)
  put(store, clock, 'k')
  saveSnapshot(path, store, clock)
  return readFileSync(path)
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return (error as SluiceError).code
  }
}

describe('a snapshot', () => {
  test('brings back every record, variant and key', () => {
    const clock = testClock()
    const store = storeWith(clock)
    put(store, clock, '__proto__', { tags: ['a'] })
    put(store, clock, 'n\0\ud800漢')
    put(store, clock, 'v', {}, variantFor(['x'], { x: '1' }))
    put(store, clock, 'v', { status: 203 }, variantFor(['x'], { x: '2' }))
    put(store, clock, 'last')
    expect(saveSnapshot(path, store, clock)).toEqual({ saved: 5 })

    const after = storeWith(clock)
    expect(loadSnapshot(path, after, clock)).toEqual({ loaded: 5, dropped: 0 })
    const places = (of: MemoryCacheStore) => [...of.records()].map(({ key, variant }) => JSON.stringify([key, variant]))
    expect(places(after).sort()).toEqual(places(store).sort())
    const plainly = (of: MemoryCacheStore) => {
      const { forms: _, ...rest } = recordWith(of.get('__proto__', plain.select) as CacheRecord, {})
      return rest
    }
    expect(plainly(after)).toEqual(plainly(store))
    expect(after.get('v', requestWith({ x: '2' }))).toMatchObject({ status: 203 })
    expect(after.get('v', requestWith({ x: '3' }))).toMatchObject({ kind: 'vacancy', reason: 'vary' })
    expect(after.usage().bytes).toBe(store.usage().bytes)
  })

  test('keeps the calendar: the next process has another clock, and time has passed in between', () => {
    const before = testClock(5_000, 1_800_000_000_000)
    const store = storeWith(before)
    put(store, before, 'k', { staleAt: 5_000 + 30_000, deleteAt: 5_000 + 90_000 })
    put(store, before, 'short', { deleteAt: 5_000 + 20_000 })
    put(store, before, 'always', { deleteAt: Number.POSITIVE_INFINITY })
    saveSnapshot(path, store, before)
    const after = testClock(77, 1_800_000_020_000)
    const next = storeWith(after)
    expect(loadSnapshot(path, next, after)).toEqual({ loaded: 2, dropped: 1 })
    expect(next.get('k', plain.select)).toMatchObject({
      storedAt: 77 - 20_000,
      staleAt: 77 + 10_000,
      deleteAt: 77 + 70_000,
      dateMs: 1_800_000_000_000,
    })
    expect(next.get('always', plain.select)).toMatchObject({ deleteAt: Number.POSITIVE_INFINITY })
  })

  test('is dropped where the calendar was set back since: nobody can tell how old its records are', () => {
    savedFile()
    const clock = testClock()
    clock.setWall(clock.wall() - 1)
    expect(loadSnapshot(path, storeWith(clock), clock)).toEqual({ loaded: 0, dropped: 1 })
  })

  test('holds nothing that was purged, and an expired record as expired', () => {
    const clock = testClock()
    const store = storeWith(clock)
    put(store, clock, 'purged', { tags: ['a'] })
    put(store, clock, 'expired', { tags: ['b'], deleteAt: clock.now() + 200_000 })
    store.invalidate([userTag('a')], 'purge')
    store.invalidate([userTag('b')], 'expire')
    const expiredAt = clock.now()
    expect(saveSnapshot(path, store, clock)).toEqual({ saved: 1 })
    expect(readFileSync(path).includes('purged')).toBe(false)
    const next = storeWith(clock)
    loadSnapshot(path, next, clock)
    expect(next.get('expired', plain.select)).toMatchObject({ staleAt: expiredAt })
  })

  test('is used up when it is read: what a run purged before it crashed does not come back in the next', () => {
    savedFile()
    const clock = testClock()
    const crashes = storeWith(clock)
    expect(loadSnapshot(path, crashes, clock)).toEqual({ loaded: 1, dropped: 0 })
    expect(loadSnapshot(path, storeWith(clock), clock)).toEqual({ loaded: 0, dropped: 0 })
  })

  test('can be purged by tag after it was loaded', () => {
    const clock = testClock()
    const store = storeWith(clock)
    put(store, clock, 'k', { tags: ['a'] })
    for (let i = 0; i < 5; i++) store.invalidate([userTag('z')], 'purge')
    saveSnapshot(path, store, clock)
    const next = storeWith(clock)
    loadSnapshot(path, next, clock)
    next.invalidate([userTag('a')], 'purge')
    expect(bodyOf(next.get('k', plain.select))).toBe('vacancy:key')
  })

  test('loads no more than the cap allows, what was asked for most of it', () => {
    const clock = testClock()
    const store = storeWith(clock)
    for (let i = 0; i < 50; i++) put(store, clock, `k${i}`)
    for (const hot of ['k7', 'k7', 'k31']) store.get(hot, plain.select)
    saveSnapshot(path, store, clock)
    const next = storeWith(clock, 10_000)
    const { loaded, dropped } = loadSnapshot(path, next, clock)
    expect(next.usage().bytes).toBeLessThanOrEqual(10_000)
    expect(loaded + dropped).toBe(50)
    expect(next.usage().entries).toBe(loaded)
    for (const key of ['k7', 'k31']) expect(bodyOf(next.get(key, plain.select))).toBe(key)
  })

  test('does not keep the file in memory for the sake of a body', () => {
    savedFile()
    const clock = testClock()
    const next = storeWith(clock)
    loadSnapshot(path, next, clock)
    const found = next.get('k', plain.select)
    expect(found.kind === 'record' && found.forms[0]!.body.buffer.byteLength).toBe(1)
  })

  test('is readable by its owner only, leaves no temporary file, and makes its folder', () => {
    const clock = testClock()
    const nested = join(folder, 'a', 'b', 'cache')
    saveSnapshot(nested, storeWith(clock), clock)
    expect(statSync(nested).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(folder, 'a', 'b'))).toEqual(['cache'])
  })

  test('that is not there is normal', () => {
    const clock = testClock()
    expect(loadSnapshot(path, storeWith(clock), clock)).toEqual({ loaded: 0, dropped: 0 })
  })
})

describe('a file that cannot be trusted', () => {
  const load = () => {
    const clock = testClock()
    const store = storeWith(clock)
    const code = codeOf(() => loadSnapshot(path, store, clock))
    expect(store.usage().entries).toBe(0)
    return code
  }

  test('cut short anywhere is reported and ignored', () => {
    const whole = savedFile()
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length))
      expect(load()).toBe('ERR_SLUICE_SNAPSHOT')
    }
  })

  test('with any one bit flipped is reported and ignored', () => {
    const whole = savedFile()
    for (let bit = 0; bit < whole.length * 8; bit += 3) {
      const damaged = Buffer.from(whole)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      writeFileSync(path, damaged)
      expect(load()).toBe('ERR_SLUICE_SNAPSHOT')
    }
  })

  test.each([
    ['something else', Buffer.from('{"name":"not-a-snapshot"}')],
    ['something else, and short', Buffer.from('x')],
    ['zeros', Buffer.alloc(4_000)],
  ])('that is %s is reported, ignored, and neither removed nor written over', (_what, content) => {
    writeFileSync(path, content)
    expect(load()).toBe('ERR_SLUICE_SNAPSHOT')
    const clock = testClock()
    expect(codeOf(() => saveSnapshot(path, storeWith(clock), clock))).toBe('ERR_SLUICE_SNAPSHOT')
    expect(readFileSync(path).equals(content)).toBe(true)
    expect(readdirSync(folder)).toHaveLength(1)
  })

  test('of another version is reported as that', () => {
    const other = savedFile()
    other.writeUInt32BE(9, 8)
    writeFileSync(path, other)
    const clock = testClock()
    expect(() => loadSnapshot(path, storeWith(clock), clock)).toThrow(/version 9, not 1/)
  })

  test('that is a folder is reported, on load and on save', () => {
    const clock = testClock()
    expect(codeOf(() => loadSnapshot(folder, storeWith(clock), clock))).toBe('ERR_SLUICE_SNAPSHOT')
    expect(codeOf(() => saveSnapshot(folder, storeWith(clock), clock))).toBe('ERR_SLUICE_SNAPSHOT')
  })

  test('that cannot be removed is not loaded', () => {
    savedFile()
    chmodSync(folder, 0o500)
    try {
      // The superuser may remove it all the same.
      if (process.getuid?.() === 0) return
      expect(load()).toBe('ERR_SLUICE_SNAPSHOT')
    } finally {
      chmodSync(folder, 0o700)
    }
  })
})

describe('memory({ snapshot })', () => {
  function env(clock: TestClock) {
    const reported: SluiceError[] = []
    const report = (error: SluiceError) => void reported.push(error)
    return { clock, maxBytes: 1_000_000, maxEntryBytes: 500_000, maxVariants: 64, report, reported }
  }

  test('saves on close, whoever closes first, and loads on start', async () => {
    for (const order of ['store', 'backend'] as const) {
      const clock = testClock()
      const backend = memory({ snapshot: path })
      const store = backend.cacheStore(env(clock)) as MemoryCacheStore
      put(store, clock, 'k')
      if (order === 'store') store.close()
      await backend.close?.()
      const next = memory({ snapshot: path }).cacheStore(env(clock)) as MemoryCacheStore
      expect(bodyOf(next.get('k', plain.select))).toBe('k')
      expect(existsSync(path)).toBe(false)
    }
  })

  test('reports a file it cannot use, and goes on without', () => {
    writeFileSync(path, 'foreign')
    const given = env(testClock())
    const backend = memory({ snapshot: path })
    const store = backend.cacheStore(given) as MemoryCacheStore
    put(store, given.clock, 'k')
    store.close()
    expect(given.reported.map((error) => error.code)).toEqual(['ERR_SLUICE_SNAPSHOT', 'ERR_SLUICE_SNAPSHOT'])
  })

  test('without one writes nothing', async () => {
    const backend = memory()
    backend.cacheStore(env(testClock()))
    await backend.close?.()
    expect(readdirSync(folder)).toEqual([])
  })

  test('is one instance’s: a second that asks for it is told so', () => {
    const backend = memory({ snapshot: path })
    backend.cacheStore(env(testClock()))
    expect(codeOf(() => backend.cacheStore(env(testClock())))).toBe('ERR_SLUICE_OPTION')
  })

  test.each([
    ['an unknown option', { snapshots: 'x' }, /`memory\.snapshots`.*Did you mean `snapshot`/],
    ['a path that is none', { snapshot: 5 }, /`memory\.snapshot` must be a non-empty string; received 5/],
    ['no object', 'x', /`memory` must be an object/],
  ])('%s throws', (_what, options, message) => {
    expect(() => memory(options as never)).toThrow(message)
  })
})
