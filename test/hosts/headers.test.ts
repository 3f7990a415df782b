import { expect, test } from '@jest/globals'
import { by } from '@sluice/core'
import { counted, says } from './harness/handlers.ts'
import { type Ctx, describeHosts, type RequestFields } from './harness/host.ts'

describeHosts('fields of earlier middleware', (host) => {
  test('are never stored, and applied afresh on each hit: CORS, request ids, cookies', async () => {
    let id = 0
    const app = await host.boot({
      front: false,
      use: [
        (c) => {
          c.set('X-Request-Id', `r${++id}`)
          c.set('Access-Control-Allow-Origin', c.header('origin') ?? 'none')
          c.append('Set-Cookie', `visit=${id}`)
          c.append('Set-Cookie', 'consent=1')
        },
      ],
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: counted() }],
    })
    const seen: unknown[] = []
    for (const origin of ['a', 'b', 'c']) {
      const answer = await app.get('/', { origin })
      seen.push([
        answer.cache,
        answer.text,
        answer.lines('x-request-id'),
        answer.lines('access-control-allow-origin'),
        answer.lines('set-cookie'),
      ])
    }
    expect(seen).toEqual([
      ['uri-miss', 'run 1', ['r1'], ['a'], ['visit=1', 'consent=1']],
      ['hit', 'run 1', ['r2'], ['b'], ['visit=2', 'consent=1']],
      ['hit', 'run 1', ['r3'], ['c'], ['visit=3', 'consent=1']],
    ])
  })

  test('what the handler says is its own, also where the middleware had said the same', async () => {
    let region: string | undefined = 'eu'
    const app = await host.boot({
      use: [
        (c) => {
          if (region) c.set('X-Region', region)
          c.set('X-Both', ['a', 'b'])
        },
      ],
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            c.set('X-Region', 'eu')
            c.send('x')
          },
        },
      ],
    })
    const seen: unknown[] = []
    for (region of ['eu', 'us', undefined]) {
      const answer = await app.get('/')
      seen.push([answer.cache, answer.lines('x-region'), answer.lines('x-both')])
    }
    expect(seen).toEqual([
      ['uri-miss', ['eu'], ['a', 'b']],
      ['hit', ['eu'], ['a', 'b']],
      ['hit', ['eu'], ['a', 'b']],
    ])
  })

  test('a cookie of the middleware’s does no harm, one of the handler’s does', async () => {
    const app = await host.boot({
      use: [(c) => c.append('Set-Cookie', 'visit=1')],
      routes: [
        { path: '/own', cache: { ttl: '1m' }, handler: says({}) },
        {
          path: '/more',
          cache: { ttl: '1m' },
          handler(c) {
            c.append('Set-Cookie', 'mine=1')
            c.send('x')
          },
        },
      ],
    })
    expect((await app.get('/own')).stored).toBe(true)
    const more = await app.get('/more')
    expect([more.stored, more.detail, more.lines('set-cookie')]).toEqual([false, 'set-cookie', ['visit=1', 'mine=1']])
  })

  test('what the handler overrides is the handler’s, on the miss and on each hit', async () => {
    let n = 0
    const app = await host.boot({
      front: false,
      use: [
        (c) => {
          c.set('X-By', `middleware ${++n}`)
          c.set('X-Also', `middleware ${n}`)
          c.set('Content-Language', 'en')
        },
      ],
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler: says({ fields: { 'X-By': 'handler', 'Content-Language': 'no' } }),
        },
      ],
    })
    for (const run of [1, 2]) {
      const answer = await app.get('/')
      expect([answer.lines('x-by'), answer.lines('x-also'), answer.lines('content-language')]).toEqual([
        ['handler'],
        [`middleware ${run}`],
        ['no'],
      ])
    }
  })

  test('Vary of both is merged, each name once', async () => {
    const app = await host.boot({
      use: [(c) => c.set('Vary', 'Origin, Accept')],
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            c.append('Vary', 'accept')
            c.append('Vary', 'X-Kind')
            c.send('x')
          },
        },
      ],
    })
    for (const kind of ['uri-miss', 'hit']) {
      const answer = await app.get('/', { 'x-kind': 'a' })
      const names = answer.header('vary')!.toLowerCase().split(/, */)
      expect(answer.cache).toBe(kind)
      expect([...new Set(names)].sort()).toEqual(['accept', 'origin', 'x-kind'])
      if (kind === 'hit') expect(names).toHaveLength(3)
    }
  })

  test('a Cache-Status of a cache behind is kept beside ours (RFC 9211 §2)', async () => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({ fields: { 'Cache-Status': 'Origin; hit' } }) }],
    })
    expect((await app.get('/')).header('cache-status')).toContain('Origin; hit')
    expect((await app.get('/')).header('cache-status')).toBe('Sluice; hit; ttl=60')
  })

  test('a 304 from the store carries them too', async () => {
    const app = await host.boot({
      use: [(c) => c.set('Access-Control-Allow-Origin', c.header('origin') ?? 'none')],
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({ fields: { ETag: '"v1"' } }) }],
    })
    await app.get('/', { origin: 'a' })
    const answer = await app.get('/', { origin: 'b', 'if-none-match': '"v1"' })
    expect([answer.status, answer.header('access-control-allow-origin')]).toEqual([304, 'b'])
  })

  test('a stale answer in place of an error has them, and nothing of the failed handler’s', async () => {
    let id = 0
    const app = await host.boot({
      use: [(c) => c.set('X-Request-Id', String(++id))],
      routes: [
        {
          path: '/',
          cache: { ttl: '10s', staleIfError: '1h' },
          handler: counted((c, run) => {
            c.set('X-Run', String(run))
            if (run > 1) {
              c.set('X-Failed', 'yes')
              c.status(500)
            }
            c.send('x')
          }),
        },
      ],
    })
    await app.get('/')
    await app.clock.advance(11_000)
    const answer = await app.get('/')
    expect([answer.status, answer.header('x-request-id'), answer.header('x-run'), answer.header('x-failed')]).toEqual([
      200,
      '2',
      '1',
      undefined,
    ])
  })
})

