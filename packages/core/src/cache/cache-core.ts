import { callBegins, watchBackend } from '../base/backend-watch.ts'
import type { Clock } from '../base/clock.ts'
import { isSluiceError, SluiceError } from '../base/errors.ts'
import {
  type AnswerEvent,
  type AnswerResult,
  type BackendOperation,
  type Events,
  type SluiceEvents,
  unmatched,
} from '../base/events.ts'
import { isPromise, type MaybePromise } from '../base/maybe-promise.ts'
import { spanning } from '../base/tracing/tracing.ts'
import type { Reply } from '../exchange/exchange.ts'
import { OwnReads } from '../exchange/reads/own-reads.ts'
import type { RequestView } from '../exchange/request-view.ts'
import type { CacheRecord } from './entry/record.ts'
import { shownTag } from './entry/record-tags.ts'
import { Fills } from './fill/single-flight.ts'
import { Forms } from './forms/forms.ts'
import { LookUpSamples } from './lookup/look-up-samples.ts'
import { RenderedHeads } from './lookup/reply.ts'
import { Outcomes } from './outcomes.ts'
import type { CacheKey } from './policy/key.ts'
import type { CachePolicy } from './policy/options.ts'
import { Reports } from './reports.ts'
import { counterOf, newCounters } from './stats.ts'
import type { CacheStore, FillEnd, InvalidateMode, SetOutcome, Vacancy, Variant } from './store/store.ts'
import { Identities } from './terms/identities.ts'
import { TermTexts } from './terms/term-texts.ts'
import { Witnesses } from './witness/witnesses.ts'

/** Learns from answers that go the ordinary way how to give them in front of it. */
export interface FrontListener {
  passed(passing: Passing, reply: Reply): void
}

/** The look-up of an answer from the store that goes the ordinary way. */
export interface Passing {
  readonly view: RequestView
  readonly policy: CachePolicy
  readonly key: CacheKey
  readonly hitLine: (ttl: number) => string
}

/** What a store is asked. */
type StoreOperation = Exclude<BackendOperation, 'limit'>

/** What is known of an answer. */
export interface AnswerTold extends Pick<AnswerEvent, 'reason' | 'status' | 'bytes'> {
  readonly front?: boolean
  /** What it was made from, where it is stored. */
  readonly record?: CacheRecord | undefined
}

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
  readonly texts = new TermTexts(new Identities())
  readonly witnesses = new Witnesses(this)
  readonly outcomes = new Outcomes()
  readonly reports: Reports
  /** Which look-ups are measured, where anybody wants to know. */
  readonly samples: LookUpSamples
  /** Wants to know of answers of routes with `front` that go the ordinary way. */
  front: FrontListener | undefined

  constructor(store: CacheStore, clock: Clock, events: Events<SluiceEvents>) {
    this.store = store
    this.clock = clock
    this.events = events
    this.fills = new Fills(clock)
    this.forms = new Forms(this)
    this.reports = new Reports(events)
    this.samples = new LookUpSamples(clock, events)
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
  ask<T>(what: StoreOperation, fn: () => MaybePromise<T>): MaybePromise<T | undefined> {
    const since = callBegins(this.events, this.clock)
    try {
      const result = fn()
      if (!isPromise(result)) return result
      const told = watchBackend(this.events, this.clock, what, since)
      return result.then(
        (value) => {
          told?.(true)
          return value
        },
        (error) => {
          told?.(false, error)
          return this.#storeFailed(what, error)
        },
      )
    } catch (error) {
      return this.#storeFailed(what, error)
    }
  }

  #storeFailed(what: string, error: unknown): undefined {
    this.#report('ERR_SLUICE_STORE', `The cache store failed to ${what}`, error)
  }

  /** Asks for what the application must know the end of: the event, and the error too. */
  async demand<T>(what: StoreOperation, fn: () => MaybePromise<T>): Promise<T> {
    const since = callBegins(this.events, this.clock)
    let told: ReturnType<typeof watchBackend>
    try {
      const result = fn()
      if (!isPromise(result)) return result
      told = watchBackend(this.events, this.clock, what, since)
      const value = await result
      told?.(true)
      return value
    } catch (error) {
      told?.(false, error)
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

  /** Tells the listeners what is invalidated, and has it done. @param run - answers `undefined` where it failed */
  invalidating<T>(
    tags: readonly string[],
    mode: InvalidateMode,
    run: () => MaybePromise<T | undefined>,
  ): MaybePromise<T | undefined> {
    if (tags.length > 0 && this.events.wants('invalidated')) {
      this.events.emit('invalidated', { tags: tags.map(shownTag), mode })
    }
    const span = this.events.tracing?.begin(mode, { tags: tags.length })
    if (!span) return run()
    return spanning(span, run, (done) => {
      if (done === undefined) span.fail('ERR_SLUICE_STORE')
    })
  }

  /** Counts what a request is answered with, and tells of it. A refresh in the background is nobody's answer. */
  answered(view: RequestView, result: AnswerResult, told: AnswerTold): void {
    if (view.ticket !== undefined) return
    this.counters[counterOf[result]]++
    if (this.events.wants('answer')) this.tellAnswer(view, result, told)
  }

  tellAnswer(view: RequestView, result: AnswerResult, { reason, status, bytes, front, record }: AnswerTold): void {
    // A cache in front of the router does not know the route yet; what is stored does.
    const route = view.route ?? record?.target.route ?? unmatched
    const { method } = view
    const length = method === 'HEAD' ? 0 : bytes
    this.events.emit('answer', { route, method, result, reason, status, bytes: length, front: front === true })
  }

  /** Counts a response that was not stored. */
  refused(reason: string, view: RequestView): void {
    this.outcomes.refused(view, reason)
    const { refused } = this.counters
    // Reasons of handlers' own (`skip('…')`) must not grow the table without end.
    const counted = reason in refused || Object.keys(refused).length < 100 ? reason : 'other'
    refused[counted] = (refused[counted] ?? 0) + 1
    if (this.events.wants('refused')) this.events.emit('refused', { route: view.route, reason })
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
