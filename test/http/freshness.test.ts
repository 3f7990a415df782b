import { describe, expect, test } from '@jest/globals'
import { type Freshness, freshness } from '../../packages/core/src/http/caching/freshness.ts'
import { Fields } from '../../packages/core/src/http/fields/fields.ts'

const now = Date.UTC(2026, 10, 21, 12)
const at = (seconds: number): string => new Date(now + seconds * 1000).toUTCString()
const targets = ['sluice-cache-control', 'cdn-cache-control']

function of(headers: Record<string, string | string[]>, status = 200, heuristic = false): Freshness {
  return freshness({ status, fields: Fields.from(headers) }, { targets, heuristic, nowMs: now })
}

describe('lifetime (RFC 9111 §4.2.1)', () => {
  test.each<[section: string, headers: Record<string, string | string[]>, seconds: number, source: string]>([
    ['nothing is said', {}, 0, 'none'],
    ['max-age', { 'cache-control': 'max-age=60' }, 60, 'max-age'],
    ['Max-Age, quoted', { 'cache-control': 'Max-Age="60"' }, 60, 'max-age'],
    ['§5.2.2.10 s-maxage overrides max-age', { 'cache-control': 'max-age=60, s-maxage=5' }, 5, 's-maxage'],
    ['§5.2.2.10 s-maxage overrides max-age upwards', { 'cache-control': 'max-age=1, s-maxage=5' }, 5, 's-maxage'],
    ['an unreadable s-maxage is stale', { 'cache-control': 'max-age=60, s-maxage=x' }, 0, 's-maxage'],
    ['max-age overrides Expires', { 'cache-control': 'max-age=60', expires: at(5) }, 60, 'max-age'],
    ['max-age=0 overrides Expires', { 'cache-control': 'max-age=0', expires: at(5) }, 0, 'max-age'],
    ['duplicates on two lines: the smallest', { 'cache-control': ['max-age=60', 'max-age=5'] }, 5, 'max-age'],
    ['absurdly large', { 'cache-control': 'max-age=1e99, max-age=99999999999999' }, 0, 'max-age'],
    ['capped', { 'cache-control': 'max-age=99999999999999' }, 2 ** 31, 'max-age'],
    ['Expires − Date', { date: at(-10), expires: at(50) }, 60, 'expires'],
    ['§6.6.1 without a Date, from now', { expires: at(50) }, 50, 'expires'],
    ['an unreadable Date, from now', { date: 'yesterday', expires: at(50) }, 50, 'expires'],
    ['an Expires before Date is stale', { date: at(0), expires: at(-1) }, 0, 'expires'],
    ['an Expires equal to Date is stale', { date: at(0), expires: at(0) }, 0, 'expires'],
    ['§5.3 Expires: 0', { expires: '0' }, 0, 'expires'],
    ['§5.3 Expires: -1', { expires: '-1' }, 0, 'expires'],
    ['§5.3 Expires: text', { expires: 'Thu, 01 Dec 2099' }, 0, 'expires'],
    ['§5.3 Expires: empty', { expires: '' }, 0, 'expires'],
    ['§5.3 Expires in ISO 8601', { expires: '2099-01-01T00:00:00Z' }, 0, 'expires'],
    ['§5.3 Expires with a zone', { expires: 'Thu, 01 Dec 2099 00:00:00 EST' }, 0, 'expires'],
    ['Expires in the asctime form', { expires: 'Sat Nov 21 12:01:00 2026' }, 60, 'expires'],
    ['Expires in the rfc850 form', { expires: 'Saturday, 21-Nov-26 12:01:00 GMT' }, 60, 'expires'],
    ['two Expires: the earliest', { expires: [at(50), at(5)] }, 5, 'expires'],
    ['two Expires: one unreadable', { expires: [at(50), 'x'] }, 0, 'expires'],
    ['no-cache is never fresh', { 'cache-control': 'max-age=60, no-cache' }, 0, 'max-age'],
    ['§5.2.2.4 no-cache, qualified, is about fields', { 'cache-control': 'max-age=60, no-cache="a"' }, 60, 'max-age'],
    ['but not beside one that is not', { 'cache-control': 'max-age=60, no-cache="a", no-cache' }, 0, 'max-age'],
    ['nor with a name that is none', { 'cache-control': 'max-age=60, no-cache="a b"' }, 0, 'max-age'],
    ['nor of fields it cannot be without', { 'cache-control': 'max-age=60, no-cache="a, Vary"' }, 0, 'max-age'],
    ['Age does not shorten the lifetime', { 'cache-control': 'max-age=60', age: '50' }, 60, 'max-age'],
  ])('%s', (_section, headers, seconds, source) => {
    expect(of(headers)).toMatchObject({ lifetimeMs: seconds * 1000, source, explicit: source !== 'none' })
  })
})

