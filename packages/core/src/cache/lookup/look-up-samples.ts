import { type Clock, preciseTime } from '../../base/clock.ts'
import { type AnswerResult, type Events, type SluiceEvents, unmatched } from '../../base/events.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { targetText } from '../../http/locate.ts'
import type { CacheRecord } from '../entry/record.ts'

/** A look-up that is measured. */
export interface LookUpSample {
  /** `preciseTime` when it began. */
  readonly since: number
  /** For how many look-ups it stands. */
  readonly weight: number
}

/** So many are measured a second in the long run, and so many at once. */
const perSecond = 200
const atOnce = 200
/** The most look-ups that one stands for, in the mean. */
const mostApart = 1_024

/**
 * Picks the look-ups that are measured: all of them while there are few, and about two hundred a second of many. A clock for each
 * would cost more than a look-up in memory takes.
 */
export class LookUpSamples {
  readonly #clock: Clock
  readonly #events: Events<SluiceEvents>
  /** After how many look-ups the next one is measured, and how many that was from the last on. */
  #left = 1
  #step = 1
  /** How many there are between two, in the mean. */
  #apart = 1
  /** How many may still be measured, and when that was so. */
  #credit = atOnce
  #last = 0

  constructor(clock: Clock, events: Events<SluiceEvents>) {
    this.#clock = clock
    this.#events = events
  }

  /** A look-up begins. `undefined`: nobody listens, or it is not measured. */
  begin(): LookUpSample | undefined {
    if (!this.#events.wants('lookup') || --this.#left > 0) return undefined
    const since = preciseTime(this.#clock)
    const weight = this.#step
    this.#credit = Math.min(atOnce, this.#credit + ((since - this.#last) * perSecond) / 1_000) - 1
    this.#last = since
    if (this.#credit < atOnce / 4) this.#apart = Math.min(this.#apart * 2, mostApart)
    else if (this.#credit > atOnce / 2) this.#apart = Math.max(this.#apart / 2, 1)
    // At random around the mean: what comes in a rhythm must not be seen always, or never.
    this.#step = this.#apart === 1 ? 1 : 1 + Math.floor(Math.random() * (2 * this.#apart - 1))
    this.#left = this.#step
    return { since, weight }
  }

  /** It has found what is sent. */
  tell({ since, weight }: LookUpSample, view: RequestView, record: CacheRecord, result: AnswerResult): void {
    const ms = preciseTime(this.#clock) - since
    const route = view.route ?? record.target.route ?? unmatched
    this.#events.emit('lookup', { route, method: view.method, url: targetText(view), result, ms, weight })
  }
}
