import { expect, jest, test } from '@jest/globals'
import { by } from '@sluice/core'
import type { Answer, RequestFields, RequestOptions } from './harness/client.ts'
import { counted } from './harness/handlers.ts'
import { type AppSpec, type Ctx, describeHosts, type Step, type TestApp, type TestHost, until } from './harness/host.ts'

const text = 'abcdefghij'.repeat(200)

const answers = (c: Ctx, run: number): void => {
  c.set('Last-Modified', 'Wed, 01 Jan 2020 00:00:00 GMT')
  c.send({ run, text })
}

/** An application with one route, served with and without a door in front. */
async function both(
  host: TestHost,
  spec: Omit<AppSpec, 'routes'>,
  route: Partial<AppSpec['routes'][number]> & { handle?: typeof answers } = {},
) {
  const { handle = answers, ...rest } = route
  const routes = () => [
    { path: '/cities', ...rest, handler: counted(handle), cache: { ttl: '1m', ...rest.cache, front: true } },
  ]
  const front = spec.front ?? true
  const fronted = await host.boot({ ...spec, front, routes: routes() })
  return { fronted, plain: await host.boot({ ...spec, routes: routes() }) }
}

/** So often that the door knows what is the same on each answer. */
async function learn(app: TestApp, headers: RequestFields = {}): Promise<void> {
  for (let i = 0; i < 5; i++) await app.get('/cities', headers)
}

/** Counts what the door answers. */
function atTheDoor(app: TestApp): { count: number } {
  const seen = { count: 0 }
  app.sluice.on('front', () => seen.count++)
  return seen
}

/** All that two answers may not differ in; what the transport says of itself has an order of its own. */
function told(answer: Answer, port: number): unknown {
  const lines = answer.fields.map(([name, value]) => `${name}: ${value.replaceAll(String(port), 'PORT')}`).sort()
  // That of an answer from the handler is when it was made.
  const fields = lines.filter((line) => answer.cache === 'hit' || !line.startsWith('date:'))
  return { status: answer.status, fields, body: answer.body.toString('latin1') }
}

const table: readonly (readonly [string, string, RequestOptions])[] = [
  ['GET', '/cities', {}],
  ['HEAD', '/cities', { method: 'HEAD' }],
  ['a condition that holds', '/cities', { headers: { 'if-none-match': '*' } }],
  ['a date', '/cities', { headers: { 'if-modified-since': 'Thu, 02 Jan 2020 00:00:00 GMT' } }],
  ['a condition that does not', '/cities', { headers: { 'if-none-match': '"other"' } }],
  ['HEAD under a condition', '/cities', { method: 'HEAD', headers: { 'if-none-match': '*' } }],
  ['a range', '/cities', { headers: { range: 'bytes=10-19' } }],
  ['the last bytes', '/cities', { headers: { range: 'bytes=-5' } }],
  ['a range that is none', '/cities', { headers: { range: 'bytes=99999-' } }],
  ['several ranges', '/cities', { headers: { range: 'bytes=0-1,5-6' } }],
  ['If-Range', '/cities', { headers: { range: 'bytes=0-3', 'if-range': '"other"' } }],
  ['If-Match', '/cities', { headers: { 'if-match': '"other"' } }],
  ['gzip', '/cities', { headers: { 'accept-encoding': 'gzip' } }],
  ['br', '/cities', { headers: { 'accept-encoding': 'br;q=1, gzip;q=0.5' } }],
  ['no coding', '/cities', { headers: { 'accept-encoding': 'identity' } }],
  ['nothing at all', '/cities', { headers: { 'accept-encoding': 'identity;q=0, *;q=0' } }],
  ['only-if-cached', '/cities', { headers: { 'cache-control': 'only-if-cached' } }],
  ['no-cache', '/cities', { headers: { 'cache-control': 'no-cache' } }],
  ['credentials', '/cities', { headers: { authorization: 'Bearer x' } }],
  ['a cookie', '/cities', { headers: { cookie: 'a=1' } }],
  ['another query', '/cities?x=1', {}],
  ['another spelling', '/citie%73', {}],
  ['a method nobody has', '/cities', { method: 'DELETE' }],
  ['a connection that ends', '/cities', { headers: { connection: 'close' } }],
  ['an expectation', '/cities', { headers: { expect: '100-continue' } }],
]

