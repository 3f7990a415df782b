import { expect, test } from '@jest/globals'
import { by, type CacheOptions } from '@sluice/core'
import type { RequestFields } from './harness/client.ts'
import { counted, type Saying, says } from './harness/handlers.ts'
import { describeHosts } from './harness/host.ts'

interface Row extends Saying {
  readonly rule: string
  readonly cache?: CacheOptions
  readonly request?: RequestFields
  /** `true`, or why not, as Cache-Status says it. */
  readonly stored: true | string
  /** On Express, where that differs: it gives every answer an ETag. */
  readonly express?: true
}

const fresh = { 'Cache-Control': 'max-age=60' }
const ttl = { ttl: '1m' } as const
const alice = { authorization: 'Bearer alice' }

const statuses: readonly Row[] = [
  ...[200, 203, 204, 300, 301, 302, 307, 308, 400, 403, 404, 405, 410, 414, 418, 500, 501, 503].map((status) => ({
    rule: `§3: a final status is storable when explicitly fresh: ${status}`,
    status,
    fields: { ...fresh, Location: '/elsewhere' },
    stored: true as const,
  })),
  ...[200, 203, 301, 308].map((status) => ({
    rule: `a route TTL applies to ${status}`,
    cache: ttl,
    status,
    fields: { Location: '/elsewhere' },
    stored: true as const,
  })),
  ...[201, 202, 204, 302, 303, 307, 400, 401, 403, 404, 410, 500, 502, 503].map((status) => ({
    rule: `a route TTL does not apply to ${status}`,
    cache: ttl,
    status,
    fields: { Location: '/elsewhere' },
    stored: 'status',
  })),
  ...[404, 410].map((status) => ({
    rule: `negativeTtl applies to ${status}`,
    cache: { ...ttl, negativeTtl: '5s' },
    status,
    stored: true as const,
  })),
  { rule: '§3.3: a 206 is never stored', status: 206, fields: fresh, stored: 'partial' },
  { rule: 'RFC 6585 §4: a 429 is never stored', status: 429, fields: fresh, stored: 'status' },
  {
    rule: '§5.2.2.3: must-understand forbids a status that is not known',
    status: 299,
    fields: { 'Cache-Control': 'max-age=60, must-understand' },
    stored: 'must-understand',
  },
]

const directives: readonly Row[] = [
  { rule: '§3: not without explicit freshness, a TTL or a validator', stored: 'not-fresh', express: true },
  { rule: '§3: with a validator, to be confirmed', fields: { ETag: '"a"' }, stored: true },
  { rule: '§3: with Last-Modified', fields: { 'Last-Modified': 'Sat, 21 Nov 2026 11:00:00 GMT' }, stored: true },
  { rule: '§4.2.2: no heuristic freshness unless asked for', fields: {}, stored: 'not-fresh', express: true },
  { rule: '§5.2.2.5: no-store', fields: { 'Cache-Control': 'no-store' }, stored: 'no-store' },
  {
    rule: '§5.2.2.5: no-store against the route',
    cache: ttl,
    fields: { 'Cache-Control': 'No-Store' },
    stored: 'no-store',
  },
  {
    rule: '§5.2.2.5: no-store on the second line',
    cache: ttl,
    fields: { 'Cache-Control': ['max-age=60', 'no-store'] },
    stored: 'no-store',
  },
  { rule: '§5.2.2.7: private', fields: { 'Cache-Control': 'private, max-age=60' }, stored: 'private' },
  {
    rule: '§5.2.2.7: private against the route',
    cache: ttl,
    fields: { 'Cache-Control': 'private' },
    stored: 'private',
  },
  {
    rule: '§5.2.2.7: private with a field name is about that field',
    fields: { 'Cache-Control': 'max-age=60, private="X-User"' },
    stored: true,
  },
  {
    rule: '§5.2.2.7: private with a field name against the route',
    cache: ttl,
    fields: { 'Cache-Control': 'private="X-User"' },
    stored: 'private',
  },
  {
    rule: '§5.2.2.3: no-store beside must-understand',
    fields: { 'Cache-Control': 'max-age=60, no-store, must-understand' },
    stored: true,
  },
  {
    rule: '§5.2.2.3: no-store beside must-understand against the route',
    cache: ttl,
    fields: { 'Cache-Control': 'no-store, must-understand' },
    stored: 'no-store',
  },
  {
    rule: '§5.2.2.4: no-cache means store and revalidate',
    cache: ttl,
    fields: { 'Cache-Control': 'no-cache', ETag: '"a"' },
    stored: true,
  },
  { rule: '§4.1: Vary: *', cache: ttl, fields: { Vary: '*' }, stored: 'vary-star' },
  { rule: '§4.1: * anywhere in Vary', cache: ttl, fields: { Vary: 'Accept, *' }, stored: 'vary-star' },
  { rule: '§4.1: * on any line of Vary', cache: ttl, fields: { Vary: ['Accept', '*'] }, stored: 'vary-star' },
  { rule: '§7.3: Set-Cookie', cache: ttl, fields: { 'Set-Cookie': 'a=1' }, stored: 'set-cookie' },
  {
    rule: '§7.3: Set-Cookie, though public',
    fields: { 'Cache-Control': 'public, max-age=9', 'Set-Cookie': 'a=1' },
    stored: 'set-cookie',
  },
  {
    rule: '§5.2.2.7: Set-Cookie that is kept out',
    fields: { 'Cache-Control': 'max-age=9, private="Set-Cookie"', 'Set-Cookie': 'a=1' },
    stored: true,
  },
  { rule: 'an event stream', cache: ttl, fields: { 'Content-Type': 'text/event-stream' }, stored: 'event-stream' },
  {
    rule: 'RFC 9213 §2.2: under a valid targeted field Cache-Control is not asked',
    fields: { 'Cache-Control': 'no-store', 'CDN-Cache-Control': 'max-age=60' },
    stored: true,
  },
  {
    rule: 'RFC 9213 §2.1: a targeted field that is no structured field is ignored',
    fields: { 'Cache-Control': 'no-store', 'CDN-Cache-Control': 'max-age=60,' },
    stored: 'no-store',
  },
]

