/**
 * Dates of HTTP (RFC 9110 §5.6.7): three forms are read, one is written. `Date.parse` is not used, because it takes
 * hundreds of forms that no cache agrees on.
 */

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

const shortDay = '(?:mon|tue|wed|thu|fri|sat|sun)'
const longDay = '(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)'
const month = '(?<month>[a-z]{3})'
const time = '(?<hour>[0-9]{2}):(?<minute>[0-9]{2}):(?<second>[0-9]{2})'
// RFC 9111 §4.2: case does not matter to a cache. RFC 9110 §5.6.7: GMT is the only zone there is.
const zone = 'GMT'

const forms = [
  // IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
  new RegExp(`^${shortDay}, (?<day>[0-9]{2}) ${month} (?<year>[0-9]{4}) ${time} ${zone}$`, 'i'),
  // rfc850-date: Sunday, 06-Nov-94 08:49:37 GMT
  new RegExp(`^${longDay}, (?<day>[0-9]{2})-${month}-(?<year>[0-9]{2}) ${time} ${zone}$`, 'i'),
  // asctime-date: Sun Nov  6 08:49:37 1994
  new RegExp(`^${shortDay} ${month} (?<day>[0-9]{2}| [0-9]) ${time} (?<year>[0-9]{4})$`, 'i'),
]

/** Without a `nowMs`, two-digit years are those from 1971 to 2070. */
const defaultNowMs = Date.UTC(2020, 11, 31)

/**
 * Reads an HTTP date into milliseconds since the epoch; `undefined` for what is not one of the three forms, or a day or
 * time that does not exist. The day of the week must be one, but need not be the right one.
 *
 * @param nowMs - what two-digit years are measured from: one that seems more than 50 years ahead is the most recent
 *   past year with those digits (RFC 9110 §5.6.7)
 */
export function parseHttpDate(value: string | undefined, nowMs: number = defaultNowMs): number | undefined {
  // The longest legal form, a Wednesday in form two, has 33 characters.
  if (value === undefined || value.length > 33) return undefined
  for (const form of forms) {
    const parts = form.exec(value)?.groups
    if (!parts) continue
    const year = Number(parts.year)
    const at = (fullYear: number): number | undefined => instant(fullYear, parts)
    return parts.year!.length === 4 ? at(year) : twoDigitYear(year, nowMs, at)
  }
  return undefined
}

function instant(year: number, parts: Record<string, string>): number | undefined {
  const monthIndex = months.indexOf(parts.month!.toLowerCase())
  const [day, hour, minute, second] = [parts.day, parts.hour, parts.minute, parts.second].map(Number) as [
    number,
    number,
    number,
    number,
  ]
  // 60 is a leap second: the same instant as the next minute's 00 here.
  if (monthIndex < 0 || hour > 23 || minute > 59 || second > 60) return undefined
  // Date.UTC would take the years 0 to 99 for 1900 to 1999.
  const date = new Date(0)
  date.setUTCFullYear(year, monthIndex, day)
  // 30 February is carried over into March, and the 0th back into the month before.
  if (date.getUTCMonth() !== monthIndex) return undefined
  return date.setUTCHours(hour, minute, second)
}

function twoDigitYear(year: number, nowMs: number, at: (year: number) => number | undefined): number | undefined {
  const now = new Date(nowMs)
  const thisYear = now.getUTCFullYear()
  const horizonMs = now.setUTCFullYear(thisYear + 50)
  const latest = thisYear - (thisYear % 100) + 100 + year
  for (const candidate of [latest, latest - 100, latest - 200]) {
    // 29 February 00 may exist in one century and not in another; the choice of the year is made without it.
    const start = at(candidate) ?? Date.UTC(candidate, 2, 1)
    if (start <= horizonMs) return at(candidate)
  }
  return undefined
}

const lastMs = Date.UTC(9999, 11, 31, 23, 59, 59)

/**
 * Writes milliseconds since the epoch as IMF-fixdate, the only form that may be sent (RFC 9110 §5.6.7). Fractions of a
 * second are dropped; what lies outside of the years 1970 to 9999 is sent as the nearest that does not.
 */
export function formatHttpDate(ms: number): string {
  return new Date(Math.min(Math.max(ms || 0, 0), lastMs)).toUTCString()
}
