import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { formatHttpDate, parseHttpDate } from '../../packages/core/src/http/fields/http-date.ts'

const nov6 = Date.UTC(1994, 10, 6, 8, 49, 37)
const now = Date.UTC(2026, 10, 21)

describe('parseHttpDate (RFC 9110 §5.6.7)', () => {
  test.each<[name: string, value: string, ms: number | undefined]>([
    ['IMF-fixdate', 'Sun, 06 Nov 1994 08:49:37 GMT', nov6],
    ['rfc850-date', 'Sunday, 06-Nov-94 08:49:37 GMT', nov6],
    ['asctime-date', 'Sun Nov  6 08:49:37 1994', nov6],
    ['asctime-date with two digits', 'Wed Nov 16 08:49:37 1994', nov6 + 10 * 86_400_000],
    ['RFC 9111 §4.2: case does not matter', 'sun, 06 nov 1994 08:49:37 gmt', nov6],
    ...['UTC', 'EST', 'Z', 'GMT+1', 'GMT+0000', 'GM', 'UT', ''].map((zone): [string, string, undefined] => [
      `§5.6.7: a zone other than GMT is invalid: ${zone}`,
      `Sun, 06 Nov 1994 08:49:37 ${zone}`,
      undefined,
    ]),
    ['no zone', 'Sun, 06 Nov 1994 08:49:37', undefined],
    ['UTC in form two', 'Sunday, 06-Nov-94 08:49:37 UTC', undefined],
    ['a zone in form three', 'Sun Nov  6 08:49:37 1994 GMT', undefined],
    ['a zone amid form three', 'Sun Nov  6 08:49:37 GMT 1994', undefined],
    ['offsets are invalid', 'Sun, 06 Nov 1994 08:49:37 +0000', undefined],
    ['the wrong day of the week is forgiven', 'Mon, 06 Nov 1994 08:49:37 GMT', nov6],
    ['no day of the week', '06 Nov 1994 08:49:37 GMT', undefined],
    ['no such day of the week', 'Xyz, 06 Nov 1994 08:49:37 GMT', undefined],
    ['one digit', 'Sun, 6 Nov 1994 08:49:37 GMT', undefined],
    ['a two-digit year in form one', 'Sun, 06 Nov 94 08:49:37 GMT', undefined],
    ['a short name in form two', 'Sun, 06-Nov-94 08:49:37 GMT', undefined],
    ['30 February', 'Sun, 30 Feb 1994 08:49:37 GMT', undefined],
    ['29 February of a leap year', 'Thu, 29 Feb 2024 00:00:00 GMT', Date.UTC(2024, 1, 29)],
    ['29 February of another year', 'Thu, 29 Feb 2023 00:00:00 GMT', undefined],
    ['the 0th', 'Sun, 00 Nov 1994 08:49:37 GMT', undefined],
    ['no such month', 'Sun, 06 Nox 1994 08:49:37 GMT', undefined],
    ['24 hours', 'Sun, 06 Nov 1994 24:00:00 GMT', undefined],
    ['60 minutes', 'Sun, 06 Nov 1994 08:60:37 GMT', undefined],
    ['a leap second', 'Sat, 31 Dec 2016 23:59:60 GMT', Date.UTC(2017, 0, 1)],
    ['61 seconds', 'Sat, 31 Dec 2016 23:59:61 GMT', undefined],
    ['the year 0050 is not 1950', 'Sun, 06 Nov 0050 08:49:37 GMT', new Date('0050-11-06T08:49:37Z').getTime()],
    ['trailing text', 'Sun, 06 Nov 1994 08:49:37 GMT x', undefined],
    ['leading space', ' Sun, 06 Nov 1994 08:49:37 GMT', undefined],
    ['two spaces', 'Sun, 06 Nov  1994 08:49:37 GMT', undefined],
    ['RFC 9111 §5.3: 0', '0', undefined],
    ['-1', '-1', undefined],
    ['empty', '', undefined],
    ['ISO 8601', '1994-11-06T08:49:37Z', undefined],
    ['seconds since the epoch', '784111777', undefined],
  ])('%s: %s', (_name, value, ms) => {
    expect(parseHttpDate(value, now)).toBe(ms)
  })

  test.each<[digits: string, nowYear: number, year: number]>([
    ['26', 2026, 2026],
    ['76', 2026, 2076],
    ['77', 2026, 1977],
    ['99', 2026, 1999],
    ['00', 2026, 2000],
    ['05', 2090, 2105],
    ['40', 2090, 2140],
    ['41', 2090, 2041],
  ])('the 50-year rule: %s seen in %i is %i', (digits, nowYear, year) => {
    const nowMs = Date.UTC(nowYear, 5, 1)
    expect(parseHttpDate(`Sunday, 01-May-${digits} 00:00:00 GMT`, nowMs)).toBe(Date.UTC(year, 4, 1))
  })

  test('the 50-year rule goes by the instant and not by the year', () => {
    expect(parseHttpDate('Sunday, 02-Jun-76 00:00:00 GMT', Date.UTC(2026, 5, 1))).toBe(Date.UTC(1976, 5, 2))
  })

  test('without a present, two digits are 1971 to 2070', () => {
    expect(parseHttpDate('Sunday, 01-May-70 00:00:00 GMT')).toBe(Date.UTC(2070, 4, 1))
    expect(parseHttpDate('Sunday, 01-May-71 00:00:00 GMT')).toBe(Date.UTC(1971, 4, 1))
  })

  test('undefined is no date', () => {
    expect(parseHttpDate(undefined)).toBeUndefined()
  })
})

describe('formatHttpDate', () => {
  test.each<[ms: number, text: string]>([
    [nov6, 'Sun, 06 Nov 1994 08:49:37 GMT'],
    [nov6 + 999, 'Sun, 06 Nov 1994 08:49:37 GMT'],
    [0, 'Thu, 01 Jan 1970 00:00:00 GMT'],
    [-1, 'Thu, 01 Jan 1970 00:00:00 GMT'],
    [Number.NaN, 'Thu, 01 Jan 1970 00:00:00 GMT'],
    [Number.POSITIVE_INFINITY, 'Fri, 31 Dec 9999 23:59:59 GMT'],
  ])('%p', (ms, text) => {
    expect(formatHttpDate(ms)).toBe(text)
  })

  test('what is written reads back, to the second, whatever the present is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), fc.integer({ max: 8e12 }), (seconds, nowMs) => {
        expect(parseHttpDate(formatHttpDate(seconds * 1000), nowMs)).toBe(seconds * 1000)
      }),
    )
  })

  test('reading never throws', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('Sun', ', ', 'Nov', ' ', '08:49:37', 'GMT', '94'),
    )
    fc.assert(
      fc.property(fc.array(part), fc.integer(), (parts, nowMs) => {
        const ms = parseHttpDate(parts.join(''), nowMs)
        expect(ms === undefined || Number.isFinite(ms)).toBe(true)
      }),
    )
  })
})
