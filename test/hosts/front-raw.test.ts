import { connect } from 'node:net'
import { expect, test } from '@jest/globals'
import { type Ctx, describeHosts, type Route, type Step, type TestApp, type TestHost } from './harness/host.ts'

const modified = 'Wed, 01 Jan 2020 00:00:00 GMT'
const text = 'abcdefghij'.repeat(200)
/** All that node lets pass in a value. */
const bytes = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => String.fromCharCode(from + i)).join('')
const odd = `a\t${bytes(0x20, 0x7f)}${bytes(0x80, 0x100)}z`

/** What it has read, how often it was asked: an answer made for another request shows. */
const told =
  (etag: string, read: (c: Ctx) => unknown): (() => Step) =>
  () => {
    let runs = 0
    return (c) => {
      c.set('ETag', etag)
      c.set('Last-Modified', modified)
      c.send({ run: ++runs, read: read(c), text })
    }
  }

const handlers: Readonly<Record<string, () => Step>> = {
  '/cities': told('"v1"', () => 'cities'),
  '/weak': told('W/"v1"', () => 'weak'),
  '/of/:name': told('"v2"', (c) => [c.path, c.params, c.query]),
  '/reads': told('"v3"', (c) => ['host', 'x-forwarded-host', 'x-original-url', 'x-odd'].map((name) => c.header(name))),
  '/big': told('"v4"', () => text.repeat(500)),
}

const dresses: Step = (c) => {
  c.set('X-Frame-Options', 'DENY')
  c.set('Vary', 'Origin')
  c.set('Access-Control-Allow-Origin', c.header('origin') ?? '*')
}

/** The same application twice, with and without a door. */
async function both(host: TestHost, { honourRequest = false, proxy = false } = {}) {
  const routes = (front: boolean): Route[] =>
    Object.entries(handlers).map(([path, handler]) => ({
      path,
      cache: { ttl: '1m', public: true, honourRequest, ...(front ? { front } : {}) },
      handler: handler(),
    }))
  const spec = { use: [dresses], compress: { threshold: 10 }, proxy }
  const fronted = await host.boot({ ...spec, front: true, routes: routes(true) })
  const plain = await host.boot({ ...spec, front: false, routes: routes(false) })
  // Fastify sends all names in lower case, the door as they were said.
  const fold = host.framework === 'fastify'
  const seen = { door: 0 }
  fronted.sluice.on('front', () => seen.door++)
  const same = async (question: string): Promise<void> => {
    const [ours, theirs] = [await heard(fronted, question, fold), await heard(plain, question, fold)]
    expect([question, ours]).toEqual([question, theirs])
  }
  const move = async (ms: number): Promise<void> => {
    for (const app of [fronted, plain]) await app.clock.advance(ms)
  }
  return { fronted, plain, seen, same, move }
}

/** Asked once more behind it, by a request that ends the connection and that no cache knows. */
const last = 'GET /nothing HTTP/1.1\r\nHost: cities.example\r\nConnection: close\r\n\r\n'

/** Every byte that comes back, but the time of day and the order of the fields. */
async function heard(app: TestApp, question: string, fold: boolean): Promise<{ head: string[]; rest: string }> {
  const came = await app.client.raw(Buffer.from(question + last, 'latin1'))
  const timeless = came.replace(/^date: .*$/gim, 'date').replaceAll(String(app.port), 'PORT')
  const end = timeless.indexOf('\r\n\r\n')
  const [status = '', ...lines] = timeless.slice(0, end).split('\r\n')
  const fields = fold ? lines.map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase())) : lines
  return { head: [status, ...fields.sort()], rest: timeless.slice(end) }
}

const asks = (target: string, ...fields: string[]): string => ask('GET', target, 'Host: cities.example', ...fields)
const ask = (method: string, target: string, ...fields: string[]): string =>
  `${method} ${target} HTTP/1.1\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`
const cities = (...fields: string[]): string => asks('/cities', ...fields)

