import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isToken, splitList, splitTags, trimOws, unquote } from '../../packages/core/src/http/fields/lists.ts'

describe('splitList (RFC 9110 §5.6.1)', () => {
  test.each([
    ['', []],
    [' \t', []],
    [',,', []],
    ['a', ['a']],
    [' a ,\tb\t', ['a', 'b']],
    ['a,,b,', ['a', 'b']],
    ['no-cache="a, b", c', ['no-cache="a, b"', 'c']],
    ['"a\\", b", c', ['"a\\", b"', 'c']],
    ['x="oops, no-store', ['x="oops', 'no-store']],
    ['"a", x="oops, no-store', ['"a"', 'x="oops', 'no-store']],
    ['"', ['"']],
    ['\u00a0a\u00a0, b', ['\u00a0a\u00a0', 'b']],
  ])('%j', (value, members) => {
    expect(splitList(value)).toEqual(members)
  })

  test('a hundred thousand open quotes take linear time', () => {
    const members = splitList('"\\",'.repeat(100_000))
    expect(members.length).toBeGreaterThan(0)
  })

  test('entity tags know no escapes (RFC 9110 §8.8.3)', () => {
    expect(splitTags('"a\\", "b"')).toEqual(['"a\\"', '"b"'])
  })

  test('joining and splitting again changes nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const members = splitList(value)
        if (!value.includes('"')) expect(splitList(members.join(', '))).toEqual(members)
        for (const member of members) expect(trimOws(member)).toBe(member)
      }),
    )
  })
})

test.each([
  ['abc', 'abc'],
  ['"abc"', 'abc'],
  ['"a\\"b\\\\"', 'a"b\\'],
  ['"', undefined],
  ['"abc', undefined],
  ['"abc\\"', undefined],
  ['"a"b', undefined],
  ['""', ''],
])('unquote %j (RFC 9110 §5.6.4)', (text, value) => {
  expect(unquote(text)).toBe(value)
})

test.each([
  ['no-store', true],
  ["!#$%&'*+-.^_`|~09azAZ", true],
  ['', false],
  ['a b', false],
  ['a,b', false],
  ['é', false],
  ['a\n', false],
])('isToken %j (RFC 9110 §5.6.2)', (text, answer) => {
  expect(isToken(text)).toBe(answer)
})
