import { LRUCache } from 'lru-cache'
import type { Clock } from '../../base/clock.ts'
import { Compactor, ownText } from '../entry/compact.ts'
import type { CacheRecord, StoredForm } from '../entry/record.ts'
import { overheadPerMarker, overheadPerVariant, recordBytes, specBytes, textBytes } from '../entry/record-size.ts'
import { everythingTag, recordTags } from '../entry/record-tags.ts'
import { expireRecord } from '../entry/record-times.ts'
import { sameForm } from '../forms/local-forms.ts'
import type {
  CacheStore,
  InvalidateMode,
  SetOutcome,
  StoreUsage,
  Vacancy,
  Variant,
  VariantSelector,
  VariantSpec,
} from './store.ts'
import { TagClock } from './tag-clock.ts'

export interface MemoryCacheStoreOptions {
  /** What everything held may take: bodies, heads, keys, bookkeeping, and the memory of invalidations. Bytes. */
  readonly maxBytes: number
  /** What one entry may take, head, key and bookkeeping included. Default: seven eighths of `maxBytes`. Bytes. */
  readonly maxEntryBytes?: number
  /** How many variants a key may have where the caller does not say; of more, none is stored. Default: 16. */
  readonly maxVariants?: number
  /** How many invalidated tags are remembered (see {@link TagClock}). Default: 100,000, in an eighth of `maxBytes`. */
  readonly maxTags?: number
  readonly clock: Clock
  /** Told of each record that had to make room for others, after it is gone. */
  readonly onEvict?: (record: CacheRecord) => void
  /** The last moment at which there is something to save. */
  readonly beforeClose?: (store: MemoryCacheStore) => void
}

/** A record as the snapshot sees it: its key and, where the key has variants, which one it is. */
export interface HeldRecord {
  readonly key: string
  readonly variant: { readonly spec: VariantSpec; readonly secondary: string } | undefined
  readonly record: CacheRecord
}

/**
 * Where the LRU list holds a record: under the key itself or, for a variant, under an object. An object cannot be
 * mistaken for anybody's key, and is at hand on a hit without gluing texts together.
 */
type Place = string | VariantPlace

interface VariantPlace {
  readonly marker: Marker
  readonly secondary: string
}

/** Stands under a key that has variants. */
interface Marker {
  readonly kind: 'marker'
  readonly key: string
  readonly spec: VariantSpec
  /** By secondary key, the oldest first. */
  readonly variants: Map<string, VariantPlace>
}

interface Holder {
  readonly kind: 'holder'
  record: CacheRecord
  /** No invalidation up to this position concerns the record, or it is in the record already. */
  checked: number
}

/**
 * The cache store in the memory of this process. Everything about it is synchronous.
 *
 * A hit costs one look-up (two for a variant); its tags are looked at only if anything was invalidated since they last
 * were. Nothing has a timer: what is past its time is dropped when it is asked for, or makes room for others.
 *
 * The cap counts everything that is held, and is kept at every moment.
 */
export class MemoryCacheStore implements CacheStore {
  readonly #clock: Clock
  readonly #maxBytes: number
  readonly #maxEntryBytes: number
  readonly #maxVariants: number
  readonly #onEvict: ((record: CacheRecord) => void) | undefined
  readonly #beforeClose: ((store: MemoryCacheStore) => void) | undefined
  readonly #tags: TagClock
  readonly #compact = new Compactor()
  #lru: LRUCache<Place, Holder | Marker>
  #entries = 0
  #evictions = 0
  #closed = false

  constructor(options: MemoryCacheStoreOptions) {
    const { maxBytes, maxEntryBytes = maxBytes, maxVariants = 16, maxTags = 100_000 } = options
    const maxTagBytes = maxBytes / 8
    this.#clock = options.clock
    this.#maxBytes = maxBytes
    this.#maxEntryBytes = Math.min(maxEntryBytes, maxBytes - maxTagBytes)
    this.#maxVariants = maxVariants
    this.#onEvict = options.onEvict
    this.#beforeClose = options.beforeClose
    this.#tags = new TagClock({ maxTags, maxBytes: maxTagBytes })
    this.#lru = this.#emptyList()
  }

  /** The order of invalidations, for what is kept in this process beside the responses. */
  get order(): TagClock {
    return this.#tags
  }

  get(key: string, select: VariantSelector): CacheRecord | Vacancy {
    const found = this.#lru.get(key)
    if (found === undefined) return this.#vacancy('key')
    if (found.kind === 'holder') return this.#usable(key, found) ?? this.#vacancy('key')
    const place = found.variants.get(select(found.spec))
    const holder = place && this.#lru.get(place)
    if (holder === undefined) return this.#vacancy('vary')
    return this.#usable(place!, holder as Holder) ?? this.#vacancy('vary')
  }

