import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseAge } from '../../packages/core/src/http/caching/age.ts'
import { parseCacheControl } from '../../packages/core/src/http/caching/cache-control.ts'

const capped = 2 ** 31

describe('seconds()', () => {
  test.each<[section: string, value: string | undefined, directive: string, seconds: number | undefined]>([
    ['RFC 9111 §5.2.2.1', 'max-age=60', 'max-age', 60],
    ['absent field', undefined, 'max-age', undefined],
    ['empty field', '', 'max-age', undefined],
    ['absent directive', 'public', 'max-age', undefined],
    ['§5.2 names are case-insensitive (http-cache-semantics reads 0)', 'Max-Age=60', 'max-age', 60],
    ['§5.2 names are case-insensitive, on the asking side too', 'max-age=60', 'MAX-AGE', 60],
    ['§5.2 argument as a quoted-string', 'max-age="60"', 'max-age', 60],
    ['§5.2 escapes in a quoted-string', 'max-age="\\6\\0"', 'max-age', 60],
    ['§1.2.2 leading zeros', 'max-age=0060', 'max-age', 60],
    ['§1.2.2 absurdly large values are capped', 'max-age=99999999999999999999', 'max-age', capped],
    ['§1.2.2 cap, exactly', 'max-age=2147483649', 'max-age', capped],
    ['§4.2.1 negative is stale', 'max-age=-1', 'max-age', 0],
    ['§4.2.1 fraction is stale', 'max-age=1.5', 'max-age', 0],
    ['§4.2.1 exponent is stale', 'max-age=1e3', 'max-age', 0],
    ['§4.2.1 hexadecimal is stale', 'max-age=0x10', 'max-age', 0],
    ['§4.2.1 a unit is stale', 'max-age=60s', 'max-age', 0],
    ['§4.2.1 text is stale', 'max-age=banana', 'max-age', 0],
    ['§4.2.1 single quotes are no quotes', "max-age='60'", 'max-age', 0],
    ['§4.2.1 no argument is stale', 'max-age', 'max-age', 0],
    ['§4.2.1 empty argument is stale', 'max-age=', 'max-age', 0],
    ['§4.2.1 unclosed quote is stale', 'max-age="60', 'max-age', 0],
    ['§4.2.1 whitespace before =', 'max-age =60', 'max-age', 0],
    ['§4.2.1 whitespace behind =', 'max-age= 60', 'max-age', 0],
    ['§4.2.1 other digits', 'max-age=٦٠', 'max-age', 0],
    ['§4.2.1 duplicates: the smallest', 'max-age=60, max-age=5', 'max-age', 5],
    ['§4.2.1 duplicates: the smallest, in either order', 'max-age=5, max-age=60', 'max-age', 5],
    ['§4.2.1 duplicates: an unreadable one', 'max-age=60, max-age=x', 'max-age', 0],
    ['names are whole', 'x-max-age=5, max-age-x=6', 'max-age', undefined],
    ['inside of a quoted-string is no directive', 'x="max-age=5, max-age=6"', 'max-age', undefined],
    ['behind an unclosed quote', 'x="oops, max-age=6', 'max-age', 6],
    ['semicolons: nothing is made fresh', 'public; max-age=60', 'max-age', 0],
    ['§5.2.1.2 max-stale without an argument', 'max-stale', 'max-stale', capped],
    ['§5.2.1.2 max-stale with one', 'max-stale=10', 'max-stale', 10],
    ['§5.2.1.3 min-fresh: the largest', 'min-fresh=10, min-fresh=20', 'min-fresh', 20],
    ['§4.2.1 s-maxage and max-age apart', 's-maxage=1, max-age=2', 's-maxage', 1],
  ])('%s: %s', (_section, value, directive, seconds) => {
    expect(parseCacheControl(value).seconds(directive)).toBe(seconds)
  })
})

describe('has()', () => {
  test.each<[section: string, value: string, directive: string, has: boolean]>([
    ['RFC 9111 §5.2.2.5', 'no-store', 'no-store', true],
    ['names are case-insensitive (http-cache-semantics stores it)', 'No-Store', 'no-store', true],
    ['with a meaningless argument', 'no-store=1', 'no-store', true],
    ['with an empty argument', 'no-store=', 'no-store', true],
    ['with whitespace before =', 'no-store =x', 'no-store', true],
    ['§5.2.2.7 qualified', 'private="x-user"', 'private', true],
    ['behind a semicolon', 'max-age=60; private', 'private', true],
    ['before a semicolon', 'private; max-age=60', 'private', true],
    ['behind an unclosed quote', 'max-age="60, no-store', 'no-store', true],
    ['on a second line', 'max-age=60, no-store', 'no-store', true],
    ['behind empty members', ', ,no-store', 'no-store', true],
    ['inside of quotes it is not one', 'x="a, no-store"', 'no-store', false],
    ['part of a name is not one', 'x-no-store', 'no-store', false],
    ['__proto__ is a name like any other', '__proto__', '__proto__', true],
    ['constructor is not there by itself', 'public', 'constructor', false],
  ])('%s: %s', (_section, value, directive, has) => {
    expect(parseCacheControl(value).has(directive)).toBe(has)
  })
})

describe('fieldNames() (RFC 9111 §5.2.2.4)', () => {
  test.each<[value: string, names: string[] | undefined]>([
    ['public', undefined],
    ['no-cache', undefined],
    ['no-cache="Set-Cookie"', ['set-cookie']],
    ['no-cache="a, B ,a"', ['a', 'b']],
    ['no-cache=a', ['a']],
    ['no-cache="a", no-cache="b"', ['a', 'b']],
    ['no-cache="a", no-cache', undefined],
    ['no-cache=""', undefined],
    ['no-cache="a b"', undefined],
    ['no-cache="a', undefined],
  ])('%s', (value, names) => {
    expect(parseCacheControl(value).fieldNames('no-cache')).toEqual(names)
  })
})

describe('Age (RFC 9111 §5.1)', () => {
  test.each<[string, string | undefined, number]>([
    ['absent', undefined, 0],
    ['seconds', '42', 42],
    ['first list member', '42, 60', 42],
    ['first list member, even if it is unusable', 'x, 60', 0],
    ['negative is ignored', '-5', 0],
    ['fractional is ignored', '1.5', 0],
    ['non-numeric is ignored', 'old', 0],
    ['empty', '', 0],
    ['§1.2.2 capped', '99999999999', capped],
  ])('%s', (_name, value, seconds) => {
    expect(parseAge(value)).toBe(seconds)
  })
})

test('never throws, and every number is between 0 and 2^31', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      for (const text of [value, `max-age=${value}`, `no-cache=${value}`, `max-age="${value}"`]) {
        const cc = parseCacheControl(text)
        const seconds = cc.seconds('max-age') ?? 0
        expect(seconds >= 0 && seconds <= capped).toBe(true)
        cc.fieldNames('no-cache')
        expect(parseAge(text)).toBeLessThanOrEqual(capped)
      }
    }),
  )
})
