import { METHODS } from 'node:http'
import { expect, test } from '@jest/globals'
import { counted, says } from './harness/handlers.ts'
import { describeHosts, type Route } from './harness/host.ts'

/** A list and a thing, both stored for an hour, and something that changes them. */
const list: Route = { path: '/things', cache: { ttl: '1h', tags: ['things'] }, handler: counted() }
const thing = (): Route => ({
  path: '/things/:id',
  cache: { ttl: '1h', tags: (r) => ['things', `thing:${r.params.id}`] },
  handler: counted((c, run) => c.send(`thing ${c.params.id} run ${run}`)),
})
const things = (): Route => ({ ...list, handler: counted() })

describeHosts('unsafe methods (RFC 9111 §4.4)', (host) => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
    'a successful %s invalidates its URL, every query of it',
    async (method) => {
      const change: Route = { method, path: '/things', cache: { ttl: '1h' }, handler: says({ body: 'done' }) }
      const app = await host.boot({ routes: [things(), thing(), change] })
      for (const path of ['/things', '/things?page=2', '/things/7']) await app.get(path)
      expect((await app.request('/things', { method })).text).toBe('done')
      expect((await app.get('/things')).cache).toBe('uri-miss')
      expect((await app.get('/things?page=2')).cache).toBe('uri-miss')
      expect((await app.get('/things/7')).cache).toBe('hit')
    },
  )

  test.each([
    [200, true],
    [204, true],
    [303, true],
    [400, false],
    [404, false],
    [500, false],
  ])('after a %i: %s', async (status, invalidated) => {
    const change: Route = {
      method: 'POST',
      path: '/things',
      cache: { ttl: '1h' },
      handler: says({ status, body: 'x' }),
    }
    const app = await host.boot({ routes: [things(), change] })
    await app.get('/things')
    await app.request('/things', { method: 'POST' })
    expect((await app.get('/things')).cache).toBe(invalidated ? 'uri-miss' : 'hit')
  })

  test.each(['location', 'content-location'])('and what its %s names on the same origin', async (name) => {
    const app = await host.boot({
      routes: [
        things(),
        thing(),
        {
          method: 'POST',
          path: '/things',
          cache: { ttl: '1h' },
          handler: says({ status: 201, fields: { [name]: '/things/7' } }),
        },
      ],
    })
    await app.get('/things/7')
    await app.get('/things/8')
    await app.request('/things', { method: 'POST' })
    expect((await app.get('/things/7')).cache).toBe('uri-miss')
    expect((await app.get('/things/8')).cache).toBe('hit')
  })

  test('but not on another', async () => {
    const fields = { Location: 'http://elsewhere.example/things/7' }
    const app = await host.boot({
      routes: [thing(), { method: 'POST', path: '/x', cache: { ttl: '1h' }, handler: says({ status: 201, fields }) }],
    })
    await app.get('/things/7')
    await app.request('/x', { method: 'POST' })
    expect((await app.get('/things/7')).cache).toBe('hit')
  })

  test.each(['PURGE', 'MKCOL'])('a method that is not known to be safe may change anything: %s', async (method) => {
    expect(METHODS).toContain(method)
    const app = await host.boot({
      routes: [things(), { method, path: '/things', cache: { ttl: '1h' }, handler: says({}) }],
    })
    await app.get('/things')
    expect((await app.request('/things', { method })).status).toBe(200)
    expect((await app.get('/things')).cache).toBe('uri-miss')
  })

  test('OPTIONS is safe, and changes nothing', async () => {
    const app = await host.boot({
      routes: [things(), { method: 'OPTIONS', path: '/things', cache: { ttl: '1h' }, handler: says({}) }],
    })
    await app.get('/things')
    await app.request('/things', { method: 'OPTIONS' })
    expect((await app.get('/things')).cache).toBe('hit')
  })

  test('a refused change invalidates nothing', async () => {
    const change: Route = {
      method: 'POST',
      path: '/things',
      before: [(c) => c.status(401).send('no')],
      cache: { ttl: '1h' },
      handler: says({}),
    }
    const app = await host.boot({ routes: [things(), change] })
    await app.get('/things')
    await app.request('/things', { method: 'POST' })
    expect((await app.get('/things')).cache).toBe('hit')
  })
})