const credentials: readonly Row[] = [
  { rule: '§3.5: max-age alone', request: alice, fields: fresh, stored: 'authorization' },
  { rule: '§3.5: the TTL of a route, for nobody else yet', request: alice, cache: ttl, stored: true },
  {
    rule: '§3.5: the TTL of a route alone',
    request: alice,
    cache: { ...ttl, witness: false },
    stored: 'authorization',
  },
  { rule: '§3.5: public allows it', request: alice, fields: { 'Cache-Control': 'public, max-age=60' }, stored: true },
  { rule: '§3.5: s-maxage allows it', request: alice, fields: { 'Cache-Control': 's-maxage=60' }, stored: true },
  {
    rule: '§3.5: must-revalidate allows it',
    request: alice,
    fields: { 'Cache-Control': 'max-age=60, must-revalidate' },
    stored: true,
  },
  {
    rule: 'a route that varies by the field',
    request: alice,
    cache: { ...ttl, varyBy: 'authorization' },
    stored: true,
  },
  { rule: 'a route declared public', request: alice, cache: { ...ttl, public: true }, stored: true },
  {
    rule: 'a route that varies by user, for nobody',
    request: alice,
    cache: { ...ttl, varyBy: by.user, witness: false },
    stored: 'authorization',
  },
]

describeHosts('what is stored (RFC 9111 §3)', (host) => {
  test.each([...statuses, ...directives, ...credentials].map((row) => [row.rule, row] as const))(
    '%s',
    async (_, { cache = {}, request = {}, stored: elsewhere, express, ...saying }) => {
      const stored = host.framework === 'express' ? (express ?? elsewhere) : elsewhere
      const handler = counted(says(saying))
      const app = await host.boot({ routes: [{ path: '/', cache, handler }] })
      const first = await app.get('/', request)
      expect(first.status).toBe(saying.status ?? 200)
      if (stored === true) {
        expect([first.stored, first.detail]).toEqual([true, undefined])
        expect(app.sluice.stats().cache).toMatchObject({ stored: 1, entries: 1 })
      } else {
        expect([first.stored, first.detail]).toEqual([false, stored])
        expect(app.sluice.stats().cache).toMatchObject({ stored: 0, entries: 0, refused: { [stored]: 1 } })
        await app.get('/', request)
        expect(handler.runs).toBe(2)
      }
    },
  )
})

