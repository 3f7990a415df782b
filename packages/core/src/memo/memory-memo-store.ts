import { LRUCache } from 'lru-cache'
import type { Clock } from '../base/clock.ts'
import type { InvalidationOrder } from '../exchange/invalidation-order.ts'
import {
  deleteAtOf,
  expireEntry,
  type MemoEntry,
  type MemoSetOutcome,
  type MemoStore,
  type MemoVacancy,
} from './store.ts'

export interface MemoryMemoStoreOptions {
  readonly clock: Clock
  /** Shared with the responses. */
  readonly order: InvalidationOrder
  /** Names of the user's as they stand in the order, with what every entry has. */
  readonly orderTags: (tags: readonly string[]) => readonly string[]
  readonly maxEntries: number
  readonly maxBytes: number
}

/** What the objects of an entry take beside the characters of its key and its value; measured, rounded up. */
const overheadPerEntry = 400

/** Likewise for a tag: the name, and how it stands in the order of invalidations. */
const overheadPerTag = 100

interface Place {
  entry: MemoEntry
  readonly tags: readonly string[]
  /** No invalidation up to this position concerns it, or it is in the entry already. */
  checked: number
}

/**
 * The values of one memo in the memory of this process. Synchronous; a list of its own, so that a memo with many values
 * cannot push responses out, and both its caps hold exactly.
 */
export class MemoryMemoStore implements MemoStore {
  readonly #options: MemoryMemoStoreOptions
  readonly #places: LRUCache<string, Place>

  constructor(options: MemoryMemoStoreOptions) {
    this.#options = options
    // No `max`: the library would set aside room for all of them at once.
    this.#places = new LRUCache({ maxSize: options.maxBytes })
  }

  get(key: string): MemoEntry | MemoVacancy {
    const place = this.#places.get(key)
    if (place === undefined) return this.position()
    const entry = this.#current(place)
    if (entry !== undefined && this.#options.clock.now() < deleteAtOf(entry)) return entry
    this.#places.delete(key)
    return this.position()
  }

  position(): MemoVacancy {
    return { kind: 'vacancy', position: this.#options.order.position }
  }

  set(key: string, entry: MemoEntry, begun: MemoVacancy): MemoSetOutcome {
    const { order, orderTags, maxEntries, maxBytes, clock } = this.#options
    const tags = orderTags(entry.tags)
    const position = begun.position as number
    if (position !== order.position && order.invalidatedSince(tags, position)) return 'fenced'
    const size = overheadPerEntry + key.length * 2 + entry.held.bytes + tags.length * overheadPerTag
    if (size > maxBytes || clock.now() >= deleteAtOf(entry)) {
      // What it would have replaced is older still.
      this.#places.delete(key)
      return 'refused'
    }
    this.#places.set(key, { entry, tags, checked: order.position }, { size })
    while (this.#places.size > maxEntries) this.#places.pop()
    return 'stored'
  }

  delete(key: string): void {
    this.#places.delete(key)
  }

  expire(key: string): void {
    const place = this.#places.peek(key)
    if (place) place.entry = expireEntry(place.entry, this.#options.clock.now())
  }

  clear(): void {
    this.#places.clear()
  }

  usage(): { readonly size: number; readonly bytes: number } {
    return { size: this.#places.size, bytes: this.#places.calculatedSize }
  }

  /** With every invalidation so far applied; `undefined` once it is purged. */
  #current(place: Place): MemoEntry | undefined {
    const { order } = this.#options
    if (place.checked === order.position) return place.entry
    if (order.purgedSince(place.tags, place.checked)) return undefined
    const expiredMs = order.expiredSince(place.tags, place.checked)
    if (expiredMs !== undefined) place.entry = expireEntry(place.entry, expiredMs)
    place.checked = order.position
    return place.entry
  }
}
