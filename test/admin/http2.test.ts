import { once } from 'node:events'
import http2 from 'node:http2'
import { expect, test } from '@jest/globals'
import { type AppSpec, describeHosts } from '../hosts/harness/host.ts'

const token = { authorization: 'Bearer letmein' }
const authorize = (request: { headers: Record<string, unknown> }) =>
  request.headers.authorization === token.authorization

async function ask(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders, body?: string) {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader]
  let text = ''
  for await (const piece of stream.setEncoding('utf8')) text += piece
  return { status: head[':status'], head, text }
}

describeHosts(
  "an operator's door over HTTP/2",
  (host) => {
    const routes: AppSpec['routes'] = [{ path: '/a', cache: { ttl: '1h', tags: ['a'] }, handler: (c) => c.send('a') }]

    test('lets in and refuses, purges, and shows the page live', async () => {
      const app = await host.boot({ http2: true, door: { page: { authorize, actions: true } }, routes })
      const session = http2.connect(`http://127.0.0.1:${app.port}`)
      try {
        const cached = async () => String((await ask(session, { ':path': '/a' })).head['cache-status'])
        expect([await cached(), await cached()]).toEqual(['Sluice; fwd=uri-miss; stored', 'Sluice; hit; ttl=3600'])
        expect((await ask(session, { ':path': '/ops/stats' })).status).toBe(401)
        expect((await ask(session, { ':path': '/ops/stats', ...token })).status).toBe(200)
        const json = { ...token, 'content-type': 'application/json' }
        const purged = await ask(session, { ':path': '/ops/purge', ':method': 'POST', ...json }, '{"tags":["a"]}')
        expect([purged.status, JSON.parse(purged.text)]).toEqual([200, expect.objectContaining({ mode: 'purge' })])
        const other = { ...json, origin: 'http://evil.example' }
        const refused = await ask(session, { ':path': '/ops/purge', ':method': 'POST', ...other }, '{"tags":["a"]}')
        expect(refused.status).toBe(403)
        expect(await cached()).toBe('Sluice; fwd=uri-miss; stored')
        const found = await ask(session, { ':path': '/ops/find?url=/a', ...token })
        expect(JSON.parse(found.text).entries).toHaveLength(1)
        expect((await ask(session, { ':path': '/ops/', ...token })).text).toMatch(/^<!doctype html>/i)

        const live = session.request({ ':path': '/ops/live', ...token })
        const [head] = (await once(live, 'response')) as [http2.IncomingHttpHeaders]
        expect([head['content-type'], head.connection]).toEqual(['text/event-stream; charset=utf-8', undefined])
        live.setEncoding('utf8')
        let sent = ''
        live.on('data', (piece) => {
          sent += piece
        })
        while (!/event: frame\ndata: .*\n\n/.test(sent)) await once(live, 'data')
        const ended = once(live, 'end')
        await app.sluice.close()
        await ended
      } finally {
        session.destroy()
      }
    })
  },
  // Express does not speak it.
  (kind) => kind.framework !== 'express',
)