describeHosts('what clients and CDNs are told', (host) => {
  const told = async (cache: object, fields: Record<string, string> = {}, step?: (c: Ctx) => unknown) => {
    const app = await host.boot({
      routes: [{ path: '/', before: step ? [step] : [], cache: { ttl: '5m', ...cache }, handler: says({ fields }) }],
    })
    const [miss, hit] = [await app.get('/'), await app.get('/')]
    expect(hit.cache).toBe('hit')
    const pick = (a: typeof miss) => [a.header('cache-control'), a.header('cdn-cache-control'), a.header('expires')]
    expect(pick(hit)).toEqual(pick(miss))
    return pick(hit)
  }

  test('by default browsers ask each time, so that a purge is seen at the next request', async () => {
    expect(await told({})).toEqual(['public, max-age=0, must-revalidate', undefined, undefined])
  })

  test('clientTtl is theirs, cdnTtl the CDN’s (RFC 9213)', async () => {
    // Until a second visitor was given the same, nobody else may keep it.
    expect(await told({ clientTtl: '30s' })).toEqual(['private, max-age=30', undefined, undefined])
    expect(await told({ cdnTtl: '2m' })).toEqual(['private, max-age=0, must-revalidate', undefined, undefined])
    const both = { clientTtl: '30s', cdnTtl: '2m' } as const
    expect(await told({ ...both, witness: false })).toEqual(['public, max-age=30', 'max-age=120', undefined])
    expect(await told({ ...both, public: true })).toEqual(['public, max-age=30', 'max-age=120', undefined])
  })

  test('the route decides: what the handler said of freshness is not passed on', async () => {
    const fields = {
      'Cache-Control': 'max-age=999',
      Expires: 'Sat, 21 Nov 2030 12:00:00 GMT',
      'CDN-Cache-Control': 'max-age=9',
    }
    expect(await told({}, fields)).toEqual(['public, max-age=0, must-revalidate', undefined, undefined])
  })

  test('what is for one user is private', async () => {
    const [control, cdn] = await told({ varyBy: by.user, cdnTtl: '2m' }, {}, (c) => {
      c.user = { id: 1 }
    })
    expect([control, cdn]).toEqual(['private, max-age=0, must-revalidate', undefined])
  })

  test('an answer that is not stored is not advertised', async () => {
    const app = await host.boot({
      routes: [
        { path: '/', cache: { ttl: '5m', clientTtl: '1h' }, handler: (c) => c.send(String(c.header('cookie'))) },
      ],
    })
    expect((await app.get('/', { cookie: 'a=1' })).header('cache-control')).toBeUndefined()
  })

  test('without a TTL the handler’s own words go out as they are', async () => {
    const fields = { 'Cache-Control': 'public, max-age=60, x-own="a"', Expires: 'Sat, 21 Nov 2030 12:00:00 GMT' }
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler: says({ fields }) }] })
    for (const kind of ['uri-miss', 'hit']) {
      const answer = await app.get('/')
      expect([answer.cache, answer.header('cache-control'), answer.header('expires')]).toEqual([
        kind,
        fields['Cache-Control'],
        fields.Expires,
      ])
    }
  })
})