describeHosts('invalidate(...tags)', (host) => {
  const boot = (status: number, invalidate: NonNullable<Route['invalidate']>) =>
    host.boot({
      routes: [
        things(),
        thing(),
        { method: 'PATCH', path: '/things/:id', invalidate, handler: says({ status, body: 'x' }) },
      ],
    })

  test('purges tags, and those a function of the response names, before its answer is there', async () => {
    const app = await boot(200, ['nothing', (r) => [`thing:${r.params.id}`]])
    for (const path of ['/things', '/things/7', '/things/8']) await app.get(path)
    const heard: unknown[] = []
    app.sluice.on('invalidated', ({ mode }) => heard.push(mode))
    await app.request('/things/7', { method: 'PATCH' })
    expect(heard).toEqual(['purge'])
    expect((await app.get('/things/7')).cache).toBe('uri-miss')
    expect((await app.get('/things/8')).cache).toBe('hit')
    expect((await app.get('/things')).cache).toBe('hit')
  })

  test.each([
    [302, true],
    [400, false],
    [500, false],
  ])('after success only: %i', async (status, purged) => {
    const app = await boot(status, ['things'])
    await app.get('/things')
    await app.request('/things/7', { method: 'PATCH' })
    expect((await app.get('/things')).cache).toBe(purged ? 'uri-miss' : 'hit')
  })

  test('not when the handler throws', async () => {
    const app = await host.boot({
      routes: [
        things(),
        {
          method: 'PATCH',
          path: '/things/:id',
          invalidate: ['things'],
          handler: () => Promise.reject(new Error('no')),
        },
      ],
    })
    await app.get('/things')
    expect((await app.request('/things/7', { method: 'PATCH' })).status).toBe(500)
    expect((await app.get('/things')).cache).toBe('hit')
  })
})

