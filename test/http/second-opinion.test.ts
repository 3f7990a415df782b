import { createRequire } from 'node:module'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { freshness } from '../../packages/core/src/http/caching/freshness.ts'
import { notStorable } from '../../packages/core/src/http/caching/storable.ts'
import { Fields } from '../../packages/core/src/http/fields/fields.ts'

/**
 * Freshness against http-cache-semantics. Its known faults, each left out of what is generated or compared below:
 *
 * - Names of directives are case-sensitive in it: `No-Store` is storable, `Max-Age=60` is 0 (RFC 9111 §5.2).
 * - Of duplicates it takes the last, not the most restrictive (§4.2.1).
 * - It reads `60s`, `1.5` and `1e3` as the number they begin with (`parseInt`), where they are invalid (§1.2.2).
 * - It splits inside of quoted-strings (§5.2).
 * - It reads `Expires` with `Date.parse`, and so takes ISO 8601 for a date (RFC 9110 §5.6.7).
 * - `proxy-revalidate` makes it answer 0, where it only forbids serving stale (RFC 9111 §5.2.2.8).
 * - It refuses statuses it does not know, and stores anything that could be fresh by a guess; it knows no targeted fields
 *   and no Vary lists with more than `*` alone.
 */
interface CachePolicy {
  storable(): boolean
  maxAge(): number
}
type CachePolicyClass = new (
  request: { method: string; headers: Record<string, string> },
  response: { status: number; headers: Record<string, string> },
  options: { shared: boolean; cacheHeuristic: number },
) => CachePolicy
const Policy = createRequire(import.meta.url)('http-cache-semantics') as CachePolicyClass

const now = Math.floor(Date.now() / 1000) * 1000
const date = (seconds: number): string => new Date(now + seconds * 1000).toUTCString()
const seconds = fc.oneof(fc.nat(100_000), fc.constantFrom('0', '00060', '"60"', 'x', '-1'))
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })

const response = fc
  .record({
    maxAge: optional(seconds),
    sMaxage: optional(seconds),
    flags: fc.uniqueArray(fc.constantFrom('public', 'private', 'no-store', 'no-cache', 'must-revalidate', 'immutable')),
    expires: optional(fc.oneof(fc.integer({ min: -1000, max: 1000 }).map(date), fc.constantFrom('0', '-1', 'never'))),
    date: optional(fc.integer({ min: -500, max: 0 }).map(date)),
    setCookie: fc.boolean(),
    status: fc.constantFrom(200, 203, 301, 302, 307, 308, 404, 410),
  })
  .map(({ maxAge, sMaxage, flags, expires, date: dated, setCookie, status }) => {
    const cc = [
      ...flags,
      ...(maxAge === undefined ? [] : [`max-age=${maxAge}`]),
      ...(sMaxage === undefined ? [] : [`s-maxage=${sMaxage}`]),
    ]
    const headers: Record<string, string> = { date: dated ?? date(0) }
    if (cc.length > 0) headers['cache-control'] = cc.join(', ')
    if (expires !== undefined) headers.expires = expires
    if (setCookie) headers['set-cookie'] = 'a=1'
    return { status, headers, cc }
  })

test('the lifetime of a shared cache is what http-cache-semantics says', () => {
  fc.assert(
    fc.property(response, ({ status, headers }) => {
      // It answers 0 for what it would not store, and for a cookie unless `public`: storing is another question here.
      const { 'set-cookie': _, ...plain } = headers
      const policy = new Policy(
        { method: 'GET', headers: {} },
        { status, headers: plain },
        { shared: true, cacheHeuristic: 0 },
      )
      fc.pre(policy.storable() && !/immutable/.test(plain['cache-control'] ?? ''))
      const ours = freshness({ status, fields: Fields.from(plain) }, { targets: [], heuristic: false, nowMs: now })
      // It lets a negative number stand, which is as stale as 0.
      expect(ours.lifetimeMs / 1000).toBe(Math.max(0, policy.maxAge()))
    }),
    { numRuns: 2000 },
  )
})

test('what it calls storable for want of freshness only, and what it refuses, agree with notStorable', () => {
  fc.assert(
    fc.property(response, fc.boolean(), ({ status, headers }, authorized) => {
      const request: Record<string, string> = authorized ? { authorization: 'Bearer bob' } : {}
      const policy = new Policy(
        { method: 'GET', headers: request },
        { status, headers },
        { shared: true, cacheHeuristic: 0 },
      )
      const fields = Fields.from(headers)
      const { explicit, directives } = freshness({ status, fields }, { targets: [], heuristic: false, nowMs: now })
      const reason = notStorable(
        { method: 'GET', header: (name) => request[name] },
        { status, fields },
        { explicit, ttlRoute: false, negativeTtl: false, authorizationCovered: false, directives },
      )
      // Stricter than it in these three: cookies are never stored, guesses need asking for, and `public` alone is no lifetime.
      if (reason === 'set-cookie' || reason === 'not-fresh') return
      expect(reason === undefined).toBe(policy.storable())
    }),
    { numRuns: 2000 },
  )
})

test.each([
  ['No-Store', 'no-store', 'http-cache-semantics stores it'],
  ['Private, max-age=60', 'private', 'http-cache-semantics stores it'],
])('%s is %s: %s', (cc, reason) => {
  const fields = Fields.from({ 'cache-control': cc, etag: '"a"' })
  const { explicit, directives } = freshness({ status: 200, fields }, { targets: [], heuristic: false, nowMs: now })
  const rules = { explicit, ttlRoute: false, negativeTtl: false, authorizationCovered: false, directives }
  expect(notStorable({ method: 'GET', header: () => undefined }, { status: 200, fields }, rules)).toBe(reason)
  const policy = new Policy(
    { method: 'GET', headers: {} },
    { status: 200, headers: { 'cache-control': cc } },
    { shared: true, cacheHeuristic: 0 },
  )
  // The fault is still there: when this fails, take the exception away.
  expect(policy.storable()).toBe(true)
})