describeHosts('what is stored of a response (RFC 9111 §3.1)', (host) => {
  test('fields that Connection names, and hop-by-hop ones, are not (RFC 9110 §7.6.1)', async () => {
    const fields = { Connection: 'X-Hop', 'X-Hop': 'one', 'Keep-Alive': 'timeout=9', 'X-End': 'two' }
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({ fields }) }] })
    await app.get('/')
    const hit = await app.get('/')
    expect([hit.cache, hit.header('x-hop'), hit.header('x-end')]).toEqual(['hit', undefined, 'two'])
    expect(hit.header('keep-alive') ?? '').not.toContain('timeout=9')
    expect(hit.header('connection') ?? '').not.toMatch(/x-hop/i)
  })

  test.each(['private="X-User, Set-Cookie"', 'no-cache="x-user, set-cookie"'])(
    'fields that %s names are not (§5.2.2.7, §5.2.2.4)',
    async (directive) => {
      const fields = {
        'Cache-Control': `max-age=60, ${directive}`,
        'X-User': 'alice',
        'Set-Cookie': 'sid=alice',
        'X-End': 'two',
      }
      const app = await host.boot({ routes: [{ path: '/', cache: {}, handler: says({ fields }) }] })
      const first = await app.get('/')
      expect([first.header('x-user'), first.header('set-cookie')]).toEqual(['alice', 'sid=alice'])
      const hit = await app.get('/')
      expect([hit.cache, hit.header('x-user'), hit.header('set-cookie')]).toEqual(['hit', undefined, undefined])
      expect([hit.header('x-end'), hit.header('cache-control')]).toEqual(['two', fields['Cache-Control']])
    },
  )

  test.each([true, false])('nor are they where a 304 brings them, naming them again: %p', async (again) => {
    const fields = { ETag: '"a"', 'X-User': 'alice' }
    const said = { ...fields, 'Cache-Control': 'max-age=1, private="x-user"' }
    const handler = counted((c) => {
      if (c.header('if-none-match')) says({ status: 304, fields: again ? said : fields })(c)
      else says({ fields: said })(c)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler }] })
    await app.get('/')
    await app.clock.advance(2_000)
    const confirmed = await app.get('/')
    expect([confirmed.cache, confirmed.status, handler.runs]).toEqual(['stale', 200, 2])
    const hit = await app.get('/')
    expect([hit.cache, hit.text, hit.header('x-user')]).toEqual(['hit', 'hello', undefined])
  })

  test('RateLimit fields are not: each hit has its own quota', async () => {
    const fields = { RateLimit: '"a";r=1', 'RateLimit-Policy': '"a";q=1', 'X-RateLimit-Remaining': '1' }
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({ fields }) }] })
    expect((await app.get('/')).header('x-ratelimit-remaining')).toBe('1')
    const hit = await app.get('/')
    for (const name of Object.keys(fields)) expect(hit.header(name)).toBeUndefined()
  })

  test.each([
    ['JSON', { a: [1, 'æøå'] }, '{"a":[1,"æøå"]}', /^application\/json/],
    ['text', 'grüße', 'grüße', /^text\/plain/],
    ['bytes', Buffer.from('bytes'), 'bytes', /^application\/octet-stream/],
    ['nothing', '', '', /^text\/plain/],
  ] as const)('a body of %s comes back as it was, with its type and length', async (_, body, text, type) => {
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({ body }) }] })
    for (const kind of ['uri-miss', 'hit']) {
      const answer = await app.get('/')
      expect([answer.cache, answer.text]).toEqual([kind, text])
      expect(answer.header('content-type')).toMatch(type)
      expect(answer.lines('content-length')).toEqual([String(Buffer.byteLength(text))])
    }
  })

  test('a stored 204 has no content and no Content-Length (RFC 9110 §8.6)', async () => {
    const fields = { 'Cache-Control': 'max-age=60' }
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler: says({ status: 204, fields }) }] })
    for (const kind of ['uri-miss', 'hit']) {
      const answer = await app.get('/')
      expect([answer.cache, answer.status, answer.header('content-length')]).toEqual([kind, 204, undefined])
    }
  })

  test('a stored redirect keeps its Location', async () => {
    const saying = { status: 301, fields: { Location: '/new' } }
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: says(saying) }] })
    await app.get('/')
    const hit = await app.get('/')
    expect([hit.cache, hit.status, hit.header('location')]).toEqual(['hit', 301, '/new'])
  })

  test('a no-store response does not evict an older fresh one', async () => {
    const handler = counted((c, run) => {
      if (run > 1) c.set('Cache-Control', 'no-store')
      c.send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m', honourRequest: true }, handler }] })
    await app.get('/')
    expect((await app.get('/', { 'cache-control': 'no-cache' })).text).toBe('run 2')
    const third = await app.get('/')
    expect([third.cache, third.text]).toEqual(['hit', 'run 1'])
  })
})

describeHosts('a body shorter than its Content-Length (RFC 9111 §3.3)', (host) => {
  test('is not stored', async () => {
    const handler = counted((c, run) => {
      if (run === 1) c.set('Content-Length', '11')
      c.send(run === 1 ? Buffer.from('hello') : Buffer.from('hello world'))
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    if (host.framework === 'node') {
      const cut = await app.open('/')
      cut.abort()
    } else await app.get('/')
    const next = await app.get('/')
    expect(next.text).toMatch(/^hello( world)?$/)
    if (host.framework === 'node') {
      expect(app.sluice.stats().cache.refused).toMatchObject({ incomplete: 1 })
      expect(next.text).toBe('hello world')
    }
  })
})