describeHosts('purge and expire', (host) => {
  const boot = () => host.boot({ routes: [things(), thing()] })

  test('by tag', async () => {
    const app = await boot()
    for (const path of ['/things', '/things/7', '/things/8']) await app.get(path)
    await app.sluice.purge({ tags: ['thing:7'] })
    expect((await app.get('/things/7')).cache).toBe('uri-miss')
    expect((await app.get('/things/8')).cache).toBe('hit')
    await app.sluice.purge({ tags: 'things' })
    expect((await app.get('/things/8')).cache).toBe('uri-miss')
    expect((await app.get('/things')).cache).toBe('uri-miss')
  })

  test('by URL: one query, or every query of a path', async () => {
    const app = await boot()
    for (const path of ['/things', '/things?a=1', '/things?a=2', '/things/7']) await app.get(path)
    await app.sluice.purge({ url: '/things?a=1' })
    expect((await app.get('/things?a=1')).cache).toBe('uri-miss')
    expect((await app.get('/things?a=2')).cache).toBe('hit')
    await app.sluice.purge({ url: '/things' })
    expect((await app.get('/things?a=2')).cache).toBe('uri-miss')
    expect((await app.get('/things')).cache).toBe('uri-miss')
    expect((await app.get('/things/7')).cache).toBe('hit')
  })

  test('by URL: of this host, and not of another', async () => {
    const app = await boot()
    await app.get('/things')
    await app.sluice.purge({ url: 'http://elsewhere.example/things' })
    expect((await app.get('/things')).cache).toBe('hit')
    await app.sluice.purge({ url: new URL(`http://127.0.0.1:${app.port}/things`) })
    expect((await app.get('/things')).cache).toBe('uri-miss')
  })

  test('all variants of a URL', async () => {
    const handler = counted((c, run) => says({ fields: { Vary: 'X-Kind' }, body: `run ${run}` })(c))
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1h' }, handler }] })
    for (const kind of ['a', 'b']) await app.get('/', { 'x-kind': kind })
    await app.sluice.purge({ url: '/' })
    for (const kind of ['a', 'b']) expect((await app.get('/', { 'x-kind': kind })).cache).not.toBe('hit')
  })

  test('everything', async () => {
    const app = await boot()
    for (const path of ['/things', '/things/7']) await app.get(path)
    await app.sluice.purge({ all: true })
    for (const path of ['/things', '/things/7']) expect((await app.get(path)).cache).toBe('uri-miss')
  })

  test('expire: stale from now on, so the handler is asked', async () => {
    const app = await boot()
    await app.get('/things/7')
    await app.sluice.expire({ url: '/things/7' })
    expect((await app.get('/things/7')).text).toBe('thing 7 run 2')
  })

  test('expire: what may be served stale is, and refreshed', async () => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '1h', staleWhileRevalidate: '1m', tags: ['a'] }, handler: counted() }],
    })
    await app.get('/')
    await app.sluice.expire({ tags: ['a'] })
    expect((await app.get('/')).text).toBe('run 1')
  })

  test.each([
    [undefined],
    [null],
    ['things'],
    [{}],
    [{ tag: ['a'] }],
    [{ tags: [''] }],
    [{ url: '/', all: true }],
    [{ all: false }],
  ])('a target that is none is refused: %j', async (target) => {
    const app = await boot()
    await expect(app.sluice.purge(target as never)).rejects.toMatchObject({ code: 'ERR_SLUICE_OPTION' })
  })
})

describeHosts(
  'purge by route',
  (host) => {
    test('with parameters, without, and none other', async () => {
      const app = await host.boot({ routes: [things(), thing()] })
      for (const path of ['/things', '/things/7', '/things/8']) await app.get(path)
      await app.sluice.purge({ route: '/things/:id', params: { id: 7 } })
      expect((await app.get('/things/7')).cache).toBe('uri-miss')
      expect((await app.get('/things/8')).cache).toBe('hit')
      await app.sluice.purge({ route: '/things/:id' })
      expect((await app.get('/things/8')).cache).toBe('uri-miss')
      expect((await app.get('/things')).cache).toBe('hit')
    })
  },
  // Plain node:http has no routes.
  (kind) => kind.framework !== 'node',
)

describeHosts('cache groups (RFC 9875)', (host) => {
  test('Cache-Groups names them, Cache-Group-Invalidation of an unsafe response invalidates them', async () => {
    const grouped = (path: string, groups: string): Route => ({
      path,
      cache: { ttl: '1h' },
      handler: counted((c, run) => says({ fields: { 'Cache-Groups': groups }, body: `run ${run}` })(c)),
    })
    const app = await host.boot({
      routes: [
        grouped('/a', '"one", "two"'),
        grouped('/b', '"two"'),
        grouped('/c', '"three"'),
        {
          method: 'POST',
          path: '/x',
          cache: { ttl: '1h' },
          handler: says({ fields: { 'Cache-Group-Invalidation': '"one", "four"' } }),
        },
        {
          method: 'GET',
          path: '/safe',
          cache: { ttl: '1h' },
          handler: says({ fields: { 'Cache-Group-Invalidation': '"two"' } }),
        },
      ],
    })
    for (const path of ['/a', '/b', '/c']) await app.get(path)
    await app.get('/safe')
    for (const path of ['/a', '/b', '/c']) expect((await app.get(path)).cache).toBe('hit')
    await app.request('/x', { method: 'POST' })
    expect((await app.get('/a')).cache).toBe('uri-miss')
    for (const path of ['/b', '/c']) expect((await app.get(path)).cache).toBe('hit')
  })
})