const targets = [
  '/cities',
  '/cities?',
  '/cities?q=1',
  '/cities?q=1&q=2',
  '/cities?q=2&q=1',
  '/cities?Q=1',
  '/cities?q=%31',
  '/cities?a=1&b=2',
  '/cities?b=2&a=1',
  '/cities?q[]=1',
  '/cities?q=a+b',
  '/cities?q=a%20b',
  '/cities?q=%ff',
  '/cities?q=%',
  '/cities??q=1',
  '/cities#part',
  '/cities;v=1',
  '/cities/',
  '/Cities',
  '//cities',
  '/./cities',
  '/x/../cities',
  '/%63ities',
  '/citi%65s',
  '/cities%2F',
  '/cities%00',
  '/cities%0d%0aX-Split:1',
  '/of/a',
  '/of/a%2Fb',
  '/of/a%2fb',
  '/of/a/b',
  '/of/%61',
  '/of/A',
  '/of//a',
  '/of/./a',
  '/of/..',
  '/of/%2e%2e',
  '/of/%E0%A4%A',
  '/of/\xc3\xa5',
  '/of/%C3%A5',
  '/of/a%3Fq=1',
  '/of/a?q=1',
  'http://cities.example/cities',
  'http://other.example/cities',
  'HTTP://CITIES.example/cities',
  'https://cities.example/cities',
  'http://cities.example//cities',
  'http://cities.example/of/a?q=1',
  'http://cities.example',
  'http:///cities',
  '*',
  'cities',
  '?q=1',
  `/cities?q=${'a'.repeat(8_000)}`,
  `/cities?q=${'a'.repeat(7_999)}b`,
  `/of/${'a'.repeat(8_000)}`,
  `/cities?${'a&'.repeat(4_000)}`,
  `/cities?q=${'a'.repeat(20_000)}`,
]

const hosts = [
  ['Host: cities.example:80'],
  ['Host: cities.example:8080'],
  ['Host: CITIES.example'],
  ['Host: cities.example.'],
  ['Host: other.example'],
  ['Host: me@cities.example'],
  ['Host: cities.example/x'],
  ['Host: cities.example?x'],
  ['Host: cities example'],
  ['Host: [::1]'],
  ['Host: \xe5.example'],
  ['Host: cities.example, other.example'],
  ['Host:'],
  ['Host: cities.example', 'Host: other.example'],
  ['Host: other.example', 'Host: cities.example'],
  ['HOST:   cities.example  '],
  [],
]

const fields = [
  ['X-Forwarded-Host: other.example'],
  ['X-Forwarded-Host: other.example', 'X-Forwarded-Host: cities.example'],
  [`X-Forwarded-Host: ${odd}`],
  ['X-Forwarded-Proto: https'],
  ['X-Forwarded-Proto: javascript'],
  ['X-Forwarded-For: 10.0.0.1, 10.0.0.2'],
  ['X-Forwarded-Port: 1'],
  ['X-Forwarded-Prefix: /x'],
  ['Forwarded: host=other.example;proto=https'],
  ['X-Original-URL: /reads'],
  ['X-Rewrite-URL: /reads'],
  ['X-HTTP-Method-Override: DELETE'],
  ['X-HTTP-Method: POST'],
  ['X-Method-Override: PUT'],
  [`X-Odd: ${odd}`],
  [`X-Odd: ${odd}`, `X-Odd: ${odd}`],
  ['X-Odd:'],
  ['X-Odd: \xff'],
  ['X-Odd: \xc3\xbf'],
  ['Origin: https://a.example'],
  ['Origin: null'],
  ['Origin: https://a.example', 'Origin: https://b.example'],
  [`Origin: ${odd}`],
  ['Accept-Encoding: gzip'],
  ['Accept-Encoding: br', 'Accept-Encoding: gzip'],
  ['Accept-Encoding: gzip;q=0, *;q=0.1'],
  [`Accept-Encoding: ${odd}`],
  [`Accept-Language: ${odd}`],
  [`User-Agent: ${odd}`],
  ['__proto__: 1', 'constructor: 2', 'toString: 3'],
]

