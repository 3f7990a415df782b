import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Calendar, type CalendarUnit, calendarOf, calendarUnits } from '../../packages/core/src/base/calendar.ts'
import { isTimeZone } from '../../packages/core/src/base/time-zone.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** How far to walk to either side: more than the longest period. */
const span: Readonly<Record<CalendarUnit, number>> = { day: 3 * day, week: 9 * day, month: 33 * day }

const formats = new Map<string, Intl.DateTimeFormat>()

/** The date that calendars on the wall show, `2026-11-28`. */
function dateIn(zone: string, ms: number): string {
  let format = formats.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' })
    formats.set(zone, format)
  }
  return format.format(ms)
}

function labelOf(unit: CalendarUnit, date: string): string {
  if (unit === 'day') return date
  if (unit === 'month') return date.slice(0, 7)
  const monday = new Date(`${date}T00:00:00Z`)
  while (monday.getUTCDay() !== 1) monday.setUTCDate(monday.getUTCDate() - 1)
  return monday.toISOString().slice(0, 10)
}

/** The slow way, which knows nothing of offsets: minute by minute, and the date never goes back. All that begin meanwhile. */
function walked(unit: CalendarUnit, zone: string, ms: number, aroundMs = span[unit]): readonly number[] {
  const begins: number[] = []
  let [latest, shown] = ['', '']
  for (let at = Math.floor((ms - aroundMs) / minute) * minute; at < ms + aroundMs; at += minute) {
    const date = dateIn(zone, at)
    if (date === shown) continue
    shown = date
    const label = labelOf(unit, date)
    if (label <= latest) continue
    if (latest !== '') begins.push(at)
    latest = label
  }
  return begins
}

/** Of those the one that an instant is in. */
function around(begins: readonly number[], ms: number): { fromMs: number; untilMs: number } {
  const next = begins.findIndex((at) => at > ms)
  if (next < 1) throw new Error('too short a walk')
  return { fromMs: begins[next - 1]!, untilMs: begins[next]! }
}

const zones = Intl.supportedValuesOf('timeZone')
const at = (text: string): number => Date.parse(text)