describe('targeted fields (RFC 9213 §2.2)', () => {
  test.each<[section: string, headers: Record<string, string | string[]>, seconds: number, source: string]>([
    [
      'Cache-Control is ignored',
      { 'cdn-cache-control': 'max-age=60', 'cache-control': 'max-age=5' },
      60,
      'cdn-cache-control',
    ],
    [
      's-maxage of Cache-Control too',
      { 'cdn-cache-control': 'max-age=60', 'cache-control': 's-maxage=5' },
      60,
      'cdn-cache-control',
    ],
    [
      'the own one first',
      { 'cdn-cache-control': 'max-age=60', 'sluice-cache-control': 'max-age=7' },
      7,
      'sluice-cache-control',
    ],
    ['two lines', { 'cdn-cache-control': ['max-age=60', 'must-revalidate'] }, 60, 'cdn-cache-control'],
    ['parameters are ignored', { 'cdn-cache-control': 'max-age=60;x=1' }, 60, 'cdn-cache-control'],
    [
      'the last of a key wins (RFC 9651 §4.2.2)',
      { 'cdn-cache-control': 'max-age=5, max-age=60' },
      60,
      'cdn-cache-control',
    ],
    ['Expires is ignored', { 'cdn-cache-control': 'public', expires: at(50) }, 0, 'none'],
    [
      'an invalid one is absent: upper case',
      { 'cdn-cache-control': 'Max-Age=60', 'cache-control': 'max-age=5' },
      5,
      'max-age',
    ],
    [
      'an invalid one is absent: trailing comma',
      { 'cdn-cache-control': 'max-age=60,', 'cache-control': 'max-age=5' },
      5,
      'max-age',
    ],
    ['an empty one is absent', { 'cdn-cache-control': '', 'cache-control': 'max-age=5' }, 5, 'max-age'],
    [
      'an invalid one gives way to the next target',
      { 'sluice-cache-control': '=', 'cdn-cache-control': 'max-age=60' },
      60,
      'cdn-cache-control',
    ],
    ['§2.1 a decimal is unreadable', { 'cdn-cache-control': 'max-age=60.0' }, 0, 'cdn-cache-control'],
    ['§2.1 a token is unreadable', { 'cdn-cache-control': 'max-age=banana' }, 0, 'cdn-cache-control'],
    ['§2.1 a string is unreadable', { 'cdn-cache-control': 'max-age="60"' }, 0, 'cdn-cache-control'],
    ['§2.1 a negative is stale', { 'cdn-cache-control': 'max-age=-60' }, 0, 'cdn-cache-control'],
    ['§2.1 no value is stale', { 'cdn-cache-control': 'max-age' }, 0, 'cdn-cache-control'],
    ['a target not listed is nothing to us', { 'other-cache-control': 'max-age=60' }, 0, 'none'],
  ])('%s', (_section, headers, seconds, source) => {
    expect(of(headers)).toMatchObject({ lifetimeMs: seconds * 1000, source })
  })

  test('its directives are those that count', () => {
    const { directives } = of({
      'cdn-cache-control': 'no-store, private=?0, no-cache="a, b"',
      'cache-control': 'public',
    })
    expect(directives.has('no-store')).toBe(true)
    expect(directives.has('private')).toBe(false)
    expect(directives.has('public')).toBe(false)
    expect(directives.fieldNames('no-cache')).toEqual(['a', 'b'])
    expect(directives.targeted).toBe(true)
  })
})

