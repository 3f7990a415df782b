import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { unstoredFields } from '../../packages/core/src/http/caching/unstored-fields.ts'
import { displayName } from '../../packages/core/src/http/fields/field-case.ts'
import { Fields } from '../../packages/core/src/http/fields/fields.ts'
import { isSafeMethod } from '../../packages/core/src/http/methods.ts'

describe('unstoredFields (RFC 9111 §3.1)', () => {
  const dropped = (headers: Record<string, string | string[]>) => {
    const fields = Fields.from(headers)
    const unstored = unstoredFields(fields)
    return [...fields.names()].filter((name) => unstored.has(name))
  }

  test.each([
    ['connection', 'RFC 9110 §7.6.1'],
    ['keep-alive', 'RFC 9110 §7.6.1'],
    ['proxy-connection', 'RFC 9110 §7.6.1'],
    ['proxy-authenticate', 'RFC 9111 §3.1'],
    ['proxy-authentication-info', 'RFC 9111 §3.1'],
    ['proxy-authorization', 'RFC 9111 §3.1'],
    ['te', 'RFC 9110 §7.6.1'],
    ['trailer', 'RFC 9110 §6.6.2'],
    ['transfer-encoding', 'RFC 9112 §6.1'],
    ['upgrade', 'RFC 9110 §7.8'],
  ])('%s is hop-by-hop (%s)', (name) => {
    expect(dropped({ [name]: 'x', etag: '"a"' })).toEqual([name])
  })

  test.each([
    ['set-cookie', 'somebody’s'],
    ['ratelimit', 'each hit gets fresh ones'],
    ['ratelimit-policy', 'each hit gets fresh ones'],
    ['ratelimit-remaining', 'each hit gets fresh ones'],
    ['x-ratelimit-limit', 'each hit gets fresh ones'],
    ['x-rate-limit-reset', 'each hit gets fresh ones'],
    ['date', 'stamped'],
    ['age', 'computed for each hit'],
    ['content-length', 'computed for each form'],
    ['cache-status', 'of this answer'],
    ['warning', 'obsolete'],
  ])('%s is of one response (%s)', (name) => {
    expect(dropped({ [name]: 'x', etag: '"a"' })).toEqual([name])
  })

  test.each([
    ['cache-control'],
    ['link'],
    ['content-language'],
    ['content-type'],
    ['x-custom'],
    ['etag'],
    ['last-modified'],
    ['vary'],
    ['cache-groups'],
    ['retry-after'],
    ['x-ratelimiter'],
  ])('%s is stored (koa-cash loses some)', (name) => {
    expect(dropped({ [name]: 'x' })).toEqual([])
  })

  test('the fields Connection names, on any line and in any case', () => {
    expect(dropped({ connection: ['close, X-One', 'x-two'], 'x-one': '1', 'X-Two': '2', 'x-three': '3' })).toEqual([
      'connection',
      'x-one',
      'x-two',
    ])
  })

  test('nothing in Connection throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (connection) => void unstoredFields(Fields.from({ connection }))),
    )
  })
})

describe('isSafeMethod (RFC 9110 §9.2.1)', () => {
  test.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'REPORT', 'SEARCH'])('%s', (method) => {
    expect(isSafeMethod(method)).toBe(true)
  })

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'CONNECT', 'MKCOL', 'PURGE', 'get', 'Get', '', 'constructor', 'GET '])(
    'not %j: what is unknown may change anything (RFC 9111 §4.4)',
    (method) => {
      expect(isSafeMethod(method)).toBe(false)
    },
  )
})

test.each([
  ['content-type', 'Content-Type'],
  ['etag', 'ETag'],
  ['www-authenticate', 'WWW-Authenticate'],
  ['cdn-cache-control', 'CDN-Cache-Control'],
  ['sluice-cache-control', 'Sluice-Cache-Control'],
  ['ratelimit-policy', 'RateLimit-Policy'],
  ['x-xss-protection', 'X-XSS-Protection'],
  ['x-dns-prefetch-control', 'X-DNS-Prefetch-Control'],
  ['te', 'TE'],
  ['accept-ch', 'Accept-CH'],
  ['age', 'Age'],
  ['x--y', 'X--Y'],
  ['', ''],
])('displayName(%j)', (lower, name) => {
  expect(displayName(lower)).toBe(name)
})

test('displayName changes nothing but the case', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[!#$%&'*+.^_`|~0-9a-z-]*$/), (lower) => {
      expect(displayName(lower).toLowerCase()).toBe(lower)
    }),
  )
})
