import { type Backend, createSurface, memory, type SluiceOptions } from '@sluice/core'
import { decodeRecord, encodeRecord } from '../../packages/core/src/cache/entry/frame.ts'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { MemoryCacheStore } from '../../packages/core/src/cache/store/memory-store.ts'
import type { CacheStore } from '../../packages/core/src/cache/store/store.ts'
import { type TestClock, testClock } from '../hosts/harness/clock.ts'

export type Instance = ReturnType<typeof instance>

/** An instance without a framework. */
export function instance(options: Omit<SluiceOptions, 'clock'> = {}, clock: TestClock = testClock()) {
  const sluice = createSurface(
    { ...options, clock },
    (pipeline) => pipeline,
    (_, handler) => handler,
    (view) => view,
  )
  const errors: Error[] = []
  sluice.on('error', ({ error }) => errors.push(error))
  return { ...sluice, clock, errors }
}

/**
 * A store as a shared one is: it answers later, holds nothing but bytes, and has no order that could be looked at.
 * `held` is what several processes share.
 */
export function sharedBackend(held?: { store?: MemoryCacheStore; failing?: boolean }): Backend {
  return {
    kind: 'shared',
    cacheStore({ clock, maxBytes, maxEntryBytes, maxVariants }) {
      const store = held?.store ?? new MemoryCacheStore({ clock, maxBytes, maxEntryBytes, maxVariants })
      if (held) held.store = store
      const later = async <T>(act: () => T): Promise<T> => {
        await null
        if (held?.failing) throw new Error('the store is out')
        return act()
      }
      const asBytes = (record: CacheRecord): CacheRecord => decodeRecord(encodeRecord(record))!
      return {
        get: (key, select) => later(() => store.get(key, select)),
        position: (key) => later(() => store.position(key)),
        set: (key, variant, record, vacancy) => later(() => store.set(key, variant, asBytes(record), vacancy)),
        delete: (key) => later(() => store.delete(key)),
        invalidate: (tags, mode) => later(() => store.invalidate(tags, mode)),
        usage: () => store.usage(),
        close() {},
      } satisfies CacheStore
    },
  }
}

export const backends: readonly (readonly [string, () => Backend])[] = [
  ['in memory', () => memory()],
  ['on a shared store', () => sharedBackend()],
]
