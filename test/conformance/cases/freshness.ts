import { again, atOnce, becomesStale, type Case, type Line, shaped } from '../case.ts'

const cc = (...values: readonly string[]): readonly Line[] => values.map((value): Line => ['Cache-Control', value])
const unchecked = (...values: readonly string[]): readonly Line[] =>
  values.map((value): Line => ['Cache-Control', value, false])
const now: Line = ['Date', 0]
const hour = 3600
const month = 30 * 24 * hour

/** `max-age` and `s-maxage`: how long, and which of them counts. */
const lifetimes: readonly Case[] = [
  again('freshness-max-age', 'best', '5.2.2.1', 'cached', cc('max-age=3600')),
  shaped('freshness-max-age-stale', 'must', '4.2', becomesStale(), { type: 'not_cached' }),
  again('freshness-max-age-0', 'must', '5.2.2.1', 'not_cached', cc('max-age=0')),
  again('freshness-max-age-max-minus-1', 'best', '1.2.2', 'cached', cc('max-age=2147483647')),
  again('freshness-max-age-max', 'best', '1.2.2', 'cached', cc('max-age=2147483648')),
  again('freshness-max-age-max-plus-1', 'best', '1.2.2', 'cached', cc('max-age=2147483649')),
  again('freshness-max-age-max-plus', 'best', '1.2.2', 'cached', cc('max-age=99999999999')),
  again('freshness-max-age-age', 'must', '4.2.3', 'not_cached', [now, ...cc('max-age=3600'), ['Age', '7200']]),
  again('freshness-max-age-expires', 'best', '5.3', 'cached', [...cc('max-age=3600'), ['Expires', -7200], now]),
  again('freshness-max-age-expires-invalid', 'best', '5.3', 'cached', [
    ...cc('max-age=3600'),
    ['Expires', '0', false],
    now,
  ]),
  again('freshness-max-age-0-expires', 'must', '5.3', 'not_cached', [['Expires', hour], ...cc('max-age=0'), now]),
  again('freshness-max-age-extension', 'best', '5.2.3', 'cached', cc('foobar, max-age=3600')),
  again('freshness-max-age-case-insenstive', 'best', '5.2', 'cached', cc('MaX-aGe=3600')),
  again('freshness-max-age-negative', 'must', '4.2.1', 'not_cached', cc('max-age=-3600')),
  again('freshness-s-maxage-shared', 'must', '5.2.2.10', 'cached', cc('s-maxage=3600')),
  again('freshness-max-age-s-maxage-shared-longer', 'must', '4.2.1', 'not_cached', cc('max-age=3600, s-maxage=1')),
  again(
    'freshness-max-age-s-maxage-shared-longer-reversed',
    'must',
    '4.2.1',
    'not_cached',
    cc('s-maxage=1, max-age=3600'),
  ),
  again(
    'freshness-max-age-s-maxage-shared-longer-multiple',
    'must',
    '4.2.1',
    'not_cached',
    cc('max-age=3600', 's-maxage=1'),
  ),
  again('freshness-max-age-s-maxage-shared-shorter', 'best', '4.2.1', 'cached', cc('max-age=1, s-maxage=3600')),
  again('freshness-max-age-s-maxage-shared-shorter-expires', 'best', '4.2.1', 'cached', [
    ['Expires', -10],
    ...cc('max-age=0, s-maxage=3600'),
  ]),
]

const parsing: readonly Case[] = [
  again(
    'freshness-max-age-ignore-quoted',
    'must',
    '5.2',
    'not_cached',
    unchecked('extension="max-age=3600", max-age=1'),
  ),
  again(
    'freshness-max-age-ignore-quoted-rev',
    'must',
    '5.2',
    'not_cached',
    unchecked('max-age=1, extension="max-age=3600"'),
  ),
  again('freshness-max-age-leading-zero', 'must', '1.2.2', 'cached', unchecked('max-age=003600')),
  again('freshness-max-age-single-quoted', 'must', '5.2', 'not_cached', unchecked("max-age='3600'")),
]

