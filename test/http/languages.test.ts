import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { FieldValues } from '../../packages/core/src/cache/terms/field-values.ts'
import { preferredLanguage, readPreferences } from '../../packages/core/src/http/selection/languages.ts'

test.each<[name: string, header: string | undefined, available: string[], language: string | undefined]>([
  ['the greatest weight', 'fr;q=0.5, de', ['de', 'en', 'fr'], 'de'],
  ['case does not matter', 'FR;q=0.5, De', ['de'], 'de'],
  ['others that there are not may share the weight', 'en, de', ['de'], 'de'],
  ['of two that there are neither', 'en, de', ['de', 'en'], undefined],
  ['a greater weight for what there may be elsewhere', 'fr, de;q=0.9', ['de'], undefined],
  ['a dialect is another language', 'de-CH', ['de'], undefined],
  ['and the other way round', 'de', ['de-ch'], undefined],
  ['a dialect beside it', 'de, de-CH;q=0.5', ['de'], undefined],
  ['it beside a dialect', 'de-CH, de;q=0.5', ['de-ch'], undefined],
  ['a dialect of another', 'de, en-GB;q=0.5', ['de'], 'de'],
  ['anything', '*', ['de'], undefined],
  ['anything beside it', 'de, *;q=0.1', ['de'], undefined],
  ['what is refused', 'de;q=0', ['de'], undefined],
  ['two weights', 'de, de;q=0.5', ['de'], undefined],
  ['what cannot be read', 'de, en;q=x', ['de'], undefined],
  ['empty', '', ['de'], undefined],
  ['absent', undefined, ['de'], undefined],
  ['nothing to choose from', 'de', [], undefined],
])('preferredLanguage, %s', (_name, header, available, language) => {
  expect(preferredLanguage(readPreferences(header ?? ''), available)).toBe(language)
})

test('it never throws, and answers what there is', () => {
  const tags = fc.constantFrom('de', 'en', 'de-ch', '*', 'x y', '')
  const members = fc.array(fc.tuple(tags, fc.constantFrom('', ';q=0', ';q=1', ';q=0.5', ';q=2', ';x')))
  fc.assert(
    fc.property(members, fc.subarray(['de', 'en', 'de-ch']), (list, available) => {
      const language = preferredLanguage(readPreferences(list.map((pair) => pair.join('')).join(', ')), available)
      if (language !== undefined) expect(available).toContain(language)
    }),
  )
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
  const values = new FieldValues()
  for (const name of ['accept-language', 'accept-charset']) {
    // Twice: what is remembered is what was read.
    for (const _ of [1, 2]) expect(values.normalise(name, a) === values.normalise(name, b)).toBe(same)
  }
  // Of other fields nothing is known.
  const isSpace = a.replace(/[ \t]/g, '') === b.replace(/[ \t]/g, '')
  expect(values.normalise('accept', a) === values.normalise('accept', b)).toBe(isSpace)
})

test('reading again what was read changes nothing, and absent is a value', () => {
  const values = new FieldValues()
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      const once = values.normalise('accept-language', value)
      expect(values.normalise('accept-language', once.slice(1))).toBe(once)
      expect(values.normalise('accept-language', undefined)).not.toBe(once)
    }),
  )
})
