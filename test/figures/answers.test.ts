import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type AnswerEvent, collectFigures, type FiguresSnapshot, type PolicyStats } from '@sluice/core'
import { counted, pieces, says } from '../hosts/harness/handlers.ts'
import {
  type AppSpec,
  describeHosts,
  gate,
  type Step,
  type TestApp,
  type TestHost,
  until,
} from '../hosts/harness/host.ts'
import { redis } from '../redis/library.ts'
import { freshName } from '../redis/support.ts'
import { serverOfTests } from '../support/outside-redis.ts'
import type { RedisServer } from '../support/redis-server.ts'

/** An application whose figures are collected from the start, and what it told. */
async function watched(host: TestHost, spec: AppSpec) {
  const app = await host.boot({ front: false, ...spec })
  const figures = collectFigures(app.sluice)
  const told: AnswerEvent[] = []
  app.sluice.on('answer', (event) => told.push(event))
  return { app, told, read: () => figures.snapshot() }
}

/** `route method result reason` of all that was counted. */
const lines = ({ answers }: FiguresSnapshot): Record<string, number> =>
  Object.fromEntries(answers.map((a) => [[a.route, a.method, a.result, a.reason].join(' ').trim(), a.count]))

/** node:http knows no routes: what is counted there has no pattern. */
function onHost({ framework }: TestHost, expected: Record<string, number>): Record<string, number> {
  if (framework !== 'node') return expected
  const counts: Record<string, number> = {}
  for (const [line, count] of Object.entries(expected)) {
    const at = line.replace(/^\S+/, '(unmatched)')
    counts[at] = (counts[at] ?? 0) + count
  }
  return counts
}

/** The counters of the instance must say the same. */
function expectToAgree({ answers, stats: { cache } }: FiguresSnapshot, told: readonly AnswerEvent[]): void {
  const sum = (result: string) => answers.reduce((all, a) => all + (a.result === result ? a.count : 0), 0)
  const { hits, stale, misses, coalesced, bypassed } = cache
  const results = ['hit', 'stale', 'miss', 'collapsed', 'bypass']
  expect(results.map(sum)).toEqual([hits, stale, misses, coalesced, bypassed])
  expect(results.map((result) => told.filter((one) => one.result === result).length)).toEqual(results.map(sum))
}

const saysNotToday: Step = (c) => {
  c.sluice.skip('today')
  c.send('x')
}

const routes = (): AppSpec['routes'] => [
  {
    path: '/cities/:id',
    cache: { ttl: '10s', staleWhileRevalidate: '1m', unless: (c) => c.header('x-skip') !== undefined },
    handler: counted(),
  },
  { method: 'POST', path: '/cities/:id', cache: {}, handler: says({ status: 201 }) },
  { path: '/private', cache: { ttl: '10s' }, handler: says({ fields: { 'Cache-Control': 'private' } }) },
  { path: '/said', cache: { ttl: '10s' }, handler: saysNotToday },
  { path: '/stream', cache: { ttl: '10s' }, handler: (c) => c.stream(pieces('one', 'two')) },
  {
    path: '/fails',
    cache: { ttl: '1s', staleIfError: '1h' },
    handler: counted((c, run) => c.status(run > 1 ? 503 : 200).send('x')),
  },
]

const settled = async (app: TestApp, told: readonly AnswerEvent[], count: number): Promise<void> => {
  await until(() => told.length >= count)
  await app.clock.advance(0)
}