const aged = (id: string, type: 'cached' | 'not_cached', ...ages: readonly string[]): Case =>
  again(`age-parse-${id}`, 'must', '5.1', type, [
    now,
    ...cc('max-age=3600'),
    ...ages.map((age): Line => ['Age', age, false]),
  ])

const ages: readonly Case[] = [
  aged('nonnumeric', 'cached', 'abc'),
  aged('negative', 'cached', '-7200'),
  aged('float', 'cached', '7200.0'),
  aged('large-minus-one', 'not_cached', '2147483647'),
  aged('large', 'not_cached', '2147483648'),
  aged('larger', 'not_cached', '2147483649'),
  aged('suffix', 'not_cached', '7200, 0'),
  aged('prefix', 'cached', '0, 7200'),
  aged('suffix-twoline', 'not_cached', '7200', '0'),
  aged('prefix-twoline', 'cached', '0', '7200'),
  aged('dup-0', 'cached', '0, 0'),
  aged('dup-0-twoline', 'cached', '0', '0'),
  again('age-parse-dup-old', 'must', '5.1', 'cached', [
    now,
    ...cc('max-age=10000'),
    ['Age', '3600', false],
    ['Age', '3600', false],
  ]),
]

const expires: readonly Case[] = [
  again('freshness-expires-future', 'best', '5.3', 'cached', [['Expires', month], now]),
  again('freshness-expires-past', 'must', '4.2.1', 'not_cached', [['Expires', -month], now]),
  atOnce('freshness-expires-present', 'must', '4.2.1', 'not_cached', [['Expires', 0], now]),
  again('freshness-expires-old-date', 'must', '4.2.1', 'not_cached', [
    ['Expires', 300],
    ['Date', 400],
  ]),
  again('freshness-expires-invalid', 'must', '5.3', 'not_cached', [['Expires', '0', false], now]),
  atOnce('freshness-expires-invalid-date', 'best', '5.3', 'cached', [
    ['Date', 'foo', false],
    ['Expires', 10],
  ]),
  atOnce('freshness-expires-age-slow-date', 'must', '4.2.3', 'not_cached', [
    ['Date', -10],
    ['Expires', 10],
    ['Age', '25'],
  ]),
  atOnce('freshness-expires-age-fast-date', 'must', '4.2.3', 'not_cached', [
    ['Date', 10],
    ['Expires', 20],
    ['Age', '15'],
  ]),
]

const readable = (id: string, date: string): Case =>
  again(`freshness-expires-${id}`, 'best', '4.2', 'cached', [['Expires', date, false], now])
const unreadable = (id: string, ...dates: readonly string[]): Case =>
  again(`freshness-expires-${id}`, 'must', '5.3', 'not_cached', [
    ...dates.map((date): Line => ['Expires', date, false]),
    now,
  ])

const dates: readonly Case[] = [
  readable('32bit', 'Tue, 19 Jan 2038 14:14:08 GMT'),
  readable('far-future', 'Sun, 21 Nov 2286 04:46:39 GMT'),
  readable('rfc850', 'Thursday, 18-Aug-50 02:01:18 GMT'),
  readable('ansi-c', 'Thu Aug  8 02:01:18 2050'),
  readable('wrong-case-weekday', 'THU, 18 Aug 2050 02:01:18 GMT'),
  readable('wrong-case-month', 'Thu, 18 AUG 2050 02:01:18 GMT'),
  readable('wrong-case-tz', 'Thu, 18 Aug 2050 02:01:18 gMT'),
  unreadable('invalid-utc', 'Thu, 18 Aug 2050 02:01:18 UTC'),
  unreadable('invalid-aest', 'Thu, 18 Aug 2050 02:01:18 AEST'),
  unreadable('invalid-2-digit-year', 'Thu, 18 Aug 50 02:01:18 GMT'),
  unreadable('invalid-no-comma', 'Thu 18 Aug 2050 02:01:18 GMT'),
  unreadable('invalid-multiple-spaces', 'Thu, 18  Aug  2050 02:01:18 GMT'),
  unreadable('invalid-date-dashes', 'Thu, 18-Aug-2050 02:01:18 GMT'),
  unreadable('invalid-time-periods', 'Thu, 18 Aug 2050 02.01.18 GMT'),
  unreadable('invalid-1-digit-hour', 'Thu, 18 Aug 2050 2:01:18 GMT'),
  unreadable('invalid-multiple-lines', 'Thu, 18 Aug 2050 2:01:18 GMT', 'Thu, 18 Aug 2050 2:01:19 GMT'),
]

