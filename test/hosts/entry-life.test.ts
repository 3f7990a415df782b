import { expect, test } from '@jest/globals'
import { counted, pieces, says } from './harness/handlers.ts'
import { type Ctx, describeHosts, gate, until } from './harness/host.ts'

describeHosts('a response that is not stored', (host) => {
  test('is confirmed by the validators of its handler', async () => {
    const handler = says({ fields: { 'Cache-Control': 'private', ETag: '"v1"' } })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '5m' }, handler }] })
    const first = await app.get('/')
    expect([first.status, first.stored]).toEqual([200, false])
    const again = await app.get('/', { 'if-none-match': '"v1"' })
    expect([again.status, again.text, again.header('etag')]).toEqual([304, '', '"v1"'])
    expect((await app.get('/', { 'if-none-match': '"v0"' })).status).toBe(200)
  })
})

describeHosts('a refresh that brings a final answer ends the old one', (host) => {
  test.each<[string, (c: Ctx) => unknown]>([
    ['404', (c) => c.status(404).send('gone')],
    ['410', (c) => c.status(410).send('gone')],
    ['401', (c) => c.status(401).send('who?')],
    ['403', (c) => c.status(403).send('no')],
    ['private', says({ fields: { 'Cache-Control': 'private' }, body: 'mine' })],
    ['no-store', says({ fields: { 'Cache-Control': 'no-store' }, body: 'secret' })],
  ])('%s: served neither stale nor in place of a later error', async (_, answer) => {
    let mode: 'good' | 'final' | 'error' = 'good'
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m', staleWhileRevalidate: '1h', staleIfError: '1h' },
          handler(c) {
            if (mode === 'error') c.status(500).send('failed')
            else if (mode === 'final') answer(c)
            else c.send('good')
          },
        },
      ],
    })
    await app.get('/')
    await app.clock.advance(61_000)
    mode = 'final'
    expect((await app.get('/')).text).toBe('good')
    await until(() => Object.keys(app.sluice.stats().cache.refused).length > 0)
    expect((await app.get('/')).text).not.toBe('good')
    mode = 'error'
    expect((await app.get('/')).status).toBe(500)
  })

  test('500 does not', async () => {
    let fails = false
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m', staleIfError: '1h' },
          handler: (c) => (fails ? c.status(500).send('failed') : c.send('good')),
        },
      ],
    })
    await app.get('/')
    await app.clock.advance(61_000)
    fails = true
    expect((await app.get('/')).text).toBe('good')
  })
})

describeHosts('followers do not wait for what will not be shared', (host) => {
  test.each<[string, (c: Ctx, rest: PromiseLike<void>) => unknown]>([
    [
      'a stream past maxEntryBytes',
      (c, rest) =>
        c.stream(
          (async function* () {
            yield 'x'.repeat(2_000)
            await rest
            yield 'end'
          })(),
        ),
    ],
    [
      'NDJSON',
      (c, rest) => {
        c.set('Content-Type', 'application/x-ndjson')
        return c.stream(
          (async function* () {
            yield '{}\n'
            await rest
            yield '{}\n'
          })(),
        )
      },
    ],
    [
      'no-store',
      (c, rest) => {
        c.set('Cache-Control', 'no-store')
        return c.stream(
          (async function* () {
            yield 'a'
            await rest
            yield 'b'
          })(),
        )
      },
    ],
  ])('%s', async (_, answer) => {
    const rest = gate()
    const handler = counted((c) => answer(c, rest))
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m', maxEntryBytes: 1_000 }, handler }] })
    const all = [app.get('/'), app.get('/')]
    // The first has not ended, and the second is at its handler.
    await until(() => handler.runs === 2)
    rest.open()
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual([200, 200])
  })

  test('a length that is too large', async () => {
    const handler = counted((c) => {
      c.set('Content-Length', '2000')
      return c.stream(pieces('x'.repeat(1_000), 'y'.repeat(1_000)))
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m', maxEntryBytes: 1_000 }, handler }] })
    expect((await app.get('/')).detail).toBe('too-large')
  })
})
