import { expect, test } from '@jest/globals'
import type { CacheOptions } from '@sluice/core'
import { counted, says } from './harness/handlers.ts'
import { type Ctx, describeHosts, gate, type TestApp, until } from './harness/host.ts'

const windows = { ttl: '10s', staleWhileRevalidate: '20s', staleIfError: '60s' } as const
const refreshed = (app: TestApp) => until(() => app.sluice.stats().cache.stored >= 2)

describeHosts('stale-while-revalidate (RFC 5861 §3)', (host) => {
  const boot = (cache: CacheOptions, fields: Record<string, string> = {}) =>
    host.boot({ routes: [{ path: '/', cache, handler: counted((c, run) => says({ fields, body: `run ${run}` })(c)) }] })

  test('answers at once, refreshes behind it, and the next client gets the new answer', async () => {
    const app = await boot(windows)
    await app.get('/')
    await app.clock.advance(11_000)
    const stale = await app.get('/')
    expect([stale.text, stale.cache, stale.header('age')]).toEqual(['run 1', 'hit', '11'])
    expect(stale.header('cache-status')).toContain('ttl=-1')
    await refreshed(app)
    const next = await app.get('/')
    expect([next.text, next.cache]).toEqual(['run 2', 'hit'])
    expect(app.sluice.stats().cache).toMatchObject({ refreshes: 1, stale: 1, hits: 1 })
  })

  test('refreshes once, however many ask', async () => {
    const ready = gate()
    const handler = counted(async (c, run) => {
      if (run > 1) await ready
      c.send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: windows, handler }] })
    await app.get('/')
    await app.clock.advance(11_000)
    const answers = await Promise.all(Array.from({ length: 10 }, () => app.get('/')))
    expect(answers.map((a) => a.text)).toEqual(Array(10).fill('run 1'))
    ready.open()
    await refreshed(app)
    expect(handler.runs).toBe(2)
  })

  test('ends with its window', async () => {
    const app = await boot({ ...windows, staleIfError: 0 })
    await app.get('/')
    await app.clock.advance(30_000)
    const answer = await app.get('/')
    expect([answer.text, answer.cache]).toEqual(['run 2', answer.cache])
    expect(answer.cache).not.toBe('hit')
  })

  test("is the handler's to ask for, too", async () => {
    const app = await boot({}, { 'Cache-Control': 'max-age=10, stale-while-revalidate=20' })
    await app.get('/')
    await app.clock.advance(29_000)
    expect((await app.get('/')).text).toBe('run 1')
    await refreshed(app)
    expect((await app.get('/')).text).toBe('run 2')
  })

  test.each(['must-revalidate', 'proxy-revalidate', 'no-cache'])(
    'is never used under %s (RFC 9111 §4.2.4)',
    async (directive) => {
      const app = await boot(windows, { 'Cache-Control': directive })
      await app.get('/')
      await app.clock.advance(11_000)
      expect((await app.get('/')).text).toBe('run 2')
    },
  )

  test('a refresh goes through what stands in front: a guard that refuses it changes nothing', async () => {
    let open = true
    const app = await host.boot({
      routes: [
        {
          path: '/',
          before: [(c) => open || c.header('x-pass') === 'yes' || c.status(401).send('no')],
          cache: windows,
          handler: counted(),
        },
      ],
    })
    await app.get('/')
    open = false
    await app.clock.advance(11_000)
    expect((await app.get('/', { 'x-pass': 'yes' })).text).toBe('run 1')
    await refreshed(app)
    expect((await app.get('/')).status).toBe(401)
    expect((await app.get('/', { 'x-pass': 'yes' })).text).toBe('run 2')
  })

  test('a purge while it refreshes wins: what was read before it is not stored', async () => {
    const ready = gate()
    const handler = counted(async (c, run) => {
      if (run === 2) await ready
      c.send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ...windows, tags: ['a'] }, handler }] })
    await app.get('/')
    await app.clock.advance(11_000)
    await app.get('/')
    await until(() => handler.runs === 2)
    await app.sluice.purge({ tags: ['a'] })
    ready.open()
    await until(() => app.sluice.stats().cache.refused.purged === 1)
    expect((await app.get('/')).text).toBe('run 3')
  })
})