describeHosts('figures of answers', (host) => {
  const at = (route: string): string => (host.framework === 'node' ? '(unmatched)' : route)

  test('hit, stale, miss and bypass, by route pattern, with the words of Cache-Status', async () => {
    const { app, told, read } = await watched(host, { routes: routes() })
    await app.get('/cities/1')
    await app.get('/cities/1')
    await app.get('/cities/2')
    await app.request('/cities/2', { method: 'HEAD' })
    await app.get('/cities/1', { 'x-skip': '1' })
    await app.request('/cities/1', { method: 'POST' })
    await app.get('/cities/2', { 'if-match': '*' })
    await app.get('/private')
    await app.get('/said')
    await app.get('/stream')
    await settled(app, told, 10)
    expect(lines(read())).toEqual(
      onHost(host, {
        '/cities/:id GET miss uri-miss': 2,
        '/cities/:id GET hit': 1,
        '/cities/:id HEAD hit': 1,
        '/cities/:id GET bypass unless': 1,
        '/cities/:id GET bypass precondition': 1,
        '/cities/:id POST bypass method': 1,
        '/private GET miss private': 1,
        '/said GET miss (other)': 1,
        '/stream GET miss uri-miss': 1,
      }),
    )
    expectToAgree(read(), told)
    expect(told.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 201, 200, 200, 200, 200])
    expect(told.find(({ method }) => method === 'HEAD')?.bytes).toBe(0)
    expect(told[1]).toMatchObject({ bytes: 5, front: false })
    expect(read().notStored).toEqual([
      { reason: 'private', count: 1 },
      { reason: '(other)', count: 1 },
    ])
  })

  test('stale while it is refreshed, and in place of an error: each counted once, and the refresh not at all', async () => {
    const { app, told, read } = await watched(host, { routes: routes() })
    await app.get('/cities/1')
    await app.get('/fails')
    await app.clock.advance(11_000)
    await app.get('/cities/1')
    await app.get('/fails')
    await until(() => read().fills.some(({ background }) => background))
    expect(lines(read())).toEqual(
      onHost(host, {
        '/cities/:id GET miss uri-miss': 1,
        '/cities/:id GET stale': 1,
        '/fails GET miss uri-miss': 1,
        '/fails GET stale stale': 1,
      }),
    )
    expectToAgree(read(), told)
  })

  /** One whose handler waits at a gate. */
  const holding = async () => {
    const held = gate()
    const runs = counted(async (c) => {
      await held
      c.send('x')
    })
    return {
      held,
      runs,
      ...(await watched(host, { routes: [{ path: '/slow', cache: { ttl: '1m' }, handler: runs }] })),
    }
  }

  test('who waited for another is collapsed, and no miss', async () => {
    const { held, app, told, read } = await holding()
    const all = [1, 2, 3].map(() => app.get('/slow'))
    await app.arrived(3)
    held.open()
    await Promise.all(all)
    expect(lines(read())).toEqual(onHost(host, { '/slow GET miss uri-miss': 1, '/slow GET collapsed uri-miss': 2 }))
    expectToAgree(read(), told)
  })

  test('a client that left before there was a status is told of without one', async () => {
    const { held, runs, app, told, read } = await holding()
    const gone = app.get('/slow').catch(() => undefined)
    await until(() => runs.runs === 1)
    app.client.close()
    await gone
    await until(() => told.length === 1)
    held.open()
    await app.clock.advance(0)
    expect(told).toMatchObject([{ result: 'miss', reason: 'uri-miss', status: undefined }])
    expectToAgree(read(), told)
  })

  test('a handler that takes 30 ms is in the bucket of 50, and a refresh is told apart', async () => {
    const taking = counted(async (c, run) => {
      await app.clock.advance(run === 1 ? 30 : 700)
      c.send('12345')
    })
    const { app, read } = await watched(host, {
      routes: [{ path: '/slow/:n', cache: { ttl: '10s', staleWhileRevalidate: '1m' }, handler: taking }],
    })
    await app.get('/slow/1')
    await until(() => read().fills.length === 1)
    const [first] = read().fills
    expect(first).toMatchObject({
      route: at('/slow/:n'),
      background: false,
      bytes: 5,
      durations: { count: 1, sumMs: 30 },
    })
    // 0.1 0.25 0.5 1 2.5 5 10 25 50
    expect(first!.durations.counts.indexOf(1)).toBe(8)
    await app.clock.advance(10_000)
    await app.get('/slow/1')
    await until(() => read().fills.length === 2)
    const behind = read().fills[1]!
    expect(behind).toMatchObject({ background: true, durations: { count: 1, sumMs: 700 } })
    expect(behind.durations.counts.indexOf(1)).toBe(12)
  })

  test('what limits decide is told by policy', async () => {
    const limits = { all: '3/min', shadow: { rate: '1/min', shadow: true } } as const
    const { app, read } = await watched(host, {
      sluice: { limits },
      routes: [{ path: '/', limit: ['all', 'shadow'], handler: says({}) }],
    })
    for (let i = 0; i < 5; i++) await app.get('/')
    const { policies } = read().stats.limits
    const of = ({ allowed, denied, shadowDenied }: Readonly<PolicyStats>) => [allowed, denied, shadowDenied]
    expect([of(policies.all!), of(policies.shadow!)]).toEqual([
      [3, 2, 0],
      [1, 0, 4],
    ])
  })

  test('a request that a policy holds up is told by policy', async () => {
    const slow = { rate: '4/min', algorithm: 'sliding-log', slowDown: { max: '3s', from: 0.5, by: '1s' } } as const
    const { app, read } = await watched(host, {
      sluice: { limits: { slow, other: '10/min' } },
      routes: [{ path: '/', limit: ['slow', 'other'], handler: says({}) }],
    })
    for (let i = 0; i < 2; i++) await app.get('/')
    const third = app.get('/')
    await until(() => read().stats.limits.waiting === 1)
    await app.clock.advance(1_000)
    expect((await third).status).toBe(200)
    const { policies } = read().stats.limits
    expect([policies.slow!.delayed, policies.other!.delayed]).toEqual([1, 0])
  })

  test('what is answered in front of the application is told to be', async () => {
    const { app, told, read } = await watched(host, {
      front: true,
      routes: [{ path: '/front/:n', cache: { ttl: '1m', front: true }, handler: says({}) }],
    })
    for (let i = 0; i < 10; i++) await app.get('/front/1')
    const { front } = read()
    expect(front).toEqual([{ route: at('/front/:n'), count: told.filter((one) => one.front).length }])
    expect(front[0]!.count).toBeGreaterThan(3)
    const hits = told.filter(({ result }) => result === 'hit').length
    expect(hits).toBeGreaterThanOrEqual(9)
    expect(lines(read())).toEqual(onHost(host, { '/front/:n GET miss uri-miss': 1, '/front/:n GET hit': hits }))
  })

  test('compression and invalidations are counted by size and number', async () => {
    const body = 'abcdefghij'.repeat(400)
    const { app, read } = await watched(host, {
      compress: { threshold: 100 },
      routes: [
        {
          path: '/text',
          cache: { ttl: '1m', tags: ['a'] },
          handler: says({ fields: { 'Content-Type': 'text/plain' }, body }),
        },
        {
          path: '/pieces',
          handler: (c) => {
            c.set('Content-Type', 'text/plain')
            return c.stream(pieces(body, body))
          },
        },
      ],
    })
    await app.get('/text', { 'accept-encoding': 'gzip' })
    await app.get('/text', { 'accept-encoding': 'gzip' })
    await app.get('/pieces', { 'accept-encoding': 'gzip' })
    await until(() => read().compression[0]?.bodies === 2)
    const [gzip, ...more] = read().compression
    expect([gzip!.coding, gzip!.bytesIn, more]).toEqual(['gzip', 3 * body.length, []])
    expect(gzip!.bytesOut).toBeGreaterThan(40)
    expect(gzip!.bytesOut).toBeLessThan(body.length / 10)
    await app.sluice.purge({ tags: ['a', 'b'] })
    await app.sluice.expire({ tags: 'a' })
    expect(read().invalidations).toEqual([
      { mode: 'purge', count: 1, tags: 2 },
      { mode: 'expire', count: 1, tags: 1 },
    ])
  })
})

