import { again, atOnce, type Case, fresh, type Line, type Request, shaped, unknownValue } from '../case.ts'

const now: Line = ['Date', 0]
const cc = (value: string): Line => ['Cache-Control', value]

const foo: Line = ['Authorization', 'FOO']
const authorized = (id: string, value: string): Case =>
  again(`other-authorization-${id}`, 'best', '3.5', 'cached', [cc(value), now], { send: [foo], pause: true })

const authorization: readonly Case[] = [
  shaped('other-authorization', 'must', '3.5', fresh([], { send: [foo], wantSent: [['authorization', 'FOO']] }), {
    type: 'not_cached',
  }),
  authorized('public', 'max-age=3600, public'),
  authorized('must-revalidate', 'max-age=3600, must-revalidate'),
  authorized('smaxage', 's-maxage=3600'),
]

const tag: Line = ['ETag', '"abcd"']
const mustRevalidate = [cc('max-age=2, must-revalidate'), tag]

const directives: readonly Case[] = [
  atOnce('cc-resp-private-shared', 'must', '5.2.2.7', 'not_cached', [cc('private, max-age=3600')]),
  atOnce('cc-resp-no-store', 'must', '5.2.2.5', 'not_cached', [cc('no-store')]),
  atOnce('cc-resp-no-store-case-insensitive', 'must', '5.2', 'not_cached', [cc('No-StOrE')]),
  atOnce('cc-resp-no-store-fresh', 'must', '5.2.2.5', 'not_cached', [
    cc('max-age=10000, no-store'),
    ['Expires', 10000],
    now,
  ]),
  ...['no-store', 'no-store, max-age=0'].map((value) =>
    shaped(
      `cc-resp-no-store-old-${value === 'no-store' ? 'new' : 'max-age'}`,
      'must',
      '5.2.2.5',
      { say: [cc('max-age=10000'), ['Expires', 10000], now, ['A', '1']], pause: true },
      { say: [cc(value), now, ['A', '2']], pause: true },
      { type: 'cached', wantLines: [['a', '1']] },
    ),
  ),
  atOnce('cc-resp-no-cache', 'must', '5.2.2.4', 'not_cached', [cc('max-age=10000, no-cache'), ['Expires', 10000], now]),
  atOnce('cc-resp-no-cache-case-insensitive', 'must', '5.2', 'not_cached', [
    cc('max-age=10000, No-CaChE'),
    ['Expires', 10000],
    now,
  ]),
  atOnce('cc-resp-no-cache-revalidate', 'best', '5.2.2.4', 'etag_validated', [cc('no-cache'), tag]),
  atOnce('cc-resp-no-cache-revalidate-fresh', 'best', '5.2.2.4', 'etag_validated', [
    cc('max-age=10000, no-cache'),
    ['Expires', 10000],
    now,
    tag,
  ]),
  atOnce('cc-resp-must-revalidate-fresh', 'best', '5.2.2.2', 'cached', [cc('max-age=10000, must-revalidate'), tag]),
  shaped(
    'cc-resp-must-revalidate-stale',
    'must',
    '5.2.2.2',
    { say: mustRevalidate },
    { type: 'cached', say: mustRevalidate, pause: true },
    { type: 'etag_validated' },
  ),
]

const withStatus = (status: number): readonly Case[] => {
  const text = status === 204 ? {} : { text: `status ${status}` }
  const stale: readonly Line[] = [['Expires', -5000], ['Last-Modified', -100_000], now]
  return [
    shaped(`status-${status}-fresh`, 'best', '3', fresh([], { status, ...text }), { type: 'cached', status, ...text }),
    shaped(
      `status-${status}-stale`,
      'must',
      '4.2',
      { status, say: stale, pause: true, ...text },
      {
        type: 'not_cached',
        ...text,
      },
    ),
  ]
}

const statuses: readonly Case[] = [
  ...[200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599].flatMap(withStatus),
  shaped(
    'status-599-must-understand',
    'must',
    '5.2.2.3',
    { status: 599, say: [cc('max-age=3600, no-store, must-understand')] },
    { type: 'not_cached' },
  ),
  atOnce('status-200-must-understand', 'best', '5.2.2.3', 'cached', [cc('max-age=3600, no-store, must-understand')]),
]

interface Field {
  readonly name: string
  readonly value?: string
  readonly store?: false
  readonly anyText?: true
}

const fields: readonly Field[] = [
  ...['Test-Header', 'X-Test-Header', 'Content-Foo', 'X-Content-Foo'].map((name) => ({ name })),
  { name: 'Cache-Control', value: 'max-age=3600' },
  ...['Connection', 'Keep-Alive', 'Proxy-Authenticate', 'Proxy-Authentication-Info', 'Proxy-Authorization'].map(
    (name): Field => ({ name, store: false }),
  ),
  ...['Proxy-Connection', 'TE', 'Transfer-Encoding', 'Upgrade'].map((name): Field => ({ name, store: false })),
  { name: 'Content-Encoding' },
  { name: 'Content-Length', value: '10', anyText: true },
  { name: 'Content-Location', value: '/bar' },
  { name: 'Content-MD5', value: 'N7UdGUp1E+RbVvZSTy1R8g==' },
  { name: 'Content-Range' },
  { name: 'Content-Security-Policy', value: "default-src 'self' cdn.example.com" },
  { name: 'Content-Type', value: 'text/plain;charset=utf-8' },
  { name: 'Clear-Site-Data', value: 'cookies' },
  { name: 'ETag', value: '"ghijkl"' },
  { name: 'Expires', value: 'Mon, 11 Jan 2038 11:11:11 GMT' },
  { name: 'Public-Key-Pins' },
  { name: 'Set-Cookie', value: 'a=c' },
  { name: 'Set-Cookie2', value: 'a=c' },
  { name: 'X-Frame-Options', value: 'sameorigin' },
  { name: 'X-XSS-Protection', value: '1; mode=block' },
]

