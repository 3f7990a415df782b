import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  type ConditionalOutcome,
  evaluateConditional,
  evaluatePreconditions,
  isField304,
} from '../../packages/core/src/http/selection/conditional.ts'
import {
  codedTag,
  isEntityTag,
  parseEntityTags,
  strongMatch,
  strongTag,
  weakMatch,
} from '../../packages/core/src/http/selection/etag.ts'

const modified = 'Sun, 06 Nov 1994 08:49:37 GMT'
const earlier = 'Sun, 06 Nov 1994 08:49:36 GMT'
const later = 'Sun, 06 Nov 1994 08:49:38 GMT'
const dateMs = Date.UTC(1994, 10, 6, 9)
const selected = { etags: ['"abc"', '"abc;br"'], lastModified: modified, dateMs }

type Row = [section: string, method: string, header: Record<string, string>, outcome: ConditionalOutcome]

/** What a cache and an origin server answer alike. */
const both: Row[] = [
  ['nothing is asked', 'GET', {}, 'send'],
  ['RFC 9110 §13.1.2 the same tag', 'GET', { 'if-none-match': '"abc"' }, 'not-modified'],
  ['§13.1.2 HEAD', 'HEAD', { 'if-none-match': '"abc"' }, 'not-modified'],
  ['RFC 10008 QUERY', 'QUERY', { 'if-none-match': '"abc"' }, 'not-modified'],
  ['§13.1.2 another tag', 'GET', { 'if-none-match': '"xyz"' }, 'send'],
  ['§13.1.2 weak comparison', 'GET', { 'if-none-match': 'W/"abc"' }, 'not-modified'],
  ['§13.1.2 a list', 'GET', { 'if-none-match': '"x", W/"y" ,"abc"' }, 'not-modified'],
  ['§13.1.2 *', 'GET', { 'if-none-match': '*' }, 'not-modified'],
  ['§13.1.2 * with whitespace', 'GET', { 'if-none-match': ' * ' }, 'not-modified'],
  ['§8.8.3.3 the tag of another coding', 'GET', { 'if-none-match': '"abc;br"' }, 'not-modified'],
  ['tags are case-sensitive', 'GET', { 'if-none-match': '"ABC"' }, 'send'],
  ['a comma inside of a tag', 'GET', { 'if-none-match': '"x,"abc"' }, 'send'],
  ['without quotes it is no tag', 'GET', { 'if-none-match': 'abc' }, 'send'],
  ['§13.1.3 If-None-Match takes precedence', 'GET', { 'if-none-match': '"x"', 'if-modified-since': later }, 'send'],
  ['§13.1.3 an empty If-None-Match too', 'GET', { 'if-none-match': '', 'if-modified-since': later }, 'send'],
  ['§13.1.3 the same date', 'GET', { 'if-modified-since': modified }, 'not-modified'],
  ['§13.1.3 a later date', 'GET', { 'if-modified-since': later }, 'not-modified'],
  ['§13.1.3 an earlier date', 'GET', { 'if-modified-since': earlier }, 'send'],
  ['§13.1.3 no date', 'GET', { 'if-modified-since': 'yesterday' }, 'send'],
  ['§13.1.3 ISO 8601 is no date', 'GET', { 'if-modified-since': '2099-01-01T00:00:00Z' }, 'send'],
  ['§13.1.3 several dates', 'GET', { 'if-modified-since': `${later}, ${later}` }, 'send'],
  ['§5.6.7 the rfc850 form', 'GET', { 'if-modified-since': 'Sunday, 06-Nov-94 08:49:37 GMT' }, 'not-modified'],
  ['§13.1.3 only GET and HEAD', 'POST', { 'if-modified-since': later }, 'send'],
]

