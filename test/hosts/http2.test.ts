import http2 from 'node:http2'
import { expect, test } from '@jest/globals'
import { counted, pieces } from './harness/handlers.ts'
import { describeHosts } from './harness/host.ts'

describeHosts(
  'HTTP/2 through the compatibility API',
  (host) => {
    const ask = (session: http2.ClientHttp2Session, path: string, headers: http2.OutgoingHttpHeaders = {}) =>
      new Promise<{ status: unknown; cache: string; text: string; etag: string }>((resolve, reject) => {
        const stream = session.request({ ':path': path, ...headers })
        let head: http2.IncomingHttpHeaders = {}
        const chunks: Buffer[] = []
        stream.on('response', (h) => {
          head = h
        })
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('error', reject)
        stream.on('end', () =>
          resolve({
            status: (head as { ':status'?: number })[':status'],
            cache: String(head['cache-status']),
            text: Buffer.concat(chunks).toString(),
            etag: String(head.etag),
          }),
        )
        stream.end()
      })

    test('miss, hit, 304, HEAD, a stream', async () => {
      const app = await host.boot({
        http2: true,
        routes: [
          { path: '/', cache: { ttl: '1m' }, handler: counted() },
          { path: '/stream', cache: { ttl: '1m' }, handler: (c) => c.stream(pieces('a', 'b')) },
        ],
      })
      const session = http2.connect(`http://127.0.0.1:${app.port}`)
      try {
        const miss = await ask(session, '/')
        expect([miss.status, miss.text, miss.cache]).toEqual([200, 'run 1', 'Sluice; fwd=uri-miss; stored'])
        const hit = await ask(session, '/')
        expect([hit.status, hit.text, hit.cache]).toEqual([200, 'run 1', 'Sluice; hit; ttl=60'])
        expect(await ask(session, '/', { 'if-none-match': hit.etag })).toMatchObject({ status: 304, text: '' })
        // Koa 2 never ends a HEAD over HTTP/2, with us or without.
        if (host.name !== 'Koa 2') {
          expect(await ask(session, '/', { ':method': 'HEAD' })).toMatchObject({ status: 200, text: '' })
        }
        expect(await ask(session, '/stream')).toMatchObject({ status: 200, text: 'ab' })
        expect(await ask(session, '/stream')).toMatchObject({ cache: 'Sluice; hit; ttl=60', text: 'ab' })
      } finally {
        session.destroy()
      }
    })
  },
  // Express does not speak it.
  (kind) => kind.framework !== 'express',
)