const guessed = (status: number, type: 'cached' | 'not_cached', extra: readonly Line[] = []): Case => {
  const text = status === 204 ? {} : { text: `status ${status}` }
  return shaped(
    `heuristic-${status}-${type}`,
    type === 'cached' ? 'best' : 'must',
    '4.2.2',
    { status, say: [['Last-Modified', -24 * hour], now, ...extra], ...text },
    { status, type, ...text },
  )
}

const heuristics: readonly Case[] = [
  ...[200, 203, 204, 404, 405, 410, 414, 501].map((status) => guessed(status, 'cached')),
  ...[201, 202, 403, 502, 503, 504, 599].map((status) => guessed(status, 'not_cached')),
  guessed(599, 'cached', cc('public')),
]

const cdn = (value: string): Line => ['CDN-Cache-Control', value, false]

/** RFC 9213. */
const targeted: readonly Case[] = [
  again('cdn-max-age', 'best', 'RFC 9213 2.1', 'cached', [cdn('max-age=3600')]),
  again('cdn-max-age-max', 'best', 'RFC 9213 2.1', 'cached', [cdn('max-age=2147483648')]),
  again('cdn-max-age-max-plus', 'best', 'RFC 9213 2.1', 'cached', [cdn('max-age=99999999999')]),
  again('cdn-max-age-age', 'must', 'RFC 9213 2.2', 'not_cached', [now, cdn('max-age=3600'), ['Age', '7200']]),
  again('cdn-max-age-0', 'must', 'RFC 9213 2.2', 'not_cached', [cdn('max-age=0')]),
  again('cdn-max-age-extension', 'best', 'RFC 9213 2.1', 'cached', [cdn('foobar, max-age=3600')]),
  again('cdn-max-age-expires', 'best', 'RFC 9213 2.2', 'cached', [cdn('max-age=3600'), ['Expires', -10000], now]),
  again('cdn-max-age-cc-max-age-invalid-expires', 'best', 'RFC 9213 2.2', 'cached', [
    cdn('max-age=3600'),
    ['Expires', '0', false],
    now,
  ]),
  again('cdn-max-age-0-expires', 'must', 'RFC 9213 2.2', 'not_cached', [cdn('max-age=0'), ['Expires', 10000], now]),
  again('cdn-max-age-short-cc-max-age', 'best', 'RFC 9213 2.2', 'cached', [...cc('max-age=1'), cdn('max-age=3600')]),
  again('cdn-max-age-long-cc-max-age', 'must', 'RFC 9213 2.2', 'not_cached', [...cc('max-age=3600'), cdn('max-age=1')]),
  ...(['private', 'no-cache'] as const).map((directive) =>
    atOnce(`cdn-${directive}`, 'must', 'RFC 9213 2.2', 'not_cached', [
      ['CDN-Cache-Control', directive],
      ...cc('max-age=10000'),
      ['Expires', 10000],
      now,
    ]),
  ),
  again('cdn-no-store-cc-fresh', 'must', 'RFC 9213 2.2', 'not_cached', [
    ...cc('max-age=10000'),
    cdn('no-store'),
    ['Expires', 10000],
    now,
  ]),
  again('cdn-fresh-cc-nostore', 'must', 'RFC 9213 2.2', 'cached', [...cc('no-store'), cdn('max-age=10000')]),
  again('cdn-cc-invalid-sh-type-unknown', 'must', 'RFC 9213 2.1', 'not_cached', [
    cdn('max-age=10000, &&&&&'),
    ...cc('no-store'),
  ]),
  again('cdn-cc-invalid-sh-type-wrong', 'must', 'RFC 9213 2.1', 'not_cached', [
    cdn('max-age="10000"'),
    ...cc('no-store'),
  ]),
]

export const freshnessCases: readonly Case[] = [
  ...lifetimes,
  ...parsing,
  ...ages,
  ...expires,
  ...dates,
  ...heuristics,
  ...targeted,
]
