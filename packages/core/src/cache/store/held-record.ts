import type { CacheRecord, DownstreamPromise, RecordTarget, StoredForm, Witness } from '../entry/record.ts'
import { rendered } from '../entry/rendered.ts'
import type { Evictable } from './eviction/eviction.ts'
import type { Shared } from './shared.ts'
import type { VariantSpec } from './store.ts'

/** What the records of a route mostly have in common. */
export interface Common {
  readonly status: number
  /** How long past `staleAt` it may be served while it is refreshed, and in place of an error. Milliseconds. */
  readonly whileRevalidateMs: number
  readonly ifErrorMs: number
  readonly mustRevalidate: boolean
  readonly shared: boolean
  readonly ownTag: boolean
  readonly scheme: string
  readonly authority: string
  readonly route: string | undefined
  readonly reason: string | undefined
  readonly without: readonly string[] | undefined
  readonly promise: DownstreamPromise | undefined
  readonly coding: string
  /** Of a visitor without credentials: all of them are alike. */
  readonly witness: Witness | undefined
}

/** What few records have. */
export interface Rare {
  readonly initialAgeMs: number
  readonly best: boolean | undefined
  readonly others: readonly StoredForm[] | undefined
  /** Of a visitor with credentials. */
  readonly witness: Witness | undefined
}

/** Stands under a key that has variants. Is there as long as it has one. */
export class Marker {
  readonly key: string
  readonly spec: VariantSpec
  /** What it counts against the cap. Bytes. */
  readonly size: number
  /** By secondary key, the oldest first. A map only where there are several. */
  #variants: HeldRecord | Map<string, HeldRecord> | undefined = undefined

  constructor(key: string, spec: VariantSpec, size: number) {
    this.key = key
    this.spec = spec
    this.size = size
  }

  get count(): number {
    const variants = this.#variants
    return variants instanceof Map ? variants.size : variants === undefined ? 0 : 1
  }

  get(secondary: string): HeldRecord | undefined {
    const variants = this.#variants
    if (variants instanceof Map) return variants.get(secondary)
    return variants?.secondary === secondary ? variants : undefined
  }

  set(secondary: string, record: HeldRecord): void {
    const variants = this.#variants
    if (variants instanceof Map) variants.set(secondary, record)
    else if (variants === undefined || variants.secondary === secondary) this.#variants = record
    else this.#variants = new Map([[variants.secondary!, variants]]).set(secondary, record)
  }