  held(key: string, select: VariantSelector): CacheRecord | undefined {
    const found = this.get(key, select)
    return found.kind === 'record' ? found : undefined
  }

  position(_key: string): Vacancy {
    return this.#vacancy('key')
  }

  set(key: string, variant: Variant, record: CacheRecord, vacancy: Vacancy): SetOutcome {
    if (this.#closed || this.#clock.now() >= record.deleteAt) return 'refused'
    if (!this.#mayFill(record, vacancy.position)) return 'fenced'
    const held = this.#lru.peek(key)
    const spec = joinSpecs(held?.kind === 'marker' ? held.spec : undefined, variant.spec)
    const own = this.#compact.record(record)
    const holder: Holder = { kind: 'holder', record: own, checked: this.#tags.position }
    if (spec === undefined) return this.#setPlain(key, holder)
    const secondary = variant.select(spec)
    const full = held?.kind === 'marker' && held.spec === spec && this.#isFull(held, secondary, variant.most)
    return full ? 'full' : this.#setVariant(key, spec, { secondary, holder })
  }

  addForm(key: string, select: VariantSelector, of: CacheRecord, form: StoredForm): boolean {
    const found = this.#lru.peek(key)
    const place = found?.kind === 'marker' ? found.variants.get(select(found.spec)) : key
    if (place === undefined) return false
    const holder = this.#lru.peek(place)
    if (holder?.kind !== 'holder') return false
    // As it is now: what was purged since is gone, and what was expired stays so.
    const record = this.#current(holder)
    if (record === undefined || !sameForm(record.forms[0]!, of.forms[0]!)) return false
    const forms = [...record.forms.filter(({ coding }) => coding !== form.coding), form]
    const next: Holder = { kind: 'holder', record: this.#compact.record({ ...record, forms }), checked: holder.checked }
    const named = typeof place === 'string' ? textBytes(place) : overheadPerVariant + textBytes(place.secondary)
    const size = recordBytes(next.record) + named
    if (size > this.#maxEntryBytes) return false
    this.#put(place, next, size)
    return true
  }

  delete(key: string): void {
    this.#lru.delete(key)
  }

  invalidate(tags: readonly string[], mode: InvalidateMode): void {
    if (tags.length === 0) return
    this.#tags.invalidate(tags, mode, this.#clock.now())
    if (mode === 'purge' && tags.includes(everythingTag)) {
      // Nothing of it can be given out any more. A new list costs the same for one entry and for a million.
      this.#lru = this.#emptyList()
      this.#entries = 0
    }
    this.#keepCap()
  }

  usage(): StoreUsage {
    return {
      entries: this.#entries,
      bytes: this.#lru.calculatedSize + this.#tags.bytes,
      evictions: this.#evictions,
    }
  }

  /** What would be given out now, the least recently used first. Does not count as use. */
  *records(): IterableIterator<HeldRecord> {
    const now = this.#clock.now()
    for (const [place, found] of [...this.#lru.rentries()] as [Place, Holder | Marker][]) {
      if (found.kind === 'marker') continue
      const record = this.#current(found)
      if (record === undefined || now >= record.deleteAt) continue
      const variant = typeof place === 'string' ? undefined : { spec: place.marker.spec, secondary: place.secondary }
      yield { key: typeof place === 'string' ? place : place.marker.key, variant, record }
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#beforeClose?.(this)
    this.#lru = this.#emptyList()
    this.#entries = 0
  }

  /** Whether nothing that concerns the record was invalidated since that position, which must be one of this store's. */
  #mayFill(record: CacheRecord, position: unknown): boolean {
    if (typeof position !== 'number' || !(position <= this.#tags.position)) return false
    return position === this.#tags.position || !this.#tags.invalidatedSince(recordTags(record), position)
  }

  #vacancy(reason: Vacancy['reason']): Vacancy {
    return { kind: 'vacancy', reason, position: this.#tags.position }
  }

  /** The record if it may be given out; drops it otherwise. */
  #usable(place: Place, holder: Holder): CacheRecord | undefined {
    const record = holder.checked === this.#tags.position ? holder.record : this.#current(holder)
    if (record !== undefined && this.#clock.now() < record.deleteAt) return record
    this.#lru.delete(place)
    return undefined
  }

  /** The record with every invalidation so far applied; `undefined` once it is purged. */
  #current(holder: Holder): CacheRecord | undefined {
    if (holder.checked === this.#tags.position) return holder.record
    const tags = recordTags(holder.record)
    if (this.#tags.purgedSince(tags, holder.checked)) return undefined
    const expiredMs = this.#tags.expiredSince(tags, holder.checked)
    if (expiredMs !== undefined) holder.record = expireRecord(holder.record, expiredMs)
    holder.checked = this.#tags.position
    return holder.record
  }

  #setPlain(key: string, holder: Holder): SetOutcome {
    const size = recordBytes(holder.record) + textBytes(key)
    if (size > this.#maxEntryBytes) return 'refused'
    this.#put(ownText(key), holder, size)
    return 'stored'
  }

  /** Whether the key has no room for this variant: what nobody wants any more makes some. */
  #isFull(marker: Marker, secondary: string, most = this.#maxVariants): boolean {
    if (marker.variants.size < most || marker.variants.has(secondary)) return false
    for (const place of [...marker.variants.values()]) {
      const holder = this.#lru.peek(place)
      if (holder?.kind === 'holder' && this.#usable(place, holder) === undefined) return false
    }
    return true
  }

  #setVariant(
    key: string,
    spec: VariantSpec,
    { secondary, holder }: { secondary: string; holder: Holder },
  ): SetOutcome {
    const size = recordBytes(holder.record) + overheadPerVariant + textBytes(secondary)
    const markerSize = overheadPerMarker + specBytes(spec) + textBytes(key)
    if (size + markerSize > this.#maxEntryBytes) return 'refused'
    const marker = this.#marker(key, spec, markerSize)
    const place = marker.variants.get(secondary) ?? { marker, secondary }
    marker.variants.set(secondary, place)
    this.#put(place, holder, size)
    return 'stored'
  }

  /**
   * The marker of a key, made or widened to `spec`. Records stored under a narrower spec are named by it, and the
   * requests they answered are gone: nothing could find them, so they are dropped.
   */
  #marker(key: string, spec: VariantSpec, size: number): Marker {
    // Use, so that it outlives the least recently used of its variants.
    const held = this.#lru.get(key)
    if (held?.kind === 'marker' && held.spec === spec) return held
    const marker: Marker = { kind: 'marker', key, spec, variants: new Map() }
    this.#lru.set(key, marker, { size })
    return marker
  }

  #put(place: Place, holder: Holder, size: number): void {
    this.#entries++
    this.#lru.set(place, holder, { size })
    this.#keepCap()
  }

  #keepCap(): void {
    while (this.#lru.size > 0 && this.#lru.calculatedSize + this.#tags.bytes > this.#maxBytes) this.#lru.pop()
  }

  #evicted(record: CacheRecord): void {
    this.#evictions++
    this.#onEvict?.(record)
  }

  #emptyList(): LRUCache<Place, Holder | Marker> {
    return new LRUCache({
      maxSize: this.#maxBytes,
      disposeAfter: (gone, place, reason) => this.#gone(gone, place, reason === 'evict'),
    })
  }

  /** After a record or a marker left the list, for whatever reason: what hangs on it is put right. */
  #gone(gone: Holder | Marker, place: Place, evicted: boolean): void {
    if (gone.kind === 'marker') {
      for (const variant of [...gone.variants.values()]) {
        const holder = this.#lru.peek(variant)
        this.#lru.delete(variant)
        if (evicted && holder?.kind === 'holder') this.#evicted(holder.record)
      }
      return
    }
    this.#entries--
    if (evicted) this.#evicted(gone.record)
    if (typeof place === 'string' || this.#lru.has(place)) return
    const { marker, secondary } = place
    marker.variants.delete(secondary)
    if (marker.variants.size === 0 && this.#lru.peek(marker.key) === marker) this.#lru.delete(marker.key)
  }
}

/** The spec of a key after one more response: a name or coding once seen stays. `undefined` where nothing varies. */
function joinSpecs(held: VariantSpec | undefined, added: VariantSpec): VariantSpec | undefined {
  if (held === undefined) {
    if (added.fields.length === 0 && added.codings.length === 0) return undefined
    return { fields: [...new Set(added.fields)].sort(), codings: [...new Set(added.codings)] }
  }
  const isNew = (known: readonly string[]) => (name: string) => !known.includes(name)
  const fields = added.fields.filter(isNew(held.fields))
  const codings = added.codings.filter(isNew(held.codings))
  if (fields.length === 0 && codings.length === 0) return held
  return {
    fields: [...new Set([...held.fields, ...fields])].sort(),
    codings: [...new Set([...held.codings, ...codings])],
  }
}
