import { midnightOf, TimeZone } from './time-zone.ts'

/** What is counted in: days, weeks from Monday on (ISO 8601), months. */
export type CalendarUnit = 'day' | 'week' | 'month'

export const calendarUnits: readonly CalendarUnit[] = Object.freeze(['day', 'week', 'month'])

/** One day, week or month: from its first millisecond to right before the first of the next one. */
export interface Period {
  readonly fromMs: number
  readonly untilMs: number
}

const dayMs = 86_400_000

/** Periods that are remembered: the present one, its neighbours, and some more for clocks that do not agree. */
const remembered = 8

/**
 * The days, weeks or months of a time zone, one after the other without a gap. A period begins when the clocks there first show
 * its first midnight or later. So a day may have 23 or 25 hours, one that the zone leaves out is none, and an hour that is put back
 * over midnight belongs to the day that has begun already: time does not run backwards.
 */
export class Calendar {
  readonly unit: CalendarUnit
  readonly zone: string
  /** Unit and zone, without a space. */
  readonly name: string
  readonly #zone: TimeZone
  #latest: Period = { fromMs: 0, untilMs: 0 }
  #known: readonly Period[] = []

  /** @throws RangeError where there is no such zone */
  constructor(unit: CalendarUnit, timeZone: string) {
    this.#zone = new TimeZone(timeZone)
    this.unit = unit
    this.zone = this.#zone.name
    this.name = `${unit}:${this.zone}`
  }

  /** The period an instant is in. Two comparisons, except for the first time that it is asked for in a period. */
  at(ms: number): Period {
    const latest = this.#latest
    return ms >= latest.fromMs && ms < latest.untilMs ? latest : this.#found(ms)
  }

  #found(ms: number): Period {
    const known = this.#known.find(({ fromMs, untilMs }) => ms >= fromMs && ms < untilMs)
    const found = known ?? this.#computed(ms)
    if (!known) this.#known = [found, ...this.#known.slice(0, remembered - 1)]
    this.#latest = found
    return found
  }

  #computed(ms: number): Period {
    let number = numberOf(this.unit, this.#zone.wallMs(ms))
    let fromMs = this.#begins(number)
    let untilMs = this.#begins(number + 1)
    // The clocks were put back since the next one began.
    while (untilMs <= ms) {
      number++
      fromMs = untilMs
      untilMs = this.#begins(number + 1)
    }
    return Object.freeze({ fromMs, untilMs })
  }

  #begins(number: number): number {
    return this.#zone.firstAt(firstMidnight(this.unit, number))
  }
}

const calendars = new Map<string, Calendar>()

/** The calendar of that unit and zone: one for all who ask, so that each boundary is worked out once. */
export function calendarOf(unit: CalendarUnit, timeZone: string): Calendar {
  const asked = `${unit}:${timeZone}`
  let calendar = calendars.get(asked)
  if (!calendar) {
    calendar = new Calendar(unit, timeZone)
    calendars.set(asked, calendar)
  }
  return calendar
}

/** The number of the period by what the clocks show: days since 1970, weeks since the Monday before, months since the year 0. */
function numberOf(unit: CalendarUnit, wallMs: number): number {
  const days = Math.floor(wallMs / dayMs)
  if (unit === 'day') return days
  // The first of January 1970 was a Thursday.
  if (unit === 'week') return Math.floor((days + 3) / 7)
  const date = new Date(wallMs)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}

function firstMidnight(unit: CalendarUnit, number: number): number {
  if (unit === 'day') return number * dayMs
  if (unit === 'week') return (number * 7 - 3) * dayMs
  const year = Math.floor(number / 12)
  return midnightOf(year, number - year * 12, 1)
}
