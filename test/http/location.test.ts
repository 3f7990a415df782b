import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { leadsBack, locationValue } from '../../packages/core/src/http/location.ts'

describe('a reference in Location (RFC 9110 §10.2.2)', () => {
  test.each([
    ['/a b\u00e9\u65e5?q="<>\\', '/a%20b%C3%A9%E6%97%A5?q=%22%3C%3E%5C'],
    ['/%41%zz%', '/%41%25zz%25'],
    ['\ud800', '%EF%BF%BD'],
    ['\u{1f600}', '%F0%9F%98%80'],
    ['../up', '../up'],
    ['?q', '?q'],
    ['https://status.example/[::1]#a', 'https://status.example/[::1]#a'],
    ['/\\evil.example', '/%5Cevil.example'],
  ])('%j is %j', (reference, value) => {
    expect(locationValue(reference)).toBe(value)
  })

  test.each(['', '\r', '/a\nb', '/a\u0000', '\t', '\u007f'])('%j is none', (reference) => {
    expect(locationValue(reference)).toBeUndefined()
  })

  test('whatever it was, it is visible ASCII, and encoding it again changes nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl()), (reference) => {
        const value = locationValue(reference)
        if (value === undefined) return
        expect(value).toMatch(/^[\x21-\x7e]+$/)
        expect(locationValue(value)).toBe(value)
      }),
    )
  })
})

describe('whether a reference leads back', () => {
  const base = { authority: 'example.org:8080', path: '/a/b' }
  test.each<[string, boolean]>([
    ['/a/b', true],
    ['b', true],
    ['', true],
    ['?other', true],
    ['#there', true],
    ['../a/b', true],
    ['//example.org:8080/a/b', true],
    ['http://example.org:8080/a/b', true],
    ['https://EXAMPLE.org:8080/a/./b', true],
    ['/a/b/', false],
    ['/a', false],
    ['https://example.org/a/b', false],
    ['https://other.example/a/b', false],
    ['mailto:a@example.org', false],
    ['http://[', false],
  ])('%j: %p', (reference, back) => {
    // Nothing at all refers to nothing, and is no value of the field either.
    expect(reference === '' || leadsBack(base, reference)).toBe(back)
  })
})