describeHosts('what everybody downstream is told', (host) => {
  test('Set-Cookie never goes out beside public', async () => {
    const app = await host.boot({
      use: [(c) => c.header('x-cookie') && c.set('Set-Cookie', 'sid=1')],
      routes: [{ path: '/', cache: { ttl: '5m', public: true, clientTtl: '1m', cdnTtl: '2m' }, handler: says({}) }],
    })
    const told = async (headers: RequestFields) => {
      const answer = await app.get('/', headers)
      return [answer.cache, answer.header('cache-control'), answer.header('cdn-cache-control')]
    }
    expect(await told({ 'x-cookie': '1' })).toEqual(['uri-miss', 'private, max-age=60', undefined])
    expect(await told({ 'x-cookie': '1' })).toEqual(['hit', 'private, max-age=60', undefined])
    expect(await told({})).toEqual(['hit', 'public, max-age=60', 'max-age=120'])
  })

  test('the promise shrinks as the entry ages, and is never beyond what is stored', async () => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '5m', public: true, clientTtl: '1m', cdnTtl: '1h' }, handler: says({}) }],
    })
    const told = async () => {
      const answer = await app.get('/')
      return ['age', 'cache-control', 'cdn-cache-control'].map((name) => answer.header(name))
    }
    expect(await told()).toEqual([undefined, 'public, max-age=60', 'max-age=300'])
    await app.clock.advance(100_000)
    expect(await told()).toEqual(['100', 'public, max-age=160', 'max-age=300'])
    await app.clock.advance(180_000)
    expect(await told()).toEqual(['280', 'public, max-age=300', 'max-age=300'])
  })

  test('not on what negativeTtl keeps, and not beyond a shorter .ttl()', async () => {
    const cache = { ttl: '5m', negativeTtl: '10s', public: true, clientTtl: '1m' } as const
    const app = await host.boot({
      routes: [
        { path: '/gone', cache, handler: says({ status: 404 }) },
        {
          path: '/short',
          cache,
          handler(c) {
            c.sluice.ttl('20s')
            c.send('x')
          },
        },
      ],
    })
    expect((await app.get('/gone')).header('cache-control')).toBe('public, max-age=0, must-revalidate')
    expect((await app.get('/short')).header('cache-control')).toBe('public, max-age=20')
  })

  test('no-transform survives', async () => {
    const handler = says({ fields: { 'Cache-Control': 'no-transform' } })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '5m' }, handler }] })
    for (let i = 0; i < 2; i++) expect((await app.get('/')).header('cache-control')).toMatch(/, no-transform$/)
  })

  test('a 304 has what a browser asks of every answer', async () => {
    const fields = { 'Access-Control-Allow-Origin': '*', 'Cross-Origin-Resource-Policy': 'same-site' }
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '5m' }, handler: says({ fields }) }] })
    const etag = (await app.get('/')).header('etag')!
    const answer = await app.get('/', { 'if-none-match': etag })
    expect(answer.status).toBe(304)
    for (const [name, value] of Object.entries(fields)) expect(answer.header(name.toLowerCase())).toBe(value)
  })

  test('etag: none, or one of your own', async () => {
    const app = await host.boot({
      routes: [
        { path: '/none', cache: { ttl: '5m', etag: false }, handler: (c) => c.raw.res.end('x') },
        {
          path: '/own',
          cache: { ttl: '5m', etag: (body) => `n${body.byteLength}` },
          handler: (c) => c.raw.res.end('abc'),
        },
        { path: '/bad', cache: { ttl: '5m', etag: () => 'a "b"' }, handler: (c) => c.raw.res.end('x') },
      ],
    })
    // What is written to node's response itself has no tag of the framework's.
    if (host.framework === 'koa' || host.framework === 'fastify') return
    for (let i = 0; i < 2; i++) expect((await app.get('/none')).header('etag')).toBeUndefined()
    for (let i = 0; i < 2; i++) expect((await app.get('/own')).header('etag')).toBe('"n3"')
    expect((await app.get('/own', { 'if-none-match': '"n3"' })).status).toBe(304)
    expect(await app.get('/bad')).toMatchObject({ status: 200, detail: 'callback' })
  })
})
