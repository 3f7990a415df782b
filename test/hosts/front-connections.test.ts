import diagnostics from 'node:diagnostics_channel'
import http, { type RequestListener, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, expect, jest, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { oneBufferWorks } from '../../packages/node/src/front/self-test.ts'
import { counted } from './harness/handlers.ts'
import { describeHosts, until } from './harness/host.ts'

const body = 'x'.repeat(5_000)

interface Served {
  readonly server: http.Server
  readonly port: number
  readonly seen: { door: number; app: number }
  /** What comes back for this text; ends when it has so many heads, or the server ends the connection. */
  say(text: string, heads: number): Promise<string>
}

const opened: http.Server[] = []
afterEach(() => {
  for (const server of opened.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** A server whose `/` the door knows, by way of its ordinary clients. `/app` is the application's. */
async function serve(
  around: (front: RequestListener) => RequestListener = (front) => front,
  options: http.ServerOptions = {},
): Promise<Served> {
  const sluice = createSluice()
  const cached = sluice.cache('1m', { front: true })
  const seen = { door: 0, app: 0 }
  sluice.on('front', () => seen.door++)
  const app: RequestListener = (request, response) => {
    seen.app++
    if (request.url === '/app') response.end('app')
    else cached(request, response, () => response.end(body))
  }
  const server = http.createServer({ keepAliveTimeout: 5_000, ...options }, around(sluice.front(app)))
  opened.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const say = (text: string, heads: number): Promise<string> => conversation(port, text, heads)
  for (let i = 0; i < 6; i++) await say(get('/'), 1)
  // And until the test at start-up is over.
  await until(() => seen.door > 0)
  return { server, port, seen, say }
}

const get = (path: string, ...fields: string[]): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`

function conversation(port: number, text: string, heads: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let heard = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => {
      heard += piece
      if (answersIn(heard).length === heads && isWhole(answersIn(heard).at(-1)!)) socket.end()
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(heard))
    socket.write(text)
  })
}

const answersIn = (heard: string): string[] => heard.split(/(?=HTTP\/1\.1 \d{3} )/).filter((part) => part !== '')

function isWhole(answer: string): boolean {
  const [head, content = ''] = answer.split('\r\n\r\n', 2)
  const length = Number(/content-length: (\d+)/i.exec(head!)?.[1] ?? 0)
  return content.length >= length || / 304 /.test(head!)
}

/** The same of every answer but for what the time of day says. */
const timeless = (heard: string): string => heard.replace(/^date: .*\r\n/gim, '')

test('this Node sends the same in one piece', async () => {
  expect(await oneBufferWorks()).toBe(true)
})

test('pipelined requests are answered in their order, whoever answers them', async () => {
  const { say, seen } = await serve()
  const before = seen.door
  const heard = await say([get('/'), get('/app'), get('/'), get('/app'), get('/')].join(''), 5)
  const bodies = answersIn(heard).map((answer) => answer.split('\r\n\r\n', 2)[1])
  expect(bodies).toEqual([body, 'app', body, 'app', body])
  expect(seen.door - before).toBe(3)
})

test.each([
  ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: x\r\n\r\n'],
  ['HTTP/1.0 that wants to stay', 'GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n'],
  ['Connection: close', get('/', 'Connection: close')],
])('%s', async (_, question) => {
  const { say, seen } = await serve()
  const before = seen.door
  const heard = await say(question, 1)
  expect(heard).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(heard.split('\r\n\r\n', 2)[1]).toBe(body)
  expect(heard.toLowerCase()).toContain(
    question.includes('keep-alive') ? 'connection: keep-alive' : 'connection: close',
  )
  expect(seen.door - before).toBe(1)
})

test('a server that counts the requests of a connection ends it in time', async () => {
  const { server, say } = await serve()
  server.maxRequestsPerSocket = 2
  const heard = await say(get('/') + get('/'), 2)
  expect(answersIn(heard).map((answer) => /connection: (\S+)/i.exec(answer)?.[1])).toEqual(['keep-alive', 'close'])
})

test('a server that is being closed says of a connection what it says without the door', async () => {
  const said = ['/', '/app'].map(async (path) => {
    let closes = false
    const { server, say, seen } = await serve((front) => (request, response) => {
      if (closes) server.close()
      front(request, response)
    })
    const before = seen.door
    closes = true
    const heard = await say(get(path), 1)
    return { door: seen.door - before, connection: heard.match(/^(?:connection|keep-alive): .*$/gim) }
  })
  const [atTheDoor, without] = await Promise.all(said)
  expect([atTheDoor!.door, without!.door]).toEqual([1, 0])
  expect(without!.connection).not.toBeNull()
  expect(atTheDoor!.connection).toEqual(without!.connection)
})

test('who wants to see heads on their way out does, and fields that are there stay', async () => {
  let heads = 0
  const { say, seen } = await serve((front) => (request, response) => {
    const { writeHead } = response
    response.writeHead = function (this: ServerResponse, ...args: Parameters<typeof writeHead>) {
      heads++
      return writeHead.apply(this, args)
    } as never
    response.setHeader('X-Outer', 'here')
    front(request, response)
  })
  const [doorBefore, headsBefore] = [seen.door, heads]
  const heard = await say(get('/'), 1)
  expect(heard).toMatch(/x-outer: here/i)
  expect([seen.door - doorBefore, heads - headsBefore]).toEqual([1, 1])
})

test('a prototype that was replaced is not passed by', async () => {
  const { say } = await serve()
  const spy = jest.spyOn(ServerResponse.prototype, 'writeHead')
  const heard = await say(get('/'), 1)
  expect(spy).toHaveBeenCalledTimes(1)
  spy.mockRestore()
  expect(heard.split('\r\n\r\n', 2)[1]).toBe(body)
})

test('HEAD has the head of GET and no body, and what comes behind it is in its place', async () => {
  const { say } = await serve()
  const heard = await say(`HEAD / HTTP/1.1\r\nHost: x\r\n\r\n${get('/')}`, 2)
  const [head, whole] = answersIn(heard)
  expect(timeless(head!)).toBe(`${timeless(whole!.split('\r\n\r\n', 1)[0]!)}\r\n\r\n`)
})

test('what node tells of requests, it tells of these', async () => {
  const { say } = await serve()
  const told: string[] = []
  const names = ['http.server.request.start', 'http.server.response.finish'] as const
  const hear = (_: unknown, name: string | symbol): void => void told.push(String(name))
  for (const name of names) diagnostics.subscribe(name, hear)
  await say(get('/'), 1)
  await until(() => told.length === 2)
  for (const name of names) diagnostics.unsubscribe(name, hear)
  expect(told).toEqual([...names])
})

test('a client that does not read costs one answer, and not all it asked for', async () => {
  const { server, port, seen } = await serve()
  const kept = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const socket = connect(port, '127.0.0.1')
  socket.pause()
  const before = seen.door
  const count = 20_000
  socket.write(get('/').repeat(count))
  const served = await kept
  let last = -1
  for (let still = 0; still < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    still = seen.door === last ? still + 1 : 0
    last = seen.door
  }
  expect(seen.door - before).toBeLessThan(count)
  // What the system takes is the system's; of ours there is one answer more than node's own mark at the most.
  expect(served.writableLength).toBeLessThan(200_000)
  socket.destroy()
})

test('clients that go away in the middle end nothing else', async () => {
  const { port, say } = await serve()
  for (let i = 0; i < 20; i++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(get('/').repeat(i + 1), () => socket.destroy())
  }
  expect((await say(get('/'), 1)).split('\r\n\r\n', 2)[1]).toBe(body)
})

describeHosts(
  'in front of the application, over HTTP/2',
  (host) => {
    test.each([true, 'secure'] as const)('the same answers (%s)', async (kind) => {
      const app = await host.boot({
        http2: kind,
        front: true,
        routes: [{ path: '/', cache: { ttl: '1m', front: true }, handler: counted() }],
      })
      let door = 0
      app.sluice.on('front', () => door++)
      const scheme = kind === 'secure' ? 'https' : 'http'
      const session = http2.connect(`${scheme}://127.0.0.1:${app.port}`, { rejectUnauthorized: false })
      try {
        const answers: { status: number; cache: string; text: string }[] = []
        for (let i = 0; i < 8; i++) answers.push(await ask(session))
        expect(answers.at(-1)).toEqual({ status: 200, cache: 'Sluice; hit; ttl=60', text: 'run 1' })
        expect(door).toBeGreaterThan(1)
        expect(await ask(session, { 'if-none-match': '*' })).toMatchObject({ status: 304, text: '' })
      } finally {
        session.destroy()
      }
    })
  },
  // Express does not speak it.
  (kind) => kind.framework !== 'express',
)

function ask(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders = {}) {
  return new Promise<{ status: number; cache: string; text: string }>((resolve, reject) => {
    const stream = session.request({ ':path': '/', ...headers })
    let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {}
    let text = ''
    stream.setEncoding('utf8')
    stream.on('response', (came) => {
      head = came
    })
    stream.on('data', (piece: string) => {
      text += piece
    })
    stream.on('error', reject)
    stream.on('end', () => resolve({ status: head[':status']!, cache: String(head['cache-status']), text }))
    stream.end()
  })
}