describe('heuristic (RFC 9111 §4.2.2)', () => {
  const modified = (seconds: number) => ({ 'last-modified': at(-seconds), date: at(0) })

  test.each<[name: string, headers: Record<string, string>, status: number, seconds: number]>([
    ['a tenth of the age', modified(1000), 200, 100],
    ['at most a day', modified(86_400 * 365), 200, 86_400],
    ['not for a future date', modified(-1000), 200, 0],
    ['not without Last-Modified', {}, 200, 0],
    ['not for an unreadable Last-Modified', { 'last-modified': 'x' }, 200, 0],
    ['not where the response says itself', { ...modified(1000), 'cache-control': 'max-age=0' }, 200, 0],
    ['not under no-cache', { ...modified(1000), 'cache-control': 'no-cache' }, 200, 0],
    ...[203, 204, 300, 301, 308, 404, 405, 410, 414, 501].map(
      (status): [string, Record<string, string>, number, number] => [
        `RFC 9110 §15.1: ${status}`,
        modified(1000),
        status,
        100,
      ],
    ),
    ...[201, 202, 206, 302, 303, 307, 400, 401, 403, 429, 500, 502, 503].map(
      (status): [string, Record<string, string>, number, number] => [`not for ${status}`, modified(1000), status, 0],
    ),
    ...[201, 302, 403, 503, 599].map((status): [string, Record<string, string>, number, number] => [
      `§4.2.2: for ${status} where it says public`,
      { ...modified(1000), 'cache-control': 'public' },
      status,
      100,
    ]),
    ['private is not public', { ...modified(1000), 'cache-control': 'private' }, 599, 0],
  ])('%s', (_name, headers, status, seconds) => {
    expect(of(headers, status, true)).toMatchObject({ lifetimeMs: seconds * 1000 })
  })

  test('only when asked for, and it is not explicit', () => {
    expect(of(modified(1000))).toMatchObject({ lifetimeMs: 0, source: 'none' })
    expect(of(modified(1000), 200, true)).toMatchObject({ source: 'heuristic', explicit: false })
  })
})

describe('stale (RFC 9111 §4.2.4, RFC 5861)', () => {
  test.each<[cc: string, neverStale: boolean, neverStaleOnError: boolean]>([
    ['max-age=60', false, false],
    ['max-age=60, must-revalidate', true, true],
    ['max-age=60, Proxy-Revalidate', true, true],
    ['s-maxage=60', false, true],
    ['max-age=60, no-cache', true, true],
    ['max-age=60, no-cache="a"', false, false],
  ])('%s', (cc, neverStale, neverStaleOnError) => {
    expect(of({ 'cache-control': cc })).toMatchObject({ neverStale, neverStaleOnError })
  })

  test.each<[cc: string, whileRevalidate: number | undefined, ifError: number | undefined]>([
    ['max-age=60', undefined, undefined],
    ['max-age=60, stale-while-revalidate=30', 30_000, undefined],
    ['max-age=60, stale-if-error=90', undefined, 90_000],
    ['max-age=60, Stale-While-Revalidate="30", stale-if-error=x', 30_000, 0],
    ['max-age=60, stale-while-revalidate', 0, undefined],
  ])('%s', (cc, whileRevalidate, ifError) => {
    const { staleWhileRevalidateMs, staleIfErrorMs } = of({ 'cache-control': cc })
    expect([staleWhileRevalidateMs, staleIfErrorMs]).toEqual([whileRevalidate, ifError])
  })

  test.each([
    ['must-revalidate', true, false],
    ['proxy-revalidate', true, false],
    ['s-maxage=1', true, false],
    ['no-cache', false, true],
    ['max-age=1', false, false],
  ])('%s: mustRevalidate %p, noCache %p', (cc, mustRevalidate, noCache) => {
    expect(of({ 'cache-control': cc })).toMatchObject({ mustRevalidate, noCache })
  })
})
