import { describe, expect, test } from '@jest/globals'
import { counted } from './harness/handlers.ts'
import { type Ctx, describeHosts, gate, until } from './harness/host.ts'

const text = 'what the handler said '.repeat(200)

describeHosts('what a handler changes after it has handed it over', (host) => {
  const boot = (handler: (c: Ctx) => unknown) =>
    host.boot({ routes: [{ path: '/', cache: { ttl: '1m', maxEntryBytes: '1mb' }, handler }] })

  test('a buffer: the answer and what is stored are as they were', async () => {
    const app = await boot((c) => {
      const buffer = Buffer.from(text)
      c.send(buffer)
      // Koa looks at the body when the middleware are done.
      if (host.framework === 'koa') c.raw.res.once('finish', () => buffer.fill('x'))
      else buffer.fill('x')
    })
    for (const kind of ['uri-miss', 'hit', 'hit']) {
      const answer = await app.get('/')
      expect([answer.cache, answer.text]).toEqual([kind, text])
    }
  })

  test('a view of a larger piece of memory', async () => {
    const memory = Buffer.alloc(100_000, 'a')
    const app = await boot((c) => {
      const part = memory.subarray(1_000, 6_000)
      c.send(part)
      c.raw.res.once('finish', () => memory.fill('b'))
    })
    await app.get('/')
    expect((await app.get('/')).text).toBe('a'.repeat(5_000))
  })

  test('an object', async () => {
    const shared = { says: 'first', list: [1] }
    const app = await boot((c) => {
      c.send(shared)
      c.raw.res.once('finish', () => {
        shared.says = 'second'
        shared.list.push(2)
      })
    })
    await app.get('/')
    expect((await app.get('/')).json()).toEqual({ says: 'first', list: [1] })
  })

  test('a stream that brings one buffer again and again', async () => {
    const app = await boot((c) => {
      const one = Buffer.alloc(4)
      return c.stream(
        (async function* () {
          for (const piece of ['one ', 'two ', 'six ']) {
            // Not before the last was taken: the client has it, the cache must have it too.
            await new Promise((resolve) => setTimeout(resolve, 5))
            one.write(piece)
            yield one
          }
        })(),
      )
    })
    expect((await app.get('/')).text).toBe('one two six ')
    const hit = await app.get('/')
    expect([hit.cache, hit.text]).toEqual(['hit', 'one two six '])
  })
})

describeHosts(
  'what a handler writes while something has to be waited for',
  (host) => {
    test('goes out as it was when it was written', async () => {
      const app = await host.boot({
        routes: [
          {
            method: 'POST',
            path: '/',
            invalidate: ['a'],
            handler(c) {
              const { res } = c.raw
              const one = Buffer.from('one ')
              res.end(one)
              one.write('two ')
              return new Promise(() => {})
            },
          },
        ],
      })
      expect((await app.request('/', { method: 'POST' })).text).toBe('one ')
    })
  },
  (kind) => kind.framework === 'node' || kind.framework === 'express',
)

describeHosts('an answer without content that was handed a stream', (host) => {
  const explicit = { 'Cache-Control': 'max-age=60' }

  test.each([204, 404])('%i: is stored, and answered again', async (status) => {
    const handler = counted((c) => {
      for (const [name, value] of Object.entries(explicit)) c.set(name, value)
      c.status(status)
      return c.stream(
        (async function* () {
          yield 'piece'
        })(),
      )
    })
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler }] })
    const [miss, hit] = [await app.get('/'), await app.get('/')]
    const body = status === 204 ? '' : 'piece'
    expect([miss.status, miss.text, hit.status, hit.text, hit.cache]).toEqual([status, body, status, body, 'hit'])
    expect([hit.header('content-length'), handler.runs]).toEqual([status === 204 ? undefined : '5', 1])
  })

  test('304: goes on as it is', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: {},
          handler(c) {
            c.status(304)
            return c.stream(
              (async function* () {
                yield 'piece'
              })(),
            )
          },
        },
      ],
    })
    const answer = await app.get('/')
    expect([answer.status, answer.text]).toEqual([304, ''])
  })
})

describeHosts('the reason phrase', (host) => {
  const saying = (status: number, phrase: string, fields: Record<string, string> = {}) =>
    counted((c) => {
      for (const [name, value] of Object.entries(fields)) c.set(name, value)
      c.status(status)
      c.raw.res.statusMessage = phrase
      c.send('x')
    })
  const phraseOf = async (app: { client: { raw(bytes: string): Promise<string> } }, path = '/') => {
    const answer = await app.client.raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    return answer.slice(9, answer.indexOf('\r\n'))
  }

  test('of the handler is on the miss and on each hit', async () => {
    const handler = saying(200, 'Quite Fine')
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    for (let i = 0; i < 3; i++) expect(await phraseOf(app)).toBe('200 Quite Fine')
    expect(handler.runs).toBe(1)
  })

  test('of the handler is not on a 304, a 206 or a 416 of it', async () => {
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: saying(200, 'Quite Fine') }] })
    await app.get('/')
    const asking = async (line: string) => {
      const answer = await app.client.raw(`GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${line}\r\n\r\n`)
      return answer.slice(9, answer.indexOf('\r\n'))
    }
    expect(await asking('If-None-Match: *')).toBe('304 Not Modified')
    expect(await asking('Range: bytes=0-0')).toBe('206 Partial Content')
    expect(await asking('Range: bytes=9-')).toBe('416 Range Not Satisfiable')
  })

  test('of the handler is on an answer that is not stored', async () => {
    const handler = saying(403, 'Not You', { 'Cache-Control': 'no-store' })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    expect(await phraseOf(app)).toBe('403 Not You')
  })

  test('goes with its status: another answer in its place has its own', async () => {
    let fail = false
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '10s', staleIfError: '1m' },
          handler(c) {
            if (fail) {
              c.status(503)
              c.raw.res.statusMessage = 'Out To Lunch'
            }
            c.send('x')
          },
        },
      ],
    })
    expect(await phraseOf(app)).toBe('200 OK')
    fail = true
    await app.clock.advance(11_000)
    expect(await phraseOf(app)).toBe('200 OK')
    await app.clock.advance(100_000)
    expect(await phraseOf(app)).toBe('503 Out To Lunch')
  })
})

