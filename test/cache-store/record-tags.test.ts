import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  implicitTags,
  recordTags,
  routeTags,
  serializeParams,
  urlTags,
  userTag,
} from '../../packages/core/src/cache/entry/record-tags.ts'
import { makeRecord, target, testClock } from './fixtures.ts'

const meets = (a: readonly string[], b: readonly string[]) => a.some((tag) => b.includes(tag))

describe('a route’s parameters', () => {
  const text = fc.string({ unit: 'binary', maxLength: 8 })
  const anyParams = fc.dictionary(text, text, { maxKeys: 6 })

  test('any selection of them finds the record', () => {
    fc.assert(
      fc.property(anyParams, fc.integer({ min: 0, max: 63 }), (params, mask) => {
        const tags = implicitTags({ ...target, params: serializeParams(params) })
        const chosen = Object.fromEntries(Object.entries(params).filter((_, i) => mask & (1 << i)))
        expect(meets(routeTags('/cities', chosen), tags)).toBe(true)
      }),
    )
  })

  test('another value of one of up to three does not', () => {
    fc.assert(
      fc.property(fc.uniqueArray(text, { minLength: 1, maxLength: 3 }), fc.nat(2), (names, at) => {
        const params = Object.fromEntries(names.map((name) => [name, 'v']))
        const other = { ...params, [names[at % names.length]!]: 'w' }
        const tags = implicitTags({ ...target, params: serializeParams(params) })
        expect(meets(routeTags('/cities', other), tags)).toBe(false)
      }),
    )
  })

  test('are put down the same in any order, and never glued together', () => {
    expect(serializeParams({ b: 1, a: 'x', c: undefined })).toBe(serializeParams({ a: 'x', b: '1' }))
    expect(serializeParams({ a: '1;1:b=1:2' })).not.toBe(serializeParams({ a: '1', b: '2' }))
    expect(serializeParams({})).toBeUndefined()
  })
})

describe('the namespaces', () => {
  test('no name of a user’s is a URL, a route or everything', () => {
    const own = implicitTags({ ...target, params: serializeParams({ id: 1 }) })
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...own)), (name) => {
        expect(own).not.toContain(userTag(name))
      }),
    )
  })

  test('a tag is short, however long the URL: whoever may POST to any path does not decide on our memory', () => {
    const long = 'x'.repeat(100_000)
    const record = makeRecord(testClock(), '', {
      tags: [long],
      target: {
        ...target,
        path: `/${long}`,
        query: long,
        authority: long,
        route: long,
        params: serializeParams({ long }),
      },
    })
    for (const tag of recordTags(record)) expect(tag.length).toBeLessThan(100)
  })

  test('malformed escapes in a URL do not throw', () => {
    expect(
      meets(urlTags({ path: '/%zz%', query: '%&%f' }), implicitTags({ ...target, path: '/%zz%', query: '%&%f' })),
    ).toBe(true)
  })
})
