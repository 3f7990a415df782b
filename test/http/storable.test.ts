import { describe, expect, test } from '@jest/globals'
import { freshness } from '../../packages/core/src/http/caching/freshness.ts'
import { defaultTtlStatuses, notStorable, type StorableRules } from '../../packages/core/src/http/caching/storable.ts'
import { Fields } from '../../packages/core/src/http/fields/fields.ts'

interface Case {
  method?: string
  request?: Record<string, string>
  status?: number
  headers?: Record<string, string | string[]>
  rules?: Partial<StorableRules>
}

function reason({ method = 'GET', request = {}, status = 200, headers = {}, rules = {} }: Case): string | undefined {
  const fields = Fields.from(headers)
  const { explicit, directives } = freshness(
    { status, fields },
    { targets: ['cdn-cache-control'], heuristic: false, nowMs: 0 },
  )
  return notStorable(
    { method, header: (name) => request[name] },
    { status, fields },
    { explicit, directives, ttlRoute: false, negativeTtl: false, authorizationCovered: false, ...rules },
  )
}

const fresh = { 'cache-control': 'max-age=60' }
const ttl = { ttlRoute: true }
const bob = { authorization: 'Bearer bob' }

describe('notStorable (RFC 9111 §3)', () => {
  test.each<[section: string, given: Case, reason: string | undefined]>([
    ['explicitly fresh', { headers: fresh }, undefined],
    ['a route TTL', { rules: ttl }, undefined],
    ['holding an entity tag', { headers: { etag: '"a"' } }, undefined],
    ['holding Last-Modified', { headers: { 'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT' } }, undefined],
    ['no-cache means store and revalidate', { headers: { 'cache-control': 'no-cache', etag: '"a"' } }, undefined],
    ['nothing of these', {}, 'not-fresh'],
    ['public alone', { headers: { 'cache-control': 'public' } }, 'not-fresh'],
    ['a 500 with only an entity tag', { status: 500, headers: { etag: '"a"' } }, 'not-fresh'],
    ['a 302 with only an entity tag', { status: 302, headers: { etag: '"a"' } }, 'not-fresh'],
    [
      'a 302 with public and an entity tag: nothing confirms it (RFC 9110 §13.2.1)',
      { status: 302, headers: { 'cache-control': 'public', etag: '"a"' } },
      'not-fresh',
    ],
    ['a 404 with only an entity tag', { status: 404, headers: { etag: '"a"' } }, 'not-fresh'],
    ['a 404 found fresh by a heuristic', { status: 404, rules: { guessed: true } }, undefined],

    ['HEAD never becomes a GET entry (RFC 9110 §9.3.2)', { method: 'HEAD', headers: fresh }, 'method'],
    ['HEAD, even if listed', { method: 'HEAD', headers: fresh, rules: { methods: ['HEAD'] } }, 'method'],
    ["a POST's response does not answer a later GET (apicache)", { method: 'POST', headers: fresh }, 'method'],
    ['POST, if listed', { method: 'POST', headers: fresh, rules: { methods: ['POST'] } }, undefined],
    ['QUERY (RFC 10008)', { method: 'QUERY', headers: fresh }, undefined],
    ['PUT', { method: 'PUT', headers: fresh }, 'method'],
    ['methods are case-sensitive', { method: 'get', headers: fresh }, 'method'],

    ['206', { status: 206, headers: fresh }, 'partial'],
    ['206 on a TTL route', { status: 206, rules: ttl }, 'partial'],
    ['100', { status: 100, headers: fresh }, 'status'],
    ['101', { status: 101, headers: fresh }, 'status'],
    ['103', { status: 103, headers: fresh }, 'status'],
    ['304', { status: 304, headers: fresh }, 'status'],
    ['429', { status: 429, headers: fresh }, 'status'],
    ['429 on a TTL route', { status: 429, rules: ttl }, 'status'],
    ['600', { status: 600, headers: fresh }, 'status'],
    ['NaN', { status: Number.NaN, headers: fresh }, 'status'],
    [
      '416 for a Range the key does not cover',
      { status: 416, headers: fresh, request: { range: 'bytes=9-' } },
      'range',
    ],
    ['416 of the resource itself', { status: 416, headers: fresh }, undefined],
    [
      '412 for a condition the key does not cover',
      { status: 412, headers: fresh, request: { 'if-match': '"a"' } },
      'precondition',
    ],
    ['200 although a Range was asked for', { headers: fresh, request: { range: 'bytes=0-1' } }, undefined],

    ['no-store (§5.2.2.5)', { headers: { 'cache-control': 'no-store, max-age=60' } }, 'no-store'],
    ['No-Store', { headers: { 'cache-control': 'No-Store' }, rules: ttl }, 'no-store'],
    ['no-store wins over a route TTL', { headers: { 'cache-control': 'no-store' }, rules: ttl }, 'no-store'],
    ['no-store on a second line', { headers: { 'cache-control': ['max-age=60', 'no-store'] } }, 'no-store'],
    [
      'no-store beside must-understand is for caches that do not understand (§5.2.2.3)',
      { headers: { 'cache-control': 'no-store, must-understand, max-age=9' } },
      undefined,
    ],
    [
      'a status that is not known',
      { status: 599, headers: { 'cache-control': 'no-store, must-understand, max-age=9' } },
      'no-store',
    ],
    [
      'no-store for us, must-understand for others',
      {
        headers: {
          'cdn-cache-control': 'max-age=9, no-store',
          'cache-control': 'no-store, must-understand, max-age=9',
        },
      },
      'no-store',
    ],
    [
      'on a TTL route no-store is obeyed',
      { headers: { 'cache-control': 'no-store, must-understand' }, rules: ttl },
      'no-store',
    ],
    ['private (§5.2.2.7)', { headers: { 'cache-control': 'private, max-age=60' } }, 'private'],
    ['private wins over a route TTL', { headers: { 'cache-control': 'private' }, rules: ttl }, 'private'],
    [
      'private="field" is about that field',
      { headers: { 'cache-control': 'private="x-user", max-age=60' } },
      undefined,
    ],
    ['private="field" on a TTL route', { headers: { 'cache-control': 'private="x-user"' }, rules: ttl }, 'private'],
    ['private, with and without', { headers: { 'cache-control': 'private="x-user", private, max-age=60' } }, 'private'],
    ['private=field, on two lines', { headers: { 'cache-control': ['max-age=60, private=a', 'private'] } }, 'private'],
    ['private of what is no field', { headers: { 'cache-control': 'private="x user", max-age=60' } }, 'private'],
    ['private of nothing', { headers: { 'cache-control': 'private="", max-age=60' } }, 'private'],
    [
      'private of what the rest depends on',
      { headers: { 'cache-control': 'private="Content-Type", max-age=60' } },
      'private',
    ],
    [
      'private, no-store is not rewritten to max-age (apicache)',
      { headers: { 'cache-control': 'private, no-store' }, rules: ttl },
      'no-store',
    ],
    [
      'must-understand, understood (§5.2.2.3)',
      { headers: { 'cache-control': 'must-understand, max-age=9' } },
      undefined,
    ],
    [
      'must-understand, not understood',
      { status: 599, headers: { 'cache-control': 'must-understand, max-age=9' } },
      'must-understand',
    ],

    ['targeted no-store (RFC 9213)', { headers: { ...fresh, 'cdn-cache-control': 'no-store' } }, 'no-store'],
    [
      'targeted no-store wins over a route TTL',
      { headers: { 'cdn-cache-control': 'no-store' }, rules: ttl },
      'no-store',
    ],
    ['targeted private', { headers: { ...fresh, 'cdn-cache-control': 'private' } }, 'private'],
    [
      'targeted max-age, no-store for others (RFC 9213 §3.1)',
      { headers: { 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=600' } },
      undefined,
    ],
    [
      'the same on a TTL route',
      { headers: { 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=600' }, rules: ttl },
      'no-store',
    ],
    [
      'a targeted field without a lifetime',
      { headers: { 'cache-control': 'private', 'cdn-cache-control': 'public', etag: '"a"' } },
      'private',
    ],
    [
      'an invalid targeted field',
      { headers: { 'cache-control': 'no-store', 'cdn-cache-control': 'Max-Age=600' } },
      'no-store',
    ],

    ['Vary: * (§4.1)', { headers: { ...fresh, vary: '*' } }, 'vary-star'],
    ['Vary: * in a list', { headers: { ...fresh, vary: 'accept, *' } }, 'vary-star'],
    ['Vary: * on another line', { headers: { ...fresh, vary: ['accept', '*'] } }, 'vary-star'],
    ['Vary: * on a TTL route', { headers: { vary: '*' }, rules: ttl }, 'vary-star'],
    ['Vary with names', { headers: { ...fresh, vary: 'accept' } }, undefined],
    ['Set-Cookie', { headers: { ...fresh, 'set-cookie': 'a=1' } }, 'set-cookie'],
    ['Set-Cookie on a TTL route (apicache)', { headers: { 'Set-Cookie': ['a=1', 'b=2'] }, rules: ttl }, 'set-cookie'],
    [
      'Set-Cookie with public',
      { headers: { 'cache-control': 'public, max-age=60', 'set-cookie': 'a=1' } },
      'set-cookie',
    ],

    [
      'Set-Cookie that is kept out (§5.2.2.7)',
      { headers: { 'cache-control': 'max-age=60, private="Set-Cookie"', 'set-cookie': 'a=1' } },
      undefined,
    ],
    [
      'Set-Cookie that is kept out (§5.2.2.4)',
      { headers: { 'cache-control': 'max-age=60, no-cache="set-cookie"', 'set-cookie': 'a=1' } },
      undefined,
    ],
    [
      'Set-Cookie that is kept out of other caches (RFC 9213)',
      {
        headers: {
          'cdn-cache-control': 'max-age=60',
          'cache-control': 'max-age=60, private="set-cookie"',
          'set-cookie': 'a=1',
        },
      },
      'set-cookie',
    ],
    ['Set-Cookie2, which no user agent obeys', { headers: { ...fresh, 'set-cookie2': 'a=1' } }, undefined],
    ['Set-Cookie2 on a TTL route', { headers: { 'set-cookie2': 'a=1' }, rules: ttl }, 'set-cookie'],

    ["alice's Authorization (§3.5; apicache, koa-cash)", { request: bob, headers: fresh }, 'authorization'],
    ['Authorization on a TTL route', { request: bob, rules: ttl }, 'authorization'],
    ['Authorization, empty', { request: { authorization: '' }, headers: fresh }, 'authorization'],
    ['Authorization and public', { request: bob, headers: { 'cache-control': 'public, max-age=60' } }, undefined],
    ['Authorization and s-maxage', { request: bob, headers: { 'cache-control': 's-maxage=60' } }, undefined],
    [
      'Authorization and must-revalidate',
      { request: bob, headers: { 'cache-control': 'max-age=60, must-revalidate' } },
      undefined,
    ],
    [
      'Authorization and proxy-revalidate',
      { request: bob, headers: { 'cache-control': 'max-age=60, proxy-revalidate' } },
      'authorization',
    ],
    [
      'Authorization, and the route varies by user',
      { request: bob, headers: fresh, rules: { authorizationCovered: true } },
      undefined,
    ],
    [
      'Authorization and public for others',
      { request: bob, headers: { 'cache-control': 'public', 'cdn-cache-control': 'max-age=60' } },
      'authorization',
    ],

    ['event stream', { headers: { ...fresh, 'content-type': 'text/event-stream' } }, 'event-stream'],
    [
      'event stream with a parameter',
      { headers: { 'content-type': 'Text/Event-Stream; charset=utf-8' }, rules: ttl },
      'event-stream',
    ],
    ['another type that begins like it', { headers: { ...fresh, 'content-type': 'text/event-streams' } }, undefined],
  ])('%s', (_section, given, expected) => {
    expect(reason(given)).toBe(expected)
  })

  const finals = Array.from({ length: 400 }, (_, i) => 200 + i)

  test('any final status is storable when explicitly fresh', () => {
    const refused = finals.filter((status) => reason({ status, headers: fresh }) !== undefined)
    expect(refused).toEqual([206, 304, 429])
  })

  test('with a route TTL only 200, 203, 301 and 308', () => {
    expect(finals.filter((status) => reason({ status, rules: ttl }) === undefined)).toEqual([200, 203, 301, 308])
    expect([...defaultTtlStatuses]).toEqual([200, 203, 301, 308])
  })

  test('404 and 410 as well when negativeTtl is given', () => {
    const rules = { ttlRoute: true, negativeTtl: true }
    expect(finals.filter((status) => reason({ status, rules }) === undefined)).toEqual([200, 203, 301, 308, 404, 410])
  })

  test('a 500 is not stored on a TTL route, even if it says max-age (apicache stores 500s)', () => {
    expect(reason({ status: 500, headers: fresh, rules: ttl })).toBe('status')
  })
})
