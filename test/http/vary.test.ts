import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { normaliseFieldValue, parseVary } from '../../packages/core/src/http/caching/vary.ts'

test.each<[section: string, value: string | undefined, fields: '*' | string[]]>([
  ['absent', undefined, []],
  ['empty', '', []],
  ['one', 'Accept', ['accept']],
  ['RFC 9110 §5.1 case does not matter', 'ACCEPT, accept', ['accept']],
  ['sorted, so that the order does not matter', 'b, a', ['a', 'b']],
  ['§12.5.5 *', '*', '*'],
  ['* with whitespace', ' * ', '*'],
  ['* first', '*, accept', '*'],
  ['* last', 'accept, *', '*'],
  ['Accept-Encoding never splits the entry', 'Accept-Encoding, Accept-Language', ['accept-language']],
  ['Accept-Encoding alone', 'accept-encoding', []],
  ['empty members', ', accept,, ', ['accept']],
  ['what is no field name could mean anything', 'accept language', '*'],
  ['a semicolon for a comma', 'accept; cookie', '*'],
  ['quotes', '"accept"', '*'],
])('Vary, %s: %s', (_section, value, fields) => {
  expect(parseVary(value)).toEqual(fields)
})

test.each<[name: string, a: string, b: string, same: boolean]>([
  ['order', 'en, de', 'de, en', true],
  ['case', 'en-GB, De', 'EN-gb, dE', true],
  ['whitespace', 'en,de', ' en ,   de', true],
  ['a weight of one', 'en, de;q=0.5', 'en;q=1.0, de;Q=0.500', true],
  ['weights', 'en, de;q=0.5', 'en, de;q=0.4', false],
  ['what is refused', 'en, de;q=0', 'en', false],
  ['the same twice', 'en, EN, de', 'de, en', true],
  ['the same with two weights says nothing', 'en;q=0.5, en;q=0.4', 'en;q=0.4, en;q=0.5', false],
  ['subtags', 'en-GB', 'en', false],
  ['a weight that is none', 'en;q=2, de', 'de, en;q=2', false],
  ['another parameter', 'en;x=1, de', 'de, en;x=1', false],
  ['what is no language', 'a b, de', 'de, a b', false],
  ['any', '*, de', 'de, *', true],
  ['empty members', 'en,,de', 'de, en', true],
  ['nothing', '', ',', false],
])('preferences (RFC 9110 §12.5.4), %s', (_name, a, b, same) => {
  for (const name of ['accept-language', 'accept-charset']) {
    expect(normaliseFieldValue(a, name) === normaliseFieldValue(b, name)).toBe(same)
  }
})

test.each<[name: string, a: string | undefined, b: string | undefined, same: boolean]>([
  ['RFC 9111 §4.1 absent differs from empty', undefined, '', false],
  ['absent differs from any value that looks like the mark', undefined, '-', false],
  ['whitespace around commas', 'a,b', 'a ,\t b', true],
  ['whitespace at the ends', ' a ', 'a', true],
  ['whitespace inside', 'a b', 'a  b', false],
  ['case', 'A', 'a', false],
  ['order', 'a, b', 'b, a', false],
  ['empty members', 'a,,b', 'a,b', false],
  ['whitespace inside of quotes is content', '"a, b"', '"a,b"', false],
  ['weights', 'a;q=1', 'a', false],
  ['no-break space is content', '\u00a0a', 'a', false],
])('normaliseFieldValue, %s', (_name, a, b, same) => {
  expect(normaliseFieldValue(a) === normaliseFieldValue(b)).toBe(same)
})

test('neither throws; names are tokens; normalising again changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      const fields = parseVary(value)
      if (fields !== '*') expect(parseVary(fields.join(', '))).toEqual(fields)
      for (const name of ['accept', 'accept-language']) {
        const once = normaliseFieldValue(value, name)
        expect(normaliseFieldValue(once.slice(1), name)).toBe(once)
      }
    }),
  )
})
