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
      const once = normaliseFieldValue(value)
      expect(normaliseFieldValue(once.slice(1))).toBe(once)
    }),
  )
})