const stored: readonly Case[] = [
  shaped(
    'headers-omit-headers-listed-in-Connection',
    'must',
    '3.1',
    fresh([
      ['Connection', 'a, b', false],
      ['a', '1', false],
      ['b', '2', false],
      ['c', '3', false],
    ]),
    { type: 'cached', wantLines: [['c', '3']], wantMissing: ['a', 'b'] },
  ),
  ...fields.map(({ name, value = unknownValue(name), store, anyText }): Case => {
    const line: Line = store === false ? [name, value, false] : [name, value]
    const loose: Request = anyText ? { anyText } : {}
    return shaped(
      `headers-store-${name}`,
      'must',
      '3.1',
      { say: [now, line, ...(name === 'Cache-Control' ? [] : [cc('max-age=3600')])], pause: true, ...loose },
      {
        type: 'cached',
        ...(store === false ? { wantMissing: [`${name}=${value}`] } : { wantLines: [line] }),
        ...loose,
      },
    )
  }),
]

const hint = { link: '</styles.css>; rel=preload; as=style' }
const hints = { ...hint, 'x-my-header': 'test' }
const interimCase = (id: string, kind: 'must' | 'best', list: NonNullable<Request['interim']>, more: Request = {}) =>
  shaped(`interim-${id}`, kind, '3', fresh([], { interim: list, wantInterim: list, ...more }), {
    type: 'cached',
    wantInterim: [],
    ...more,
  })

const interim: readonly Case[] = [
  interimCase('102', 'best', [[102]]),
  interimCase('103', 'best', [[103, hints]]),
  interimCase('not-cached', 'must', [[103, hint]]),
  interimCase('no-header-reuse', 'best', [[103, hints]], { wantMissing: ['x-my-header'] }),
]

const month: Line = ['Expires', 30 * 24 * 3600]
const age = (than: number): Request => ({ type: 'cached', wantLines: [['Age', '>', than]] })

const other: readonly Case[] = [
  shaped('other-age-gen', 'must', '4', fresh(), age(2)),
  shaped('other-age-update-expires', 'must', '5.1', { say: [month, now, ['Age', '30']], pause: true }, age(32)),
  shaped('other-age-update-max-age', 'must', '5.1', fresh([['Age', '30']]), age(32)),
  shaped('other-date-update', 'must', 'RFC 9110 6.6.1', fresh(), { type: 'cached', wantLines: [now] }),
  shaped(
    'other-date-update-expires',
    'must',
    'RFC 9110 6.6.1',
    { say: [month, now], pause: true },
    { type: 'cached', wantLines: [now] },
  ),
  shaped('query-args-different', 'must', '2', fresh([], { query: 'test=A' }), { query: 'test=B', type: 'not_cached' }),
  shaped('query-args-same', 'best', '2', fresh([], { query: 'test=A' }), { query: 'test=A', type: 'cached' }),
  shaped('other-set-cookie', 'best', '7.3', fresh([['Set-Cookie', 'a=b']]), { type: 'cached' }),
  shaped('other-cookie', 'best', '3', fresh(), { send: [['Cookie', 'a=b']], type: 'cached' }),
  shaped(
    'method-POST',
    'best',
    'RFC 9110 9.3.3',
    {
      method: 'POST',
      body: '12345',
      send: [['Content-Type', 'text/plain']],
      say: [month, ['Content-Location', '{self}'], now],
      pause: true,
    },
    { type: 'cached' },
  ),
]

const part = {
  send: [['Range', 'bytes=-5']],
  status: 206,
  text: '01234',
} as const satisfies Request
const storedPart: Request = { ...part, say: [cc('max-age=3600'), ['Content-Range', 'bytes 4-9/10']] }
const range = (id: string, first: Request, bytes: string, wantText: string, more: Request = {}): Case =>
  shaped(`partial-${id}`, 'best', '3.3', first, {
    send: [['Range', `bytes=${bytes}`]],
    type: 'cached',
    wantStatus: 206,
    wantText,
    ...more,
  })
const whole = (text: string, say: readonly Line[] = []): Request => ({ say: [cc('max-age=3600'), ...say], text })

const partial: readonly Case[] = [
  range('store-partial-reuse-partial', { ...storedPart, wantSent: [['range', 'bytes=-5']] }, '-5', '01234'),
  range('store-complete-reuse-partial', whole('01234567890'), '0-1', '01'),
  range('store-complete-reuse-partial-no-last', whole('01234567890'), '1-', '1234567890'),
  range('store-complete-reuse-partial-suffix', whole('0123456789A'), '-1', 'A'),
  range('store-partial-reuse-partial-byterange', storedPart, '6-8', '234'),
  range('store-partial-reuse-partial-absent', storedPart, '6-', '234'),
  range('store-partial-reuse-partial-suffix', storedPart, '-1', '4'),
  shaped(
    'partial-store-partial-complete',
    'best',
    '3.4',
    { ...part, say: [cc('max-age=3600'), ['Content-Range', 'bytes 0-4/10']] },
    { wantSent: [['range', 'bytes=5-']] },
  ),
  ...(['use-headers', 'use-stored-headers'] as const).map((id): Case => {
    const more: Request = id === 'use-headers' ? { say: [['A', '2']] } : { wantLines: [['A', '1']] }
    return { ...range(id, whole('01234567890', [['A', '1']]), '0-1', '01', more), kind: 'required' }
  }),
]

export const storingCases: readonly Case[] = [
  ...authorization,
  ...directives,
  ...statuses,
  ...stored,
  ...interim,
  ...other,
  ...partial,
]