describe('periods of a calendar', () => {
  test.each([
    ['day', 40],
    ['week', 10],
    ['month', 3],
  ] as const)('%s: are those that walking minute by minute finds, in any zone and year', (unit, numRuns) => {
    const instants = fc.integer({ min: at('1975-01-01T00:00:00Z'), max: at('2037-06-01T00:00:00Z') })
    fc.assert(
      fc.property(fc.constantFrom(...zones), instants, (zone, ms) => {
        expect({ ...new Calendar(unit, zone).at(ms) }).toEqual(around(walked(unit, zone, ms), ms))
      }),
      { numRuns },
    )
  })

  // Clocks that are put forward or back, in each of the ways there are.
  test.each([
    ['Europe/Berlin', 'into summer', '2026-03-29T01:00:00Z', 23],
    ['Europe/Berlin', 'into winter', '2026-10-25T01:00:00Z', 25],
    ['America/New_York', 'into summer', '2026-03-08T07:00:00Z', 23],
    ['America/New_York', 'into winter', '2026-11-01T06:00:00Z', 25],
    ['Australia/Lord_Howe', 'by half an hour', '2026-04-04T15:00:00Z', 24.5],
    ['Australia/Lord_Howe', 'by half an hour', '2026-10-03T15:30:00Z', 23.5],
    ['America/Sao_Paulo', 'from midnight to 1:00', '2018-11-04T03:00:00Z', 23],
    ['America/Sao_Paulo', 'from midnight to 23:00 of the same day', '2019-02-17T01:30:00Z', 25],
    ['America/St_Johns', 'from 0:01 to 23:01 of the day before', '2009-11-01T02:31:00Z', 25],
    ['America/Havana', 'from 1:00 to 0:00', '2026-11-01T05:00:00Z', 25],
    ['Asia/Kathmandu', 'to a quarter of an hour', '1985-12-31T18:30:00Z', 23.75],
    ['Asia/Pyongyang', 'by half an hour, to midnight', '2018-05-04T14:59:00Z', 23.5],
    ['Pacific/Apia', 'over a whole day', '2011-12-29T12:00:00Z', 24],
    ['Pacific/Apia', 'over a whole day', '2011-12-30T12:00:00Z', 24],
    ['Pacific/Kwajalein', 'over a whole day', '1993-08-21T13:00:00Z', 24],
    ['Africa/Casablanca', 'for Ramadan', '2026-02-15T02:00:00Z', 25],
    ['Asia/Kolkata', 'never', '2026-11-28T00:00:00Z', 24],
    ['UTC', 'never', '2024-02-29T12:00:00Z', 24],
  ])('%s puts its clocks %s: the day of %s has %d hours', (zone, _, text, hours) => {
    const ms = at(text)
    const { fromMs, untilMs } = new Calendar('day', zone).at(ms)
    expect((untilMs - fromMs) / hour).toBe(hours)
    const begins = walked('day', zone, ms, 4 * day)
    const calendar = new Calendar('day', zone)
    for (const near of [ms - day, ms - hour, ms - 1, ms, ms + 1, ms + hour, ms + day]) {
      expect({ ...calendar.at(near) }).toEqual(around(begins, near))
    }
  })

  test('an hour that is shown twice over midnight is of the day that has begun', () => {
    // In St. John's 1 November 2009 began, and a minute later it was 31 October again, for an hour.
    const [began, back] = [at('2009-11-01T02:30:00Z'), at('2009-11-01T02:31:00Z')]
    expect(dateIn('America/St_Johns', began)).toBe('2009-11-01')
    expect(dateIn('America/St_Johns', back + minute)).toBe('2009-10-31')
    const months = new Calendar('month', 'America/St_Johns')
    expect(months.at(back + minute)).toBe(months.at(began))
    expect(months.at(began).fromMs).toBe(began)
  })

  test('a day that a zone leaves out is none', () => {
    const days = new Calendar('day', 'Pacific/Apia')
    const thursday = days.at(at('2011-12-30T09:59:59.999Z'))
    const saturday = days.at(thursday.untilMs)
    expect([thursday.untilMs, saturday.fromMs]).toEqual([at('2011-12-30T10:00:00Z'), at('2011-12-30T10:00:00Z')])
    expect(dateIn('Pacific/Apia', thursday.fromMs)).toBe('2011-12-29')
    expect(dateIn('Pacific/Apia', saturday.fromMs)).toBe('2011-12-31')
  })

  test('leap years, weeks from Monday on, months over the end of a year', () => {
    const lengthOf = (unit: CalendarUnit, text: string): number => {
      const { fromMs, untilMs } = new Calendar(unit, 'UTC').at(at(text))
      return (untilMs - fromMs) / day
    }
    expect(['2023', '2024', '2000', '2100'].map((year) => lengthOf('month', `${year}-02-14T00:00:00Z`))).toEqual([
      28, 29, 29, 28,
    ])
    const week = new Calendar('week', 'UTC').at(at('2026-01-01T00:00:00Z'))
    expect([week.fromMs, week.untilMs]).toEqual([at('2025-12-29T00:00:00Z'), at('2026-01-05T00:00:00Z')])
    const december = new Calendar('month', 'Asia/Tokyo').at(at('2026-12-31T14:59:59Z'))
    expect([december.fromMs, december.untilMs]).toEqual([at('2026-11-30T15:00:00Z'), at('2026-12-31T15:00:00Z')])
  })

  test('lie side by side without a gap, from 1971 to 2037', () => {
    for (const zone of ['America/Sao_Paulo', 'America/St_Johns']) {
      for (const unit of calendarUnits) {
        const calendar = new Calendar(unit, zone)
        const apart = { day: 97, week: 89, month: 93 }[unit] * day
        let ms = at('1971-01-01T00:00:00Z')
        for (let i = 0; i < 240; i++) {
          const one = calendar.at(ms)
          const next = calendar.at(one.untilMs)
          expect([next.fromMs, calendar.at(one.untilMs - 1)]).toEqual([one.untilMs, one])
          expect(one.untilMs - one.fromMs).toBeGreaterThan(20 * hour)
          ms = one.untilMs + apart
        }
      }
    }
  })

  test('a boundary is worked out once: afterwards a period is the same object, of all who ask', () => {
    const calendar = calendarOf('month', 'Europe/Berlin')
    const now = at('2026-11-28T00:00:00Z')
    const one = calendar.at(now)
    expect(calendar.at(one.untilMs - 1)).toBe(one)
    calendar.at(one.untilMs)
    expect(calendar.at(now)).toBe(one)
    expect(calendarOf('month', 'Europe/Berlin')).toBe(calendar)
    expect(calendar.name).toBe('month:Europe/Berlin')
  })
})

test.each([
  ['Europe/Berlin', true],
  ['europe/berlin', true],
  ['UTC', true],
  ['Etc/GMT+5', true],
  ['Europe/Atlantis', false],
  ['+02:00', false],
  ['', false],
  [' UTC', false],
  [2, false],
  [undefined, false],
])('%j is the name of a time zone: %j', (value, is) => {
  expect(isTimeZone(value)).toBe(is)
})
