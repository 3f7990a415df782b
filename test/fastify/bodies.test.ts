import { connect } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { afterEach, describe, expect, test } from '@jest/globals'
import sluice, { type SluiceRoute } from '@sluice/fastify'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

let app: FastifyInstance
afterEach(() => app.close())

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

/** An application with one cached route, which counts the runs of its handler. */
async function withRoute(handler: Handler, config: SluiceRoute = { cache: '5m' }, options: object = {}) {
  app = Fastify()
  await app.register(sluice)
  const seen = { runs: 0 }
  app.get('/it', { ...options, config: { sluice: config } }, function (this: unknown, request, reply) {
    seen.runs++
    return handler.call(this, request, reply)
  })
  return seen
}

async function listen(): Promise<string> {
  return app.listen({ port: 0, host: '127.0.0.1' })
}

const rows: readonly (readonly [string, Handler, { status?: number; type?: string | undefined; body: string }])[] = [
  ['an object', async () => ({ a: 1 }), { type: 'application/json; charset=utf-8', body: '{"a":1}' }],
  [
    'an object, sent by a callback',
    (_, reply) => void setImmediate(() => reply.send({ a: 1 })),
    { type: 'application/json; charset=utf-8', body: '{"a":1}' },
  ],
  ['an object, returned', () => ({ a: 1 }), { type: 'application/json; charset=utf-8', body: '{"a":1}' }],
  ['null', (_, reply) => void reply.send(null), { type: 'application/json; charset=utf-8', body: 'null' }],
  ['text', async () => 'hällo', { type: 'text/plain; charset=utf-8', body: 'hällo' }],
  ['a Buffer', async () => Buffer.from('bytes'), { type: 'application/octet-stream', body: 'bytes' }],
  ['a Uint8Array', async () => new Uint8Array([65, 66]), { type: 'application/octet-stream', body: 'AB' }],
  ['nothing', (_, reply) => void reply.send(), { type: undefined, body: '' }],
  ['an empty string', async () => '', { type: 'text/plain; charset=utf-8', body: '' }],
  ['a stream', async () => Readable.from([Buffer.from('in '), Buffer.from('pieces')]), { body: 'in pieces' }],
  ['a stream of strings', async () => Readable.from(['in ', 'pieces']), { body: 'in pieces' }],
  ['an empty stream', async () => Readable.from([]), { body: '' }],
  ['a web stream', async () => new Blob(['in pieces']).stream(), { body: 'in pieces' }],
  [
    'a Response',
    async () => new Response('fetched', { status: 203, headers: { 'content-type': 'text/x' } }),
    { status: 203, type: 'text/x', body: 'fetched' },
  ],
  ['a redirect', async (_, reply) => reply.redirect('/there', 301), { status: 301, body: '' }],
]

describe('what a handler sends is what a hit sends', () => {
  test.each(rows)('%s', async (_, handler, expected) => {
    const seen = await withRoute(handler)
    const miss = await app.inject('/it')
    const hit = await app.inject('/it')
    expect(seen.runs).toBe(1)
    expect(hit.headers['cache-status']).toMatch(/; hit/)
    for (const answer of [miss, hit]) {
      expect(answer.statusCode).toBe(expected.status ?? 200)
      expect(answer.headers['content-type']).toBe(expected.type)
      expect(answer.body).toBe(expected.body)
    }
    expect(hit.headers['content-length']).toBe(String(Buffer.byteLength(expected.body)))
  })

  test.each(rows)('%s, with HEAD: the head of GET and no body', async (_, handler, expected) => {
    await withRoute(handler)
    await app.inject('/it')
    const head = await app.inject({ method: 'HEAD', url: '/it' })
    expect(head.headers['cache-status']).toMatch(/; hit/)
    expect(head.headers['content-length']).toBe(String(Buffer.byteLength(expected.body)))
    expect(head.body).toBe('')
  })

  test.each(rows)('%s, over a connection', async (_, handler, expected) => {
    const seen = await withRoute(handler)
    const url = `${await listen()}/it`
    for (const status of [/fwd=uri-miss/, /; hit/]) {
      const answer = await fetch(url, { redirect: 'manual' })
      expect(answer.headers.get('cache-status')).toMatch(status)
      expect(await answer.text()).toBe(expected.body)
    }
    expect(seen.runs).toBe(1)
  })
})

