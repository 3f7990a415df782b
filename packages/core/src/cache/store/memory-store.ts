import type { Clock } from '../../base/clock.ts'
import { ownText } from '../entry/compact.ts'
import type { CacheRecord, StoredForm } from '../entry/record.ts'
import { overheadPerMarker, specBytes, textBytes } from '../entry/record-size.ts'
import { everythingTag, recordTags } from '../entry/record-tags.ts'
import { expireRecord } from '../entry/record-times.ts'
import { plainRecord, recordWith } from '../entry/record-with.ts'
import { sameForm } from '../forms/local-forms.ts'
import { Compactor } from './compact.ts'
import { HeldRecord, Marker } from './held-record.ts'
import { Holdings } from './holdings.ts'
import { joinSpecs } from './specs.ts'
import type {
  CacheStore,
  InvalidateMode,
  InventoryItem,
  InventoryQuery,
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
  /**
   * Gives out each record as a plain object of its own, for whoever changes or spreads it. Default: `false`, which costs nothing a
   * look-up.
   */
  readonly plain?: boolean
  readonly clock: Clock
  /** Told of each record that had to make room for others, after it is gone. */
  readonly onEvict?: (record: CacheRecord) => void
  /** The last moment at which there is something to save. */
  readonly beforeClose?: (store: MemoryCacheStore) => void
}

/** A record as the snapshot sees it: its key and, where the key has variants, which one it is. */
export interface HeldPlace {
  readonly key: string
  readonly variant: { readonly spec: VariantSpec; readonly secondary: string } | undefined
  readonly record: CacheRecord
}

/**
 * The cache store in the memory of this process. Everything about it is synchronous.
 *
 * A hit costs one look-up (two for a variant); its tags are looked at only if anything was invalidated since they last
 * were. Nothing has a timer: what is past its time is dropped when it is asked for, or makes room for others.
 *
 * The cap counts everything that is held, and is kept at every moment. Who leaves when it is reached is `eviction/`'s to say.
 */
export class MemoryCacheStore implements CacheStore {
  readonly #clock: Clock
  readonly #maxBytes: number
  readonly #maxEntryBytes: number
  readonly #maxVariants: number
  readonly #plain: boolean
  readonly #onEvict: ((record: CacheRecord) => void) | undefined
  readonly #beforeClose: ((store: MemoryCacheStore) => void) | undefined
  readonly #tags: TagClock
  #compact = new Compactor()
  #held: Holdings
  #evictions = 0
  #closed = false

  constructor(options: MemoryCacheStoreOptions) {
    const { maxBytes, maxEntryBytes = maxBytes, maxVariants = 16, maxTags = 100_000 } = options
    const maxTagBytes = maxBytes / 8
    this.#clock = options.clock
    this.#maxBytes = maxBytes
    this.#maxEntryBytes = Math.min(maxEntryBytes, maxBytes - maxTagBytes)
    this.#maxVariants = maxVariants
    this.#plain = options.plain === true
    this.#onEvict = options.onEvict
    this.#beforeClose = options.beforeClose
    this.#tags = new TagClock({ maxTags, maxBytes: maxTagBytes })
    this.#held = this.#empty()
  }

  /** The order of invalidations, for what is kept in this process beside the responses. */
  get order(): TagClock {
    return this.#tags
  }

  get(key: string, select: VariantSelector): CacheRecord | Vacancy {
    const found = this.#find(key, select)
    return this.#plain && found.kind === 'record' ? plainRecord(found) : found
  }

  #find(key: string, select: VariantSelector): CacheRecord | Vacancy {
    const found = this.#held.get(key)
    if (found === undefined) return this.#vacancy('key')
    if (found instanceof HeldRecord) return this.#usable(found) ?? this.#vacancy('key')
    const record = found.get(select(found.spec))
    return (record && this.#usable(record)) ?? this.#vacancy('vary')
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
    const found = this.#held.get(key)
    const marker = found instanceof Marker ? found : undefined
    const spec = joinSpecs(marker?.spec, variant.spec)
    if (spec === undefined) return this.#setPlain(key, record)
    const secondary = variant.select(spec)
    const full = marker?.spec === spec && this.#isFull(marker, secondary, variant.most)
    return full ? 'full' : this.#setVariant(key, spec, { secondary, record })
  }

