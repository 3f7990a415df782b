import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseGroups } from '../../packages/core/src/http/caching/cache-groups.ts'
import { type CacheStatusParts, cacheStatus } from '../../packages/core/src/http/caching/cache-status.ts'
import { parseList } from '../../packages/core/src/http/structured/parse.ts'

describe('Cache-Status (RFC 9211)', () => {
  test.each<[line: string, parts: CacheStatusParts]>([
    ['Sluice; hit; ttl=42', { hit: true, ttl: 42 }],
    ['Sluice; hit; ttl=-3', { hit: true, ttl: -2.5 }],
    ['Sluice; fwd=uri-miss; stored', { fwd: 'uri-miss', stored: true }],
    ['Sluice; fwd=bypass; detail=authorization', { fwd: 'bypass', detail: 'authorization' }],
    ['Sluice; fwd=stale; fwd-status=304; ttl=5; stored', { fwd: 'stale', fwdStatus: 304, ttl: 5, stored: true }],
    ['Sluice; fwd=uri-miss; collapsed', { fwd: 'uri-miss', collapsed: true, stored: false }],
    ['Sluice; hit', { hit: true, fwd: 'stale', stored: true, collapsed: true }],
    ['Sluice; hit; ttl=999999999999999', { hit: true, ttl: Number.POSITIVE_INFINITY }],
    ['Sluice; hit', { hit: true, ttl: Number.NaN }],
    ['Sluice; hit; key="/a?b=\\"c\\""', { hit: true, key: '/a?b="c"' }],
    ['Sluice; hit; detail="two words"', { hit: true, detail: 'two words' }],
    ['Sluice', {}],
  ])('%s', (line, parts) => {
    expect(cacheStatus('Sluice', parts)).toBe(line)
  })

  test.each([
    ['Sluice', 'Sluice'],
    ['edge cache', '"edge cache"'],
    ['café', '"caf%C3%A9"'],
    ['1st', '"1st"'],
    ['', '""'],
    ['a\r\nx: y', '"a%0D%0Ax: y"'],
  ])('§2 the name %j', (name, written) => {
    expect(cacheStatus(name, {})).toBe(written)
  })

  test('whatever the names are, it is a structured list of one', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(text, text, text, fc.double(), fc.double(), (name, key, detail, ttl, fwdStatus) => {
        for (const hit of [true, false]) {
          expect(parseList(cacheStatus(name, { hit, fwd: 'miss', key, detail, ttl, fwdStatus }))).toHaveLength(1)
        }
      }),
    )
  })
})

describe('Cache-Groups (RFC 9875)', () => {
  test.each<[name: string, lines: string[], groups: string[]]>([
    ['absent', [], []],
    ['empty', [''], []],
    ['strings', ['"a", "b"'], ['a', 'b']],
    ['several lines', ['"a"', '"b", "a"'], ['a', 'b']],
    ['§2 parameters are ignored', ['"a";x=1'], ['a']],
    ['§2 groups are case-sensitive', ['"a", "A"'], ['a', 'A']],
    ['what is no string is ignored', ['"a", b, 1, ("c")'], ['a']],
    ['an empty name is one', ['""'], ['']],
    ['an unreadable line is ignored', ['"a', '"b"'], ['b']],
    ['an escaped quote', ['"a\\"b"'], ['a"b']],
  ])('%s', (_name, lines, groups) => {
    expect(parseGroups(lines)).toEqual(groups)
  })

  test('§2 at least 32 groups of 32 characters', () => {
    const groups = Array.from({ length: 64 }, (_, i) => `${i}`.padStart(64, 'x'))
    expect(parseGroups([groups.map((group) => `"${group}"`).join(', ')])).toEqual(groups)
  })

  test('no lines throw', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (lines) => {
        for (const group of parseGroups(lines)) expect(group).toMatch(/^[\x20-\x7e]*$/)
      }),
    )
  })
})