describeHosts('the head of a stream', (host) => {
  const streaming = (read: (c: Ctx) => unknown) => (c: Ctx) =>
    c.stream(
      (async function* () {
        await new Promise((resolve) => setTimeout(resolve, 20))
        read(c)
        yield 'a'
        await new Promise((resolve) => setTimeout(resolve, 5))
        yield 'b'
      })(),
    )

  test('waits for the first byte: what was read until then is known', async () => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: streaming((c) => c.header('cookie')) }],
    })
    const answer = await app.get('/', { cookie: 'a=b' })
    expect([answer.text, answer.stored]).toEqual(['ab', false])
    // It is said in the head that it is not stored.
    expect(answer.detail).toBeDefined()
  })

  test('a stream that fails before its first byte is an error, and nothing is left waiting', async () => {
    let fail = true
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler: streaming(() => {
            if (fail) throw new Error('broken')
          }),
        },
      ],
    })
    const first = await app.get('/').catch(() => undefined)
    expect(first?.status ?? 500).toBe(500)
    fail = false
    expect((await app.get('/')).text).toBe('ab')
    expect((await app.get('/')).cache).toBe('hit')
  })

  test('of an event stream goes out as it comes', async () => {
    const ready = gate()
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          async handler(c) {
            c.set('Content-Type', 'text/event-stream')
            const stream = (async function* () {
              yield 'data: 1\n\n'
              await ready
              yield 'data: 2\n\n'
            })()
            return c.stream(stream)
          },
        },
      ],
    })
    const reader = await app.open('/')
    expect(await reader.piece()).toBe('data: 1\n\n')
    ready.open()
    expect(await reader.piece()).toBe('data: 2\n\n')
  })
})

describeHosts(
  'a stream that brings nothing',
  (host) => {
    const silent = () => {
      let returned = 0
      const iterator = {
        next: () => new Promise<never>(() => {}),
        async return() {
          returned++
          return { done: true, value: undefined } as const
        },
      }
      const stream = { [Symbol.asyncIterator]: () => iterator } as AsyncIterable<string>
      return { stream, returned: () => returned }
    }

    test('is let go with its client', async () => {
      const source = silent()
      const handler = counted((c, run) => (run > 1 ? c.send('x') : c.stream(source.stream)))
      const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
      const leaving = new AbortController()
      const gone = app.request('/', { signal: leaving.signal }).catch(() => 'gone')
      await until(() => handler.runs === 1)
      leaving.abort()
      expect(await gone).toBe('gone')
      await until(() => source.returned() > 0)
      const answer = await app.get('/')
      expect([answer.status, answer.text, answer.header('cache-status'), handler.runs]).toEqual([
        200,
        'x',
        'Sluice; fwd=uri-miss; stored',
        2,
      ])
    })

    test('does not keep a HEAD waiting', async () => {
      const app = await host.boot({
        routes: [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.stream(silent().stream) }],
      })
      expect((await app.request('/', { method: 'HEAD' })).status).toBe(200)
    })
  },
  // Elsewhere nobody is told of the stream.
  (kind) => kind.framework === 'koa' || kind.framework === 'fastify',
)

describeHosts(
  'a head that is flushed',
  (host) => {
    const boot = async (type: string) => {
      const ready = gate()
      const app = await host.boot({
        routes: [
          {
            path: '/',
            cache: { ttl: '1m' },
            async handler(c) {
              const { res } = c.raw
              res.setHeader('Content-Type', type)
              res.flushHeaders()
              expect(res.headersSent).toBe(true)
              await ready
              res.end('late')
              return new Promise(() => {})
            },
          },
        ],
      })
      return { app, ready }
    }

    test('waits for the first byte: a body that comes at once is stored as any other', async () => {
      const { app, ready } = await boot('text/plain')
      ready.open()
      const miss = await app.get('/')
      // A length and a validator are known: the head was not out before the body was.
      expect([miss.text, miss.stored, miss.header('content-length'), miss.header('etag')]).toEqual([
        ...['late', true, '4'],
        expect.any(String),
      ])
      expect((await app.get('/')).cache).toBe('hit')
    })

    test('but not for long', async () => {
      const { app, ready } = await boot('text/plain')
      const reader = await app.open('/')
      expect(reader.status).toBe(200)
      ready.open()
      expect(await reader.piece()).toBe('late')
      await until(() => app.sluice.stats().cache.stored === 1)
    })

    test('and not at all where nothing is gained by it', async () => {
      const { app, ready } = await boot('text/event-stream')
      const reader = await app.open('/')
      expect(reader.header('content-type')).toBe('text/event-stream')
      ready.open()
      expect(await reader.piece()).toBe('late')
    })
  },
  (kind) => kind.framework === 'node' || kind.framework === 'express',
)

describe('the suite above', () => {
  test('has text long enough to be no small Buffer of a pool', () => {
    expect(Buffer.byteLength(text)).toBeGreaterThan(Buffer.poolSize / 2)
  })
})
