import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { preferredLanguage } from '../../packages/core/src/http/selection/languages.ts'

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
  expect(preferredLanguage(header, available)).toBe(language)
})

test('it never throws, and answers what there is', () => {
  const tags = fc.constantFrom('de', 'en', 'de-ch', '*', 'x y', '')
  const members = fc.array(fc.tuple(tags, fc.constantFrom('', ';q=0', ';q=1', ';q=0.5', ';q=2', ';x')))
  fc.assert(
    fc.property(members, fc.subarray(['de', 'en', 'de-ch']), (list, available) => {
      const language = preferredLanguage(list.map((pair) => pair.join('')).join(', '), available)
      if (language !== undefined) expect(available).toContain(language)
    }),
  )
})
