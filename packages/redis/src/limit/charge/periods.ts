import { type Calendar, type Period, SluiceError } from '@sluice/core'
import type { Spec } from '../store/spec.ts'

interface Table {
  /** The period in the middle: while Redis is believed to be in it, the table is good. */
  readonly present: Period
  readonly argument: string
}

/**
 * The bounds of calendar periods, as scripts are handed them: the present one by what Redis's time is believed to be, the one
 * before and the one after. Redis's own time decides in which of them it counts. Where that is in none of them it says so and
 * has done nothing, and is asked again with those around its time; from then on it is known how far its clock is off.
 */
export class Periods {
  readonly #now: () => number
  readonly #tables = new WeakMap<Spec, Table>()
  /** How far Redis's clock is ahead of this process's, as far as that matters. */
  #aheadMs = 0

  /** @param now - this process's time */
  constructor(now: () => number) {
    this.#now = now
  }

  /**
   * Asks until there are periods for all that is asked about.
   *
   * @param keys - how many: each may have been charged last in a period that Redis's time is not in any more
   */
  async ask(specs: readonly Spec[], keys: number, run: (texts: readonly string[]) => Promise<unknown>) {
    const also: number[] = []
    for (;;) {
      const numbers = (await run(specs.map((spec) => this.argumentOf(spec, also)))) as readonly unknown[]
      // An answer has the time, and four numbers for each key.
      if (numbers.length !== 2) return numbers
      const message = 'The clock of Redis moves too fast to count by the calendar.'
      if (also.length > keys) throw new SluiceError('ERR_SLUICE_STORE', message)
      this.#aheadMs = Number(numbers[0]) - this.#now()
      also.push(Number(numbers[1]))
    }
  }

  /** A spec as an argument of a script, with the periods that are likely to be needed, and those of the times `also`. */
  argumentOf(spec: Spec, also: readonly number[] = none): string {
    const { calendar, text } = spec
    if (!calendar) return text
    const now = Math.floor(this.#now() + this.#aheadMs)
    let table = this.#tables.get(spec)
    if (!table || now < table.present.fromMs || now >= table.present.untilMs) {
      const present = calendar.at(now)
      table = { present, argument: `${text} ${listOf(calendar, around(present))}` }
      this.#tables.set(spec, table)
    }
    return also.length === 0 ? table.argument : `${text} ${listOf(calendar, [...around(table.present), ...also])}`
  }
}

const none: readonly number[] = []

/** A time in it, one before and one after. */
function around({ fromMs, untilMs }: Period): readonly number[] {
  return [fromMs - 1, fromMs, untilMs]
}

/** The periods those times are in, as a script reads them. */
function listOf(calendar: Calendar, times: readonly number[]): string {
  return JSON.stringify(times.map((ms) => calendar.at(ms)).flatMap(({ fromMs, untilMs }) => [fromMs, untilMs]))
}
