import { becomesStale, type Case, fresh, type Kind, type Line, type Request, shaped, unknownValue } from '../case.ts'

const now: Line = ['Date', 0]
const cc = (value: string): Line => ['Cache-Control', value]
const strong = '"abcdef"'

/** A client that has it asks with these fields, and is told so without the origin. */
const answered = (
  id: string,
  kind: Kind,
  section: string,
  say: readonly Line[],
  send: readonly Line[],
  more: Request = {},
): Case => shaped(`conditional-${id}`, kind, section, fresh(say), { send, type: 'cached', wantStatus: 304, ...more })

const noneMatch = (value: string): readonly Line[] => [['If-None-Match', value]]
const since = (seconds: number): readonly Line[] => [['If-Modified-Since', seconds]]
const modified: readonly Line[] = [['Last-Modified', -3000]]
const etag = (value: string): readonly Line[] => [['ETag', value]]

const conditional: readonly Case[] = [
  answered('etag-strong-respond', 'best', '4.3.2', etag(strong), noneMatch(strong)),
  answered('304-etag', 'must', 'RFC 9110 15.4.5', etag(strong), noneMatch(strong), { wantLines: [['ETag', strong]] }),
  answered(
    'etag-precedence',
    'must',
    '4.3.2',
    [['Last-Modified', -5000], ...etag(strong)],
    [...noneMatch(strong), ...since(-1)],
  ),
  answered('etag-weak-respond', 'best', 'RFC 9110 13.1.2', etag(`W/${strong}`), noneMatch(`W/${strong}`)),
  ...['first', 'second', 'last'].map((place, at) => {
    const tags = ['"1234"', '"5678"']
    tags.splice(at, 0, strong)
    return answered(`etag-strong-respond-multiple-${place}`, 'best', '4.3.2', etag(strong), noneMatch(tags.join(', ')))
  }),
  shaped(
    'conditional-etag-vary-headers',
    'must',
    '4.3.1',
    { send: [['Abc', '123']], say: [['Expires', 1], ...etag(strong), now, ['Vary', 'Abc']], pause: true },
    { send: [['Abc', '123']], type: 'etag_validated', wantSent: [['abc', '123']] },
  ),
  ...[strong, `W/${strong}`].map((value) =>
    shaped(
      `conditional-etag-${value === strong ? 'strong-generate' : 'weak-generate-weak'}`,
      'best',
      '4.3.1',
      becomesStale(etag(value)),
      { type: 'etag_validated', wantSent: [['if-none-match', value]] },
    ),
  ),
  answered('lm-fresh', 'best', '4.3.2', modified, since(-3000)),
  answered('lm-fresh-earlier', 'best', '4.3.2', modified, since(-2000)),
  shaped('conditional-lm-stale', 'best', '4.3.2', becomesStale(modified), {
    send: since(-3000),
    type: 'lm_validated',
    wantStatus: 304,
  }),
  answered('lm-fresh-no-lm', 'best', '4.3.2', [], since(-3000)),
  answered('lm-fresh-rfc850', 'best', 'RFC 9110 5.6.7', modified, [['If-Modified-Since', '{rfc850 -3000}']]),
]

interface Updated {
  readonly name: string
  readonly first?: string
  readonly second?: string
  /** A 304 does not change it. */
  readonly kept?: true
}

const updated = ({ name, first, second, kept }: Updated): Case => {
  const before = first ?? `${unknownValue(name)}A`
  const after = second ?? `${unknownValue(name)}B`
  const says = (value: string, last: readonly Line[]): readonly Line[] => [
    now,
    kept ? [name, value, false] : [name, value],
    ...(name === 'Cache-Control' ? [] : [cc('max-age=2')]),
    ...last,
  ]
  const tag: readonly Line[] = [['ETag', `"${unknownValue(name)}"`]]
  const expected = kept ? before : after
  const wantLines: readonly Line[] = [[name, expected]]
  const loose: Request = kept ? { anyText: true } : {}
  return shaped(
    `304-etag-update-response-${name}`,
    'must',
    '4.3.4',
    { say: says(before, tag), pause: true, ...loose },
    { say: says(after, tag), type: 'etag_validated', wantLines, ...loose },
    { say: says(expected, []), type: 'cached', wantLines, ...loose },
  )
}

const longAgo: Line = ['Last-Modified', 'Wed, 01 Jan 2020 00:00:00 GMT']
const value = unknownValue('Test-Header')

const updates: readonly Case[] = [
  shaped(
    '304-lm-use-stored-Test-Header',
    'must',
    '4.3.4',
    { say: [cc('max-age=2'), longAgo, now, ['Test-Header', value]], pause: true },
    { say: [longAgo, now], type: 'lm_validated', wantLines: [['Test-Header', value]] },
  ),
  ...['Test-Header', 'X-Test-Header', 'Content-Foo', 'X-Content-Foo'].map((name) => updated({ name })),
  updated({ name: 'Cache-Control', first: 'max-age=1', second: 'max-age=3600' }),
  updated({ name: 'Content-Length', first: '36', second: '10', kept: true }),
]

const refused = (directive: string): Case =>
  shaped(
    `stale-close-${directive}`,
    'must',
    '4.2.4',
    { say: [cc(`max-age=2, ${directive}`)], pause: true },
    { gone: true, wantStatus: null, anyText: true, wantMissing: ['server-request-count'] },
  )

const stale: readonly Case[] = [
  shaped(
    'stale-while-revalidate',
    'best',
    'RFC 5861 3',
    { say: [cc('max-age=1, stale-while-revalidate=3600'), ['ETag', '"abc"']], pause: true },
    { type: 'cached' },
  ),
  shaped(
    'stale-while-revalidate-window',
    'must',
    'RFC 5861 3',
    { say: [cc('max-age=1, stale-while-revalidate=4'), ['ETag', '"abc"']], pause: true },
    {
      say: [
        ['Cache-Control', 'no-cache', false],
        ['ETag', '"def"', false],
      ],
      type: 'cached',
      pause: true,
    },
    { wantLines: [['client-request-count', '3']] },
  ),
  ...['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=2'].map(refused),
]

export const validationCases: readonly Case[] = [...conditional, ...updates, ...stale]
