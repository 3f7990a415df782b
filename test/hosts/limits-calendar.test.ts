import { expect, test } from '@jest/globals'
import type { HeaderStyle, LimitEvents } from '@sluice/core'
import { says } from './harness/handlers.ts'
import { describeHosts, type Route } from './harness/host.ts'

const hello: Route = { path: '/', handler: says({}) }

describeHosts('a limit by the calendar', (host) => {
  test('counts to the end of the month in its zone, and says how long that is', async () => {
    const plan = { rate: '2 per calendar month', timeZone: 'America/Sao_Paulo' }
    const app = await host.boot({ sluice: { limits: { plan } }, routes: [{ ...hello, limit: ['plan'] }] })
    const end = Date.parse('2026-12-01T03:00:00Z')
    const toGo = (): number => (end - app.clock.now()) / 1_000
    const first = await app.get('/')
    expect([first.status, first.header('ratelimit-policy'), first.header('ratelimit')]).toEqual([
      200,
      `"plan";q=2;w=${30 * 86_400}`,
      `"plan";r=1;t=${toGo()}`,
    ])
    await app.clock.advance(3 * 86_400_000)
    await app.get('/')
    const refused = await app.get('/')
    expect([refused.status, refused.header('retry-after'), refused.json()['violated-policies']]).toEqual([
      429,
      String(toGo()),
      ['plan'],
    ])
    await app.clock.advance(end - app.clock.now() - 1)
    expect((await app.get('/')).status).toBe(429)
    await app.clock.advance(1)
    const december = await app.get('/')
    expect([december.status, december.header('ratelimit-policy')]).toEqual([200, `"plan";q=2;w=${31 * 86_400}`])
  })

  test('has its own quota for each route, beside other rates, and comes back with reset', async () => {
    const each = { rate: '3 per calendar day; 2/min', algorithm: 'sliding-log', per: 'route' } as const
    const app = await host.boot({
      sluice: { limits: { each } },
      routes: [
        { ...hello, limit: ['each'] },
        { ...hello, path: '/b', limit: ['each'] },
      ],
    })
    const statuses = async (path: string, times: number): Promise<number[]> => {
      const seen: number[] = []
      for (let i = 0; i < times; i++) seen.push((await app.get(path)).status)
      return seen
    }
    expect([await statuses('/', 3), await statuses('/b', 1)]).toEqual([
      [200, 200, 429],
      // Without a router there are no routes.
      [host.framework === 'node' ? 429 : 200],
    ])
    await app.clock.advance(60_000)
    const last = await app.get('/')
    expect(last.header('ratelimit')).toMatch(/^"each";r=0;t=\d+, "each-2";r=1;t=60$/)
    expect((await app.get('/')).json()['violated-policies']).toEqual(['each'])
    await app.sluice.reset('each', { key: '127.0.0.1' })
    expect(await statuses('/', 1)).toEqual([200])
  })
})

describeHosts('a soft limit', (host) => {
  const search = { rate: '5/min', algorithm: 'sliding-log', warnAt: 0.8 } as const

  test('warns from the fourth of five on, and emits once', async () => {
    const app = await host.boot({
      sluice: { limits: { search } },
      routes: [{ ...hello, path: '/search', limit: ['search'] }],
    })
    const events: LimitEvents['near-limit'][] = []
    app.sluice.on('near-limit', (event) => events.push(event))
    const answers = []
    for (let i = 0; i < 6; i++) answers.push(await app.get('/search'))
    expect(answers.map((answer) => [answer.status, answer.header('ratelimit-warning')])).toEqual([
      [200, undefined],
      [200, undefined],
      [200, undefined],
      [200, '"search";r=1;q=5'],
      [200, '"search";r=0;q=5'],
      [429, '"search";r=0;q=5'],
    ])
    expect(events).toEqual([
      expect.objectContaining({ policy: 'search', verdict: expect.objectContaining({ limit: 5, remaining: 1 }) }),
    ])
    expect(JSON.stringify(events)).not.toContain('127.0.0.1')
    expect(app.sluice.stats().limits).toMatchObject({ nearLimit: 1, policies: { search: { nearLimit: 1 } } })
  })

  test.each<[HeaderStyle, readonly (string | undefined)[]]>([
    ['draft-11', ['"search";r=0;q=1', undefined]],
    ['legacy', [undefined, 'true']],
    ['both', ['"search";r=0;q=1', 'true']],
    [false, [undefined, undefined]],
  ])('headers: %j', async (headers, expected) => {
    const limits = { search: { ...search, rate: '1/min' } }
    const app = await host.boot({ sluice: { headers, limits }, routes: [{ ...hello, limit: ['search'] }] })
    const answer = await app.get('/')
    expect([answer.header('ratelimit-warning'), answer.header('x-ratelimit-nearlimit')]).toEqual(expected)
  })

  test('is told of hits of a cache afresh, and is never stored', async () => {
    const limits = { search: { ...search, rate: '4/min', warnAt: 0.5 } }
    const app = await host.boot({
      sluice: { limits, headers: 'both' },
      routes: [
        { ...hello, limit: ['search'], cache: { ttl: '1h' } },
        { ...hello, path: '/other', limit: ['search'] },
      ],
    })
    const told: unknown[] = []
    const ask = async (path: string): Promise<void> => {
      const answer = await app.get(path)
      told.push([answer.cache, answer.lines('ratelimit-warning'), answer.lines('x-ratelimit-nearlimit')])
    }
    for (const path of ['/other', '/', '/']) await ask(path)
    await app.clock.advance(60_000)
    await ask('/')
    expect(told).toEqual([
      ['', [], []],
      ['uri-miss', ['"search";r=2;q=4'], ['true']],
      ['hit', ['"search";r=1;q=4'], ['true']],
      ['hit', [], []],
    ])
  })

  test('of a concurrency warns while so many are out', async () => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const app = await host.boot({
      sluice: { limits: { few: { rate: '2 concurrent', warnAt: 1 } } },
      routes: [
        { path: '/slow', limit: ['few'], handler: (c) => held.then(() => c.send('slow')) },
        { ...hello, limit: ['few'] },
      ],
    })
    expect((await app.get('/')).header('ratelimit-warning')).toBeUndefined()
    const slow = app.get('/slow')
    while (app.sluice.stats().limits!.permits === 0) await new Promise((resolve) => setImmediate(resolve))
    expect((await app.get('/')).header('ratelimit-warning')).toBe('"few";r=0;q=2')
    release()
    expect((await slow).header('ratelimit-warning')).toBeUndefined()
  })
})
