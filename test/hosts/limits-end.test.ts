import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { expect, test } from '@jest/globals'
import { type AppSpec, describeHosts, gate, type Step, type TestApp, turn, until } from './harness/host.ts'

/** What is out of a concurrency, and of what `shed` admits at a time. */
const out = (app: TestApp): [permits: number, slots: number] => {
  const { limits, shed } = app.sluice.stats()
  return [limits.permits, shed.stages[0]!.concurrency!.inFlight]
}
const spec = (handler: Step, more: Partial<AppSpec> = {}): AppSpec => ({
  sluice: { limits: { p: '9 concurrent' } },
  routes: [{ path: '/', shed: { concurrency: true, maxDelay: '1h', maxUtilisation: 1 }, limit: ['p'], handler }],
  ...more,
})
const ask = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

function connect(app: TestApp): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(app.port, '127.0.0.1', () => resolve(socket))
    socket.on('error', reject)
  })
}

describeHosts('a permit and a slot end when the response does', (host) => {
  test('of pipelined requests whose connection breaks while their answers are queued', async () => {
    const opened = gate()
    let runs = 0
    const app = await host.boot(
      spec(async (c) => {
        // The first is waited for; the others are done, and can be sent only behind it.
        if (runs++ === 0) await opened
        c.send('done')
      }),
    )
    const socket = await connect(app)
    socket.write(ask.repeat(4))
    await app.arrived(4)
    await until(() => runs === 4)
    expect(out(app)).toEqual([4, 4])
    socket.destroy()
    await until(() => String(out(app)) === '0,0')
    opened.open()
    await turn()
    expect(out(app)).toEqual([0, 0])
    expect((await app.get('/')).status).toBe(200)
    await until(() => String(out(app)) === '0,0')
  })

  test('of pipelined requests that are all answered, in their order', async () => {
    const opened = gate()
    let runs = 0
    const app = await host.boot(
      spec(async (c) => {
        if (runs++ === 0) await opened
        c.send('done')
      }),
    )
    const socket = await connect(app)
    let answered = ''
    socket.on('data', (text) => {
      answered += text
    })
    socket.write(ask.repeat(20))
    await until(() => runs >= 9)
    // Nothing was sent yet: not one of them has ended. The tenth and those behind were refused.
    expect(out(app)[0]).toBe(9)
    opened.open()
    await until(() => answered.split('HTTP/1.1 ').length === 21)
    expect(answered.match(/HTTP\/1.1 200/g)).toHaveLength(9)
    await until(() => String(out(app)) === '0,0')
    socket.destroy()
  })

  test('of a response that somebody took the connection from', async () => {
    const app = await host.boot(
      spec((c) => {
        const { res, req } = c.raw
        res.detachSocket(req.socket)
        req.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n')
        // Not before the client has gone.
        return new Promise(() => {})
      }),
    )
    const socket = await connect(app)
    socket.write(ask)
    await app.arrived(1)
    await until(() => out(app)[0] === 1)
    socket.destroy()
    await until(() => String(out(app)) === '0,0')
  })

  test('of a request to upgrade that nobody takes up', async () => {
    const app = await host.boot(spec((c) => c.send('no')))
    const answer = await new Promise<number>((resolve, reject) => {
      http
        .get({ port: app.port, path: '/', agent: false, headers: { Connection: 'Upgrade', Upgrade: 'websocket' } })
        .on('response', (message) => {
          message.resume()
          resolve(message.statusCode!)
        })
        .on('error', reject)
    })
    expect(answer).toBe(200)
    await until(() => String(out(app)) === '0,0')
  })

  if (host.framework !== 'express') {
    test('of an HTTP/2 stream that is reset', async () => {
      const app = await host.boot(spec(() => new Promise(() => {}), { http2: true }))
      const session = http2.connect(`http://127.0.0.1:${app.port}`)
      const streams = [0, 1, 2].map(() => session.request({ ':path': '/' }))
      for (const stream of streams) stream.on('error', () => {})
      await until(() => String(out(app)) === '3,3')
      streams[0]!.close(http2.constants.NGHTTP2_CANCEL)
      await until(() => String(out(app)) === '2,2')
      streams[1]!.close(http2.constants.NGHTTP2_INTERNAL_ERROR)
      await until(() => String(out(app)) === '1,1')
      session.destroy()
      await until(() => String(out(app)) === '0,0')
    })
  }
})