describeHosts('stale-if-error (RFC 5861 §4)', (host) => {
  const failing = (how: (c: Ctx) => unknown) =>
    counted((c, run) => (run > 1 ? how(c) : says({ fields: { 'X-Good': 'yes' }, body: 'good' })(c)))
  const errors: readonly (readonly [string, (c: Ctx) => unknown])[] = [
    ['a thrown error', () => Promise.reject(new Error('down'))],
    ['a 500', (c) => c.status(500).send('down')],
    ['a 503 with fields of its own', (c) => says({ status: 503, fields: { 'Retry-After': '9' }, body: 'down' })(c)],
    ['a 504', (c) => c.status(504).send('down')],
  ]

  test.each(errors)('%s: what is stored stands in', async (_, how) => {
    const served: unknown[] = []
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '10s', staleIfError: '60s' }, handler: failing(how) }],
    })
    app.sluice.on('stale-served', (event) => served.push(event.status))
    await app.get('/')
    await app.clock.advance(11_000)
    const answer = await app.get('/')
    expect([answer.status, answer.text, answer.header('x-good'), answer.header('retry-after')]).toEqual([
      200,
      'good',
      'yes',
      undefined,
    ])
    expect(answer.header('cache-status')).toMatch(/^Sluice; fwd=stale; fwd-status=50[034]; ttl=-1/)
    expect([served.length, app.sluice.stats().cache.stale]).toEqual([1, 1])
  })

  test.each(errors)('%s: not past the window', async (_, how) => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '10s', staleIfError: '60s' }, handler: failing(how) }],
    })
    await app.get('/')
    await app.clock.advance(70_000)
    expect((await app.get('/')).status).toBeGreaterThanOrEqual(500)
  })

  test('a timeout counts as an error, and the client is not kept waiting', async () => {
    const never = gate()
    const handler = failing(async (c) => {
      await never
      c.send('late')
    })
    const cache = { ttl: '10s', staleIfError: '60s', timeout: '2s' } as const
    const app = await host.boot({ routes: [{ path: '/', cache, handler }] })
    await app.get('/')
    await app.clock.advance(11_000)
    const waiting = app.get('/')
    await until(() => handler.runs === 2)
    await app.clock.advance(2_000)
    expect((await waiting).text).toBe('good')
    never.open()
  })

  test.each([404, 401, 400])('a %i is an answer and no error', async (status) => {
    const handler = failing((c) => c.status(status).send('no'))
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '10s', staleIfError: '60s' }, handler }] })
    await app.get('/')
    await app.clock.advance(11_000)
    expect((await app.get('/')).status).toBe(status)
  })

  test.each(['must-revalidate', 'proxy-revalidate', 's-maxage=10', 'no-cache'])(
    'is never used under %s (RFC 9111 §4.2.4, §5.2.2.10)',
    async (directive) => {
      const handler = counted((c, run) => {
        c.set('Cache-Control', `max-age=10, ${directive}`)
        c.status(run > 1 ? 500 : 200).send(`run ${run}`)
      })
      const app = await host.boot({ routes: [{ path: '/', cache: { staleIfError: '60s' }, handler }] })
      await app.get('/')
      await app.clock.advance(11_000)
      expect((await app.get('/')).status).toBe(500)
    },
  )

  test("is the handler's to ask for, too", async () => {
    const handler = counted((c, run) => {
      c.set('Cache-Control', 'max-age=10, stale-if-error=60')
      c.status(run > 1 ? 500 : 200).send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler }] })
    await app.get('/')
    await app.clock.advance(11_000)
    expect((await app.get('/')).text).toBe('run 1')
  })

  test('expire leaves the windows, purge does not', async () => {
    const handler = failing(() => Promise.reject(new Error('down')))
    const cache = { ttl: '1h', staleIfError: '60s', tags: ['a'] } as const
    const app = await host.boot({ routes: [{ path: '/', cache, handler }] })
    await app.get('/')
    await app.sluice.expire({ tags: ['a'] })
    expect((await app.get('/')).text).toBe('good')
    await app.sluice.purge({ tags: ['a'] })
    expect((await app.get('/')).status).toBe(500)
  })
})

describeHosts('revalidation through the handler (RFC 9111 §4.3)', (host) => {
  const versioned = (fields: Record<string, string> = {}) =>
    counted((c, run) => {
      c.set('ETag', '"v1"')
      c.set('Last-Modified', 'Sat, 21 Nov 2026 11:00:00 GMT')
      c.set('X-Run', String(run))
      for (const [name, value] of Object.entries(fields)) c.set(name, value)
      if (run > 1 && c.header('if-none-match') === '"v1"') {
        c.set('Content-Length', '999')
        c.status(304).send()
      } else c.send('body')
    })

  test('the handler sees If-None-Match; its 304 renews what is stored, and the client gets the whole', async () => {
    const handler = versioned()
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '10s' }, handler }] })
    await app.get('/')
    await app.clock.advance(11_000)
    const renewed = await app.get('/')
    expect([renewed.status, renewed.text, renewed.header('x-run')]).toEqual([200, 'body', '2'])
    expect(renewed.lines('content-length')).toEqual(['4'])
    const hit = await app.get('/')
    expect([hit.cache, hit.text, hit.header('x-run'), hit.header('age')]).toEqual(['hit', 'body', '2', '0'])
    expect(hit.lines('content-length')).toEqual(['4'])
    expect(app.sluice.stats().cache.revalidated).toBe(1)
  })

  test("the client's own condition is answered from it", async () => {
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '10s' }, handler: versioned() }] })
    await app.get('/')
    await app.clock.advance(11_000)
    expect((await app.get('/', { 'if-none-match': '"v1"' })).status).toBe(304)
    await app.clock.advance(11_000)
    expect((await app.get('/', { 'if-none-match': '"other"' })).text).toBe('body')
  })

  test('no-cache: stored, and confirmed each time', async () => {
    const handler = versioned({ 'Cache-Control': 'no-cache' })
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler }] })
    for (const run of [1, 2, 3]) {
      const answer = await app.get('/')
      expect([answer.text, answer.cache, handler.runs]).toEqual(['body', run === 1 ? 'uri-miss' : 'stale', run])
    }
    expect(app.sluice.stats().cache.revalidated).toBe(2)
  })

  test('another answer than 304 takes its place', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '10s' },
          handler: counted((c, run) => says({ fields: { ETag: `"v${run}"` }, body: `run ${run}` })(c)),
        },
      ],
    })
    await app.get('/')
    await app.clock.advance(11_000)
    expect((await app.get('/')).text).toBe('run 2')
    expect((await app.get('/')).text).toBe('run 2')
  })
})