  /** Answers how many are left. */
  remove(secondary: string): number {
    if (this.#variants instanceof Map) this.#variants.delete(secondary)
    else if (this.#variants?.secondary === secondary) this.#variants = undefined
    return this.count
  }

  all(): HeldRecord[] {
    const variants = this.#variants
    return variants instanceof Map ? [...variants.values()] : variants === undefined ? [] : [variants]
  }
}

/** What a held record is made of, ready to be kept. */
export interface HeldParts {
  readonly common: Shared<Common>
  readonly fields: Shared<readonly string[]>
  readonly form: StoredForm
  readonly tags: string | readonly string[] | undefined
  readonly path: string | number
  readonly query: string | number | undefined
  readonly params: string | undefined
  readonly rare: Rare | undefined
}

/**
 * A record as the memory store holds it, in as few objects as it can be: what a route's records have in common is held
 * once, times are distances from `storedAt`, parts of the URL are cut out of the key when somebody asks for them, the record
 * is its own first form, and its places in the list of the policy are its own members.
 *
 * To whoever reads it, it is a `CacheRecord` like any other. It cannot be spread: see `entry/record-with.ts`.
 */
export class HeldRecord implements CacheRecord, StoredForm, Evictable<HeldRecord> {
  older: HeldRecord | undefined = undefined
  newer: HeldRecord | undefined = undefined
  size = 0
  heat = 0
  /** No invalidation up to this position concerns the record, or it is in the record already. */
  checked = 0
  /** Under which key it stands, or as a variant of which. */
  readonly under: string | Marker
  readonly secondary: string | undefined

  readonly body: Uint8Array
  readonly etag: string | undefined;
  [rendered]: unknown = undefined

  readonly common: Shared<Common>
  readonly sharedFields: Shared<readonly string[]>
  readonly storedAt: number
  readonly fillMs: number
  readonly #dateMs: number
  readonly #staleMs: number
  readonly #deleteMs: number
  readonly #tags: string | readonly string[] | undefined
  readonly #path: string | number
  readonly #query: string | number | undefined
  readonly #params: string | undefined
  readonly #rare: Rare | undefined

  constructor(under: string | Marker, secondary: string | undefined, record: CacheRecord, parts: HeldParts) {
    this.under = under
    this.secondary = secondary
    this.body = parts.form.body
    this.etag = parts.form.etag
    this.common = parts.common
    this.sharedFields = parts.fields
    this.storedAt = record.storedAt
    // Whole numbers, where they can be: a field that once held a fraction takes three times the room in every record.
    this.fillMs = Math.ceil(record.fillMs)
    this.#dateMs = record.dateMs - Math.floor(record.storedAt)
    this.#staleMs = record.staleAt - record.storedAt
    this.#deleteMs = record.deleteAt - record.storedAt
    this.#tags = parts.tags
    this.#path = parts.path
    this.#query = parts.query
    this.#params = parts.params
    this.#rare = parts.rare
  }

  get kind(): 'record' {
    return 'record'
  }

  get key(): string {
    return typeof this.under === 'string' ? this.under : this.under.key
  }

  /** What the policy knows it by. */
  get name(): string {
    return this.secondary === undefined ? this.key : `${this.key}\n${this.secondary}`
  }

  get status(): number {
    return this.common.value.status
  }

  get coding(): string {
    return this.common.value.coding
  }

  get best(): boolean | undefined {
    return this.#rare?.best
  }

  get initialAgeMs(): number {
    return this.#rare?.initialAgeMs ?? 0
  }

  get witness(): Witness | undefined {
    return this.#rare?.witness ?? this.common.value.witness
  }

  get fields(): readonly string[] {
    return this.sharedFields.value
  }

  get forms(): readonly StoredForm[] {
    const others = this.#rare?.others
    return others === undefined ? [this] : [this, ...others]
  }

  get dateMs(): number {
    return Math.floor(this.storedAt) + this.#dateMs
  }

  get staleAt(): number {
    return this.storedAt + this.#staleMs
  }

  get whileRevalidateUntil(): number {
    return this.staleAt + this.common.value.whileRevalidateMs
  }

  get ifErrorUntil(): number {
    return this.staleAt + this.common.value.ifErrorMs
  }

  get deleteAt(): number {
    return this.storedAt + this.#deleteMs
  }

  get mustRevalidate(): boolean {
    return this.common.value.mustRevalidate
  }

  get shared(): boolean {
    return this.common.value.shared
  }

  get ownTag(): boolean {
    return this.common.value.ownTag
  }

  get tags(): readonly string[] {
    const tags = this.#tags
    return tags === undefined ? none : typeof tags === 'string' ? [tags] : tags
  }

  get target(): RecordTarget {
    const { scheme, authority, route } = this.common.value
    return {
      scheme,
      authority,
      path: this.#text(this.#path)!,
      query: this.#text(this.#query),
      route,
      params: this.#params,
    }
  }

  get reason(): string | undefined {
    return this.common.value.reason
  }

  get without(): readonly string[] | undefined {
    return this.common.value.without
  }

  get promise(): DownstreamPromise | undefined {
    return this.common.value.promise
  }

  #text(part: string | number | undefined): string | undefined {
    return typeof part === 'number' ? cutFrom(this.key, part) : part
  }
}

const none: readonly string[] = Object.freeze([])

/** Where a text stands in another and how long it is, as one small number; the text itself where it does not. */
export function placeIn(whole: string, text: string, from = 0): number | undefined {
  const at = whole.indexOf(text, from)
  return at < 0 || at >= 2 ** 15 || text.length >= 2 ** 15 ? undefined : at * 2 ** 15 + text.length
}

function cutFrom(whole: string, place: number): string {
  const at = Math.floor(place / 2 ** 15)
  return whole.slice(at, at + (place & (2 ** 15 - 1)))
}