describe('evaluateConditional: a cache (RFC 9111 §4.3.2)', () => {
  test.each<Row>([
    ...both,
    ['§4.3.2 If-Match is not for caches', 'GET', { 'if-match': '"x"' }, 'send'],
    ['§4.3.2 nor If-Unmodified-Since', 'GET', { 'if-unmodified-since': earlier }, 'send'],
    ['other methods are not answered from here', 'POST', { 'if-none-match': '"abc"' }, 'send'],
  ])('%s', (_section, method, header, outcome) => {
    expect(evaluateConditional(method, (name) => header[name], selected)).toBe(outcome)
  })

  test.each([
    [new Date(dateMs).toUTCString(), 'not-modified'],
    [new Date(dateMs - 1000).toUTCString(), 'send'],
  ])('§4.3.2 without Last-Modified the Date stands in: %s', (since, outcome) => {
    const header = (name: string) => (name === 'if-modified-since' ? since : undefined)
    expect(evaluateConditional('GET', header, { etags: [], lastModified: undefined, dateMs: dateMs + 999 })).toBe(
      outcome,
    )
  })

  test('the ETag of /a does not make /b a 304 (@fastify/caching)', () => {
    const header = (name: string) => (name === 'if-none-match' ? '"etag-of-a"' : undefined)
    expect(evaluateConditional('GET', header, { etags: ['"etag-of-b"'], lastModified: undefined, dateMs })).toBe('send')
    expect(evaluateConditional('GET', header, { etags: [], lastModified: undefined, dateMs })).toBe('send')
  })
})

describe('evaluatePreconditions: an origin server (RFC 9110 §13.2.2)', () => {
  test.each<Row>([
    ...both,
    ['§13.1.1 If-Match holds', 'PUT', { 'if-match': '"abc"' }, 'send'],
    ['§13.1.1 If-Match fails', 'PUT', { 'if-match': '"x"' }, 'failed'],
    ['§13.1.1 also for GET', 'GET', { 'if-match': '"x"' }, 'failed'],
    ['§13.1.1 strong comparison', 'PUT', { 'if-match': 'W/"abc"' }, 'failed'],
    ['§13.1.1 *', 'PUT', { 'if-match': '*' }, 'send'],
    ['§13.1.1 unreadable', 'PUT', { 'if-match': 'abc' }, 'failed'],
    ['§13.1.4 unmodified', 'PUT', { 'if-unmodified-since': modified }, 'send'],
    ['§13.1.4 modified', 'PUT', { 'if-unmodified-since': earlier }, 'failed'],
    ['§13.1.4 no date', 'PUT', { 'if-unmodified-since': 'x' }, 'send'],
    ['§13.1.4 If-Match takes precedence', 'PUT', { 'if-match': '"abc"', 'if-unmodified-since': earlier }, 'send'],
    ['§13.1.2 unsafe: 412', 'PUT', { 'if-none-match': '"abc"' }, 'failed'],
    ['§13.1.2 unsafe, *: 412', 'PUT', { 'if-none-match': '*' }, 'failed'],
    ['§13.1.2 unsafe, another tag', 'PUT', { 'if-none-match': '"x"' }, 'send'],
    [
      '§13.2.2 If-Match holds, then If-None-Match',
      'GET',
      { 'if-match': '"abc"', 'if-none-match': '"abc"' },
      'not-modified',
    ],
    ['§13.2.2 If-Match fails first', 'GET', { 'if-match': '"x"', 'if-none-match': '"abc"' }, 'failed'],
  ])('%s', (_section, method, header, outcome) => {
    expect(evaluatePreconditions(method, (name) => header[name], selected)).toBe(outcome)
  })

  test.each<Row>([
    ['If-Match: *', 'PUT', { 'if-match': '*' }, 'failed'],
    ['If-Match with a tag', 'PUT', { 'if-match': '"abc"' }, 'failed'],
    ['If-None-Match: * (create, but do not overwrite)', 'PUT', { 'if-none-match': '*' }, 'send'],
    ['If-Unmodified-Since', 'PUT', { 'if-unmodified-since': earlier }, 'send'],
    ['If-Modified-Since', 'GET', { 'if-modified-since': later }, 'send'],
  ])('nothing is there yet: %s', (_section, method, header, outcome) => {
    expect(evaluatePreconditions(method, (name) => header[name], undefined)).toBe(outcome)
  })

  test.each(['if-modified-since', 'if-unmodified-since'])('%s is ignored without a Last-Modified', (name) => {
    const header = (asked: string) => (asked === name ? earlier : undefined)
    expect(evaluatePreconditions('GET', header, { etags: [], lastModified: undefined, dateMs })).toBe('send')
  })
})

