import { AsyncLocalStorage } from 'node:async_hooks'
import http2 from 'node:http2'
import net from 'node:net'
import { TLSSocket } from 'node:tls'
import { describe, expect, test } from '@jest/globals'
import { counted } from './harness/handlers.ts'
import { describeHosts, until } from './harness/host.ts'

const windows = { ttl: '10s', staleWhileRevalidate: '60s' } as const

describe.each([true, 'secure'] as const)('http2: %s', (kind) => {
  describeHosts(
    'a refresh of what came by HTTP/2',
    (host) => {
      const asking = async (
        session: http2.ClientHttp2Session,
        headers: http2.OutgoingHttpHeaders,
      ): Promise<[text: string, cacheStatus: string]> => {
        const stream = session.request(headers)
        let status = ''
        let text = ''
        stream.on('response', (head) => {
          status = String(head['cache-status'])
        })
        for await (const chunk of stream) text += chunk
        return [text, status]
      }

      test.each([
        ['only :authority', {}],
        ['a Host of another name beside it', { ':authority': 'one.example', host: 'other.example' }],
        ['a Host alone', { host: 'other.example' }],
        [
          'fields of the connection and of its own cache',
          { te: 'trailers', 'if-none-match': '"x"', range: 'bytes=0-1' },
        ],
      ])('%s: answered at once, refreshed behind it', async (_, headers) => {
        const handler = counted()
        const app = await host.boot({ http2: kind, routes: [{ path: '/', cache: windows, handler }] })
        const origin = `${kind === 'secure' ? 'https' : 'http'}://127.0.0.1:${app.port}`
        const session = http2.connect(origin, { rejectUnauthorized: false })
        const plain = { ':path': '/', ...('host' in headers ? (headers as object) : {}) }
        try {
          expect((await asking(session, plain))[0]).toBe('run 1')
          await app.clock.advance(11_000)
          const [, stale] = await asking(session, { ':path': '/', ...headers })
          expect(stale).toMatch(/^Sluice; hit; ttl=-1/)
          await until(() => app.sluice.stats().cache.stored >= 2)
          expect(await asking(session, plain)).toEqual(['run 2', 'Sluice; hit; ttl=10'])
          expect(app.sluice.stats().cache).toMatchObject({ refreshes: 1, stored: 2 })
        } finally {
          session.destroy()
        }
      })

      test('what TLS has is there too', async () => {
        const seen: string[][] = []
        const app = await host.boot({
          http2: kind,
          routes: [
            {
              path: '/',
              cache: { ...windows, guard: 'off' },
              handler(c) {
                const { socket } = c.raw.req
                const names = [
                  ...Object.getOwnPropertyNames(TLSSocket.prototype),
                  'encrypted',
                  'authorized',
                  'alpnProtocol',
                ]
                seen.push(names.filter((name) => !name.startsWith('_') && ask(socket, name) !== undefined).sort())
                c.send('x')
              },
            },
          ],
        })
        const session = http2.connect(`${kind === 'secure' ? 'https' : 'http'}://127.0.0.1:${app.port}`, {
          rejectUnauthorized: false,
        })
        try {
          await asking(session, { ':path': '/' })
          await app.clock.advance(11_000)
          await asking(session, { ':path': '/' })
          await until(() => app.sluice.stats().cache.stored >= 2)
          expect(seen[0]!.includes('getPeerCertificate')).toBe(kind === 'secure')
          expect(seen[0]!.filter((name) => !seen[1]!.includes(name))).toEqual([])
        } finally {
          session.destroy()
        }
      })

      test('the handler sees a request of that protocol', async () => {
        const seen: unknown[] = []
        const app = await host.boot({
          http2: kind,
          routes: [
            {
              path: '/',
              cache: { ...windows, guard: 'off' },
              handler(c) {
                const { req, res } = c.raw as unknown as {
                  req: http2.Http2ServerRequest
                  res: http2.Http2ServerResponse
                }
                seen.push([
                  req.httpVersion,
                  req.headers[':authority'],
                  req.headers.host,
                  req.headers[':path'],
                  req.scheme,
                ])
                seen.push([
                  req.authority,
                  typeof req.stream.id,
                  res.stream.pushAllowed,
                  req.rawHeaders.includes(':path'),
                ])
                c.send('x')
              },
            },
          ],
        })
        const session = http2.connect(`${kind === 'secure' ? 'https' : 'http'}://127.0.0.1:${app.port}`, {
          rejectUnauthorized: false,
          settings: { enablePush: false },
        })
        try {
          await asking(session, { ':path': '/' })
          await app.clock.advance(11_000)
          await asking(session, { ':path': '/' })
          await until(() => app.sluice.stats().cache.stored >= 2)
          expect(seen.slice(2)).toEqual(seen.slice(0, 2))
        } finally {
          session.destroy()
        }
      })
    },
    (kind) => kind.framework !== 'express',
  )
})

describeHosts('what the handler of a refresh finds', (host) => {
  test('is a socket like any other: whatever a real one has, of the same type', async () => {
    const missing: string[] = []
    const seen: unknown[] = []
    let real: Record<string, string> = {}
    const handler = counted((c, run) => {
      const { req, res } = c.raw
      const { socket } = req
      const found = membersOf(socket)
      if (run === 1) real = found
      else missing.push(...Object.keys(real).filter((name) => found[name] !== real[name]))
      seen.push([req.connection === socket, res.socket === socket, res.connection === socket])
      seen.push([socket.remoteAddress, socket.remoteFamily, socket.localPort, socket.address(), socket.readyState])
      seen.push(Object.hasOwn(socket, '_httpMessage'), socket instanceof net.Socket)
      socket.ref().unref().setKeepAlive(true).setNoDelay(true).setTimeout(1_000).setTimeout(0)
      socket.cork()
      socket.uncork()
      res.setTimeout(1_000)
      res.writeEarlyHints({ link: '</a.css>; rel=preload' })
      c.send(`run ${run}`)
      if (run > 1) res.once('finish', () => socket.destroySoon())
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ...windows, guard: 'off' }, handler }] })
    await app.get('/')
    await app.clock.advance(11_000)
    await app.get('/')
    await until(() => app.sluice.stats().cache.stored >= 2)
    expect(Object.keys(real).length).toBeGreaterThan(60)
    expect(missing).toEqual([])
    expect(seen.slice(4)).toEqual(seen.slice(0, 4))
    expect((await app.get('/')).text).toBe('run 2')
  })
})

describeHosts('where a refresh runs', (host) => {
  test('outside of the request that began it: what that has in an AsyncLocalStorage is not there', async () => {
    const visitor = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const handler = counted((c, run) => {
      seen.push(visitor.getStore())
      c.send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ...windows, guard: 'off' }, handler }] })
    app.server.prependListener('request', () => {
      if (app.arrivals < 2) visitor.enterWith('alice')
    })
    await app.get('/')
    await app.clock.advance(11_000)
    await app.get('/')
    await until(() => app.sluice.stats().cache.stored >= 2)
    expect([seen[0], seen.length]).toEqual(['alice', 2])
    expect(seen[1]).toBeUndefined()
  })
})

/** Of HTTP/2 some questions to a socket are errors. */
function ask(socket: object, name: string): unknown {
  try {
    return (socket as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

/** The public members of an object that its prototypes have, with their types. What is state of the moment is left out. */
function membersOf(object: object): Record<string, string> {
  const found: Record<string, string> = {}
  for (let at = Object.getPrototypeOf(object); at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (!name.startsWith('_') && name !== 'readableFlowing')
        found[name] = typeof (object as Record<string, unknown>)[name]
    }
  }
  return found
}
