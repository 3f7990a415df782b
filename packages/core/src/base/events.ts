import type { SluiceError } from './errors.ts'
import type { Tracing } from './tracing/tracing.ts'

/** What `sluice.on(name, listener)` can be told of. */
export interface SluiceEvents {
  /**
   * A request passed a cache, and what it is answered with is known: once for each cache on its way, and not for refreshes in
   * the background. The counters of `stats().cache` count the same.
   */
  answer: AnswerEvent
  /**
   * An answer was found in the store. A sample: of few all are told, of many about two hundred a second, each for as many as its
   * `weight` says.
   */
  lookup: {
    /** The matched route pattern; `(unmatched)` where there is none. */
    readonly route: string
    readonly method: string
    /** Path and query, as the client sent them: words without number. */
    readonly url: string
    /** `collapsed`: it waited for another request's handler, which is in `ms` too. */
    readonly result: AnswerResult
    /** From the request's arrival at the cache to the answer, which has not been sent yet. Milliseconds. */
    readonly ms: number
    readonly weight: number
  }
  /** A handler ran for a cache, and its answer is there, stored or not. */
  fill: {
    /** The matched route pattern; `(unmatched)` where there is none. */
    readonly route: string
    readonly method: string
    /** Path and query, as the client sent them: words without number. */
    readonly url: string
    /** What it is tagged with, where it is stored; else empty. */
    readonly tags: readonly string[]
    /** From the miss to the whole of the handler's answer. Milliseconds. */
    readonly ms: number
    readonly stored: boolean
    /** Of the body, as the handler made it; `undefined` where that is not known (it was not copied). */
    readonly bytes: number | undefined
    /** A refresh that no client waited for. */
    readonly background: boolean
  }
  /** A store that answers with promises (Redis) was asked. What the memory of this process answers at once is not told of. */
  backend: {
    readonly operation: BackendOperation
    /** Until it answered, failed, or was no longer waited for. Milliseconds. */
    readonly ms: number
    readonly ok: boolean
  }
  /** A body was compressed: for an answer, or for the store. Of one in pieces when it has ended. */
  compressed: { readonly coding: string; readonly bytesIn: number; readonly bytesOut: number }
  /** Something went wrong that Sluice survived: a store, a callback of the application's, a damaged snapshot. */
  error: { readonly error: SluiceError; readonly route?: string | undefined }
  /** A handler failed and a stale response was served in its place. */
  'stale-served': { readonly route: string | undefined; readonly status: number; readonly cause: unknown }
  /**
   * What a handler read kept its answer from being stored (somebody's, not to be told, more variants than `maxVariants`), or
   * two visitors were given different answers. With what it was about, and the line to write.
   */
  guard: { readonly route: string | undefined; readonly fields: readonly string[]; readonly advice: string }
  /** A response was not stored. */
  refused: { readonly route: string | undefined; readonly reason: string }
  /**
   * A request was answered in front of the application: for access logs and metrics, which did not run for it. The answer is
   * on its way; `response` emits `finish` and `close` as ever.
   */
  front: {
    readonly method: string
    readonly url: string
    /** The matched route pattern. */
    readonly route: string | undefined
    readonly status: number
    /** Bytes of the body. */
    readonly length: number
    /** From the store; else a limit has refused it. */
    readonly hit: boolean
    /** Node's own request and response. */
    readonly request: object
    readonly response: object
  }
  /** A route with `front` is not answered in front of the application, or something is left out there: why. Once for each. */
  'front-refused': { readonly route: string | undefined; readonly reason: string }
  /** Tags, URLs or routes were invalidated: the application's own tags by their names, `everything`, and what stands for URLs and routes. */
  invalidated: { readonly tags: readonly string[]; readonly mode: 'purge' | 'expire' }
  /** Somebody changed something through an operator's door, or tried to. */
  audit: AuditEvent
}

export interface AuditEvent {
  /** The name that `authorize` answered; `undefined` where it answered only that he may. */
  readonly who: string | undefined
  readonly action: 'purge' | 'expire' | 'limits.reset' | 'bans.add' | 'bans.lift'
  /** What it was done to, as it was given: `tag:cities`, `url:/cities/7`, `route:/cities/:id`, `everything`, `policy:search`, `key:192.0.2.1`. */
  readonly what: readonly string[]
  /** How much: tags, URLs and routes; keys of limits; bans. 0 where it failed. */
  readonly count: number
  readonly at: Date
  /** What came of it where it failed: a purge of a shared store is tried again until it holds. */
  readonly error?: unknown
}

/** What became of a request at a cache. Each has exactly one of these. */
export type AnswerResult =
  /** Answered from the store, fresh. */
  | 'hit'
  /** Answered from the store though no longer fresh: while it is refreshed, or in place of an error. */
  | 'stale'
  /** Nothing usable was stored. */
  | 'miss'
  /** Answered with what another request's handler brought. */
  | 'collapsed'
  /** Left alone. */
  | 'bypass'

export interface AnswerEvent {
  /** The matched route pattern, never a URL; `(unmatched)` where there is none. */
  readonly route: string
  readonly method: string
  readonly result: AnswerResult
  /**
   * Why not simply from the store: the word of `Cache-Status`, `detail` where it has one, else `fwd`. `undefined` where it has
   * neither. Words of handlers' own (`skip('…')`) are among them.
   */
  readonly reason: string | undefined
  /** `undefined` where the client left before there was one. */
  readonly status: number | undefined
  /** Of the body, where its length is known with the head. */
  readonly bytes: number | undefined
  /** In front of the application. */
  readonly front: boolean
}

/** What a store is asked: `follow` waits while another process fills, `limit` is a decision of limits. */
export type BackendOperation = 'read' | 'follow' | 'store' | 'delete' | 'invalidate' | 'limit'

/** Stands for the pattern of requests that no route has matched. */
export const unmatched = '(unmatched)'

export type Listener<T> = (event: T) => void

/** A typed set of listeners. A listener that throws does not disturb the others, nor the request. */
export class Events<Table extends object> {
  /** Lists are never changed, but replaced: whoever is being told goes on with the one he has. */
  readonly #listeners = new Map<PropertyKey, readonly Listener<never>[]>()
  /** Draws spans of what takes its time. An event is told when all is over, and what runs meanwhile could not be below it. */
  tracing: Tracing | undefined = undefined

  /** Adds a listener; the answer removes it. */
  on<Name extends keyof Table>(name: Name, listener: Listener<Table[Name]>): () => void {
    const known = this.#listeners.get(name) ?? []
    const added = listener as Listener<never>
    if (!known.includes(added)) this.#listeners.set(name, [...known, added])
    return () => {
      const left = (this.#listeners.get(name) ?? []).filter((one) => one !== added)
      if (left.length > 0) this.#listeners.set(name, left)
      else this.#listeners.delete(name)
    }
  }

  /** Whether anybody listens: lets a hot path skip making the event. */
  wants(name: keyof Table): boolean {
    return this.#listeners.has(name)
  }

  emit<Name extends keyof Table>(name: Name, event: Table[Name]): void {
    const listeners = this.#listeners.get(name) as readonly Listener<Table[Name]>[] | undefined
    if (!listeners) return
    for (const listener of listeners) {
      try {
        listener(event)
      } catch (error) {
        // Out of the request's way, but not swallowed: an uncaught exception is what the listener asked for.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