describeHosts('in front of the application', (host) => {
  test.each(['in one piece', 'by writeHead'])('the whole table is the same as without it, %s', async (way) => {
    const dresses: Step = (c) => {
      c.set('X-Frame-Options', 'DENY')
      c.set('Vary', 'Origin')
      c.set('Access-Control-Allow-Origin', c.header('origin') ?? '*')
    }
    const spec = { use: [dresses], compress: { threshold: 10 }, sluice: { cache: { honourRequest: false } } }
    const { fronted, plain } = await both(host, { ...spec, front: { oneBuffer: way === 'in one piece' } })
    const seen = atTheDoor(fronted)
    for (const app of [fronted, plain])
      for (const coding of ['', 'gzip', 'br;q=1, gzip;q=0.5']) await learn(app, { 'accept-encoding': coding })
    for (let round = 0; round < 2; round++) {
      for (const [name, path, options] of table) {
        const [ours, theirs] = [await fronted.request(path, options), await plain.request(path, options)]
        expect([name, told(ours, fronted.port)]).toEqual([name, told(theirs, plain.port)])
      }
    }
    expect(seen.count).toBeGreaterThan(20)
  })

  test('what stands in front of the route does not run for a hit, and only for a hit', async () => {
    let ran = 0
    const { fronted } = await both(host, { use: [() => void ran++] })
    await learn(fronted)
    const before = ran
    const seen = atTheDoor(fronted)
    for (let i = 0; i < 3; i++) expect((await fronted.get('/cities')).cache).toBe('hit')
    expect([ran - before, seen.count]).toEqual([0, 3])
    expect((await fronted.get('/cities?other=1')).cache).toBe('uri-miss')
    expect(ran - before).toBe(1)
  })

  test('a purge that resolved is seen, and so is an expiry', async () => {
    const { fronted } = await both(host, {}, { cache: { ttl: '1m', tags: ['cities'] } })
    await learn(fronted)
    expect((await fronted.get('/cities')).json().run).toBe(1)
    await fronted.sluice.purge({ tags: ['cities'] })
    expect((await fronted.get('/cities')).json().run).toBe(2)
    await learn(fronted)
    await fronted.sluice.expire({ tags: ['cities'] })
    expect((await fronted.get('/cities')).json().run).toBe(3)
  })

  test('stale while it is refreshed, through the whole application', async () => {
    let ran = 0
    const { fronted } = await both(
      host,
      { use: [() => void ran++] },
      { cache: { ttl: '1s', staleWhileRevalidate: '1m' } },
    )
    await learn(fronted)
    const before = ran
    fronted.clock.advance(2_000)
    expect((await fronted.get('/cities')).json().run).toBe(1)
    await until(() => ran > before)
    await until(() => fronted.sluice.stats().cache.refreshes === 1)
    for (let i = 0; i < 100 && (await fronted.get('/cities')).json().run === 1; i++);
    expect((await fronted.get('/cities')).json().run).toBe(2)
  })

  test('what is somebody’s, or depends on what a framework keeps, is the application’s to answer', async () => {
    const signsIn: Step = (c) => {
      const who = c.header('x-user')
      if (who !== undefined) c.user = { id: who }
    }
    const { fronted } = await both(
      host,
      { use: [signsIn] },
      { handle: (c, run) => c.send({ run, user: (c.user as { id: string } | undefined)?.id ?? 'nobody' }) },
    )
    await learn(fronted)
    for (let i = 0; i < 3; i++) expect((await fronted.get('/cities', { 'x-user': 'alice' })).json().user).toBe('alice')
    expect((await fronted.get('/cities', { 'x-user': 'bob' })).json().user).toBe('bob')
    expect((await fronted.get('/cities')).json().user).toBe('nobody')
  })

  test('two fields, two answers: what the handler read of the raw request tells them apart', async () => {
    const { fronted } = await both(
      host,
      {},
      { handle: (c, run) => c.send({ run, language: c.header('accept-language') ?? 'none' }) },
    )
    for (const language of ['de', 'en']) await learn(fronted, { 'accept-language': language })
    const seen = atTheDoor(fronted)
    for (const language of ['de', 'en', 'de', 'fr'])
      expect((await fronted.get('/cities', { 'accept-language': language })).json().language).toBe(language)
    expect(seen.count).toBe(3)
  })

  test('what middleware adds by the request is added by the request', async () => {
    const cors: Step = (c) => {
      c.set('Vary', 'Origin')
      const origin = c.header('origin')
      if (origin?.endsWith('.example')) c.set('Access-Control-Allow-Origin', origin)
    }
    const { fronted } = await both(host, { use: [cors] })
    const origins = ['https://a.example', 'https://b.example', 'https://evil.test']
    for (const origin of origins) await learn(fronted, { origin })
    const seen = atTheDoor(fronted)
    for (const origin of origins) {
      const answer = await fronted.get('/cities', { origin })
      expect(answer.header('access-control-allow-origin')).toBe(origin.endsWith('.example') ? origin : undefined)
      expect(answer.header('vary')?.toLowerCase()).toContain('origin')
    }
    expect(seen.count).toBe(3)
    expect((await fronted.get('/cities', { origin: 'https://c.example' })).header('access-control-allow-origin')).toBe(
      'https://c.example',
    )
    expect(seen.count).toBe(3)
  })

  test('what is not the same on each answer is left out, and that is said once', async () => {
    let serial = 0
    const stamps: Step = (c) => c.set('X-Request-Id', String(++serial))
    const { fronted } = await both(host, { use: [stamps] })
    const said: string[] = []
    fronted.sluice.on('front-refused', ({ reason }) => said.push(reason))
    const seen = atTheDoor(fronted)
    await learn(fronted)
    const answer = await fronted.get('/cities')
    expect([answer.cache, answer.header('x-request-id')]).toEqual(['hit', undefined])
    expect(seen.count).toBeGreaterThan(0)
    expect(said).toEqual([expect.stringContaining('x-request-id')])
  })

  test('a cookie that middleware sets makes the route the application’s', async () => {
    const { fronted } = await both(host, { use: [(c) => c.set('Set-Cookie', 'visit=1')] })
    const said: string[] = []
    fronted.sluice.on('front-refused', ({ reason }) => said.push(reason))
    const seen = atTheDoor(fronted)
    await learn(fronted)
    expect((await fronted.get('/cities')).header('set-cookie')).toBe('visit=1')
    expect([seen.count, said]).toEqual([0, [expect.stringContaining('cookie')]])
  })

  test('limits in front of the route are charged, once, with their fields', async () => {
    const { fronted, plain } = await both(host, { limit: ['10/min'] })
    const seen = atTheDoor(fronted)
    for (let i = 0; i < 10; i++) {
      const [ours, theirs] = [await fronted.get('/cities'), await plain.get('/cities')]
      expect([i, ours.status, ours.header('ratelimit'), ours.header('ratelimit-policy')]).toEqual([
        i,
        200,
        theirs.header('ratelimit'),
        theirs.header('ratelimit-policy'),
      ])
    }
    const [ours, theirs] = [await fronted.get('/cities'), await plain.get('/cities')]
    expect(told(ours, fronted.port)).toEqual(told(theirs, plain.port))
    expect(ours.status).toBe(429)
    expect(seen.count).toBeGreaterThan(4)
  })

  test('clients behind a proxy that is trusted are told apart', async () => {
    // There is nothing to tell it to trust one.
    if (host.framework === 'node') return
    const { fronted } = await both(host, { limit: ['6/min'], proxy: true })
    const seen = atTheDoor(fronted)
    const from = (address: string) => fronted.get('/cities', { 'x-forwarded-for': address })
    for (let i = 0; i < 6; i++) expect((await from('203.0.113.7')).status).toBe(200)
    expect((await from('203.0.113.7')).status).toBe(429)
    expect((await from('203.0.113.8')).status).toBe(200)
    expect(seen.count).toBeGreaterThan(1)
  })

  test('a limit by route counts in the bucket it counts in without the door', async () => {
    const { fronted, plain } = await both(host, { limit: ['9/min'], limitPer: 'route' })
    const seen = atTheDoor(fronted)
    for (let i = 0; i < 9; i++) {
      const [ours, theirs] = [await fronted.get('/cities'), await plain.get('/cities')]
      expect([i, ours.header('ratelimit')]).toEqual([i, theirs.header('ratelimit')])
    }
    expect([(await fronted.get('/cities')).status, (await plain.get('/cities')).status]).toEqual([429, 429])
    expect(seen.count).toBeGreaterThan(3)
  })

  test('visitors with cookies of their own share what depends on none of them', async () => {
    const { fronted } = await both(
      host,
      {},
      {
        handle: (c) => c.send({ theme: c.cookie('theme') ?? 'light' }),
        cache: { ttl: '1m', cookies: ['theme'] },
      },
    )
    for (const cookie of ['a=1', 'b=2', 'c=3']) await learn(fronted, { cookie })
    const seen = atTheDoor(fronted)
    for (const cookie of ['d=4', 'e=5; a=1']) {
      expect((await fronted.get('/cities', { cookie })).json().theme).toBe('light')
    }
    expect(seen.count).toBe(2)
    expect((await fronted.get('/cities', { cookie: 'theme=dark' })).json().theme).toBe('dark')
    expect(seen.count).toBe(2)
  })

  test('a limit that needs the framework makes the route the application’s', async () => {
    const { fronted } = await both(host, {}, { limit: [{ name: 'users', rate: '100/min', key: by.user }] })
    const said: string[] = []
    fronted.sluice.on('front-refused', ({ reason }) => said.push(reason))
    const seen = atTheDoor(fronted)
    await learn(fronted)
    expect([seen.count, said]).toEqual([0, [expect.stringContaining('users')]])
  })

  test('a permit is held while the answer is being sent, and given back', async () => {
    const { fronted } = await both(host, { limit: [{ name: 'few', rate: '2 concurrent' }] })
    await learn(fronted)
    for (let i = 0; i < 6; i++) expect((await fronted.get('/cities')).status).toBe(200)
    await until(() => fronted.sluice.stats().limits.permits === 0)
  })

  test('its event has what an access log wants', async () => {
    const { fronted } = await both(host, {})
    await learn(fronted)
    const lines: unknown[] = []
    fronted.sluice.on('front', ({ method, url, route, status, length, hit, response }) => {
      const res = response as import('node:http').ServerResponse
      res.once('finish', () => lines.push([method, url, route, status, length, hit, res.headersSent]))
    })
    const answer = await fronted.get('/cities')
    await until(() => lines.length === 1)
    const route = host.framework === 'node' ? undefined : '/cities'
    expect(lines).toEqual([['GET', '/cities', route, 200, answer.body.length, true, true]])
  })

  test('without a door the option warns once, and the ordinary way is taken', async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { plain } = await both(host, {})
    await learn(plain)
    expect((await plain.get('/cities')).cache).toBe('hit')
    const said = warned.mock.calls.map(([message]) => String(message)).filter((one) => one.includes('front'))
    warned.mockRestore()
    expect(said).toEqual([expect.stringContaining('sluice.front(app)')])
  })
})

describeHosts('in front of the application: everybody is charged first', (host) => {
  test('hits, misses and what is not there; the same policy further on does not charge again', async () => {
    const { fronted } = await both(host, {
      front: { limit: 'all' },
      sluice: { limits: { all: '12/min' } },
      limit: ['all'],
    })
    const seen = atTheDoor(fronted)
    for (let i = 0; i < 10; i++) {
      const answer = await fronted.get('/cities')
      expect([answer.status, answer.header('ratelimit')]).toEqual([200, expect.stringContaining(`r=${11 - i};`)])
    }
    expect((await fronted.get('/cities?other')).status).toBe(200)
    expect((await fronted.get('/none')).status).toBe(404)
    const refused = await fronted.get('/cities')
    expect([refused.status, refused.header('retry-after'), refused.header('content-type')]).toEqual([
      429,
      expect.stringMatching(/^\d+$/),
      'application/problem+json',
    ])
    expect(seen.count).toBeGreaterThan(5)
  })

  test('what needs the framework is refused at start-up', async () => {
    const limit = { rate: '5/min', key: by.user, name: 'users' }
    await expect(both(host, { front: { limit } })).rejects.toThrow('front.limit')
  })
})
