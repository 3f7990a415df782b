import { SluiceError, show } from '../../base/errors.ts'
import { isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import type { LimitSink } from '../events.ts'

/** Runs functions of the application's. What they throw becomes an `error` event and a safe answer, never a 500. */
export class Callbacks {
  readonly #sink: LimitSink

  constructor(sink: LimitSink) {
    this.#sink = sink
  }

  /** What `fn` answers; `otherwise` where it throws or rejects. */
  attempt<T>(option: string, fn: () => MaybePromise<T>, otherwise: T): MaybePromise<T> {
    const failed = (cause: unknown): T => {
      this.report(`The function given as \`${option}\` threw`, undefined, cause)
      return otherwise
    }
    try {
      const result = fn()
      return isPromise(result) ? result.then((value) => value, failed) : result
    } catch (cause) {
      return failed(cause)
    }
  }

  /** Nonsense that a function answered. */
  nonsense(option: string, rule: string, received: unknown, route?: string): void {
    this.report(`The function given as \`${option}\` ${rule}, but answered ${show(received)}`, route)
  }

  report(what: string, route: string | undefined, cause?: unknown): void {
    const error = new SluiceError('ERR_SLUICE_CALLBACK', `${what}.`, cause === undefined ? undefined : { cause })
    this.#sink.emit('error', { error, route })
  }
}
