import type { InvalidateMode } from './store.ts'

/** What a version takes in memory beside the characters of its tag; measured, rounded up. */
const overheadPerTag = 120

interface Version {
  purged: number
  expired: number
  expiredMs: number
}

interface Generation {
  readonly versions: Map<string, Version>
  bytes: number
}

/**
 * The order of invalidations, within one process. An invalidation moves the position on by one and marks its tags
 * with it; a record is invalidated if a tag of it is marked with a later position than the record's.
 *
 * So an invalidation costs the same whatever the number of records, and what remembers it is bounded: versions are
 * kept in two generations, and when the younger is full the older is dropped as a whole. From then on everything that
 * was not looked at since its last invalidation counts as purged. A forgotten version must cost a miss; it must never
 * read as *not invalidated*.
 */
export class TagClock {
  readonly #maxTags: number
  readonly #maxBytes: number
  #position = 0
  #floor = 0
  /** The position of the last invalidation that may be found in the older generation only. */
  #olderUntil = 0
  #young: Generation = emptyGeneration()
  #old: Generation = emptyGeneration()

  /** At most `maxTags` tags (default 100,000), and `maxBytes` for all of them (default: no limit of its own). */
  constructor(options: { readonly maxTags?: number; readonly maxBytes?: number } = {}) {
    this.#maxTags = options.maxTags ?? 100_000
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY
  }

  /** How many invalidations there were. A fill that begins now has this position. */
  get position(): number {
    return this.#position
  }

  /** What the versions take in memory, about. */
  get bytes(): number {
    return this.#young.bytes + this.#old.bytes
  }

  get size(): number {
    return this.#young.versions.size + this.#old.versions.size
  }

  invalidate(tags: readonly string[], mode: InvalidateMode, nowMs: number): void {
    this.#position++
    for (const tag of tags) {
      const version = this.#youngVersion(tag)
      if (mode === 'purge') {
        version.purged = this.#position
      } else {
        version.expired = this.#position
        version.expiredMs = nowMs
      }
    }
  }

  /** Whether one of the tags was purged after `position`, or may have been. */
  purgedSince(tags: readonly string[], position: number): boolean {
    if (position < this.#floor) return true
    for (const tag of tags) {
      const version = this.#find(tag)
      if (version !== undefined && version.purged > position) return true
    }
    return false
  }

  /**
   * When one of the tags was last expired after `position`, in milliseconds of the store's clock; `undefined` if none
   * was. The last time and not the first: only that is kept, and the record's own windows bound the difference.
   */
  expiredSince(tags: readonly string[], position: number): number | undefined {
    let latest: number | undefined
    for (const tag of tags) {
      const version = this.#find(tag)
      if (version === undefined || version.expired <= position) continue
      if (latest === undefined || version.expiredMs > latest) latest = version.expiredMs
    }
    return latest
  }

  /** Whether one of the tags was purged or expired after `position`, or may have been. */
  invalidatedSince(tags: readonly string[], position: number): boolean {
    return this.purgedSince(tags, position) || this.expiredSince(tags, position) !== undefined
  }

  #find(tag: string): Version | undefined {
    return this.#young.versions.get(tag) ?? this.#old.versions.get(tag)
  }

  #youngVersion(tag: string): Version {
    const known = this.#young.versions.get(tag)
    if (known !== undefined) return known
    const bytes = overheadPerTag + tag.length * 2
    if (this.#young.versions.size >= this.#maxTags / 2 || this.#young.bytes + bytes > this.#maxBytes / 2) this.#turn()
    const version = { ...(this.#old.versions.get(tag) ?? { purged: 0, expired: 0, expiredMs: 0 }) }
    this.#young.versions.set(tag, version)
    this.#young.bytes += bytes
    return version
  }

  /** The younger generation becomes the older one, and what was in that is forgotten. */
  #turn(): void {
    this.#floor = this.#olderUntil
    this.#old = this.#young
    // The invalidation under way may have marked tags of this generation already.
    this.#olderUntil = this.#position
    this.#young = emptyGeneration()
  }
}

function emptyGeneration(): Generation {
  return { versions: new Map(), bytes: 0 }
}
