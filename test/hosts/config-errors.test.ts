import { describe, expect, test } from '@jest/globals'
import { isSluiceError } from '@sluice/core'
import * as express from '@sluice/express'
import * as koa from '@sluice/koa'
import * as node from '@sluice/node'

function messageOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (!isSluiceError(error)) throw error
    return `${error.code}: ${error.message}`
  }
  return 'nothing was thrown'
}

const bad: readonly (readonly [option: string, value: unknown, rule: RegExp, shown: RegExp])[] = [
  ['ttl', 'soon', /milliseconds or a duration such as '30s'/, /"soon"/],
  ['ttl', -1, /milliseconds or a duration/, /-1/],
  ['ttl', Number.NaN, /milliseconds or a duration/, /NaN/],
  ['ttl', null, /milliseconds or a duration/, /null/],
  ['ttl', '5 parsecs', /milliseconds or a duration/, /"5 parsecs"/],
  ['clientTtl', 'x', /milliseconds or a duration/, /"x"/],
  ['cdnTtl', {}, /milliseconds or a duration/, /an object/],
  ['staleWhileRevalidate', 'x', /milliseconds or a duration/, /"x"/],
  ['staleIfError', [], /milliseconds or a duration/, /an array of 0/],
  ['negativeTtl', true, /milliseconds or a duration/, /true/],
  ['jitter', 2, /a number from 0 to 1/, /2/],
  ['jitter', '10%', /a number from 0 to 1/, /"10%"/],
  ['earlyRefresh', -1, /a number of 0 or more/, /-1/],
  ['tags', 'cities', /array of non-empty strings, or a function/, /"cities"/],
  ['tags', [''], /array of non-empty strings/, /an array of 1/],
  ['query', 'page', /array of non-empty strings/, /"page"/],
  ['varyBy', 7, /a field name, a function such as by\.user/, /7/],
  ['varyBy', 'two words', /a field name/, /"two words"/],
  ['varyBy', ['a', 7], /a field name/, /an array of 2/],
  ['key', 'k', /a function/, /"k"/],
  ['public', 'yes', /true or false/, /"yes"/],
  ['unless', true, /a function/, /true/],
  ['storeIf', {}, /a function/, /an object/],
  ['methods', ['PUT'], /an array of 'GET', 'HEAD', 'QUERY' and 'POST'/, /an array of 1/],
  ['methods', [], /an array of 'GET'/, /an array of 0/],
  ['maxEntryBytes', 'lots', /bytes or a size such as '512kb'/, /"lots"/],
  ['maxEntryBytes', Number.POSITIVE_INFINITY, /bytes or a size/, /Infinity/],
  ['timeout', 'never', /milliseconds or a duration/, /"never"/],
  ['honourRequest', 1, /true or false/, /1/],
  ['heuristic', 'on', /true or false/, /"on"/],
  ['guard', 'strict', /true, false, 'warn', 'off' or \{ ignore/, /"strict"/],
  ['guard', { ignore: 'x' }, /\{ ignore: \[field names\] \}/, /an object/],
  ['guard', { ignored: [] }, /\{ ignore: \[field names\] \}/, /an object/],
  ['name', '', /a non-empty string of printable ASCII/, /""/],
  ['name', 'a\r\nb', /a non-empty string of printable ASCII/, /"a\\r\\nb"/],
  ['showKey', 'yes', /true or false/, /"yes"/],
  ['targets', ['a b'], /an array of field names/, /an array of 1/],
]

const instanceWide: readonly (readonly [option: string, value: unknown, rule: RegExp, shown: RegExp])[] = [
  ['maxBytes', 'lots', /bytes or a size/, /"lots"/],
  ['maxBytes', -1, /bytes or a size/, /-1/],
  ['maxVariants', 0, /a whole number above 0/, /0/],
  ['maxVariants', 1.5, /a whole number above 0/, /1\.5/],
]

describe('a wrong option is refused when the application starts: option, rule, value', () => {
  test.each(bad)('cache.%s: %j', (option, value, rule, shown) => {
    for (const act of [
      () => node.createSluice().cache({ ttl: '1m', [option]: value }),
      () => node.createSluice({ cache: { ttl: '1m', [option]: value } }),
    ]) {
      const message = messageOf(act)
      expect(message).toMatch(/^ERR_SLUICE_(OPTION|UNIT): /)
      expect(message).toContain(`\`cache.${option}\``)
      expect(message).toMatch(rule)
      expect(message).toMatch(new RegExp(`received ${shown.source}`))
    }
  })

  test.each(instanceWide)('cache.%s of an instance: %j', (option, value, rule, shown) => {
    const message = messageOf(() => node.createSluice({ cache: { [option]: value } }))
    expect(message).toContain(`\`cache.${option}\``)
    expect(message).toMatch(rule)
    expect(message).toMatch(new RegExp(`received ${shown.source}`))
  })

  test.each(['clientTtl', 'cdnTtl', 'negativeTtl'] as const)('%s without a ttl says nothing', (option) => {
    const message = messageOf(() => node.createSluice().cache({ [option]: '1m' }))
    expect(message).toMatch(new RegExp(`cache\\.${option}.*needs a \`ttl\` beside it`))
  })

  test('undefined is the same as absent', () => {
    const all = Object.fromEntries(bad.map(([option]) => [option, undefined]))
    expect(() => node.createSluice({ cache: all }).cache(all)).not.toThrow()
    expect(() => node.createSluice({ backend: undefined, cache: undefined, clock: undefined })).not.toThrow()
  })
})

describe('an unknown option is refused, with the nearest known one', () => {
  test.each([
    ['cache({ tll })', () => node.createSluice().cache({ tll: '1m' } as never), /no option `cache\.tll`.*`ttl`/],
    ['cache({ tag })', () => node.createSluice().cache({ tag: ['a'] } as never), /`cache\.tag`.*Did you mean `tags`/],
    ['cache({ varyby })', () => node.createSluice().cache({ varyby: 'a' } as never), /`cache\.varyby`.*`varyBy`/],
    ['cache({ honorRequest })', () => node.createSluice().cache({ honorRequest: true } as never), /`honourRequest`/],
    ['cache({ maxBytes })', () => node.createSluice().cache({ maxBytes: 1 } as never), /no option `cache\.maxBytes`/],
    [
      'createSluice({ cach })',
      () => node.createSluice({ cach: {} } as never),
      /no option `cach`.*Did you mean `cache`/,
    ],
    ['createSluice({ cache: { maxByte } })', () => node.createSluice({ cache: { maxByte: 1 } } as never), /`maxBytes`/],
    [
      'condition({ etags })',
      () => node.createSluice().condition({ etags: () => 'a' } as never),
      /`condition\.etags`.*`etag`/,
    ],
    ['memory({ snapshots })', () => node.memory({ snapshots: 'a' } as never), /`memory\.snapshots`.*`snapshot`/],
    [
      'cache({ xyzzy })',
      () => node.createSluice().cache({ xyzzy: 1 } as never),
      /no option `cache\.xyzzy`.*Known: `ttl`/,
    ],
  ] as const)('%s', (_, act, expected) => {
    expect(messageOf(act)).toMatch(expected)
  })
})

describe('what is no option at all', () => {
  const sluice = node.createSluice()
  test.each([
    ['createSluice(7)', () => node.createSluice(7 as never), /must be an object; received 7/],
    ['createSluice({ backend: {} })', () => node.createSluice({ backend: {} as never }), /`backend` must be a backend/],
    ["cache('1m', '2m')", () => sluice.cache('1m', '2m' as never), /must be given an object of options; received "2m"/],
    ["cache('1m', { ttl })", () => sluice.cache('1m', { ttl: '2m' } as never), /`cache\.ttl` must be given once/],
    ['cache({}, {})', () => (sluice.cache as (...a: unknown[]) => unknown)({}, {}), /takes one argument/],
    ["cache('1m', {}, 1)", () => (sluice.cache as (...a: unknown[]) => unknown)('1m', {}, 1), /takes two arguments/],
    ['cache([])', () => sluice.cache([] as never), /must be an object; received an array of 0/],
    ['cache(soon)', () => sluice.cache('soon'), /`cache\.ttl`.*received "soon"/],
    ['invalidate(7)', () => sluice.invalidate(7 as never), /must be given tags or functions.*received 7/],
    ["invalidate('')", () => sluice.invalidate(''), /must be given tags or functions/],
    ['condition({})', () => sluice.condition({}), /must have `etag` or `lastModified`/],
    [
      'condition({ etag: 7 })',
      () => sluice.condition({ etag: 7 as never }),
      /`condition\.etag` must be a function; received 7/,
    ],
    [
      'memory({ snapshot: 7 })',
      () => node.memory({ snapshot: 7 as never }),
      /`memory\.snapshot` must be a non-empty string/,
    ],
  ] as const)('%s', (_, act, expected) => {
    expect(messageOf(act)).toMatch(expected)
  })

  test.each([
    ['Express', express.createSluice],
    ['Koa', koa.createSluice],
  ] as const)('%s refuses the same', (_, createSluice) => {
    expect(messageOf(() => createSluice({ cach: {} } as never))).toMatch(/Did you mean `cache`/)
    expect(messageOf(() => createSluice().cache({ tll: 1 } as never))).toMatch(/`cache\.tll`/)
  })

  test('what the caller gave is not written to', () => {
    const options = Object.freeze({
      ttl: '1m',
      tags: Object.freeze(['a']),
      varyBy: Object.freeze(['b']),
      query: Object.freeze(['q']),
    })
    expect(() => node.createSluice(Object.freeze({ cache: options })).cache(options as never)).not.toThrow()
  })
})
