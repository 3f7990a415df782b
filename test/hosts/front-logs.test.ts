import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Writable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import morgan from 'morgan'
import { pinoHttp } from 'pino-http'
import { counted } from './harness/handlers.ts'
import { type AppSpec, type Ctx, describeHosts, type TestApp, type TestHost, until } from './harness/host.ts'

const guide = readFileSync(new URL('../../docs/guide/front.md', import.meta.url), 'utf8')
const recipes = [...guide.matchAll(/^```ts\n\/\/ (.*(?:morgan|pino).*)\n([\s\S]*?)^```$/gm)].map(([, title, code]) => ({
  title: title!,
  code: code!,
}))
const [morganInFront, pinoInFront, morganOfEvent, pinoOfEvent] = recipes as [Recipe, Recipe, Recipe, Recipe]
type Recipe = (typeof recipes)[number]

type Logger = (req: IncomingMessage, res: ServerResponse, next: () => void) => void

/** Where loggers write to, line by line. */
function paper() {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(...String(chunk).split('\n').filter(Boolean))
      done()
    },
  })
  return { lines, stream }
}

/** Does what stands in the guide, with loggers that write to this paper. */
function follow({ code }: Recipe, app: TestApp, { stream, lines }: ReturnType<typeof paper>): void {
  const names = {
    server: app.server,
    sluice: app.sluice,
    morgan: Object.assign((format: string) => morgan(format, { stream }), morgan),
    pinoHttp: () => pinoHttp({ stream } as never),
    console: { log: (...texts: unknown[]) => void lines.push(texts.join(' ')) },
  }
  new Function(...Object.keys(names), code)(...Object.values(names))
}

const text = 'x'.repeat(700)
const length = String(JSON.stringify({ text }).length)

async function boot(host: TestHost, front: NonNullable<AppSpec['front']>, use: AppSpec['use'] = []) {
  const handler = counted((c: Ctx) => c.send({ text }))
  const app = await host.boot({ front, use, routes: [{ path: '/cities', cache: { ttl: '1m', front: true }, handler }] })
  const door = { count: 0 }
  app.sluice.on('front', () => door.count++)
  return { app, door }
}

async function learn(app: TestApp): Promise<void> {
  for (let i = 0; i < 5; i++) await app.get('/cities')
}

const inApplication = (log: Logger): NonNullable<AppSpec['use']> => [
  (c) => new Promise<void>((resolve) => log(c.raw.req, c.raw.res, resolve)),
]

describe('the guide', () => {
  test('has the recipes that are tried here', () => {
    expect(recipes.map(({ title }) => title.split(/[ ,:']/)[0])).toEqual(['morgan', 'pino-http', 'morgan', 'pino-http'])
  })
})

describeHosts('access logs, as the guide has them', (host) => {
  test('morgan in front of the door: a line for each request, the same for whoever answers it', async () => {
    const { app, door } = await boot(host, true)
    const { lines, ...rest } = paper()
    follow(morganInFront, app, { lines, ...rest })
    await learn(app)
    await until(() => lines.length === 5)
    expect(door.count).toBeGreaterThan(0)
    for (const line of lines) expect(line).toMatch(new RegExp(`^GET /cities 200 ${length} - \\d+\\.\\d+ ms$`))
    const before = door.count
    await app.get('/cities', { 'if-none-match': '*' })
    await app.request('/cities', { method: 'HEAD' })
    expect(door.count - before).toBe(2)
    await app.get('/cities?other=1')
    await app.get('/none')
    await until(() => lines.length === 9)
    const said = lines.slice(5).map((line) => line.replace(/ - [\d.]+ ms$/, ''))
    expect(said.slice(0, 3)).toEqual([
      'GET /cities 304 -',
      `HEAD /cities 200 ${length}`,
      `GET /cities?other=1 200 ${length}`,
    ])
    expect(said[3]).toMatch(/^GET \/none 404 /)
  })

  test('pino-http in front of the door: with ids, and what the response says', async () => {
    const { app, door } = await boot(host, true)
    const { lines, ...rest } = paper()
    follow(pinoInFront, app, { lines, ...rest })
    await learn(app)
    await app.get('/cities?other=1')
    await until(() => lines.length === 6)
    expect(door.count).toBeGreaterThan(0)
    const said = lines.map((line) => JSON.parse(line))
    for (const one of said)
      expect(one).toMatchObject({
        msg: 'request completed',
        req: { method: 'GET', url: expect.stringMatching(/^\/cities/), id: expect.anything() },
        res: { statusCode: 200 },
        responseTime: expect.any(Number),
      })
    expect(new Set(said.map(({ req }) => req.id)).size).toBe(6)
    // Of answers on the ordinary way a logger knows the fields that the framework leaves on the response: Fastify none.
    await app.get('/cities')
    await until(() => lines.length === 7)
    for (const one of [...(host.framework === 'fastify' ? [] : [said.at(-1)]), JSON.parse(lines.at(-1)!)])
      expect([one.res.headers['content-type'], String(one.res.headers['content-length'])]).toEqual([
        expect.stringContaining('application/json'),
        length,
      ])
  })

  test.each([
    ['in one piece', true],
    ['by writeHead', { oneBuffer: false }],
  ])(
    'from the event, %s: one line for a hit at the door, and one of the application’s own for a miss',
    async (_, front) => {
      const ofMorgan = paper()
      const ofPino = paper()
      const { app, door } = await boot(host, front, [
        ...inApplication(morgan('combined', { stream: ofMorgan.stream })),
        ...inApplication(pinoHttp({ stream: ofPino.stream } as never) as never),
      ])
      follow(morganOfEvent, app, ofMorgan)
      follow(pinoOfEvent, app, ofPino)
      await learn(app)
      await app.get('/cities?other=1')
      await app.get('/cities')
      await until(() => ofMorgan.lines.length === 7 && ofPino.lines.length === 7)
      expect(door.count).toBeGreaterThan(0)
      const hits = ofMorgan.lines.filter((line) => / - hit /.test(line))
      expect([hits.length, hits.at(-1)]).toEqual([door.count, `127.0.0.1 GET /cities 200 - hit ${length}`])
      const ofDoor = ofPino.lines.map((line) => JSON.parse(line)).filter(({ hit }) => hit === true)
      expect(ofDoor.length).toBe(door.count)
      expect(ofDoor.at(-1)).toMatchObject({
        req: { method: 'GET', url: '/cities' },
        res: { statusCode: 200 },
        length: Number(length),
        responseTime: expect.any(Number),
        ...(host.framework === 'node' ? {} : { route: '/cities' }),
      })
    },
  )

  test('pino-http in front of the cache: what it leaves on the request costs no hit', async () => {
    const { stream, lines } = paper()
    const { app } = await boot(host, false, inApplication(pinoHttp({ stream } as never) as never))
    for (const cache of ['uri-miss', 'hit', 'hit']) expect((await app.get('/cities')).cache).toBe(cache)
    await until(() => lines.length === 3)
  })
})
