import net from 'node:net'
import { expect, test } from '@jest/globals'
import { counted, pieces, says } from './harness/handlers.ts'
import { describeHosts, gate, turn, until } from './harness/host.ts'

describeHosts('bodies in pieces', (host) => {
  test('reach the client as they are produced, and are captured beside', async () => {
    const steps = [gate(), gate()]
    const handler = counted((c) =>
      c.stream(
        (async function* () {
          yield 'one '
          await steps[0]
          yield 'two '
          await steps[1]
          yield 'three'
        })(),
      ),
    )
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const reader = await app.open('/')
    expect(await reader.piece()).toBe('one ')
    steps[0]!.open()
    expect(await reader.piece()).toBe('two ')
    expect(app.sluice.stats().cache.stored).toBe(0)
    steps[1]!.open()
    expect(await reader.piece()).toBe('three')
    expect(await reader.piece()).toBeUndefined()
    const hit = await app.get('/')
    expect([hit.cache, hit.text, hit.header('content-length')]).toEqual(['hit', 'one two three', '13'])
    expect(handler.runs).toBe(1)
  })

  test('back-pressure is respected: a client that does not read holds the source', async () => {
    let pulled = 0
    const piece = Buffer.alloc(64 * 1024, 'x')
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m', maxEntryBytes: '1gb' },
          handler: (c) =>
            c.stream(
              (async function* () {
                for (; pulled < 4000; pulled++) yield piece
              })(),
            ),
        },
      ],
    })
    const reader = await app.open('/')
    let before = -1
    // Until the buffers on the way are full and nothing moves.
    for (let still = 0; still < 50; still = pulled === before ? still + 1 : 0) {
      before = pulled
      await turn()
    }
    expect(pulled).toBeLessThan(1_000)
    reader.abort()
  })

  test('over maxEntryBytes: the client gets the whole, the store nothing', async () => {
    const handler = counted((c) => c.stream(pieces('x'.repeat(600), 'y'.repeat(600))))
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m', maxEntryBytes: 1000 }, handler }] })
    expect((await app.get('/')).body.length).toBe(1200)
    expect((await app.get('/')).body.length).toBe(1200)
    expect([handler.runs, app.sluice.stats().cache.entries]).toEqual([2, 0])
  })

  test('of exactly maxEntryBytes: stored', async () => {
    const handler = counted((c) => c.stream(pieces('x'.repeat(500), 'y'.repeat(500))))
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m', maxEntryBytes: 1000 }, handler }] })
    await app.get('/')
    expect((await app.get('/')).cache).toBe('hit')
  })

  test('a source that breaks off: the client sees it, nothing is stored', async () => {
    const handler = counted((c, run) =>
      c.stream(
        (async function* () {
          yield 'half '
          if (run === 1) throw new Error('disk on fire')
          yield 'whole'
        })(),
      ),
    )
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    await expect(app.get('/')).rejects.toThrow(/aborted|hang up|ECONNRESET/)
    const next = await app.get('/')
    expect([next.text, next.cache]).toEqual(['half whole', 'uri-miss'])
  })

  test('a client that aborts is never waited for, and nothing short is stored', async () => {
    let ended = 0
    const handler = counted((c) =>
      c.stream(
        (async function* () {
          try {
            for (let i = 0; i < 3; i++) {
              yield `piece ${i} `
              await turn()
            }
          } finally {
            ended++
          }
        })(),
      ),
    )
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    for (let i = 0; i < 5; i++) {
      const reader = await app.open('/')
      reader.abort()
    }
    await until(() => ended === handler.runs)
    expect((await app.get('/')).text).toBe('piece 0 piece 1 piece 2 ')
    expect((await app.get('/')).text).toBe('piece 0 piece 1 piece 2 ')
  })

  test('a source that ends early because its client is gone leaves nothing short behind', async () => {
    const gone = gate()
    const handler = counted((c, run) => {
      if (run === 1) c.raw.res.once('close', () => gone.open())
      return c.stream(
        (async function* () {
          yield 'half '
          if (run === 1) await gone
          else yield 'whole'
        })(),
      )
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const reader = await app.open('/')
    expect(await reader.piece()).toBe('half ')
    reader.abort()
    await gone
    await turn()
    expect((await app.get('/')).text).toBe('half whole')
  })

  test('an event stream passes at once and is never stored', async () => {
    const more = gate()
    const handler = counted((c) => {
      c.set('Content-Type', 'text/event-stream')
      return c.stream(
        (async function* () {
          yield 'data: 1\n\n'
          await more
          yield 'data: 2\n\n'
        })(),
      )
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const reader = await app.open('/')
    expect(reader.header('cache-status')).toContain('event-stream')
    expect(await reader.piece()).toBe('data: 1\n\n')
    const second = await app.open('/')
    expect(await second.piece()).toBe('data: 1\n\n')
    more.open()
    expect(await reader.piece()).toBe('data: 2\n\n')
    second.abort()
    expect(app.sluice.stats().cache.entries).toBe(0)
  })

  test.each([
    ['utf-8 text', ['grü', 'ße'], 'grüße'],
    ['bytes', [Buffer.from([1, 2]), Buffer.from([3, 255])], Buffer.from([1, 2, 3, 255])],
    ['nothing', [], ''],
    ['an empty piece', ['', 'a'], 'a'],
    ['a character cut in two', [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1)], 'é'],
  ] as const)('%s comes back as it was', async (_, list, whole) => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.stream(pieces(...list)) }],
    })
    for (const kind of ['uri-miss', 'hit']) {
      const answer = await app.get('/')
      expect(answer.cache).toBe(kind)
      expect(answer.body.equals(Buffer.from(whole as string))).toBe(true)
    }
  })

  test('HEAD of what is streamed ends', async () => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.stream(pieces('a', 'b')) }],
    })
    const head = await app.request('/', { method: 'HEAD' })
    expect([head.status, head.text, head.stored]).toEqual([200, '', false])
    expect((await app.get('/')).text).toBe('ab')
    expect((await app.request('/', { method: 'HEAD' })).header('content-length')).toBe('2')
  })

  test('a 103 on the way passes untouched (RFC 8297)', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            c.raw.res.writeEarlyHints({ link: '</style.css>; rel=preload' })
            c.send('hello')
          },
        },
      ],
    })
    const [miss, hit] = [await app.get('/'), await app.get('/')]
    expect([miss.interim, miss.text, miss.stored]).toEqual([[103], 'hello', true])
    expect([hit.interim, hit.text, hit.cache]).toEqual([[], 'hello', 'hit'])
    expect(hit.header('link')).toBeUndefined()
  })

  test('an upgrade is none of our business', async () => {
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({}) }] })
    app.server.on('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello')
    })
    const answer = await app.client.raw('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 101[\s\S]*hello$/)
    expect((await app.get('/')).cache).toBe('uri-miss')
  })

  test('HTTP/1.0, without a Host', async () => {
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({}) }] })
    for (const kind of ['uri-miss', 'hit']) {
      const answer = await app.client.raw('GET / HTTP/1.0\r\n\r\n')
      expect(answer).toMatch(/^HTTP\/1.1 200 OK/)
      expect(answer).toContain(kind)
      expect(answer).toMatch(/\r\n\r\nhello$/)
    }
  })

  test('requests one behind the other on one connection keep their order', async () => {
    const app = await host.boot({
      routes: [{ path: '/:n', cache: { ttl: '1m' }, handler: (c) => c.send(`this is ${c.params.n}`) }],
    })
    await app.get('/2')
    const ask = (n: number, connection: string) =>
      `GET /${n} HTTP/1.1\r\nHost: 127.0.0.1:${app.port}\r\nConnection: ${connection}\r\n\r\n`
    const answer = await app.client.raw(ask(1, 'keep-alive') + ask(2, 'keep-alive') + ask(3, 'close'))
    expect(answer.match(/this is \d/g)).toEqual(['this is 1', 'this is 2', 'this is 3'])
  })
})

describeHosts('a slow client', (host) => {
  test('reading a stored body does not hold up others', async () => {
    const app = await host.boot({
      routes: [
        { path: '/', cache: { ttl: '1m', maxEntryBytes: '32mb' }, handler: says({ body: Buffer.alloc(16_000_000) }) },
      ],
    })
    await app.get('/')
    const socket = net.connect(app.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await app.arrived(2)
    expect((await app.get('/')).body.length).toBe(16_000_000)
    socket.destroy()
  })
})