const conditions = [
  'If-None-Match: "v1"',
  'If-None-Match: W/"v1"',
  'If-None-Match: "a", "v1"',
  'If-None-Match: W/"a",W/"v1"',
  'If-None-Match: "a,v1"',
  'If-None-Match: "a"\r\nIf-None-Match: "v1"',
  'If-None-Match: *',
  'If-None-Match: *, "a"',
  'If-None-Match: v1',
  'If-None-Match: "v1',
  'If-None-Match: "V1"',
  'If-None-Match: w/"v1"',
  'If-None-Match:',
  `If-None-Match: ${odd}`,
  `If-None-Match: "a"\r\nIf-Modified-Since: ${modified}`,
  `If-Modified-Since: ${modified}`,
  'If-Modified-Since: Tue, 31 Dec 2019 23:59:59 GMT',
  'If-Modified-Since: Thu, 02 Jan 2020 00:00:00 GMT',
  'If-Modified-Since: Wednesday, 01-Jan-20 00:00:00 GMT',
  'If-Modified-Since: Wed Jan  1 00:00:00 2020',
  'If-Modified-Since: 2020-01-02',
  'If-Modified-Since: Thu, 02 Jan 2020 00:00:00 +0100',
  `If-Modified-Since: ${modified}\r\nIf-Modified-Since: Thu, 02 Jan 2020 00:00:00 GMT`,
  'If-Match: "v1"',
  'If-Match: "a"',
  'If-Match: *',
  `If-Unmodified-Since: ${modified}`,
  'If-Unmodified-Since: Tue, 31 Dec 2019 23:59:59 GMT',
]

const ranges = ['0-0', '0-', '-1', '5-2', '0-9,20-29', '0-9,5-14', '99999-', '-99999', '0-99999999999999999999', ' 1-2']
  .map((range) => `Range: bytes=${range}`)
  .concat(['Range: Bytes=0-1', 'Range: items=0-1', 'Range: bytes', 'Range:', `Range: bytes=${'0-0,'.repeat(300)}1-1`])
  .concat(['Range: bytes=0-0\r\nRange: bytes=1-1', 'Range: bytes=0-1\r\nIf-None-Match: "v1"'])
  .concat(
    ['"v1"', 'W/"v1"', '"a"', '"a", "v1"', modified, 'Thu, 02 Jan 2020 00:00:00 GMT', 'yesterday', ''].map(
      (validator) => `Range: bytes=3-7\r\nIf-Range: ${validator}`,
    ),
  )

const directives = [
  'Cache-Control: no-cache',
  'Cache-Control: no-store',
  'Cache-Control: only-if-cached',
  'Cache-Control: max-age=0',
  'Cache-Control: max-age=19',
  'Cache-Control: max-age=20',
  'Cache-Control: max-age=21',
  'Cache-Control: max-age=-1',
  'Cache-Control: max-age="20"',
  'Cache-Control: max-age=1, max-age=100',
  'Cache-Control: max-age=99999999999999999999',
  'Cache-Control: max-age',
  'Cache-Control: min-fresh=39',
  'Cache-Control: min-fresh=40',
  'Cache-Control: min-fresh=41',
  'Cache-Control: max-stale',
  'Cache-Control: max-stale=100',
  'Cache-Control: max-stale=0, min-fresh=100',
  'Cache-Control: only-if-cached, max-age=1',
  'Cache-Control: NO-CACHE',
  'Cache-Control: no-cache="x"',
  'Cache-Control: x="no-cache"',
  'Cache-Control: max-age=100\r\nCache-Control: no-cache',
  'Cache-Control:',
  `Cache-Control: ${odd}`,
  'Pragma: no-cache',
  'Pragma: no-cache\r\nCache-Control: max-age=100',
]

/** As often as the door needs to know a place of a route that it knows. */
const often = 3

/** The table is long, and the door is the same on all: Koa's is node's. All of them: `SLUICE_TEST_FRONT=1`. */
const isInShort = ({ name }: { readonly name: string }): boolean =>
  process.env.SLUICE_TEST_FRONT === '1' || ['node:http', 'Express 5', 'Fastify 5'].includes(name)