test('a HEAD first: its handler runs, and nothing of it is stored', async () => {
  const seen = await withRoute(async () => ({ a: 1 }))
  const head = await app.inject({ method: 'HEAD', url: '/it' })
  expect(head.headers['content-length']).toBe('7')
  expect((await app.inject('/it')).json()).toEqual({ a: 1 })
  expect(seen.runs).toBe(2)
})

test('204 is answered as it is, each time', async () => {
  const seen = await withRoute((_, reply) => reply.code(204).send())
  for (let i = 0; i < 2; i++) {
    const answer = await app.inject('/it')
    expect(answer.statusCode).toBe(204)
    expect(answer.headers).not.toHaveProperty('content-length')
  }
  expect(seen.runs).toBe(2)
})

test.each(['GET', 'HEAD'] as const)('304 to %s has no body and no length', async (method) => {
  await withRoute(async () => ({ a: 1 }))
  const etag = String((await app.inject('/it')).headers.etag)
  const answer = await app.inject({ method, url: '/it', headers: { 'if-none-match': etag } })
  expect(answer.statusCode).toBe(304)
  expect(answer.body).toBe('')
  expect(answer.headers.etag).toBe(etag)
  expect(answer.headers).not.toHaveProperty('content-length')
  expect(answer.headers).not.toHaveProperty('content-type')
})

test('a condition that the answer of a miss fulfils is answered 304, and the answer is stored', async () => {
  const seen = await withRoute(async () => ({ a: 1 }))
  const etag = String((await app.inject('/it')).headers.etag)
  await app.sluice.purge({ all: true })
  expect((await app.inject({ url: '/it', headers: { 'if-none-match': etag } })).statusCode).toBe(304)
  expect((await app.inject('/it')).body).toBe('{"a":1}')
  expect(seen.runs).toBe(2)
})

test('a single range of a stored answer is 206', async () => {
  await withRoute(async () => 'hello world')
  await app.inject('/it')
  const part = await app.inject({ url: '/it', headers: { range: 'bytes=6-' } })
  expect([part.statusCode, part.body, part.headers['content-range']]).toEqual([206, 'world', 'bytes 6-10/11'])
})

test('what is stored is what serialisation made of the payload: schema and preSerialization are not run again', async () => {
  let serialised = 0
  const seen = await withRoute(
    async () => ({ a: 1, hidden: 2 }),
    { cache: '5m' },
    {
      schema: { response: { 200: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } } } },
      preSerialization: async (_: unknown, __: unknown, payload: object) => ({ ...payload, b: ++serialised }),
    },
  )
  for (let i = 0; i < 3; i++) expect((await app.inject('/it')).body).toBe('{"a":1,"b":1}')
  expect(seen.runs).toBe(1)
})

test('an answer over maxEntryBytes goes through whole, and is not stored', async () => {
  const body = 'x'.repeat(2000)
  const seen = await withRoute(async () => Readable.from([body, body]), { cache: '5m', maxEntryBytes: 1000 })
  for (let i = 0; i < 2; i++) expect((await app.inject('/it')).body).toBe(body + body)
  expect(seen.runs).toBe(2)
})

test('a stream reaches the client as it is produced', async () => {
  const source = new PassThrough()
  await withRoute(async () => source)
  const url = `${await listen()}/it`
  source.write('first')
  const reader = (await fetch(url)).body!.getReader()
  expect(Buffer.from((await reader.read()).value!).toString()).toBe('first')
  source.end('last')
  expect(Buffer.from((await reader.read()).value!).toString()).toBe('last')
  expect((await reader.read()).done).toBe(true)
  expect(await (await fetch(url)).text()).toBe('firstlast')
})

test('a stream that breaks off is not stored, and the client sees that it broke', async () => {
  const seen = await withRoute(async () =>
    Readable.from(
      (async function* () {
        yield 'half'
        await new Promise((resolve) => setTimeout(resolve, 10))
        throw new Error('broken')
      })(),
    ),
  )
  const url = `${await listen()}/it`
  for (let i = 0; i < 2; i++) await expect(fetch(url).then((r) => r.text())).rejects.toThrow()
  expect(seen.runs).toBe(2)
  expect(app.sluice.stats().cache.stored).toBe(0)
})

