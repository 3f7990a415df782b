import { expect, test } from '@jest/globals'
import type { RequestFields } from './harness/client.ts'
import { counted } from './harness/handlers.ts'
import { type AppSpec, type Ctx, describeHosts, type Step, type TestApp, type TestHost } from './harness/host.ts'

/** An application with one route behind a door, what the door has answered, and what it has said of itself. */
async function behind(
  host: TestHost,
  spec: Omit<AppSpec, 'routes'>,
  route: Partial<Omit<AppSpec['routes'][number], 'handler'>> & { handle?: (c: Ctx, run: number) => void } = {},
) {
  const { handle = (c: Ctx, run: number) => c.send({ run }), ...rest } = route
  const routes = [
    { path: '/cities', ...rest, handler: counted(handle), cache: { ttl: '1m', ...rest.cache, front: true } },
  ]
  const app = await host.boot({ front: true, ...spec, routes })
  const door = { count: 0, said: [] as string[] }
  app.sluice.on('front', () => door.count++)
  app.sluice.on('front-refused', ({ reason }) => door.said.push(reason))
  return { app, door }
}

async function learn(app: TestApp, headers: RequestFields = {}, times = 6): Promise<void> {
  for (let i = 0; i < times; i++) await app.get('/cities', headers)
}

describeHosts('what the door tells apart', (host) => {
  const inLanguage = (c: Ctx): void => c.send(`in ${c.header('accept-language')}`)

  test('values of the fields that varyBy names, each with answers of its own', async () => {
    const { app, door } = await behind(
      host,
      {},
      { handle: inLanguage, cache: { ttl: '1m', varyBy: 'Accept-Language' } },
    )
    await learn(app, { 'accept-language': 'no' })
    expect(door.count).toBeGreaterThan(0)
    for (const language of ['en', 'no', 'de', 'en'])
      expect((await app.get('/cities', { 'accept-language': language })).text).toBe(`in ${language}`)
    expect((await app.get('/cities')).text).toBe('in undefined')
    await learn(app, { 'accept-language': 'en' })
    const before = door.count
    for (const language of ['no', 'en'])
      expect((await app.get('/cities', { 'accept-language': language })).text).toBe(`in ${language}`)
    expect(door.count - before).toBe(2)
    expect(door.said).toEqual([])
  })

  test('more values than it keeps are the application’s to answer', async () => {
    const { app } = await behind(host, {}, { handle: inLanguage, cache: { ttl: '1m', varyBy: 'Accept-Language' } })
    const languages = Array.from({ length: 30 }, (_, i) => `x-${i}`)
    for (let round = 0; round < 4; round++)
      for (const language of languages)
        expect((await app.get('/cities', { 'accept-language': language })).text).toBe(`in ${language}`)
  })

  test('a field that differs each time is not taken for the same because each origin came once', async () => {
    let serial = 0
    const stamps: Step = (c) => {
      c.set('Vary', 'Origin')
      c.set('Access-Control-Allow-Origin', c.header('origin') ?? '*')
      c.set('X-Request-Id', String(++serial))
    }
    const { app, door } = await behind(host, { use: [stamps] })
    const origins = ['https://a.example', 'https://b.example', 'https://c.example', 'https://d.example']
    await learn(app, { origin: origins[0]! }, 2)
    const ids = new Set<string>()
    let answers = 0
    for (let round = 0; round < 3; round++)
      for (const origin of origins) {
        const answer = await app.get('/cities', { origin })
        expect(answer.header('access-control-allow-origin')).toBe(origin)
        const id = answer.header('x-request-id')
        if (id !== undefined && ++answers) ids.add(id)
      }
    // No number is anybody else's.
    expect(ids.size).toBe(answers)
    expect(door.count).toBeGreaterThan(0)
  })

  test('what its own limit puts on an answer is not taken for middleware’s, whatever the answer depends on', async () => {
    const vary: Step = (c) => c.set('Vary', 'Origin')
    const { app, door } = await behind(host, { use: [vary], front: { limit: '100/min' } })
    let left = 100
    for (let round = 0; round < 4; round++)
      for (const origin of ['https://a.example', 'https://b.example', 'https://c.example'])
        expect((await app.get('/cities', { origin })).header('ratelimit')).toContain(`r=${--left};`)
    expect(door.count).toBeGreaterThan(0)
    expect(door.said).toEqual([])
  })

  test('middleware that changes a field of the request makes the route the application’s', async () => {
    const chooses: Step = (c) => {
      const chosen = /lang=(\w+)/.exec(c.raw.req.headers.cookie ?? '')?.[1]
      if (chosen) c.raw.req.headers['accept-language'] = chosen
    }
    const spec = { use: [chooses], sluice: { cache: { cookies: ['sid'] } } }
    const { app, door } = await behind(host, spec, { handle: inLanguage, cache: { ttl: '1m', public: true } })
    await learn(app, { 'accept-language': 'de', cookie: 'lang=en' })
    await learn(app, { 'accept-language': 'de' })
    for (const [cookie, language] of [
      ['lang=en', 'en'],
      ['lang=no', 'no'],
      ['other=1', 'de'],
    ] as const) {
      const answer = await app.get('/cities', { 'accept-language': 'de', cookie })
      expect(answer.text).toBe(`in ${language}`)
    }
    expect([door.count, door.said]).toEqual([0, [expect.stringContaining('accept-language')]])
  })

  test('values keep every byte that node lets pass', async () => {
    const odd = `\t\u00a0${Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).join('')}${Array.from(
      { length: 128 },
      (_, i) => String.fromCharCode(0x80 + i),
    ).join('')}\u00a0`
    const dresses: Step = (c) => {
      c.raw.res.setHeader('X-Odd', `a${odd}`)
      c.raw.res.setHeader('X-Empty', '')
    }
    const handle = (c: Ctx, run: number): void => {
      c.set('X-Stored', `b${odd}`)
      c.send({ run })
    }
    const { app, door } = await behind(host, { use: [dresses] }, { handle })
    await learn(app)
    const before = door.count
    const answer = await app.get('/cities')
    expect(door.count - before).toBe(1)
    expect(answer.fields).toEqual(
      expect.arrayContaining([
        ['x-odd', `a${odd}`],
        ['x-stored', `b${odd}`],
        ['x-empty', ''],
      ]),
    )
  })
})