test('a 304 carries what RFC 9110 §15.4.5 names, and Age', () => {
  for (const name of ['content-location', 'date', 'etag', 'vary', 'cache-control', 'expires', 'age']) {
    expect(isField304(name)).toBe(true)
  }
  for (const name of ['content-length', 'content-type', 'content-encoding', 'set-cookie', 'last-modified']) {
    expect(isField304(name)).toBe(false)
  }
})

describe('entity tags (RFC 9110 §8.8.3)', () => {
  test.each<[value: string | undefined, tags: '*' | string[]]>([
    [undefined, []],
    ['', []],
    ['*', '*'],
    ['"a"', ['"a"']],
    ['""', ['""']],
    ['W/"a"', ['W/"a"']],
    ['w/"a"', ['W/"a"']],
    ['"a","b" , W/"c",', ['"a"', '"b"', 'W/"c"']],
    ['"a,b"', ['"a,b"']],
    ['"a\\", "b"', ['"a\\"', '"b"']],
    ['"a b"', ['"a b"']],
    ['a, "b"', ['"b"']],
    ['"a", *', ['"a"']],
    ['W/ "a"', []],
    ['"a', []],
    ['"é"', ['"é"']],
  ])('parseEntityTags(%j)', (value, tags) => {
    expect(parseEntityTags(value)).toEqual(tags)
  })

  test.each<[text: string, is: boolean]>([
    ['"a"', true],
    ['W/"a"', true],
    ['""', true],
    ['"é!~#"', true],
    ['w/"a"', false],
    ['a', false],
    ['"a b"', false],
    ['"a"b"', false],
    ['"a', false],
    ['"a"\n', false],
    ['*', false],
  ])('isEntityTag(%j) is %p', (text, is) => {
    expect(isEntityTag(text)).toBe(is)
  })

  test.each<[a: string, b: string, strong: boolean, weak: boolean]>([
    ['W/"1"', 'W/"1"', false, true],
    ['W/"1"', 'W/"2"', false, false],
    ['W/"1"', '"1"', false, true],
    ['"1"', '"1"', true, true],
  ])('§8.8.3.2 %s and %s: strong %p, weak %p', (a, b, strong, weak) => {
    expect([strongMatch(a, b), strongMatch(b, a)]).toEqual([strong, strong])
    expect([weakMatch(a, b), weakMatch(b, a)]).toEqual([weak, weak])
  })

  test('strongTag: at least 128 bits, by content only', () => {
    const tag = strongTag(new TextEncoder().encode('abc'))
    expect(isEntityTag(tag) && !tag.startsWith('W/')).toBe(true)
    expect((tag.length - 2) * 6).toBeGreaterThanOrEqual(128)
    expect(strongTag(Buffer.from('abc'))).toBe(tag)
    expect(strongTag(Buffer.from('abd'))).not.toBe(tag)
    expect(isEntityTag(strongTag(new Uint8Array()))).toBe(true)
  })

  test.each([
    ['"abc"', 'br', '"abc;br"'],
    ['"abc"', 'GZIP', '"abc;gzip"'],
    ['"abc"', 'identity', '"abc"'],
    ['"abc"', '', '"abc"'],
    ['W/"abc"', 'br', 'W/"abc"'],
    ['abc', 'br', 'abc'],
  ])('codedTag(%j, %j)', (tag, coding, coded) => {
    expect(codedTag(tag, coding)).toBe(coded)
  })

  test('no value of the four fields throws', () => {
    const value = fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('*', '"abc"', modified)), {
      nil: undefined,
    })
    fc.assert(
      fc.property(fc.string(), fc.tuple(value, value, value, value), (method, [a, b, c, d]) => {
        const headers: Record<string, string | undefined> = {
          'if-match': a,
          'if-none-match': b,
          'if-modified-since': c,
          'if-unmodified-since': d,
        }
        expect(['send', 'not-modified']).toContain(evaluateConditional(method, (name) => headers[name], selected))
        expect(['send', 'not-modified', 'failed']).toContain(
          evaluatePreconditions(method, (name) => headers[name], selected),
        )
        for (const tag of parseEntityTags(b)) if (tag !== '*') expect(parseEntityTags(tag)).toEqual([tag])
      }),
    )
  })
})
