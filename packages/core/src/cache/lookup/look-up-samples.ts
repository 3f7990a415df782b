import { type Clock, preciseTime } from '../../base/clock.ts'
import type { AnswerResult, Events, SluiceEvents } from '../../base/events.ts'
import { unmatched } from '../../base/events.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import type { CacheRecord } from '../entry/record.ts'

/** A look-up that is measured. */
export interface LookUpSample {
  /** `preciseTime` when it began. */
  readonly since: number
  /** For how many look-ups it stands. */
  readonly weight: number
}

/** How far apart samples are to be, so that measuring costs the same however much there is to do. Milliseconds. */
const apartMs = 5
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
    const between = since - this.#last
    this.#last = since
    if (between < apartMs) this.#apart = Math.min(this.#apart * 2, mostApart)
    else if (between > 2 * apartMs)
      this.#apart = Math.max(1, Math.floor(Math.min(this.#apart, (this.#apart * apartMs) / between)))
    // At random around the mean: what comes in a rhythm must not be seen always, or never.
    this.#step = 1 + Math.floor(Math.random() * (2 * this.#apart - 1))
    this.#left = this.#step
    return { since, weight }
  }

  /** It has found what is sent. */
  tell({ since, weight }: LookUpSample, view: RequestView, record: CacheRecord, result: AnswerResult): void {
    const ms = preciseTime(this.#clock) - since
    const route = view.route ?? record.target.route ?? unmatched
    this.#events.emit('lookup', { route, method: view.method, url: urlOf(view), result, ms, weight })
  }
}

/** Path and query, as the client sent them. */
export const urlOf = ({ path, query }: Pick<RequestView, 'path' | 'query'>): string =>
  query === '' ? path : `${path}?${query}`