  addForm(key: string, select: VariantSelector, of: CacheRecord, form: StoredForm): boolean {
    const found = this.#held.get(key)
    const held = found instanceof Marker ? found.get(select(found.spec)) : found
    // As it is now: what was purged since is gone, and what was expired stays so.
    const record = held && this.#current(held)
    if (record === undefined || !sameForm(record.forms[0]!, of.forms[0]!)) return false
    const forms = [...record.forms.filter(({ coding }) => coding !== form.coding), form]
    const next = this.#compact.record(recordWith(record, { forms }), record.under, record.secondary)
    if (next.size > this.#maxEntryBytes) return false
    next.checked = record.checked
    this.#held.put(next)
    this.#keepCap()
    return true
  }

  delete(key: string): void {
    const found = this.#held.get(key)
    if (found === undefined) return
    if (found instanceof HeldRecord) this.#held.remove(found)
    else for (const record of found.all()) this.#held.remove(record)
  }

  invalidate(tags: readonly string[], mode: InvalidateMode): void {
    if (tags.length === 0) return
    this.#tags.invalidate(tags, mode, this.#clock.now())
    // Nothing of it can be given out any more. To begin anew costs the same for one entry and for a million.
    if (mode === 'purge' && tags.includes(everythingTag)) this.#held = this.#empty()
    this.#keepCap()
  }

  usage(): StoreUsage {
    const { entries, bytes } = this.#held
    return { entries, bytes: bytes + this.#tags.bytes, maxBytes: this.#maxBytes, evictions: this.#evictions }
  }

  /** What would be given out now, what is to be kept longest first. Does not count as use. */
  *records(): IterableIterator<HeldPlace> {
    const now = this.#clock.now()
    for (const held of this.#held.byWorth()) {
      const record = this.#current(held)
      if (record === undefined || now >= record.deleteAt) continue
      const { under, key, secondary } = record
      yield { key, variant: under instanceof Marker ? { spec: under.spec, secondary: secondary! } : undefined, record }
    }
  }

  readonly looksThrough = true

  async inventory(asked: InventoryQuery): Promise<readonly InventoryItem[]> {
    const found: InventoryItem[] = []
    let looked = 0
    for (const held of this.#held.all()) {
      if (isAskedFor(held, asked)) {
        const record = this.#current(held)
        if (record !== undefined && this.#clock.now() < record.deleteAt) {
          const { under, key } = record
          found.push({ key, spec: under instanceof Marker ? under.spec : undefined, record })
          if (found.length === asked.most) break
        }
      }
      // Others have their turn in between.
      if (++looked % lookedAtOnce === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    return found
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#beforeClose?.(this)
    this.#held = this.#empty()
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
  #usable(held: HeldRecord): CacheRecord | undefined {
    const record = held.checked === this.#tags.position ? held : this.#current(held)
    if (record !== undefined && this.#clock.now() < record.deleteAt) {
      this.#held.used(record)
      return record
    }
    this.#held.remove(record ?? held)
    return undefined
  }

  /** The record with every invalidation so far applied; `undefined` once it is purged. */
  #current(held: HeldRecord): HeldRecord | undefined {
    const { position } = this.#tags
    if (held.checked === position) return held
    const tags = recordTags(held)
    if (this.#tags.purgedSince(tags, held.checked)) return undefined
    const expiredMs = this.#tags.expiredSince(tags, held.checked)
    const expired = expiredMs === undefined ? held : expireRecord(held, expiredMs)
    const record = expired === held ? held : this.#compact.record(expired, held.under, held.secondary)
    record.checked = position
    if (record !== held) this.#held.exchange(held, record)
    return record
  }

  /** Whether nobody can be given it any more. */
  #isOver(held: HeldRecord): boolean {
    if (this.#clock.now() >= held.deleteAt) return true
    return held.checked !== this.#tags.position && this.#tags.purgedSince(recordTags(held), held.checked)
  }

  #setPlain(key: string, record: CacheRecord): SetOutcome {
    const held = this.#compact.record(record, ownText(key))
    if (held.size > this.#maxEntryBytes) return 'refused'
    this.#put(held)
    return 'stored'
  }

  /** Whether the key has no room for this variant: what nobody wants any more makes some. */
  #isFull(marker: Marker, secondary: string, most = this.#maxVariants): boolean {
    if (marker.count < most || marker.get(secondary) !== undefined) return false
    for (const record of [...marker.all()]) {
      if (!this.#isOver(record)) continue
      this.#held.remove(record)
      return false
    }
    return true
  }

  #setVariant(
    key: string,
    spec: VariantSpec,
    { secondary, record }: { readonly secondary: string; readonly record: CacheRecord },
  ): SetOutcome {
    const markerSize = overheadPerMarker + specBytes(spec) + textBytes(key)
    const found = this.#held.get(key)
    const known = found instanceof Marker && found.spec === spec ? found : undefined
    const marker = known ?? new Marker(ownText(key), this.#compact.spec(spec), markerSize)
    const held = this.#compact.record(record, marker, secondary)
    if (held.size + markerSize > this.#maxEntryBytes) return 'refused'
    // Records stored under a narrower spec are named by it, and the requests they answered are gone: nothing could find
    // them, so they are dropped.
    if (known === undefined) this.delete(key)
    this.#put(held)
    return 'stored'
  }

  #put(held: HeldRecord): void {
    held.checked = this.#tags.position
    this.#held.put(held)
    this.#keepCap()
  }

  #keepCap(): void {
    const evicted = this.#held.shrinkTo(this.#maxBytes - this.#tags.bytes)
    if (evicted === undefined) return
    this.#evictions += evicted.length
    if (this.#onEvict) for (const record of evicted) this.#onEvict(record)
  }

  #empty(): Holdings {
    this.#compact = new Compactor()
    return new Holdings({ maxBytes: this.#maxBytes, isOver: (held) => this.#isOver(held), worth })
  }
}

/** Of a record that has no query any fits: its key holds a part of it, or something else. */
const isAskedFor = ({ target }: CacheRecord, { path, query }: InventoryQuery): boolean =>
  target.path === path && (target.query === undefined || target.query === query)

/** How many records are looked at before others have their turn: a millisecond's worth. */
const lookedAtOnce = 2_000

/** What a fill may count at the most, and what each counts at the least: below that, its time says more of the machine. */
const mostFillMs = 1_000
const leastFillMs = 5

/**
 * What it is worth to have a record: the more the longer its handler took, the less the more room it takes. The root, for
 * both say less than how often it is asked for.
 */
function worth({ fillMs, size }: HeldRecord): number {
  return Math.sqrt((Math.min(fillMs, mostFillMs) + leastFillMs) / size)
}
