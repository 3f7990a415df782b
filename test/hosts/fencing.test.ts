import { expect, test } from '@jest/globals'
import { counted } from './harness/handlers.ts'
import { describeHosts, gate, type TestApp } from './harness/host.ts'

const ways: readonly (readonly [string, (app: TestApp) => Promise<unknown>])[] = [
  ['purge by tag', (app) => app.sluice.purge({ tags: ['a'] })],
  ['purge by URL', (app) => app.sluice.purge({ url: '/things' })],
  ['purge of everything', (app) => app.sluice.purge({ all: true })],
  ['expire by tag', (app) => app.sluice.expire({ tags: ['a'] })],
  ['a POST to its URL', (app) => app.request('/things', { method: 'POST' })],
  ['invalidate() elsewhere', (app) => app.request('/other', { method: 'POST' })],
]

describeHosts('fencing: read starts, value changes, invalidate, read finishes', (host) => {
  test.each(ways)('%s while a fill runs: what it read is sent, and not stored', async (_, change) => {
    const reading = gate()
    let value = 'old'
    const handler = counted(async (c) => {
      const read = value
      if (read === 'old') await reading
      c.send(read)
    })
    const app = await host.boot({
      routes: [
        { path: '/things', cache: { ttl: '1h', tags: ['a'], staleWhileRevalidate: '1h', staleIfError: '1h' }, handler },
        { method: 'POST', path: '/things', cache: {}, handler: (c) => c.send('posted') },
        { method: 'POST', path: '/other', invalidate: ['a'], handler: (c) => c.send('posted') },
      ],
    })
    const slow = app.get('/things')
    await app.arrived(1)
    value = 'new'
    await change(app)
    reading.open()
    const late = await slow
    expect([late.text, late.stored]).toEqual(['old', false])
    const next = await app.get('/things')
    expect(next.text).toBe('new')
  })

  test('of a body in pieces: a purge between head and end', async () => {
    const reading = gate()
    let value = 'old'
    const handler = counted((c) => {
      const read = value
      return c.stream(
        (async function* () {
          yield 'it is '
          if (read === 'old') await reading
          yield read
        })(),
      )
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1h', tags: ['a'] }, handler }] })
    const slow = await app.open('/')
    expect(await slow.piece()).toBe('it is ')
    value = 'new'
    await app.sluice.purge({ tags: ['a'] })
    reading.open()
    expect(await slow.piece()).toBe('old')
    expect((await app.get('/')).text).toBe('it is new')
  })

  test('a follower that waited for a purged fill gets what is newer', async () => {
    const reading = gate()
    let value = 'old'
    const handler = counted(async (c) => {
      const read = value
      if (read === 'old') await reading
      c.send(read)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1h', tags: ['a'] }, handler }] })
    const leader = app.get('/')
    await app.arrived(1)
    const follower = app.get('/')
    await app.arrived(2)
    value = 'new'
    await app.sluice.purge({ tags: ['a'] })
    reading.open()
    expect((await leader).text).toBe('old')
    expect((await follower).text).toBe('new')
  })

  test('who asks after the purge is not given what began before it', async () => {
    const reading = gate()
    let value = 'old'
    const handler = counted(async (c) => {
      const read = value
      if (read === 'old') await reading
      c.send(read)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1h', tags: ['a'] }, handler }] })
    const before = app.get('/')
    await app.arrived(1)
    value = 'new'
    await app.sluice.purge({ tags: ['a'] })
    const after = app.get('/')
    await app.arrived(2)
    reading.open()
    await before
    expect((await after).text).toBe('new')
  })

  test('a purge of something else does not disturb a fill', async () => {
    const reading = gate()
    const handler = counted(async (c, run) => {
      await reading
      c.send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1h', tags: ['a'] }, handler }] })
    const slow = app.get('/')
    await app.arrived(1)
    await app.sluice.purge({ tags: ['b'] })
    reading.open()
    expect((await slow).stored).toBe(true)
    expect((await app.get('/')).text).toBe('run 1')
  })

  test('a revalidation that was purged while the handler confirmed is not restored', async () => {
    const confirming = gate()
    const handler = counted(async (c, run) => {
      c.set('ETag', run > 2 ? '"v2"' : '"v1"')
      if (run === 2) await confirming
      if (c.header('if-none-match') === '"v1"') c.status(304).send()
      else c.send(run > 2 ? 'new' : 'old')
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '10s', tags: ['a'] }, handler }] })
    await app.get('/')
    await app.clock.advance(11_000)
    const slow = app.get('/')
    await app.arrived(2)
    await app.sluice.purge({ tags: ['a'] })
    confirming.open()
    await slow
    expect((await app.get('/')).text).toBe('new')
  })
})
