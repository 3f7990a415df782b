import type { Clock } from '../base/clock.ts'
import { isSluiceError, SluiceError } from '../base/errors.ts'
import type { Events, SluiceEvents } from '../base/events.ts'
import { isPromise, type MaybePromise } from '../base/maybe-promise.ts'
import { OwnReads } from '../exchange/reads/own-reads.ts'
import type { CacheRecord } from './entry/record.ts'
import { guardAdvice } from './fill/guard.ts'
import { Fills } from './fill/single-flight.ts'
import { Forms } from './forms/forms.ts'
import { RenderedHeads } from './lookup/reply.ts'
import { FieldValues } from './policy/field-values.ts'
import { newCounters } from './stats.ts'
import type { CacheStore, FillEnd, InvalidateMode, SetOutcome, Vacancy, Variant } from './store/store.ts'

/** What all caches of one instance share: the store, the fills under way, the counters, and how trouble is reported. */
export class CacheCore {
  readonly store: CacheStore
  readonly clock: Clock
  readonly events: Events<SluiceEvents>
  readonly counters = newCounters()
  readonly fills: Fills
  readonly forms: Forms
  readonly heads = new RenderedHeads()
  readonly ownReads = new OwnReads()
  readonly fieldValues = new FieldValues()
  readonly #printed = new Set<string>()

  constructor(store: CacheStore, clock: Clock, events: Events<SluiceEvents>) {
    this.store = store
    this.clock = clock
    this.events = events
    this.fills = new Fills(clock)
    this.forms = new Forms(this)
  }

  /** Runs a function of the application's. `undefined`, and an event, where it throws. */
  attempt<T>(option: string, fn: () => T): T | undefined {
    try {
      return fn()
    } catch (error) {
      this.#report('ERR_SLUICE_CALLBACK', `The function given as \`${option}\` threw`, error)
      return undefined
    }
  }

  /** The same for one that may be asynchronous. */
  guarded<T>(option: string, fn: () => MaybePromise<T>): MaybePromise<T | undefined> {
    const result = this.attempt(option, fn)
    if (result === undefined || !isPromise(result)) return result
    return result.then(
      (value) => value,
      (error) => this.attempt(option, () => rethrow(error)),
    )
  }

  /** Asks the store. `undefined`, and an event, where it fails: the request then goes to its handler. */
  ask<T>(what: string, fn: () => MaybePromise<T>): MaybePromise<T | undefined> {
    try {
      const result = fn()
      if (!isPromise(result)) return result
      return result.then(
        (value) => value,
        (error) => this.#storeFailed(what, error),
      )
    } catch (error) {
      return this.#storeFailed(what, error)
    }
  }

  #storeFailed(what: string, error: unknown): undefined {
    this.#report('ERR_SLUICE_STORE', `The cache store failed to ${what}`, error)
  }

  /** Asks for what the application must know the end of: the event, and the error too. */
  async demand<T>(what: string, fn: () => MaybePromise<T>): Promise<T> {
    try {
      return await fn()
    } catch (error) {
      throw this.#report('ERR_SLUICE_STORE', `The cache store failed to ${what}`, error)
    }
  }

  put(key: string, variant: Variant, record: CacheRecord, vacancy: Vacancy): MaybePromise<SetOutcome | undefined> {
    return this.ask('store', () => this.store.set(key, variant, record, vacancy))
  }

  /** A fill that began with this vacancy, or could have, has ended: other processes need not wait for it. */
  release(vacancy: Vacancy | undefined, ended: FillEnd = 'given-up'): void {
    if (vacancy?.lease === 'taken') this.store.release?.(vacancy, ended)
  }

  /** Tells the listeners what is invalidated. */
  announce(tags: readonly string[], mode: InvalidateMode): void {
    if (tags.length > 0 && this.events.wants('invalidated')) this.events.emit('invalidated', { tags, mode })
  }

  /** Counts a response that was not stored. */
  refused(reason: string, route: string | undefined): void {
    const { refused } = this.counters
    // Reasons of handlers' own (`skip('…')`) must not grow the table without end.
    const counted = reason in refused || Object.keys(refused).length < 100 ? reason : 'other'
    refused[counted] = (refused[counted] ?? 0) + 1
    if (this.events.wants('refused')) this.events.emit('refused', { route, reason })
  }

  /** The guard found something. In development the first time per route is printed with the line to write. */
  reportUnkeyed(route: string, fields: readonly string[]): void {
    const advice = guardAdvice(fields)
    this.events.emit('guard', { route, fields, advice })
    const mode = process.env.NODE_ENV
    if ((mode !== undefined && mode !== 'development') || this.#printed.has(route) || this.#printed.size > 1000) return
    this.#printed.add(route)
    const names = fields.map((field) => field.replace('@', 'req.')).join(', ')
    console.warn(`sluice: ${route} was not stored: its handler read ${names}, which the key does not cover. ${advice}`)
  }

  #report(code: 'ERR_SLUICE_STORE' | 'ERR_SLUICE_CALLBACK', what: string, cause: unknown): SluiceError {
    const message = cause instanceof Error ? cause.message : String(cause)
    const error = isSluiceError(cause) ? cause : new SluiceError(code, `${what}: ${message}.`, { cause })
    this.events.emit('error', { error })
    return error
  }
}

function rethrow(error: unknown): never {
  throw error
}
