import querystring from 'node:querystring'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isAmbiguous, parseQuery, QueryParams, rawPairs } from '../../packages/core/src/exchange/reads/query-params.ts'
import type { RequestView } from '../../packages/core/src/exchange/request-view.ts'

const raw = fc.string({
  // Escapes and other characters together Node 20 itself does not read as the standard has it.
  unit: fc.constantFrom(
    'a',
    'q',
    '1',
    '&',
    '=',
    '%',
    '+',
    '[',
    ']',
    '.',
    '?',
    '#',
    'f',
    'F',
    '%e',
    '%C3%BC',
    '%ff',
    '%EF%BB%BF',
  ),
  maxLength: 20,
})

/** What the URL standard makes of it. A `?` in front would be taken for the mark. */
const standard = (query: string): [string, string][] => [...new URLSearchParams(`&${query}`)]

const paramsOf = (parsed: unknown, more: Partial<RequestView> = {}) =>
  QueryParams.of({ property: () => parsed, ...more } as unknown as RequestView)

describe('a raw query', () => {
  test('is read as the URL standard reads it, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(raw, fc.string()), (query) => {
        const parsed = parseQuery(query)
        const wanted: Record<string, unknown[]> = Object.create(null)
        for (const [name, value] of standard(query)) {
          wanted[name] ??= []
          wanted[name].push(value)
        }
        expect(Object.keys(parsed)).toEqual(Object.keys(wanted))
        for (const name of Object.keys(wanted)) expect([parsed[name]].flat()).toEqual(wanted[name])
        expect(rawPairs(query).map(({ name }) => name)).toEqual(standard(query).map(([name]) => name))
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['q=1', false],
    ['q[]=1&q.a=2&a[q]=3', false],
    ['', false],
    [Array(1000).fill('a').join('&'), false],
    [Array(1001).fill('a').join('&'), true],
    ['&'.repeat(1000), true],
    ['q=1#', true],
    ['[q]=1', true],
    ['%5Bq%5D=1', true],
    ['%5bq]=1', true],
    ['.q=1', true],
    ['%2Eq=1', true],
    ['__proto__[q]=1', true],
  ])('is %p ambiguous? %p', (query, expected) => {
    expect(isAmbiguous(query)).toBe(expected)
  })
})

describe('what a parser made', () => {
  const object = fc.dictionary(fc.constantFrom('q', 'p', 'q[a]', 'q.b', 'other'), fc.jsonValue({ maxDepth: 2 }), {
    noNullPrototype: true,
  })
  const seen = (parsed: object) =>
    JSON.stringify(
      Object.entries(parsed).filter(([name]) => name !== 'other'),
      (_, value) => (Object.is(value, -0) ? 0 : value),
    )

  test('has one text if and only if what is named is the same', () => {
    fc.assert(
      fc.property(object, object, (a, b) => {
        const [one, two] = [a, b].map((parsed) => (paramsOf(parsed) as QueryParams).text(['p', 'q']))
        // The order of the names that were asked for does not count.
        const sorted = (o: Record<string, unknown>) =>
          seen({
            p: 'p' in o ? [o.p] : 0,
            q: 'q' in o ? [o.q] : 0,
            ...Object.fromEntries(Object.entries(o).filter(([name]) => name !== 'p' && name !== 'q')),
          })
        expect(one === two).toBe(sorted(a) === sorted(b))
      }),
      { numRuns: 2_000 },
    )
  })

  test.each<[string, unknown, unknown]>([
    ['an object', { q: '1' }, '1'],
    ['an object of node:querystring', querystring.parse('q=1&q=2'), ['1', '2']],
    ['an object without a prototype', Object.assign(Object.create(null), { q: '1' }), '1'],
    ['URLSearchParams', new URLSearchParams('q=1&q=2'), ['1', '2']],
    ['a map', new Map([['q', 1]]), 1],
    ['nothing of that name', {}, undefined],
    ['a name of every object', JSON.parse('{"__proto__":1}'), undefined],
  ])('%s is read', (_, parsed, q) => {
    const params = paramsOf(parsed) as QueryParams
    expect(params.get('q')).toEqual(q)
    expect(typeof params.text(['q', '__proto__', 'constructor'])).toBe('string')
    for (const name of ['toString', 'constructor', 'hasOwnProperty']) expect(params.get(name)).toBeUndefined()
  })

  test.each<[string, unknown]>([
    ['an instance', new (class { q = 1 })()], // biome-ignore format: one row
    ['an object with a prototype that has members', Object.create({ q: '1' })],
    ['text', 'q=1'],
    ['a list', ['q']],
  ])('%s is not', (_, parsed) => {
    expect(paramsOf(parsed)).toBeUndefined()
  })

  test('a parser that throws is none that can be read, and one that is switched off none at all', () => {
    const view = {
      property: () => {
        throw new Error('no')
      },
    }
    expect(QueryParams.of(view as unknown as RequestView)).toBeUndefined()
    expect(paramsOf({}, { queryParsed: false })).toBe('raw')
    expect(paramsOf(undefined)).toBe('raw')
  })

  test('a value that cannot be compared has no text', () => {
    expect((paramsOf({ q: new Date() }) as QueryParams).text(['q'])).toBeUndefined()
    expect((paramsOf({ q: new Date() }) as QueryParams).text(['p'])).toBe('-;')
  })

  test.each([
    [{ q: '1' }, 'q=1'],
    [{ q: ['1', '2'] }, 'q=1&q=2'],
    [{ q: ['1'] }, 'q[]=1'],
    [{ q: { a: '1', b: ['2', '3'] } }, 'q[a]=1&q[b]=2&q[b]=3'],
    [{ q: 1, r: true, s: null, t: new Date() }, 'q=1&r=true'],
  ])('%j is written as a query again: %s', (parsed, query) => {
    const pairs = [...(paramsOf(parsed) as QueryParams).pairs()]
    expect(pairs.map((pair) => pair.join('=')).join('&')).toBe(query)
  })
})
