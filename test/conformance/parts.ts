import { expect, test } from '@jest/globals'
import type { Backend, CacheOptions } from '@sluice/core'
import fc from 'fast-check'
import type { RequestFields } from '../hosts/harness/client.ts'
import { counted, pieces, says } from '../hosts/harness/handlers.ts'
import { type Ctx, gate, type TestApp, type TestHost } from '../hosts/harness/host.ts'

const body = '0123456789'

interface Said {
  readonly fields?: RequestFields
  readonly body?: string
  /** What Content-Range says in place of the truth. */
  readonly range?: string
  readonly streamed?: boolean
}

/** A handler that answers ranges itself, as one that sends files does. */
function ranging(said: (run: number) => Said = () => ({})) {
  return counted((c: Ctx, run) => {
    const { fields = { 'Cache-Control': 'max-age=60', ETag: '"a"' }, body: text = body, range, streamed } = said(run)
    const asked = /^bytes=(\d*)-(\d*)$/.exec(c.header('range') ?? '')
    if (!asked) return says({ fields, body: text })(c)
    const [start, end] =
      asked[1] === ''
        ? [Math.max(0, text.length - Number(asked[2])), text.length - 1]
        : [Number(asked[1]), Math.min(asked[2] === '' ? text.length : Number(asked[2]), text.length - 1)]
    const part = text.slice(start, end + 1)
    const all = { ...fields, 'Content-Range': range ?? `bytes ${start}-${end}/${text.length}` }
    if (!streamed) return says({ status: 206, fields: all, body: Buffer.from(part) })(c)
    for (const [name, value] of Object.entries(all)) c.set(name, value)
    return c.status(206).stream(pieces(part.slice(0, 1), part.slice(1)))
  })
}

const ask = async (app: TestApp, range?: string, more: RequestFields = {}) => {
  const answer = await app.get('/', { ...more, ...(range === undefined ? {} : { range: `bytes=${range}` }) })
  return [answer.cache, answer.status, answer.text, answer.header('content-range')]
}