describeHosts(
  'a request as it comes, with and without the door',
  (host) => {
    /**
     * Asks until the door knows what it is asked for, and once more in the other order: what was there before must not matter.
     *
     * @returns how many of the answers were the door's
     */
    async function allTheSame(
      { same, seen }: Awaited<ReturnType<typeof both>>,
      questions: readonly string[],
      times = often,
    ): Promise<number> {
      const before = seen.door
      for (const question of questions) for (let i = 0; i < times; i++) await same(question)
      for (const question of questions.toReversed()) await same(question)
      return seen.door - before
    }

    test('targets', async () => {
      const apps = await both(host)
      await allTheSame(apps, [asks('/of/x')])
      const questions = targets.map((target) => asks(target))
      expect(await allTheSame(apps, questions)).toBeGreaterThan(40)
    }, 60_000)

    test('hosts', async () => {
      const apps = await both(host)
      await allTheSame(apps, [asks('/reads')])
      const questions = ['/cities', '/reads'].flatMap((target) => hosts.map((lines) => ask('GET', target, ...lines)))
      expect(await allTheSame(apps, questions)).toBeGreaterThan(40)
    }, 60_000)

    test.each([
      ['of nobody', false],
      ['of proxies that are believed', true],
    ])(
      'fields, %s',
      async (_, proxy) => {
        const apps = await both(host, { proxy })
        const questions = fields.flatMap((lines) => [cities(...lines), asks('/reads', ...lines)])
        expect(await allTheSame(apps, questions)).toBeGreaterThan(100)
      },
      60_000,
    )

    test('conditions and ranges', async () => {
      const apps = await both(host)
      const forms = (...lines: string[]): string[] => [
        cities(...lines),
        asks('/weak', ...lines),
        ask('HEAD', '/cities', 'Host: cities.example', ...lines),
        cities(...lines, 'Accept-Encoding: gzip'),
      ]
      await allTheSame(apps, forms())
      const lines = [...conditions, ...ranges]
      const atTheDoor = await allTheSame(
        apps,
        lines.flatMap((line) => forms(line)),
        1,
      )
      // `If-Match` and `If-Unmodified-Since` are the application's.
      expect(atTheDoor).toBe((lines.length - 5) * 4 * 2)
    }, 60_000)

    test.each([
      ['honoured', true],
      ['not honoured', false],
    ])(
      'directives, %s',
      async (_, honourRequest) => {
        const apps = await both(host, { honourRequest })
        for (const line of directives) {
          await apps.move(120_000)
          await apps.same(cities(line))
          for (let i = 0; i < often; i++) await apps.same(cities())
          await apps.move(20_000)
          for (let i = 0; i < often; i++) await apps.same(cities(line))
        }
        expect(apps.seen.door).toBeGreaterThan(100)
      },
      60_000,
    )

    test('a clock that jumps', async () => {
      const apps = await both(host)
      const jumps = [0, 59_000, -30_000, -3_600_000, 1_000, 3_600_000, 59_999, 1, -1, -60_000, 86_400_000, -86_400_000]
      for (const jump of [...jumps, ...jumps]) {
        await apps.move(jump)
        for (let i = 0; i < often; i++) await apps.same(cities())
      }
      expect(apps.seen.door).toBeGreaterThan(40)
    }, 60_000)

    test('clients that hang up while a hit is sent', async () => {
      const apps = await both(host)
      for (const target of ['/big', '/cities']) {
        for (let i = 0; i < often + 2; i++) await apps.same(asks(target))
        const before = apps.seen.door
        for (const how of ['reset', 'end', 'destroy'] as const) {
          for (let i = 0; i < 5; i++) await hangUp(apps.fronted.port, asks(target).repeat(i + 1), how)
          await apps.same(asks(target))
        }
        expect(apps.seen.door - before).toBeGreaterThan(3)
      }
    }, 60_000)
  },
  isInShort,
)

/** Goes away with the first byte of the answer. */
function hangUp(port: number, question: string, how: 'reset' | 'end' | 'destroy'): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.once('close', () => resolve())
    socket.once('data', () => {
      if (how === 'reset') socket.resetAndDestroy()
      else if (how === 'end') socket.end().destroySoon()
      else socket.destroy()
    })
    socket.write(question)
  })
}
