import type { Clock } from '../../base/clock.ts'
import { SluiceError, show } from '../../base/errors.ts'
import { isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import type { LimitSink } from '../events.ts'
import type { Policy } from './policy.ts'

/** In place of an answer: the function threw, or rejected. */
export const threw = Symbol('threw')
/** In place of an answer: there was none within the policy's deadline. */
export const late = Symbol('late')

/** What came of asking a function of the application's. */
export type Asked<T> = T | typeof threw | typeof late

/** Whose function it is. */
export type Asker = Pick<Policy, 'where' | 'deadlineMs'>

/**
 * Runs functions of the application's. What they throw becomes an `error` event and a safe answer, never a 500; one that
 * never answers is not waited for.
 */
export class Callbacks {
  readonly #sink: LimitSink
  readonly #clock: Clock

  constructor(sink: LimitSink, clock: Clock) {
    this.#sink = sink
    this.#clock = clock
  }

  /** @param name - of the option */
  ask<T>(policy: Asker, name: string, fn: () => MaybePromise<T>): MaybePromise<Asked<T>> {
    try {
      const result = fn()
      return isPromise(result) ? this.#inTime(policy, name, result) : result
    } catch (cause) {
      return this.#failed(policy, name, cause)
    }
  }

  #inTime<T>(policy: Asker, name: string, result: PromiseLike<T>): Promise<Asked<T>> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(policy.deadlineMs, () => {
        this.report(
          `The function given as \`${policy.where}.${name}\` took longer than ${policy.deadlineMs} ms`,
          undefined,
        )
        resolve(late)
      })
      result.then(
        (value) => {
          cancel()
          resolve(value)
        },
        (cause) => {
          cancel()
          resolve(this.#failed(policy, name, cause))
        },
      )
    })
  }

  #failed(policy: Asker, name: string, cause: unknown): typeof threw {
    this.report(`The function given as \`${policy.where}.${name}\` threw`, undefined, cause)
    return threw
  }

  /** Nonsense that a function answered, and the rule it breaks: `must answer …`. */
  nonsense(option: string, rule: string, received: unknown): void {
    this.report(`The function given as \`${option}\` ${rule}, but answered ${show(received)}`, undefined)
  }

  report(what: string, route: string | undefined, cause?: unknown): void {
    const error = new SluiceError('ERR_SLUICE_CALLBACK', `${what}.`, cause === undefined ? undefined : { cause })
    this.#sink.emit('error', { error, route })
  }
}
