import { describe, expect, test } from '@jest/globals'
import { by } from '@sluice/core'
import fc from 'fast-check'
import { cacheKey, selectQuery } from '../../packages/core/src/cache/policy/key.ts'
import { type CacheOptions, resolveCachePolicy } from '../../packages/core/src/cache/policy/options.ts'
import { joinParts } from '../../packages/core/src/exchange/client/by.ts'
import type { RequestView } from '../../packages/core/src/exchange/request-view.ts'

interface Asked {
  readonly method: 'GET' | 'POST' | 'QUERY'
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  readonly user: string | undefined
  readonly body: unknown
}

const view = (asked: Asked): RequestView => ({
  ...asked,
  localPort: 3000,
  clientIp: '127.0.0.1',
  route: undefined,
  header: (name) => (Object.hasOwn(asked.headers, name) ? asked.headers[name] : undefined),
  property: (name) => (name === 'user' ? asked.user : name === 'body' ? asked.body : undefined),
  keyedFields: [],
  native: {},
  ticket: undefined,
})

const keyOf = (asked: Asked, options: CacheOptions): string | undefined => {
  const made = cacheKey(view(asked), resolveCachePolicy(options))
  if (made instanceof Promise) throw new Error('asynchronous')
  return (made as { key: string | undefined }).key
}

/** Text of the characters that keys are put together with, where mistakes would be. */
const text = fc.string({
  unit: fc.constantFrom('a', 'b', '1', '2', ':', ';', '/', '?', '&', '=', '-', '\0', 'é'),
  maxLength: 8,
})
const query = fc.string({ unit: fc.constantFrom('a', 'b', '1', '&', '=', '%', '+', '['), maxLength: 8 })
const json = fc.jsonValue({ maxDepth: 2 })

const asked: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'QUERY'),
  scheme: fc.constantFrom('http', 'https'),
  authority: fc.constantFrom('a', 'b', 'a:1', 'a:80', 'b:3'),
  path: text.map((t) => `/${t}`),
  query,
  headers: fc.dictionary(fc.constantFrom('x-a', 'x-b', 'content-type'), text, { noNullPrototype: true }),
  user: fc.option(text, { nil: undefined }),
  body: json,
})

const options: CacheOptions = { ttl: '1m', varyBy: ['x-a', 'x-b', by.user], methods: ['GET', 'POST', 'QUERY'] }

/** All that the key has to tell apart, in a form that needs no care. */
const meaning = (a: Asked) =>
  JSON.stringify([
    a.method,
    a.scheme,
    a.authority.toLowerCase(),
    a.path,
    a.query,
    a.headers['x-a'] ?? null,
    a.headers['x-b'] ?? null,
    a.user === undefined || a.user === '' ? null : a.user,
    ...(a.method === 'GET' ? [] : [canonical(a.body), a.headers['content-type'] ?? null]),
  ])

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return ['array', ...value.map(canonical)]
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value
  return [
    'object',
    ...Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, canonical(v)]),
  ]
}

describe('keys are injective', () => {
  test('two requests have one key if and only if all that counts is the same', () => {
    fc.assert(
      fc.property(asked, asked, (a, b) => {
        expect(keyOf(a, options) === keyOf(b, options)).toBe(meaning(a) === meaning(b))
      }),
      { numRuns: 2_000 },
    )
  })

  test('and so where the two differ in one thing only', () => {
    const names = ['method', 'scheme', 'authority', 'path', 'query', 'headers', 'user', 'body'] as const
    fc.assert(
      fc.property(asked, asked, fc.constantFrom(...names), (a, other, name) => {
        const b = { ...a, [name]: other[name] }
        expect(keyOf(a, options) === keyOf(b, options)).toBe(meaning(a) === meaning(b))
      }),
      { numRuns: 2_000 },
    )
  })

  test('two policies that decide differently never share one', () => {
    const some: fc.Arbitrary<CacheOptions> = fc.record({
      name: fc.constantFrom('Sluice', 'B'),
      ttl: fc.constantFrom(undefined, '1m'),
      public: fc.boolean(),
      guard: fc.constantFrom(true, 'warn' as const, 'off' as const),
      query: fc.constantFrom(undefined, ['a'], ['a', 'b']),
    })
    fc.assert(
      fc.property(asked, some, some, (a, one, two) => {
        const get = { ...a, method: 'GET' as const, query: '' }
        const same = JSON.stringify(one) === JSON.stringify(two)
        if (!same) expect(keyOf(get, one)).not.toBe(keyOf(get, two))
        else expect(keyOf(get, one)).toBe(keyOf(get, two))
      }),
    )
  })

  test('parts are never glued', () => {
    const parts = fc.array(fc.option(text, { nil: undefined }), { maxLength: 5 })
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const same = a.length === b.length && a.every((part, i) => part === b[i])
        expect(joinParts(a) === joinParts(b)).toBe(same)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('an allow-list of the query', () => {
  const pair = fc.tuple(fc.constantFrom('a', 'b', 'c', 'utm', '__proto__'), fc.constantFrom('', '1', '2', '%20'))
  const pairs = fc.array(pair, { maxLength: 6 })
  const join = (list: readonly (readonly [string, string])[]) => list.map(([n, v]) => `${n}=${v}`).join('&')
  const names = ['a', 'b', '__proto__']

  test('keeps every value of what it names, duplicates in their order, and nothing else', () => {
    fc.assert(
      fc.property(pairs, (list) => {
        const kept = selectQuery(join(list), names)
        for (const name of names) {
          const wanted = list.filter(([n]) => n === name).map(([, v]) => v)
          const got = kept
            .split('&')
            .filter((p) => p.startsWith(`${name}=`))
            .map((p) => p.slice(name.length + 1))
          expect(got).toEqual(wanted)
        }
        expect(kept).not.toMatch(/utm|c=/)
      }),
    )
  })

  test('does not mind the order between names', () => {
    fc.assert(
      fc.property(fc.uniqueArray(pair, { selector: ([n]) => n, maxLength: 5 }), fc.nat(), (list, seed) => {
        const turned = [...list.slice(seed % (list.length || 1)), ...list.slice(0, seed % (list.length || 1))]
        expect(selectQuery(join(turned), names)).toBe(selectQuery(join(list), names))
      }),
    )
  })

  test('is idempotent, and takes any text', () => {
    fc.assert(
      fc.property(fc.oneof(query, fc.string()), (raw) => {
        const once = selectQuery(raw, names)
        expect(selectQuery(once, names)).toBe(once)
      }),
    )
  })

  test.each([
    ['%61=1', '%61=1'],
    ['a%5Bx%5D=1', 'a%5Bx%5D=1'],
    ['a[]=1&a[]=2', 'a[]=1&a[]=2'],
    ['a.x=1', 'a.x=1'],
    ['+a=1', '+a=1'],
    ['ab=1', ''],
    ['a', 'a'],
  ])('a name however it is written: %s', (raw, kept) => {
    expect(selectQuery(raw, ['a'])).toBe(kept)
  })
})
