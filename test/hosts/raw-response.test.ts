import { expect, test } from '@jest/globals'
import { counted } from './harness/handlers.ts'
import { type Ctx, describeHosts, gate } from './harness/host.ts'

describeHosts(
  'what handlers write to node’s own response',
  (host) => {
    const body = Buffer.from('grüße')
    const ways: readonly (readonly [string, (res: Ctx['raw']['res']) => unknown])[] = [
      ['writeHead with fields, end', (res) => res.writeHead(200, { 'X-Own': 'a' }).end(body)],
      [
        'writeHead with a reason and a flat list',
        (res) => res.writeHead(200, 'Fine', ['X-Own', 'a'] as never).end(body),
      ],
      [
        'writeHead, write, end',
        (res) => {
          res.writeHead(200, { 'X-Own': 'a' })
          res.write(body.subarray(0, 3))
          res.end(body.subarray(3))
        },
      ],
      [
        'setHeader, end with a callback',
        (res) => {
          res.setHeader('X-Own', 'a')
          res.end(body, () => {})
        },
      ],
      [
        'end(callback) behind a write with an encoding',
        (res) => {
          res.setHeader('X-Own', 'a')
          res.write(body.toString('hex'), 'hex')
          res.end(() => {})
        },
      ],
      [
        'end(text, encoding)',
        (res) => {
          res.setHeader('X-Own', 'a')
          res.end(body.toString('base64'), 'base64')
        },
      ],
      [
        'flushHeaders first',
        (res) => {
          res.setHeader('X-Own', 'a')
          res.flushHeaders()
          res.end(body)
        },
      ],
    ]

    test.each(ways)('%s: the same on miss and hit', async (_, write) => {
      const app = await host.boot({
        routes: [
          {
            path: '/',
            cache: { ttl: '1m' },
            handler(c) {
              write(c.raw.res)
              return new Promise(() => {})
            },
          },
        ],
      })
      for (const kind of ['uri-miss', 'hit']) {
        const answer = await app.get('/')
        expect([answer.cache, answer.status, answer.header('x-own'), answer.text]).toEqual([kind, 200, 'a', 'grüße'])
      }
    })

    test('a buffer the handler uses again is stored as it was sent', async () => {
      const app = await host.boot({
        routes: [
          {
            path: '/',
            cache: { ttl: '1m' },
            handler(c) {
              const buffer = Buffer.from('first ')
              c.raw.res.write(buffer, () => {
                buffer.write('second')
                c.raw.res.end(buffer)
              })
              return new Promise(() => {})
            },
          },
        ],
      })
      for (const kind of ['uri-miss', 'hit']) {
        const { cache, text } = await app.get('/')
        expect([cache, text]).toEqual([kind, 'first second'])
      }
    })

    test('flushHeaders sends the head before there is a body', async () => {
      const ready = gate()
      const app = await host.boot({
        routes: [
          {
            path: '/',
            cache: { ttl: '1m' },
            async handler(c) {
              c.raw.res.flushHeaders()
              await ready
              c.raw.res.end('late')
              return new Promise(() => {})
            },
          },
        ],
      })
      const reader = await app.open('/')
      expect(reader.status).toBe(200)
      ready.open()
      expect(await reader.piece()).toBe('late')
    })

    test('a handler that ends early because its client is gone leaves nothing short behind', async () => {
      const closed = gate()
      const handler = counted((c, run) => {
        const { res } = c.raw
        res.write('half ')
        if (run > 1) res.end('whole')
        else
          res.once('close', () => {
            res.end()
            closed.open()
          })
        return new Promise(() => {})
      })
      const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
      const reader = await app.open('/')
      expect(await reader.piece()).toBe('half ')
      reader.abort()
      await closed
      expect((await app.get('/')).text).toBe('half whole')
    })

    test('trailers of a body in pieces arrive, and are not stored', async () => {
      const app = await host.boot({
        routes: [
          {
            path: '/',
            cache: { ttl: '1m' },
            handler(c) {
              const { res } = c.raw
              res.setHeader('Trailer', 'X-Sum')
              res.write('hello ')
              res.addTrailers({ 'X-Sum': '7' })
              res.end('world')
              return new Promise(() => {})
            },
          },
        ],
      })
      const [miss, hit] = [await app.get('/'), await app.get('/')]
      expect([miss.text, miss.trailers]).toEqual(['hello world', { 'x-sum': '7' }])
      expect([hit.cache, hit.text, hit.trailers, hit.header('trailer')]).toEqual(['hit', 'hello world', {}, undefined])
    })

    test('headersSent is true once the handler has written its head', async () => {
      const seen: boolean[] = []
      const app = await host.boot({
        routes: [
          {
            path: '/',
            cache: { ttl: '1m' },
            handler(c) {
              const { res } = c.raw
              seen.push(res.headersSent)
              res.writeHead(200)
              seen.push(res.headersSent)
              res.end('x')
              seen.push(res.headersSent)
              return new Promise(() => {})
            },
          },
        ],
      })
      expect((await app.get('/')).text).toBe('x')
      expect(seen[0]).toBe(false)
      expect(seen[2]).toBe(true)
    })
  },
  (kind) => kind.framework === 'node' || kind.framework === 'express',
)
