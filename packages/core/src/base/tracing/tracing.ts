import { isPromise, type MaybePromise } from '../maybe-promise.ts'

/** What spans are drawn of. `wait`: for another request's fill. `backend`: a call of a store beyond this process. */
export type SpanName = 'lookup' | 'wait' | 'fill' | 'refresh' | 'purge' | 'expire' | 'backend'

/** What is told of a span. Never a URL, a key, a tag or an address. */
export interface SpanFacts {
  /** A pattern. */
  readonly route?: string | undefined
  readonly method?: string | undefined
  /** Of a look-up what became of it; of a wait how the fill ended. */
  readonly result?: string | undefined
  readonly reason?: string | undefined
  readonly status?: number | undefined
  readonly stored?: boolean | undefined
  readonly bytes?: number | undefined
  /** A refresh that no client waited for. */
  readonly background?: boolean | undefined
  /** How many tags are invalidated. */
  readonly tags?: number | undefined
  /** What a backend is asked. */
  readonly operation?: string | undefined
}

/** Draws spans. Core knows no tracer: it tells what is attached when something begins. */
export interface Tracing {
  /**
   * Begins a span below whatever is active in this context.
   *
   * @param agoMs - how long ago it began
   * @returns `undefined` where it is not recorded
   */
  begin(name: SpanName, facts: SpanFacts, agoMs?: number): Span | undefined
}

/** A span under way. Once it has ended, nothing of it changes any more. */
export interface Span {
  /** Runs with this span as the active one. */
  within<T>(run: () => T): T
  /** Runs with what was active when it began. */
  outside<T>(run: () => T): T
  note(facts: SpanFacts): void
  /** Has to do with another one of which it is no child. */
  link(other: Span): void
  /** It went wrong. Only the first call counts. @param type - a word of a fixed number */
  fail(type: string, error?: unknown): void
  end(): void
}

/** Runs with a span as the active one, where there is one. */
export const within = <T>(span: Span | undefined, run: () => T): T => (span ? span.within(run) : run())

/** Runs beside a span, where there is one. */
export const outside = <T>(span: Span | undefined, run: () => T): T => (span ? span.outside(run) : run())

/**
 * Ends a span when something is done that runs within it.
 *
 * @param before - is told of the outcome before the span ends
 */
export function spanning<T>(span: Span, run: () => MaybePromise<T>, before?: (value: T) => void): MaybePromise<T> {
  const done = (value: T): T => {
    before?.(value)
    span.end()
    return value
  }
  const failed = (error: unknown): never => {
    span.fail('error', error)
    span.end()
    throw error
  }
  let result: MaybePromise<T>
  try {
    result = span.within(run)
  } catch (error) {
    return failed(error)
  }
  return isPromise(result) ? result.then(done, failed) : done(result)
}
