import type { LimitState } from '../algorithms/algorithm-for.ts'
import type { Quota } from './store.ts'

interface Reserved {
  readonly key: string
  quota: Quota
  state: LimitState
  pinned: boolean
}

/** How many of those that were used longest ago are looked at for one that may leave. */
const sample = 16

/**
 * Room for newcomers while a store is full of keys that may not leave: so that the blocked ones of an attack do not make
 * everybody else share a bucket. A fixed number of places in the order of their last use. Who leaves is the one used longest
 * ago that has at least half of its quota left; one that is blocked, or has a permit out, never does.
 */
export class Reserve<E extends Reserved> {
  readonly #places: number
  readonly #entries = new Map<string, E>()

  constructor(places: number) {
    this.#places = places
  }

  get size(): number {
    return this.#entries.size
  }

  find(key: string): E | undefined {
    return this.#entries.size === 0 ? undefined : this.#entries.get(key)
  }

  /** It was used just now. */
  touch(entry: E): void {
    this.#entries.delete(entry.key)
    this.#entries.set(entry.key, entry)
  }

  /** Whether there is a place for one more, or one could be made. */
  makeRoom(now: number): boolean {
    if (this.#entries.size < this.#places) return true
    let looked = 0
    for (const entry of this.#entries.values()) {
      if (mayLeave(entry, now)) {
        this.#entries.delete(entry.key)
        return true
      }
      // Behind all others, so that it is not looked at for each newcomer.
      this.touch(entry)
      if (++looked === sample) return false
    }
    return false
  }

  remove(entry: E): void {
    this.#entries.delete(entry.key)
  }

  values(): Iterable<E> {
    return this.#entries.values()
  }

  clear(): void {
    this.#entries.clear()
  }
}

function mayLeave({ quota: { algorithm }, state, pinned }: Reserved, now: number): boolean {
  const left = algorithm.remaining(state, now) / algorithm.limit
  return !pinned && (algorithm.kind === 'concurrent' ? left === 1 : left >= 0.5)
}
