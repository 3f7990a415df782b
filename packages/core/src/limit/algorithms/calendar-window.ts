import type { Calendar, CalendarUnit } from '../../base/calendar.ts'
import type { LimitAlgorithm } from './algorithm.ts'
import { listOf, part } from './parameters.ts'

const dayMs = 86_400_000

/** The earliest moment a `Date` can be. */
const beginningMs = -8.64e15

const fresh = (): number[] => [beginningMs, beginningMs, beginningMs, 0]

/** The longest there are: with a day that a zone has twice. */
const longestMs: Readonly<Record<CalendarUnit, number>> = { day: 2 * dayMs, week: 8 * dayMs, month: 32 * dayMs }

export interface CalendarAlgorithm extends LimitAlgorithm<number[]> {
  readonly kind: 'calendar-window'
  readonly calendar: Calendar
}

/**
 * Counts in the day, week or month of a calendar that contains now, and from nothing again in the next one. For quotas that are
 * sold or billed by the month.
 *
 * **Guarantee:** at most N units in each period, so at most 2N in any span as long as one. Take `sliding-window` where N is
 * meant.
 *
 * **Parameters:** `[quota]`, and the bounds of periods, which the calendar knows and a script is handed.
 *
 * **State:** `[from, until, last, used]`: the period, from its first millisecond to the first of the next; the time of the latest
 * charge; the units. Before the first charge all of it lies before there was time, whatever a clock says.
 * - the period is running while `now < until`; a clock that was set back is still in it, so nothing is given twice;
 * - charging in a running period adds to `used`, and `last = max(last, now)`; else `from` and `until` are those of the period of
 *   now, `last = now`, `used = cost`; a cost of 0 does nothing;
 * - the wait is `until − now`;
 * - what another calendar or quota has counted, while its period is running, is used in the period that contains
 *   `t = max(now, last)`, where that had begun by `last`: from a month to days, it counts on the day of the latest charge.
 */
export function calendarWindow(quota: number, calendar: Calendar): CalendarAlgorithm {
  const usedAt = (state: number[], nowMs: number): number => (nowMs < state[1]! ? state[3]! : 0)
  const resetMs = (state: number[], nowMs: number): number => (usedAt(state, nowMs) > 0 ? state[1]! - nowMs : 0)

  return {
    kind: 'calendar-window',
    calendar,
    params: listOf('calendar-window', { quota }),
    limit: quota,
    stateTtlMs: longestMs[calendar.unit],
    signature: `cw:${quota}:${calendar.name}`,
    scaled: (share) => calendarWindow(part(quota, share), calendar),
    fresh,

    carry(state, _, nowMs) {
      const last = state[2]!
      // Stores forget what is over.
      if (nowMs >= state[1]!) return fresh()
      const { fromMs, untilMs } = calendar.at(Math.max(nowMs, last))
      return last >= fromMs ? [fromMs, untilMs, last, state[3]!] : fresh()
    },

    waitMs(state, cost, nowMs) {
      if (cost > quota) return Number.POSITIVE_INFINITY
      return cost === 0 || usedAt(state, nowMs) + cost <= quota ? 0 : state[1]! - nowMs
    },

    charge(state, cost, nowMs) {
      if (cost === 0) return
      if (nowMs < state[1]!) {
        state[2] = Math.max(state[2]!, nowMs)
        state[3]! += cost
        return
      }
      const { fromMs, untilMs } = calendar.at(nowMs)
      state[0] = fromMs
      state[1] = untilMs
      state[2] = nowMs
      state[3] = cost
    },

    refund(state, { cost, atMs }, nowMs) {
      // A charge of an earlier period is back already.
      if (nowMs >= state[1]! || (atMs !== undefined && atMs < state[0]!)) return
      state[3] = Math.max(0, state[3]! - cost)
    },

    // More may be used than the quota where it was larger before.
    remaining: (state, nowMs) => Math.max(0, quota - usedAt(state, nowMs)),
    resetMs,
    fullMs: resetMs,
  }
}