test('a stream that fails before its first byte gives an error, without a trace of the answer it was to be', async () => {
  await withRoute(async (_, reply) => {
    reply.header('etag', '"x"')
    return new Readable({
      read() {
        this.destroy(Object.assign(new Error('no such file'), { statusCode: 404 }))
      },
    })
  })
  const answer = await app.inject('/it')
  expect(answer.statusCode).toBe(404)
  expect(answer.headers).not.toHaveProperty('cache-control')
  expect(app.sluice.stats().cache.stored).toBe(0)
})

test('a client that goes away ends the stream, and nothing of it is stored', async () => {
  const source = new PassThrough()
  const closed = new Promise((resolve) => source.once('close', resolve))
  await withRoute(async () => source)
  const { port } = new URL(await listen())
  source.write('half')
  const socket = connect(Number(port), '127.0.0.1', () => socket.write('GET /it HTTP/1.1\r\nHost: x\r\n\r\n'))
  socket.once('data', () => socket.destroy())
  await closed
  expect(app.sluice.stats().cache.stored).toBe(0)
})

test('a reader who does not read slows the source down', async () => {
  let produced = 0
  await withRoute(
    async () =>
      new Readable({
        read() {
          produced += 65_536
          this.push(produced > 64 * 2 ** 20 ? null : Buffer.alloc(65_536))
        },
      }),
  )
  const { port } = new URL(await listen())
  const socket = connect(Number(port), '127.0.0.1', () => socket.write('GET /it HTTP/1.1\r\nHost: x\r\n\r\n'))
  await new Promise((resolve) => socket.once('readable', resolve))
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(produced).toBeLessThan(32 * 2 ** 20)
  socket.destroy()
})

test('an event stream passes through', async () => {
  const source = new PassThrough()
  const seen = await withRoute(async (_, reply) => reply.type('text/event-stream').send(source))
  const url = `${await listen()}/it`
  source.write('data: 1\n\n')
  const answer = await fetch(url)
  const { value } = await answer.body!.getReader().read()
  expect(Buffer.from(value!).toString()).toBe('data: 1\n\n')
  source.end()
  expect(seen.runs).toBe(1)
  expect(app.sluice.stats().cache.refused).toMatchObject({ 'event-stream': 1 })
})

test('trailers are sent with the handler’s answer, beside no Content-Length', async () => {
  await withRoute(async (_, reply) => {
    reply.trailer('server-timing', async () => 'db;dur=1')
    return 'hello'
  })
  const answer = await app.inject('/it')
  expect(answer.trailers).toEqual({ 'server-timing': 'db;dur=1' })
  expect(answer.headers).not.toHaveProperty('content-length')
  expect((await app.inject('/it')).body).toBe('hello')
})

test('early hints pass through', async () => {
  await withRoute(async (_, reply) => {
    reply.writeEarlyHints({ link: '</a.css>; rel=preload' })
    return 'hello'
  })
  const url = new URL(`${await listen()}/it`)
  const { get } = await import('node:http')
  const hints: number[] = []
  await new Promise<void>((resolve) =>
    get(url, (answer) => answer.resume().once('end', resolve)).on('information', (info) => hints.push(info.statusCode)),
  )
  expect(hints).toEqual([103])
})

describe('answers that go around Fastify', () => {
  const ways: readonly (readonly [string, Handler])[] = [
    [
      'reply.hijack()',
      (_, reply) => {
        reply.hijack()
        reply.raw.end('raw')
      },
    ],
    [
      'reply.hijack(), async',
      async (_, reply) => {
        reply.hijack()
        setImmediate(() => reply.raw.end('raw'))
      },
    ],
    ['reply.raw', (_, reply) => void reply.raw.end('raw')],
    [
      'reply.raw.writeHead and a stream',
      (_, reply) => {
        reply.raw.writeHead(200, { 'x-raw': '1' })
        reply.send(Readable.from(['raw']))
      },
    ],
  ]
  test.each(ways)('%s: passed on, not stored, and nobody waits for it', async (_, handler) => {
    const seen = await withRoute(handler)
    const url = `${await listen()}/it`
    for (let i = 0; i < 2; i++) expect(await (await fetch(url)).text()).toBe('raw')
    expect(seen.runs).toBe(2)
    expect(app.sluice.stats().cache.stored).toBe(0)
  })
})
