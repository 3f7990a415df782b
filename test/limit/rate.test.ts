import { describe, expect, test } from '@jest/globals'
import { isSluiceError } from '../../packages/core/src/base/errors.ts'
import { parseRate, rateText } from '../../packages/core/src/limit/policy/rate.ts'

const day = 86_400_000

describe('rates that parse', () => {
  test.each([
    ['10/min', [{ quota: 10, windowMs: 60_000 }]],
    ['10/m', [{ quota: 10, windowMs: 60_000 }]],
    ['200 per day', [{ quota: 200, windowMs: day }]],
    ['5 per 15 minutes', [{ quota: 5, windowMs: 900_000 }]],
    ['5per15minutes', [{ quota: 5, windowMs: 900_000 }]],
    ['5/15min', [{ quota: 5, windowMs: 900_000 }]],
    ['7 minute', [{ quota: 7, windowMs: 60_000 }]],
    [' 10 / 2 H ', [{ quota: 10, windowMs: 7_200_000 }]],
    ['1/1.5s', [{ quota: 1, windowMs: 1_500 }]],
    ['1/ms', [{ quota: 1, windowMs: 1 }]],
    ['3/w', [{ quota: 3, windowMs: 7 * day }]],
    ['1000000/366d', [{ quota: 1_000_000, windowMs: 366 * day }]],
    ['5/s burst 20', [{ quota: 5, windowMs: 1_000, burst: 20 }]],
    ['5 per second BURST 20', [{ quota: 5, windowMs: 1_000, burst: 20 }]],
    ['20 concurrent', [{ concurrent: 20 }]],
    ['10000 per calendar month', [{ quota: 10_000, calendar: 'month', timeZone: 'UTC' }]],
    ['100/calendar day', [{ quota: 100, calendar: 'day', timeZone: 'UTC' }]],
    ['500 PER Calendar  WEEK', [{ quota: 500, calendar: 'week', timeZone: 'UTC' }]],
    [
      '9 calendar day; 5/s',
      [
        { quota: 9, calendar: 'day', timeZone: 'UTC' },
        { quota: 5, windowMs: 1_000 },
      ],
    ],
    ['20concurrent', [{ concurrent: 20 }]],
    [
      '100/min; 5/s',
      [
        { quota: 100, windowMs: 60_000 },
        { quota: 5, windowMs: 1_000 },
      ],
    ],
    [
      '100/min,5/s burst 9 ;2 concurrent',
      [{ quota: 100, windowMs: 60_000 }, { quota: 5, windowMs: 1_000, burst: 9 }, { concurrent: 2 }],
    ],
  ])('%s', (text, rates) => {
    expect(parseRate('limits.x', text)).toEqual(rates)
  })

  test.each([
    ['5 per 60 seconds', '5/min'],
    ['5/1500ms', '5/1500ms'],
    ['100 / 60min, 2/s burst 5; 3 concurrent', '100/h; 2/s burst 5; 3 concurrent'],
    ['1/14d', '1/2w'],
    ['500 per calendar week;5/s', '500/calendar week; 5/s'],
  ])('%s is written %s, and reads the same', (text, canonical) => {
    expect(rateText(parseRate('r', text))).toBe(canonical)
    expect(parseRate('r', canonical)).toEqual(parseRate('r', text))
  })
})

describe('a rate that does not parse names itself and the position', () => {
  test.each([
    ['', 1],
    ['   ', 4],
    ['min', 1],
    ['0/min', 1],
    ['-5/min', 1],
    ['1.5/min', 1],
    ['10', 3],
    ['10/', 4],
    ['10/fortnight', 4],
    ['10/5', 5],
    ['10/0s', 4],
    ['10/0.5ms', 4],
    ['10/1.0005s', 4],
    ['10/367d', 4],
    ['10/53w', 4],
    ['10/min burst', 13],
    ['10/min burst 0', 14],
    ['10/min bursty 5', 8],
    ['10/min 5/s', 8],
    ['10/min;', 8],
    ['10/min;;5/s', 8],
    ['10 concurrently', 4],
    ['10/calendar', 12],
    ['10/calendar year', 13],
    ['10/calendarday', 4],
    ['10/2 calendar days', 6],
    ['10/calendar day burst 5', 17],
    ['99999999999999999999/s', 1],
    ['10/min\u200b', 7],
  ])('%j at %i', (text, position) => {
    let error: unknown
    try {
      parseRate('limits.search.rate', text)
    } catch (e) {
      error = e
    }
    expect(isSluiceError(error) && error.code).toBe('ERR_SLUICE_RATE')
    const message = (error as Error).message
    expect(message).toContain(`position ${position}:`)
    expect(message).toContain('limits.search.rate')
    expect(message).toContain(JSON.stringify(text))
    // The caret stands under the offending character.
    const [, excerpt, caret] = message.split('\n')
    expect(caret!.indexOf('^') - 2).toBe(position - 1)
    expect(excerpt!.slice(2)).toBe(text)
  })

  test('something that is no text at all', () => {
    expect(() => parseRate('limits.ip', 5 as never)).toThrow(/limits\.ip.*received 5/)
  })

  test('a rate of 100 kB is excerpted in its error', () => {
    try {
      parseRate('limits.ip', `${'1/s;'.repeat(25_000)}x`)
    } catch (error) {
      expect((error as Error).message.length).toBeLessThan(500)
    }
    expect.assertions(1)
  })
})
