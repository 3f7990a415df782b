import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseQuery, QueryParams } from '../../packages/core/src/exchange/reads/query-params.ts'
import type { QueryWatch } from '../../packages/core/src/exchange/reads/query-watch.ts'
import type { RequestView } from '../../packages/core/src/exchange/request-view.ts'
import { keptParameters } from '../../packages/core/src/page/links.ts'

const paramsOf = (parsed: unknown) =>
  QueryParams.of({ property: () => parsed } as unknown as RequestView) as QueryParams
const watch = (...names: readonly string[]): QueryWatch => ({ covers: (name) => names.includes(name), read: () => {} })

test.each([
  [{ fields: 'id,name', country: 'MC' }, 'fields=id,name&country=MC'],
  [{ q: 'a b&c=d#e+f%g' }, 'q=a%20b%26c%3Dd%23e%2Bf%25g'],
  [{ q: '<é€😀">' }, 'q=%3C%C3%A9%E2%82%AC%F0%9F%98%80%22%3E'],
  [{ 'a=b&c': '1' }, 'a%3Db%26c=1'],
  [{ filter: { a: '1' } }, 'filter%5Ba%5D=1'],
])('of what the parser made, %j, links repeat %s', (parsed, kept) => {
  expect(keptParameters('', paramsOf(parsed), [], undefined, []).join('&')).toBe(kept)
})

test('and what is read of them again is the same', () => {
  const texts = fc.dictionary(fc.string({ minLength: 1, unit: 'binary' }), fc.string({ unit: 'binary' }), {
    noNullPrototype: true,
  })
  fc.assert(
    fc.property(texts, (parsed) => {
      expect({ ...parseQuery(keptParameters('', paramsOf(parsed), [], undefined, []).join('&')) }).toEqual(parsed)
    }),
  )
})

test('neither own parameters nor what a cache in front does not know', () => {
  const parsed = paramsOf({ page: '2', q: '1', utm: '3' })
  expect(keptParameters('page=2&q=1&utm=3', parsed, ['page'], undefined, [watch('q', 'page')])).toEqual(['q=1'])
  expect(keptParameters('page=2&q=1&utm=3', undefined, ['page'], undefined, [watch('q', 'page')])).toEqual(['q=1'])
  expect(keptParameters('page=2&q=1&utm=3', undefined, ['page'], ['utm'], [])).toEqual(['utm=3'])
})
