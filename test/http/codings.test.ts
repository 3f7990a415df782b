import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { bestCoding, canonicalName } from '../../packages/core/src/http/selection/codings.ts'

const all = ['br', 'gzip', 'identity']

describe('bestCoding (RFC 9110 §12.5.3), of br, gzip, identity', () => {
  test.each<[name: string, header: string | undefined, coding: string | undefined]>([
    ['absent', undefined, 'identity'],
    ['empty', '', 'identity'],
    ['all that browsers have', 'gzip, deflate, br, zstd', 'br'],
    ['one', 'gzip', 'gzip'],
    ['none of ours', 'deflate', 'identity'],
    ['§12.4.2 weights', 'br;q=0.5, gzip;q=0.8', 'gzip'],
    ['equal weights: ours', 'gzip;q=0.5, br;q=0.5', 'br'],
    ['weight 0', 'br;q=0, gzip', 'gzip'],
    ['weight 0.000', 'br;q=0.000, gzip', 'gzip'],
    ['all at 0', 'br;q=0, gzip;q=0', 'identity'],
    ['the least weight', 'gzip;q=0.001', 'gzip'],
    ['identity preferred', 'gzip;q=0.5, identity', 'identity'],
    ['identity;q=0', 'gzip, identity;q=0', 'gzip'],
    ['identity;q=0 and none of ours', 'identity;q=0', undefined],
    ['*', '*', 'br'],
    ['*;q=0', '*;q=0', undefined],
    ['*;q=0 with a coding', 'gzip, *;q=0', 'gzip'],
    ['*;q=0 with identity', 'identity, *;q=0', 'identity'],
    ['* but not br', 'br;q=0, *', 'gzip'],
    ['mixed case', 'GZip', 'gzip'],
    ['§8.4.1.3 x-gzip', 'x-gzip', 'gzip'],
    ['X-GZIP with a weight', 'br;q=0.1, X-GZIP;q=0.2', 'gzip'],
    ['Q in upper case', 'br;Q=0, gzip', 'gzip'],
    ['spaces', ' gzip ; q = 0.5 , br ;q=0.9', 'br'],
    ['a weight that cannot be read: left out', 'br;q=x, gzip', 'gzip'],
    ['a weight above 1: left out', 'br;q=2, gzip', 'gzip'],
    ['a negative weight: left out', 'br;q=-1, gzip', 'gzip'],
    ['identity with a weight that cannot be read', 'identity;q=x', 'identity'],
    ['named twice: the lower', 'br, br;q=0, gzip', 'gzip'],
    ['named twice: the lower, in either order', 'br;q=0, br, gzip', 'gzip'],
    ['nonsense', '???, ;;;', 'identity'],
    ['quotes', '"br", gzip', 'gzip'],
    ['__proto__', '__proto__, gzip;q=0.5', 'gzip'],
  ])('%s: %s', (_name, header, coding) => {
    expect(bestCoding(header, all)).toBe(coding)
  })

  test('identity comes after what the client named, wherever it stands among ours', () => {
    expect(bestCoding('gzip', ['identity', 'gzip'])).toBe('gzip')
    expect(bestCoding('gzip;q=0.001', ['identity', 'gzip'])).toBe('gzip')
  })

  test('nothing to send is nothing acceptable', () => {
    for (const header of [undefined, '', 'gzip', '*;q=1']) expect(bestCoding(header, [])).toBeUndefined()
  })

  test('the short way gives what the general way gives', () => {
    const name = fc.constantFrom('br', 'gzip', 'deflate', 'identity', 'zstd')
    fc.assert(
      fc.property(fc.array(name, { minLength: 1 }), fc.uniqueArray(name), (named, available) => {
        const short = bestCoding(named.join(', '), available)
        expect(bestCoding(named.map((coding) => `${coding};q=1`).join(', '), available)).toBe(short)
      }),
    )
  })

  test('no value throws, and the answer is one of ours', () => {
    const part = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('gzip', ';q=', ',', '0.5', '*', 'br', '"'))
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const best = bestCoding(parts.join(''), all)
        expect(best === undefined || all.includes(best)).toBe(true)
      }),
    )
  })
})

test.each<[header: string | undefined, coding: string, accepts: boolean]>([
  [undefined, 'gzip', false],
  [undefined, 'identity', true],
  ['gzip', 'gzip', true],
  ['gzip', 'x-gzip', true],
  ['gzip', 'GZIP', true],
  ['gzip', 'br', false],
  ['gzip', 'identity', true],
  ['*', 'zstd', true],
  ['identity;q=0', 'identity', false],
])('%j accepts %j: %p', (header, coding, accepts) => {
  expect(bestCoding(header, [canonicalName(coding)]) !== undefined).toBe(accepts)
})

test.each([
  ['GZip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['X-Compress', 'compress'],
  ['x-br', 'x-br'],
])('canonicalName(%j) (RFC 9110 §8.4.1)', (name, canonical) => {
  expect(canonicalName(name)).toBe(canonical)
})
