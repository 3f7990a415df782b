import type { MaybePromise } from '../../base/maybe-promise.ts'
import type { InvalidationOrder } from '../../exchange/invalidation-order.ts'
import type { CacheRecord, StoredForm } from '../entry/record.ts'

/**
 * Where responses are kept. A store knows nothing of HTTP: it holds records under keys, forgets them in time, and never
 * gives out one that was invalidated since its fill began.
 *
 * **Variants.** Under a primary key there may be several records, told apart by request fields (`Vary`, RFC 9111 §4.1)
 * or by content coding. The store remembers the {@link VariantSpec} of a key; the caller's `select` turns it into the
 * secondary key of a request.
 *
 * **Fencing.** A fill takes its position when it *starts*: in the {@link Vacancy} a miss answers with, or from
 * `position()`. `set` refuses a record if a tag of it, or its URL or route, was invalidated after that position.
 */
export interface CacheStore {
  /**
   * The record, fresh or stale, or the vacancy. A record that was purged, or is past its `deleteAt`, is a vacancy; one
   * that was expired comes back with its `staleAt` brought forward.
   */
  get(key: string, select: VariantSelector, wants?: Wants): MaybePromise<CacheRecord | Vacancy | StoreOut>
  /**
   * The same for a record that is in the memory of this process, at once and without taking part in anything: no lease, no
   * look further on. Absent: nothing is.
   */
  held?(key: string, select: VariantSelector): CacheRecord | undefined
  /** Where a fill that starts now stands in the order of invalidations. */
  position(key: string): MaybePromise<Vacancy | StoreOut>
  set(key: string, variant: Variant, record: CacheRecord, vacancy: Vacancy): MaybePromise<SetOutcome>
  /**
   * Of stores that several processes share. Waits while another of them fills this place: for its record, for its
   * lease, or for the end of the wait, when the vacancy still says `held`.
   */
  follow?(key: string, select: VariantSelector, waitMs: number): MaybePromise<CacheRecord | Vacancy | StoreOut>
  /**
   * What a fill that replaces this record may present, where the look-up asked for a lease and found the record stale.
   */
  renewal?(record: CacheRecord): Vacancy | undefined
  /** The fill that began with this vacancy has ended. Gives back its lease, where it has one; `set` has done so too. */
  release?(vacancy: Vacancy, ended: FillEnd): void
  /**
   * Adds a form to the record held under this key and variant, or puts it in the place of that of the same coding. Only
   * if the record held is still the one the form was made of: `of.forms[0]`, byte for byte. It changes nothing else: not
   * how long the record lives, nor what invalidates it. Answers whether the store has such a form now; another process
   * may have added one that is as good. Nobody waits for a promise. A form that is not taken, or whose store has no
   * `addForm`, is kept in the process, in a few megabytes.
   */
  addForm?(key: string, select: VariantSelector, of: CacheRecord, form: StoredForm): MaybePromise<boolean>
  /** Removes every variant of one key. */
  delete(key: string): MaybePromise<void>
  /**
   * `purge`: none of the records with one of these tags is ever given out again. `expire`: they are stale from now on.
   * Costs the same for one record and for a million. The tags are those `record-tags.ts` makes: `userTag('cities')`,
   * `urlTags(...)`, `routeTags(...)`, `everythingTag`.
   */
  invalidate(tags: readonly string[], mode: InvalidateMode): MaybePromise<void>
  /**
   * Of stores with replicas: waits until so many of each server have what was invalidated so far. Answers how many have
   * it, at the least; never rejects.
   */
  replicated?(replicas: number): Promise<number>
  /**
   * Of stores in the memory of this process: the order of invalidations, so that what is kept beside the responses (memos)
   * is invalidated with them. Others are asked for every value.
   */
  readonly order?: InvalidationOrder | undefined
  /**
   * For who looks after it: what is stored under a URL. Takes its time, and does not count as use. Absent: it cannot be looked into.
   */
  inventory?(asked: InventoryQuery): MaybePromise<readonly InventoryItem[]>
  /** Whether `inventory` finds all there is, and not only what is under the key. */
  readonly looksThrough?: boolean | undefined
  /** For `stats()`: what is held now. */
  usage(): StoreUsage
  close(): MaybePromise<void>
}