/** Parts of representations (RFC 9111 §3.3, §3.4), on a store. */
export const partsSuite = (backend?: () => Backend) => (host: TestHost) => {
  const boot = (handler: ReturnType<typeof ranging>, cache: CacheOptions = {}) =>
    host.boot({ sluice: { backend: backend?.() }, routes: [{ path: '/', cache, handler }] })

  test.each([true, false])('one that is stored answers the ranges it has all of; streamed: %p', async (streamed) => {
    const app = await boot(ranging(() => ({ streamed, fields: { 'Cache-Control': 'max-age=60' } })))
    expect(await ask(app, '-6')).toEqual(['uri-miss', 206, '456789', 'bytes 4-9/10'])
    expect(await ask(app, '-6')).toEqual(['hit', 206, '456789', 'bytes 4-9/10'])
    expect(await ask(app, '5-7')).toEqual(['hit', 206, '567', 'bytes 5-7/10'])
    expect(await ask(app, '8-')).toEqual(['hit', 206, '89', 'bytes 8-9/10'])
    expect(await ask(app, '-1')).toEqual(['hit', 206, '9', 'bytes 9-9/10'])
    expect(await ask(app, '9-99')).toEqual(['hit', 206, '9', 'bytes 9-9/10'])
    const hit = await app.get('/', { range: 'bytes=4-5' })
    expect([hit.lines('content-length'), hit.header('age')]).toEqual([['2'], '0'])
    // A tag made here of a part's bytes would be the tag of something else. Express makes one, a weak one.
    expect(hit.header('etag') ?? 'W/').toMatch(/^W\//)
  })

  test('nothing else: not a range beyond it, not the whole, not several', async () => {
    const handler = ranging(() => ({ fields: { 'Cache-Control': 'max-age=60' } }))
    const app = await boot(handler)
    await ask(app, '2-5')
    expect((await ask(app, '5-6'))[2]).toBe('56')
    expect((await ask(app, '1-2'))[2]).toBe('12')
    expect((await ask(app))[2]).toBe(body)
    expect(handler.runs).toBe(4)
  })

  test.each([
    ['in order', ['0-4', '5-']],
    ['backwards', ['5-9', '0-4']],
    ['overlapping', ['0-6', '3-']],
    ['one within the other', ['2-4', '0-']],
    ['of three', ['3-5', '0-2', '6-9']],
  ])('%s, with the same strong tag, they become the whole', async (_, ranges) => {
    const handler = ranging((run) => ({
      fields: { 'Cache-Control': 'max-age=60', ETag: '"a"', 'X-Run': String(run), [`X-${run}`]: 'kept' },
    }))
    const app = await boot(handler)
    for (const range of ranges) expect((await ask(app, range))[0]).toBe('uri-miss')
    const whole = await app.get('/')
    expect([whole.cache, whole.status, whole.text, whole.header('content-range')]).toEqual([
      'hit',
      200,
      body,
      undefined,
    ])
    expect([whole.lines('etag'), whole.lines('content-length')]).toEqual([['"a"'], ['10']])
    // RFC 9111 §3.4: the newest response's fields, over those of the others.
    expect([whole.lines('x-run'), whole.header('x-1')]).toEqual([[String(ranges.length)], 'kept'])
    expect(await ask(app, '4-5')).toEqual(['hit', 206, '45', 'bytes 4-5/10'])
    expect((await app.get('/', { 'if-none-match': '"a"' })).status).toBe(304)
    expect(handler.runs).toBe(ranges.length)
    // Redis is not asked what it holds.
    if (!backend) expect(app.sluice.stats().cache.entries).toBe(1)
  })

  test.each<[string, (run: number) => Said]>([
    ['without a validator', () => ({ fields: { 'Cache-Control': 'max-age=60' } })],
    ['with a weak tag', () => ({ fields: { 'Cache-Control': 'max-age=60', ETag: 'W/"a"' } })],
    ['with other tags', (run) => ({ fields: { 'Cache-Control': 'max-age=60', ETag: `"${run}"` } })],
    ['of other lengths', (run) => ({ body: run === 1 ? body : `${body}${run}` })],
    ['that say of the same bytes other things', (run) => ({ body: run === 1 ? body : 'abcdefghij' })],
  ])('%s they do not', async (_, said) => {
    const handler = ranging(said)
    const app = await boot(handler)
    await ask(app, '0-5')
    await ask(app, '5-')
    expect((await ask(app))[0]).toBe('uri-miss')
    expect(handler.runs).toBe(3)
  })

  test('with bytes missing between them the newer one stays', async () => {
    const handler = ranging()
    const app = await boot(handler)
    await ask(app, '0-2')
    await ask(app, '7-9')
    expect((await ask(app, '8-9'))[0]).toBe('hit')
    expect((await ask(app, '0-1'))[0]).toBe('uri-miss')
  })

  test.each<[string, Said, CacheOptions?]>([
    ['shorter than it says', { range: 'bytes 2-9/10' }],
    ['longer than it says', { range: 'bytes 2-3/10' }],
    ['of unknown length', { range: 'bytes 2-5/*' }],
    ['of another unit', { range: 'items 2-5/10' }],
    ['that is beyond its own length', { range: 'bytes 2-5/5' }],
    ['without freshness', { fields: { ETag: '"a"' } }],
    ['that is not fresh', { fields: { 'Cache-Control': 'max-age=0', ETag: '"a"' } }],
    [
      'that a heuristic would find fresh',
      { fields: { 'Last-Modified': new Date(0).toUTCString() } },
      { heuristic: true },
    ],
    ['with no-store', { fields: { 'Cache-Control': 'max-age=60, no-store' } }],
    ['with private', { fields: { 'Cache-Control': 'max-age=60, private' } }],
    ['with a cookie', { fields: { 'Cache-Control': 'max-age=60', 'Set-Cookie': 'a=1' } }],
    ['with Vary: *', { fields: { 'Cache-Control': 'max-age=60', Vary: '*' } }],
    ['of what would be too large', {}, { maxEntryBytes: 9 }],
    ['of a route with a TTL', {}, { ttl: '1m' }],
  ])('one %s is not stored', async (_, said, cache = {}) => {
    const handler = ranging(() => said)
    const app = await boot(handler, cache)
    for (const run of [1, 2]) {
      expect((await ask(app, '2-5'))[2]).toBe('2345')
      expect([run, handler.runs]).toEqual([run, run])
    }
    expect(app.sluice.stats().cache.entries).toBe(0)
  })

  test.each<[string, string, RequestFields]>([
    ['with credentials', '2-5', { authorization: 'Bearer alice' }],
    ['with conditions', '2-5', { 'if-none-match': '"b"' }],
    ['of several ranges', '2-5,7-8', {}],
  ])('nor one for a request %s', async (_, range, fields) => {
    const said = { 'Cache-Control': 'max-age=60', ETag: '"a"', 'Content-Range': 'bytes 2-5/10' }
    const handler = counted(says({ status: 206, fields: said, body: Buffer.from('2345') }))
    const app = await boot(handler)
    await ask(app, range, fields)
    await ask(app, range, fields)
    expect([handler.runs, app.sluice.stats().cache.entries]).toEqual([2, 0])
  })

  test('it is used while it is fresh', async () => {
    const app = await boot(ranging())
    await ask(app, '2-5')
    await app.clock.advance(59_000)
    expect((await ask(app, '2-5'))[0]).toBe('hit')
    await app.clock.advance(1_000)
    expect((await ask(app, '2-5'))[0]).toBe('uri-miss')
  })

  test('If-Range: with the same strong tag, else the handler is asked', async () => {
    const handler = ranging()
    const app = await boot(handler)
    await ask(app, '2-5')
    expect((await ask(app, '2-5', { 'if-range': '"a"' }))[0]).toBe('hit')
    for (const value of ['"b"', 'W/"a"', new Date(0).toUTCString()]) {
      expect((await ask(app, '2-5', { 'if-range': value }))[0]).toBe('uri-miss')
    }
  })

  test('they are variants as the whole is (RFC 9111 §4.1)', async () => {
    const handler = counted((c) => {
      c.set('Vary', 'X-Kind')
      return ranging(() => ({ body: `${c.header('x-kind')}123456789` }))(c)
    })
    const app = await boot(handler)
    for (const kind of ['a', 'b']) await ask(app, '0-4', { 'x-kind': kind })
    for (const kind of ['a', 'b']) expect((await ask(app, '0-1', { 'x-kind': kind }))[2]).toBe(`${kind}1`)
    await ask(app, '5-', { 'x-kind': 'a' })
    expect(handler.runs).toBe(3)
    expect(await ask(app, undefined, { 'x-kind': 'a' })).toEqual(['hit', 200, 'a123456789', undefined])
    expect((await ask(app, undefined, { 'x-kind': 'b' }))[0]).not.toBe('hit')
  })

  test('a purge is for them too, also between two of them and while the handler runs', async () => {
    let version = 'a'
    let held: Promise<void> | undefined
    const inner = ranging(() => ({ body: version.repeat(10) }))
    let began: (() => void) | undefined
    const handler = counted(async (c) => {
      const answered = version
      began?.()
      await held
      version = answered
      return inner(c)
    })
    const app = await boot(handler)
    await ask(app, '0-4')
    await app.sluice.purge({ url: '/' })
    version = 'b'
    expect((await ask(app, '0-4'))[2]).toBe('bbbbb')
    await app.sluice.purge({ all: true })
    await ask(app, '5-')
    expect((await ask(app))[0]).toBe('uri-miss')

    await app.sluice.purge({ all: true })
    const running = gate()
    held = running
    const begins = new Promise<void>((resolve) => {
      began = resolve
    })
    const late = ask(app, '0-4')
    await begins
    await app.sluice.purge({ url: '/' })
    running.open()
    expect((await late)[2]).toBe('bbbbb')
    expect((await ask(app, '0-4'))[0]).toBe('uri-miss')
  })

  test('one takes nothing from a whole that is to be confirmed', async () => {
    const handler = counted((c) => {
      if (c.header('if-none-match') === '"a"') return says({ status: 304, fields: { ETag: '"a"' } })(c)
      return ranging(() => ({ fields: { 'Cache-Control': 'max-age=1', ETag: '"a"' } }))(c)
    })
    const app = await boot(handler)
    await ask(app)
    await app.clock.advance(2_000)
    expect((await ask(app, '0-4'))[2]).toBe('01234')
    const confirmed = await app.get('/')
    expect([confirmed.cache, confirmed.status, confirmed.text]).toEqual(['stale', 200, body])
  })

  test('whatever is asked for in whatever order, the bytes are the right ones', async () => {
    const text = 'abcdefghijklmnop'
    const range = fc.oneof(
      fc.tuple(fc.nat(15), fc.nat(15)).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      fc.nat(15).map((start) => `${start}-`),
      fc.integer({ min: 1, max: 20 }).map((last) => `-${last}`),
    )
    const handler = ranging(() => ({ body: text }))
    const app = await host.boot({ sluice: { backend: backend?.() }, routes: [{ path: '/:id', cache: {}, handler }] })
    let id = 0
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 8 }), async (ranges) => {
        const path = `/${++id}`
        for (const one of ranges) {
          const [, start, end] = /^(\d*)-(\d*)$/.exec(one)!
          const first = start === '' ? Math.max(0, 16 - Number(end)) : Number(start)
          const last = start === '' || end === '' ? 15 : Number(end)
          const answer = await app.get(path, { range: `bytes=${one}` })
          expect([one, answer.status, answer.text]).toEqual([one, 206, text.slice(first, last + 1)])
          expect(answer.header('content-range')).toBe(`bytes ${first}-${last}/16`)
        }
        const whole = await app.get(path)
        expect([whole.status, whole.text]).toEqual([200, text])
      }),
      { numRuns: 25 },
    )
  }, 30_000)
}
