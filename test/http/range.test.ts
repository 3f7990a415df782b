import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type ByteRange, ifRangeHolds, singleRange } from '../../packages/core/src/http/selection/range.ts'

describe('singleRange (RFC 9110 §14.1.2, §14.2), of 100 bytes', () => {
  test.each<[section: string, header: string | undefined, range: [number, number] | 'unsatisfiable' | undefined]>([
    ['absent', undefined, undefined],
    ['first and last', 'bytes=0-9', [0, 9]],
    ['one byte', 'bytes=5-5', [5, 5]],
    ['to the end', 'bytes=90-', [90, 99]],
    ['past the end', 'bytes=90-1000', [90, 99]],
    ['past all numbers', `bytes=90-${'9'.repeat(400)}`, [90, 99]],
    ['the last ones', 'bytes=-10', [90, 99]],
    ['more last ones than there are', 'bytes=-1000', [0, 99]],
    ['§14.1 units are case-insensitive', 'Bytes=0-9', [0, 9]],
    ['whitespace in the list', 'bytes= 0-9 ', [0, 9]],
    ['an empty member', 'bytes=0-9,', [0, 9]],
    ['begins at the end', 'bytes=100-', 'unsatisfiable'],
    ['begins past the end', 'bytes=100-200', 'unsatisfiable'],
    ['begins past all numbers', `bytes=${'9'.repeat(400)}-`, 'unsatisfiable'],
    ['the last 0', 'bytes=-0', 'unsatisfiable'],
    ['§14.1.1 backwards', 'bytes=9-0', undefined],
    ['§14.1.1 backwards, past the end', 'bytes=200-100', undefined],
    ['several', 'bytes=0-1,5-6', undefined],
    ['several, overlapping', 'bytes=0-,0-,0-', undefined],
    ['another unit', 'items=0-9', undefined],
    ['no unit', '0-9', undefined],
    ['nothing', '', undefined],
    ['no range', 'bytes=', undefined],
    ['a dash', 'bytes=-', undefined],
    ['no dash', 'bytes=5', undefined],
    ['negative', 'bytes=--5', undefined],
    ['letters', 'bytes=a-b', undefined],
    ['fractions', 'bytes=0.5-9', undefined],
    ['space inside', 'bytes=0 - 9', undefined],
    ['plus', 'bytes=+0-9', undefined],
  ])('%s', (_section, header, range) => {
    const expected = Array.isArray(range) ? { start: range[0], end: range[1] } : range
    expect(singleRange(header, 100)).toEqual(expected)
  })

  test('of an empty representation', () => {
    expect(singleRange('bytes=0-', 0)).toBe('unsatisfiable')
    expect(singleRange('bytes=-5', 0)).toBeUndefined()
  })

  test('never throws; a range lies within the bytes and is not empty', () => {
    const digits = fc.stringMatching(/^[0-9]{0,20}$/)
    const header = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.tuple(digits, digits).map(([a, b]) => `bytes=${a}-${b}`),
    )
    fc.assert(
      fc.property(header, fc.nat(), (value, length) => {
        const range = singleRange(value, length)
        if (typeof range !== 'object') return
        const { start, end }: ByteRange = range
        expect(0 <= start && start <= end && end < length).toBe(true)
      }),
    )
  })
})

describe('ifRangeHolds (RFC 9110 §13.1.5)', () => {
  const modified = 'Sun, 06 Nov 1994 08:49:37 GMT'
  const ms = Date.UTC(1994, 10, 6, 8, 49, 37)

  test.each<[section: string, value: string | undefined, etag: string | undefined, date: number, holds: boolean]>([
    ['absent', undefined, undefined, ms, true],
    ['the same tag', '"a"', '"a"', ms, true],
    ['another tag', '"b"', '"a"', ms, false],
    ['a weak tag', 'W/"a"', '"a"', ms, false],
    ['a weak validator', '"a"', 'W/"a"', ms, false],
    ['both weak', 'W/"a"', 'W/"a"', ms, false],
    ['no validator', '"a"', undefined, ms, false],
    ['the same date', modified, '"a"', ms + 1000, true],
    ['the same date in another form', 'Sun Nov  6 08:49:37 1994', '"a"', ms + 1000, true],
    ['a later date is not exact', 'Sun, 06 Nov 1994 08:49:38 GMT', '"a"', ms + 5000, false],
    ['an earlier date', 'Sun, 06 Nov 1994 08:49:36 GMT', '"a"', ms + 5000, false],
    ['§8.8.2.2 a date that is no strong validator', modified, '"a"', ms + 999, false],
    ['neither tag nor date', 'a', '"a"', ms, false],
    ['a list of tags', '"a", "b"', '"a"', ms, false],
    ['*', '*', '"a"', ms, false],
    ['empty', '', '"a"', ms, false],
  ])('%s', (_section, value, etag, date, holds) => {
    expect(ifRangeHolds(value, etag, modified, date)).toBe(holds)
  })

  test('a date without a Last-Modified', () => {
    expect(ifRangeHolds(modified, '"a"', undefined, ms + 1000)).toBe(false)
  })
})
