import { deserialize, serialize } from 'node:v8'
import type { Clock } from '../base/clock.ts'
import { chain, type MaybePromise } from '../base/maybe-promise.ts'
import type { CacheRecord, RecordTarget } from '../cache/entry/record.ts'
import { routeTags, serializeParams } from '../cache/entry/record-tags.ts'
import type { CacheStore, Vacancy, Variant } from '../cache/store/store.ts'
import { deleteAtOf, type MemoEntry, type MemoSetOutcome, type MemoStore, type MemoVacancy } from '../memo/store.ts'
import type { Held } from '../memo/values.ts'

/** A memo has no variants. */
const plain: Variant = { spec: { fields: [], codings: [] }, select: () => '' }

/** How a value became bytes; stands where a response has its status. */
const kinds = ['v8', 'own', 'json', 'error'] as const

/**
 * The values of one memo in the store that the responses are in, where several processes find them: each value a record
 * whose body it is. So tags, fences, times and `purge({ all: true })` are those of responses.
 *
 * A value is addressed as a route of this memo with its key for a parameter, in a scheme that no URL has: that is how
 * one, or all, are invalidated everywhere.
 */
export class SharedMemoStore implements MemoStore {
  readonly #store: CacheStore
  readonly #clock: Clock
  readonly #route: string
  readonly #prefix: string
  readonly #entries = new WeakMap<CacheRecord, MemoEntry>()

  constructor(store: CacheStore, clock: Clock, name: string) {
    this.#store = store
    this.#clock = clock
    this.#route = `memo\0${name}`
    this.#prefix = `memo\0${name.length}:${name}`
  }

  get(key: string): MaybePromise<MemoEntry | MemoVacancy | undefined> {
    const found = this.#store.get(this.#prefix + key, plain.select, { lease: true })
    return chain(found, (f) => this.#read(key, f))
  }

  follow(key: string, waitMs: number): MaybePromise<MemoEntry | MemoVacancy | undefined> {
    const found = this.#store.follow?.(this.#prefix + key, plain.select, waitMs)
    return chain(found, (f) => this.#read(key, f))
  }

  release(begun: MemoVacancy, ended: 'unshared' | 'given-up'): void {
    this.#store.release?.(begun.position as Vacancy, ended)
  }

  position(key: string): MaybePromise<MemoVacancy | undefined> {
    return chain(this.#store.position(this.#prefix + key), wrap)
  }

  set(key: string, entry: MemoEntry, begun: MemoVacancy): MaybePromise<MemoSetOutcome> {
    const outcome = this.#store.set(this.#prefix + key, plain, this.#record(key, entry), begun.position as Vacancy)
    // What has no variants has never too many.
    return outcome as MaybePromise<MemoSetOutcome>
  }

  delete(key: string): MaybePromise<void> {
    return this.#store.invalidate(routeTags(this.#route, { key }), 'purge')
  }

  expire(key: string): MaybePromise<void> {
    return this.#store.invalidate(routeTags(this.#route, { key }), 'expire')
  }

  clear(): MaybePromise<void> {
    return this.#store.invalidate(routeTags(this.#route), 'purge')
  }

  usage(): { readonly size: number; readonly bytes: number } {
    return { size: 0, bytes: 0 }
  }

  #read(key: string, found: CacheRecord | Vacancy | undefined): MaybePromise<MemoEntry | MemoVacancy | undefined> {
    if (found?.kind !== 'record') return wrap(found)
    const entry = this.#entryOf(found)
    if (!entry) return this.position(key)
    const renewal = this.#clock.now() < entry.staleAt ? undefined : this.#store.renewal?.(found)
    return renewal ? { ...entry, renewal: wrap(renewal) } : entry
  }

  /** `undefined` for bytes that nothing can be made of: another version of Node or of Sluice wrote them. */
  #entryOf(record: CacheRecord): MemoEntry | undefined {
    // A tier in memory answers the same record again and again.
    const known = this.#entries.get(record)
    if (known) return known
    const held = heldOf(record)
    if (!held) return undefined
    const { staleAt, whileRevalidateUntil, ifErrorUntil, tags } = record
    const entry: MemoEntry = { kind: 'entry', held, staleAt, whileRevalidateUntil, ifErrorUntil, tags }
    this.#entries.set(record, entry)
    return entry
  }

  #record(key: string, entry: MemoEntry): CacheRecord {
    const now = this.#clock.now()
    const { kind, data } = bytesOf(entry.held)
    const target: RecordTarget = {
      scheme: 'memo',
      authority: '',
      path: this.#route,
      query: undefined,
      route: this.#route,
      params: serializeParams({ key }),
    }
    return {
      kind: 'record',
      status: kinds.indexOf(kind),
      fields: [],
      forms: [{ coding: 'identity', body: data, etag: undefined }],
      dateMs: this.#clock.wall(),
      storedAt: now,
      initialAgeMs: 0,
      staleAt: entry.staleAt,
      whileRevalidateUntil: entry.whileRevalidateUntil,
      ifErrorUntil: entry.ifErrorUntil,
      deleteAt: deleteAtOf(entry),
      mustRevalidate: false,
      fillMs: 0,
      shared: true,
      ownTag: false,
      tags: entry.tags,
      target,
    }
  }
}

function wrap(vacancy: Vacancy | undefined): MemoVacancy | undefined {
  return vacancy && { kind: 'vacancy', position: vacancy, held: vacancy.lease === 'held' }
}

function heldOf(record: CacheRecord): Held | undefined {
  const body = record.forms[0]!.body
  const data = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const bytes = data.byteLength
  switch (kinds[record.status]) {
    case 'own':
      return { kind: 'own', data, bytes }
    case 'json':
      return { kind: 'json', text: data.toString(), bytes }
    case 'v8':
      return readable(data) && { kind: 'v8', data, bytes }
    case 'error': {
      const said = readable(data)?.value as ErrorLike | undefined
      return said && { kind: 'error', error: errorFrom(said), bytes }
    }
    default:
      return undefined
  }
}

function readable(data: Buffer): { value: unknown } | undefined {
  try {
    return { value: deserialize(data) }
  } catch {
    return undefined
  }
}

function bytesOf(held: Held): { kind: (typeof kinds)[number]; data: Buffer } {
  switch (held.kind) {
    case 'json':
      return { kind: 'json', data: Buffer.from(held.text) }
    case 'same':
      return { kind: 'v8', data: serialize(held.value) }
    case 'error':
      return { kind: 'error', data: serialize(errorLike(held.error)) }
    default:
      return { kind: held.kind, data: held.data }
  }
}

interface ErrorLike {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly own: readonly (readonly [string, unknown])[]
}

/** What of an error can travel: its texts, and what of its own properties is text, number or boolean (`code`, `status`). */
function errorLike(error: unknown): ErrorLike {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
  const own = Object.entries(Object(error)).filter(([, value]) =>
    ['string', 'number', 'boolean'].includes(typeof value),
  )
  return { name, message, stack, own }
}

function errorFrom({ name, message, stack, own }: ErrorLike): Error {
  const error = new Error(message)
  for (const [key, value] of [['name', name] as const, ['stack', stack] as const, ...own]) {
    Object.defineProperty(error, key, {
      value,
      configurable: true,
      writable: true,
      enumerable: key !== 'stack' && key !== 'name',
    })
  }
  return error
}