let server: RedisServer
beforeAll(async () => {
  server = await serverOfTests()
})
afterAll(() => server.stop())

describeHosts('figures on Redis', (host) => {
  test('answers are counted as in memory, and calls of Redis by what it was asked', async () => {
    const backend = redis(server.url, { namespace: freshName(), tier: false })
    const { app, told, read } = await watched(host, {
      sluice: { backend, limits: { all: '100/min' } },
      routes: [{ path: '/cities/:id', limit: ['all'], cache: { ttl: '1m' }, handler: says({}) }],
    })
    await app.get('/cities/1')
    await app.get('/cities/1')
    await app.sluice.purge({ url: '/cities/1' })
    expect(lines(read())).toEqual(onHost(host, { '/cities/:id GET miss uri-miss': 1, '/cities/:id GET hit': 1 }))
    expectToAgree(read(), told)
    const { backend: calls, stats } = read()
    const counts = Object.fromEntries(
      calls.map(({ operation, ok, durations }) => [`${operation} ${ok}`, durations.count]),
    )
    expect(counts).toEqual({ 'limit true': 2, 'read true': 2, 'store true': 1, 'invalidate true': 1 })
    expect([stats.cache.breakersOpen, stats.limits.store.breakersOpen]).toEqual([0, 0])
  })
})
