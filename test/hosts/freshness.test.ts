import { expect, test } from '@jest/globals'
import type { CacheOptions } from '@sluice/core'
import type { RequestFields } from './harness/client.ts'
import { counted, date, says } from './harness/handlers.ts'
import { describeHosts, testClock } from './harness/host.ts'

const start = testClock().now()
const at = (seconds: number) => date(start + seconds * 1000)
const year = 365 * 86_400

interface Row {
  readonly rule: string
  readonly fields: RequestFields
  readonly cache?: CacheOptions
  /** Seconds it is fresh for. */
  readonly fresh: number
}

const rows: readonly Row[] = [
  { rule: '§5.2.2.1 max-age', fields: { 'Cache-Control': 'max-age=60' }, fresh: 60 },
  { rule: '§5.2 names are case-insensitive', fields: { 'Cache-Control': 'MAX-AGE=60' }, fresh: 60 },
  { rule: '§5.2 values may be quoted', fields: { 'Cache-Control': 'max-age="60"' }, fresh: 60 },
  { rule: '§5.2.2.10 s-maxage before max-age', fields: { 'Cache-Control': 'max-age=9, s-maxage=60' }, fresh: 60 },
  { rule: '§4.2.1 of duplicates one is used', fields: { 'Cache-Control': 'max-age=60, max-age=60' }, fresh: 60 },
  {
    rule: '§1.2.2 absurd values are capped',
    fields: { 'Cache-Control': `max-age=${'9'.repeat(30)}` },
    fresh: 10 * year,
  },
  { rule: '§4.2.1 a negative value is stale', fields: { 'Cache-Control': 'max-age=-60', ETag: '"a"' }, fresh: 0 },
  { rule: '§4.2.1 a fraction is stale', fields: { 'Cache-Control': 'max-age=6.5', ETag: '"a"' }, fresh: 0 },
  { rule: '§5.3 max-age before Expires', fields: { 'Cache-Control': 'max-age=60', Expires: at(9) }, fresh: 60 },
  { rule: '§5.3 Expires − Date', fields: { Date: at(0), Expires: at(60) }, fresh: 60 },
  { rule: '§5.3 Expires without Date', fields: { Expires: at(60) }, fresh: 60 },
  { rule: '§5.3 Expires in the RFC 850 form', fields: { Expires: 'Saturday, 21-Nov-26 12:01:00 GMT' }, fresh: 60 },
  { rule: '§5.3 Expires in the asctime form', fields: { Expires: 'Sat Nov 21 12:01:00 2026' }, fresh: 60 },
  { rule: '§5.3 Expires: 0 is in the past', fields: { Expires: '0', ETag: '"a"' }, fresh: 0 },
  { rule: '§5.3 other date forms are in the past', fields: { Expires: '2026-11-21T12:01:00Z', ETag: '"a"' }, fresh: 0 },
  { rule: '§5.3 Expires before Date', fields: { Date: at(0), Expires: at(-9), ETag: '"a"' }, fresh: 0 },
  {
    rule: 'RFC 9213 CDN-Cache-Control before Cache-Control',
    fields: { 'CDN-Cache-Control': 'max-age=60', 'Cache-Control': 'max-age=9' },
    fresh: 60,
  },
  {
    rule: 'RFC 9213 our own target before the CDN',
    fields: { 'Sluice-Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'max-age=9' },
    fresh: 60,
  },
  {
    rule: 'RFC 9213 §2.1 an invalid one is ignored',
    fields: { 'CDN-Cache-Control': 'max-age=9=9', 'Cache-Control': 'max-age=60' },
    fresh: 60,
  },
  { rule: '§4.2.3 a received Age counts', fields: { 'Cache-Control': 'max-age=60', Age: '20' }, fresh: 40 },
  { rule: '§5.1 of several Ages the first', fields: { 'Cache-Control': 'max-age=60', Age: '20, 50' }, fresh: 40 },
  { rule: '§5.1 a negative Age is ignored', fields: { 'Cache-Control': 'max-age=60', Age: '-20' }, fresh: 60 },
  { rule: '§5.1 a fraction is ignored', fields: { 'Cache-Control': 'max-age=60', Age: '20.5' }, fresh: 60 },
  { rule: '§5.1 text is ignored', fields: { 'Cache-Control': 'max-age=60', Age: 'old' }, fresh: 60 },
  {
    rule: '§4.2.3 an old Date is an apparent age',
    fields: { 'Cache-Control': 'max-age=60', Date: at(-20) },
    fresh: 40,
  },
  {
    rule: '§4.2.2 a tenth of the age, asked for',
    cache: { heuristic: true },
    fields: { Date: at(0), 'Last-Modified': at(-600) },
    fresh: 60,
  },
  { rule: '§4.2.2 and not otherwise', fields: { Date: at(0), 'Last-Modified': at(-600) }, fresh: 0 },
  { rule: '§5.2.2.4 no-cache', fields: { 'Cache-Control': 'no-cache, max-age=60', ETag: '"a"' }, fresh: 0 },
  {
    rule: 'the route decides over max-age',
    cache: { ttl: '60s' },
    fields: { 'Cache-Control': 'max-age=9' },
    fresh: 60,
  },
  { rule: 'the route decides over Age', cache: { ttl: '60s' }, fields: { Age: '50' }, fresh: 60 },
  {
    rule: '§5.2.2.4 no-cache over the route',
    cache: { ttl: '60s' },
    fields: { 'Cache-Control': 'no-cache', ETag: '"a"' },
    fresh: 0,
  },
]

describeHosts('how long a response is fresh (RFC 9111 §4.2)', (host) => {
  test.each(rows.map((row) => [row.rule, row] as const))('%s', async (_, { fields, cache = {}, fresh }) => {
    const handler = counted((c, run) => says({ fields, body: `run ${run}` })(c))
    const app = await host.boot({ routes: [{ path: '/', cache, handler }] })
    await app.get('/')
    if (fresh > 0) {
      await app.clock.advance((fresh - 1) * 1000)
      expect((await app.get('/')).cache).toBe('hit')
      await app.clock.advance(1_001)
    }
    if (fresh < year) expect((await app.get('/')).cache).not.toBe('hit')
  })

  test('Date is that of the answer and Age grows with it, on every hit (§5.1; RFC 9110 §6.6.1)', async () => {
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({}) }] })
    expect((await app.get('/')).header('age')).toBeUndefined()
    for (const [advance, age] of [
      [0, '0'],
      [999, '0'],
      [1, '1'],
      [41_000, '42'],
    ] as const) {
      await app.clock.advance(advance)
      const hit = await app.get('/')
      expect([hit.lines('age'), hit.lines('date')]).toEqual([[age], [at(0)]])
    }
  })

  test('Age goes on from the one that was received (§4.2.3)', async () => {
    const fields = { 'Cache-Control': 'max-age=60', Age: '20', Date: at(-20) }
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler: says({ fields }) }] })
    await app.get('/')
    await app.clock.advance(5_000)
    const hit = await app.get('/')
    expect([hit.lines('age'), hit.lines('date')]).toEqual([['25'], [at(-20)]])
  })

  test('a 304 renews Date and Age, and the freshness (§4.3.4)', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: {},
          handler(c) {
            c.set('Cache-Control', 'max-age=60')
            c.set('ETag', '"v1"')
            if (c.header('if-none-match') === '"v1"') c.status(304).send()
            else c.send('body')
          },
        },
      ],
    })
    await app.get('/')
    await app.clock.advance(100_000)
    const renewed = await app.get('/')
    expect([renewed.status, renewed.text, renewed.header('cache-status')]).toEqual([
      200,
      'body',
      'Sluice; fwd=stale; fwd-status=304',
    ])
    await app.clock.advance(59_000)
    const hit = await app.get('/')
    expect([hit.cache, hit.text, hit.header('age'), hit.header('date')]).toEqual(['hit', 'body', '59', at(100)])
  })
})
