import type { Cancel, Clock } from '../../base/clock.ts'
import { Recent } from '../../base/recent.ts'
import type { Span } from '../../base/tracing/tracing.ts'

/**
 * How a fill ended, for those who waited for it:
 * `stored`: look again, it is there. `unshared`: this answer is not for others; run your own handler, all of you at
 * once. `failed`: the handler threw or answered 5xx; likewise, unless something stale may stand in. `abandoned`: its
 * client went away; look again, and one of you leads. `timeout`: run your own and do not store.
 */
export type FillResult = 'stored' | 'unshared' | 'failed' | 'abandoned' | 'timeout'

/** A handler that runs for one key while others wait for what it brings. */
export interface Fill {
  readonly key: string
  /** With which Authorization the handler was asked: who sends another does not wait for what may be this one's. */
  readonly authorization: string | undefined
  readonly settled: boolean
  /** That of its handler, where one is drawn. */
  span: Span | undefined
  /** Ends the wait of all followers. Only the first call counts. */
  settle(result: FillResult): void
  /** Resolves with how it ended. */
  wait(): Promise<FillResult>
}

/** How long after an unshared answer requests for the same key go to the handler side by side (hit-for-miss). */
const sideBySideMs = 2_000
const rememberedKeys = 10_000

/** Single flight: at most one fill per key in this process. */
export class Fills {
  readonly #running = new Map<string, RunningFill>()
  readonly #unshared = new Recent<string, number>(rememberedKeys)
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  running(key: string): Fill | undefined {
    return this.#running.get(key)
  }

  /** The last answer for this key could not be shared: do not wait for the next one. */
  sideBySide(key: string): boolean {
    const until = this.#unshared.size ? this.#unshared.get(key) : undefined
    return until !== undefined && this.#clock.now() < until
  }

  /**
   * Begins a fill that others can follow. There must be none running for the key.
   *
   * @param how.unattended - no client's connection will end it, so its time runs from the start
   */
  lead(key: string, how: FillSettings): Fill {
    const fill = new RunningFill(key, this.#clock, how, (result) => {
      this.#running.delete(key)
      if (result === 'unshared' || result === 'failed') this.#unshared.set(key, this.#clock.now() + sideBySideMs)
      else if (result === 'stored') this.#unshared.delete(key)
    })
    this.#running.set(key, fill)
    if (how.unattended) fill.startTimer()
    return fill
  }
}

interface FillSettings {
  readonly timeoutMs: number
  readonly authorization: string | undefined
  readonly unattended?: boolean
}

class RunningFill implements Fill {
  readonly key: string
  readonly authorization: string | undefined
  span: Span | undefined = undefined
  #result: FillResult | undefined
  #waiting: ((result: FillResult) => void)[] = []
  #stopTimer: Cancel | undefined
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #onSettled: (result: FillResult) => void

  constructor(key: string, clock: Clock, how: FillSettings, onSettled: (result: FillResult) => void) {
    this.key = key
    this.#clock = clock
    this.#timeoutMs = how.timeoutMs
    this.authorization = how.authorization
    this.#onSettled = onSettled
  }

  get settled(): boolean {
    return this.#result !== undefined
  }

  settle(result: FillResult): void {
    if (this.#result !== undefined) return
    this.#result = result
    this.#stopTimer?.()
    this.#onSettled(result)
    for (const wake of this.#waiting.splice(0)) wake(result)
  }

  startTimer(): void {
    this.#stopTimer ??= this.#clock.after(this.#timeoutMs, () => this.settle('timeout'))
  }

  wait(): Promise<FillResult> {
    if (this.#result !== undefined) return Promise.resolve(this.#result)
    // The timer counts from the first follower on: a fill nobody waits for needs none.
    this.startTimer()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