export type InvalidateMode = 'purge' | 'expire'

/**
 * `stored`; `fenced`: invalidated since the fill began; `full`: the key has as many variants as it may; `refused`: too
 * large, or the store does not take it now.
 */
export type SetOutcome = 'stored' | 'fenced' | 'full' | 'refused'

/** The store is known to be out, and has said so: nobody has to be told again. */
export type StoreOut = undefined

/** What a look-up asks for beside the record. */
export interface Wants {
  /** On a vacancy, and on a stale record: the right to fill it, before any other process. Who gets it must call `set` or `release`. */
  readonly lease?: boolean
}

/**
 * `taken`: this fill is the only one anywhere. `held`: another process is at it; `follow` waits for what it brings.
 * `open`: the last answer could not be shared, so all may go to the handler side by side.
 */
export type LeaseState = 'taken' | 'held' | 'open'

/** `unshared`: its answer is not for others, who need not wait for the next one. `given-up`: one of them may try. */
export type FillEnd = 'unshared' | 'given-up'

/** Nothing usable is stored. Carries what a fill that begins now must present to `set`. */
export interface Vacancy {
  readonly kind: 'vacancy'
  /** `vary`: the key is known, this variant of it is not (RFC 9211 §2.2 `vary-miss`). */
  readonly reason: 'key' | 'vary'
  readonly position: unknown
  /** Where a lease was asked for and the store has such a thing. */
  readonly lease?: LeaseState | undefined
}

/** What tells the variants of a key apart: the terms of the request that handlers have read, and content codings seen. */
export interface VariantSpec {
  /** Field names in lower case and names of other terms, sorted. To a store they are texts. */
  readonly fields: readonly string[]
  /** Codings the handler itself produced, in the order they were seen; empty where it never encoded. */
  readonly codings: readonly string[]
}

/** The secondary key of the request in hand, under that spec. */
export type VariantSelector = (spec: VariantSpec) => string

/** Which variant a record is: its spec (joined with the one the key has already) and how to name it under that. */
export interface Variant {
  readonly spec: VariantSpec
  readonly select: VariantSelector
  /** How many variants the key may have, this one included; of more, none is stored. Default: what the store was made with. */
  readonly most?: number | undefined
}

export interface StoreUsage {
  readonly entries: number
  readonly bytes: number
  /** How many bytes may be held; `undefined` where the store has no cap of its own. */
  readonly maxBytes?: number | undefined
  readonly evictions: number
  /** Remote stores: how many parts of them are known to be out, so that nobody is sent there. */
  readonly breakersOpen?: number | undefined
  /** Stores that hear of the invalidations of other processes. */
  readonly bus?: BusFigures | undefined
}

/** How soon a process hears of what the others invalidate. It is tried once a second, with a message to itself. */
export interface BusFigures {
  /**
   * What was announced longer ago than this has been heard here, or what memory held was forgotten. Up to a second and what a message
   * takes while all is well, and longer and longer while messages do not come. Milliseconds.
   */
  readonly behindMs: number
  /** How long the last such message took, there and back; `undefined` before the first. Milliseconds. */
  readonly delayMs: number | undefined
}

/** What somebody who looks after a store wants to see of it: everything that is stored under a URL. */
export interface InventoryQuery {
  /** As it was sent: percent-encoding and all. */
  readonly path: string
  /** Without the `?`; of what has no query in its record any query fits. */
  readonly query: string
  /** The primary key, where it can be told: stores that cannot be looked through are asked for it. */
  readonly key: string | undefined
  readonly most: number
}

/** Something stored. */
export interface InventoryItem {
  readonly key: string
  /** How it is told apart from others under its key; `undefined` where nothing varies. */
  readonly spec: VariantSpec | undefined
  /** With every invalidation so far applied. */
  readonly record: CacheRecord
}
