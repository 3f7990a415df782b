import type { SluiceError } from './errors.ts'

/** What `sluice.on(name, listener)` can be told of. */
export interface SluiceEvents {
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
  /** Tags, URLs or routes were invalidated. */
  invalidated: { readonly tags: readonly string[]; readonly mode: 'purge' | 'expire' }
  /** Somebody changed something through an operator's door, or tried to. */
  audit: AuditEvent
}

export interface AuditEvent {
  /** The name that `authorize` answered; `undefined` where it answered only that he may. */
  readonly who: string | undefined
  readonly action: 'purge' | 'expire' | 'limits.reset' | 'bans.lift'
  /** What it was done to, as it was given: `tag:cities`, `url:/cities/7`, `route:/cities/:id`, `everything`, `policy:search`, `key:192.0.2.1`. */
  readonly what: readonly string[]
  /** How much: tags, URLs and routes; keys of limits; bans. 0 where it failed. */
  readonly count: number
  readonly at: Date
  /** What came of it where it failed: a purge of a shared store is tried again until it holds. */
  readonly error?: unknown
}

export type Listener<T> = (event: T) => void

/** A typed set of listeners. A listener that throws does not disturb the others, nor the request. */
export class Events<Table extends object> {
  readonly #listeners = new Map<PropertyKey, Set<Listener<never>>>()

  /** Adds a listener; the answer removes it. */
  on<Name extends keyof Table>(name: Name, listener: Listener<Table[Name]>): () => void {
    const known = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, known.add(listener as Listener<never>))
    return () => void known.delete(listener as Listener<never>)
  }

  /** Whether anybody listens: lets a hot path skip making the event. */
  wants(name: keyof Table): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0
  }

  emit<Name extends keyof Table>(name: Name, event: Table[Name]): void {
    const listeners = this.#listeners.get(name) as Set<Listener<Table[Name]>> | undefined
    if (!listeners) return
    for (const listener of [...listeners]) {
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
