import { type CalendarUnit, calendarUnits } from '../../base/calendar.ts'
import { SluiceError, show } from '../../base/errors.ts'
import { unitMs } from '../../base/units.ts'

/** So many units in any window of that length. `burst`: how many may come at once (token bucket only). */
export interface WindowRate {
  readonly quota: number
  readonly windowMs: number
  readonly burst?: number | undefined
}

/** So many units in each day, week or month of a calendar. */
export interface CalendarRate {
  readonly quota: number
  readonly calendar: CalendarUnit
  /** Where its days begin: the policy's time zone. */
  readonly timeZone: string
}

/** So many at the same time. */
export interface ConcurrencyRate {
  readonly concurrent: number
}

export type Rate = WindowRate | CalendarRate | ConcurrencyRate

const unlimited: readonly Rate[] = Object.freeze([])
const nothing: readonly Rate[] = Object.freeze([Object.freeze({ quota: 0, windowMs: 1_000 })])

/** The longest window, 366 days: a leap year. */
export const longestWindowMs = 366 * 86_400_000

/**
 * Reads a rate: `N [/ | per] [M] unit [burst B]`, `N [/ | per] calendar day | week | month` or `N concurrent`, several joined by
 * `;` or `,`; `0` for nothing at all and `unlimited` for no limit, which is no rate. Units are those of a duration: ms, s, m or
 * min, h, d, w, and their long names.
 *
 * @param option - the path of the option it stands in, for the error message
 * @param timeZone - where calendar days begin
 * @throws SluiceError `ERR_SLUICE_RATE` naming the rate and the position of what is wrong
 * @example
 * ```ts
 * parseRate('limits.ip', '100/min; 5/s burst 20')
 * // [{ quota: 100, windowMs: 60000 }, { quota: 5, windowMs: 1000, burst: 20 }]
 * ```
 */
export function parseRate(option: string, text: string, timeZone = 'UTC'): readonly Rate[] {
  if (typeof text !== 'string') {
    throw new SluiceError(
      'ERR_SLUICE_RATE',
      `Option \`${option}\` must be a rate such as '100/min'; received ${show(text)}.`,
    )
  }
  const plain = text.trim().toLowerCase()
  if (plain === 'unlimited') return unlimited
  if (plain === '0') return nothing
  const reader = new RateReader(option, text, timeZone)
  const rates = [reader.rate()]
  while (reader.separator()) rates.push(reader.rate())
  return Object.freeze(rates)
}

/** Whether a text is meant as a rate and not as a policy's name: it begins with a digit, or is `unlimited`. */
export function looksLikeRate(text: string): boolean {
  return /^\s*(\d|unlimited\s*$)/i.test(text)
}

const longUnits: readonly (readonly [ms: number, unit: string])[] = [
  [604_800_000, 'w'],
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
]

/** One way to write a rate, whichever way it came: `5 per 60 seconds` and `5/min` are both `5/min`. */
export function rateText(rates: readonly Rate[]): string {
  if (rates.length === 0) return 'unlimited'
  return rates
    .map((rate) => {
      if ('quota' in rate && rate.quota === 0) return '0'
      if ('concurrent' in rate) return `${rate.concurrent} concurrent`
      if ('calendar' in rate) return `${rate.quota}/calendar ${rate.calendar}`
      const [ms, unit] = longUnits.find(([ms]) => rate.windowMs % ms === 0) ?? [1, 'ms']
      const times = rate.windowMs / ms
      const burst = rate.burst === undefined ? '' : ` burst ${rate.burst}`
      return `${rate.quota}/${times === 1 ? '' : times}${unit}${burst}`
    })
    .join('; ')
}

class RateReader {
  readonly #option: string
  readonly #text: string
  readonly #timeZone: string
  #at = 0

  constructor(option: string, text: string, timeZone: string) {
    this.#option = option
    this.#text = text
    this.#timeZone = timeZone
  }

  rate(): Rate {
    const quota = this.#integer('a whole number above 0, such as the 100 of 100/min')
    if (this.#word('concurrent')) return Object.freeze({ concurrent: quota })
    if (!this.#take(/\//y)) this.#word('per')
    if (this.#word('calendar')) return this.#calendar(quota)
    const countAt = this.#skipSpace()
    const count = this.#take(/\d+(?:\.\d+)?|\.\d+/y)
    const unitAt = this.#skipSpace()
    const unit = this.#take(/[a-z]+/iy)
    const ms = unit && unitMs(unit)
    if (!ms) this.#fail(unitAt, 'a unit of time (ms, s, min, h, d, w), `calendar month` or `concurrent`')
    const windowMs = Number(count ?? 1) * ms
    if (!(windowMs >= 1 && windowMs <= longestWindowMs)) {
      this.#fail(count ? countAt : unitAt, 'a window from 1 ms to 366 days')
    }
    if (!Number.isInteger(windowMs)) this.#fail(countAt, 'a window of whole milliseconds')
    if (!this.#word('burst')) return Object.freeze({ quota, windowMs })
    return Object.freeze({ quota, windowMs, burst: this.#integer('a whole number above 0 for the burst') })
  }

  #calendar(quota: number): CalendarRate {
    const at = this.#skipSpace()
    const unit = this.#take(/[a-z]+/iy)?.toLowerCase()
    const calendar = calendarUnits.find((one) => one === unit)
    if (!calendar) this.#fail(at, '`day`, `week` or `month`')
    return Object.freeze({ quota, calendar, timeZone: this.#timeZone })
  }

  /** Whether another rate follows; anything else but the end is an error. */
  separator(): boolean {
    const at = this.#skipSpace()
    if (this.#take(/[;,]/y)) return true
    if (at < this.#text.length) this.#fail(at, 'the end, `burst`, or `;` and another rate')
    return false
  }

  #integer(expected: string): number {
    const at = this.#skipSpace()
    const digits = this.#take(/\d+(?![.\d])/y)
    const value = Number(digits)
    if (!digits || value < 1 || !Number.isSafeInteger(value)) this.#fail(at, expected)
    return value
  }

  #word(word: string): boolean {
    return this.#take(new RegExp(`${word}(?![a-z])`, 'iy')) !== undefined
  }

  #skipSpace(): number {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++
    return this.#at
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#skipSpace()
    const found = pattern.exec(this.#text)?.[0]
    this.#at += found?.length ?? 0
    return found
  }

  #fail(at: number, expected: string): never {
    const from = Math.max(0, at - 40)
    const excerpt = this.#text.slice(from, at + 40).replace(/[\r\n\t]/g, ' ')
    throw new SluiceError(
      'ERR_SLUICE_RATE',
      `Rate ${show(this.#text)} of \`${this.#option}\` does not parse at position ${at + 1}: expected ${expected}.\n` +
        `  ${excerpt}\n  ${' '.repeat(at - from)}^`,
    )
  }
}
