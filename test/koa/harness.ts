import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe } from '@jest/globals'
import Koa from 'koa'
import Koa2 from 'koa2'
import { Client } from '../hosts/harness/client.ts'

export type Setup = (app: Koa) => void

/** A running application, and what its `error` event told. */
export interface Booted {
  readonly client: Client
  readonly errors: Error[]
  get: (path: string, headers?: Record<string, string>) => ReturnType<Client['request']>
  head: (path: string, headers?: Record<string, string>) => ReturnType<Client['request']>
}

const running: (() => void)[] = []

/** Describes something of both majors of Koa. `web`: this one sends Blobs, web streams and fetch responses. */
export function describeKoa(
  title: string,
  body: (boot: (setup: Setup) => Promise<Booted>, koa: { web: boolean }) => void,
): void {
  for (const [name, Application, web] of [
    ['Koa 3', Koa, true],
    ['Koa 2', Koa2, false],
  ] as const) {
    describe(`${title}, ${name}`, () => {
      afterEach(() => {
        for (const stop of running.splice(0)) stop()
      })
      body((setup) => start(new Application(), setup), { web })
    })
  }
}

async function start(app: Koa, setup: Setup): Promise<Booted> {
  const errors: Error[] = []
  app.on('error', (error: Error) => errors.push(error))
  setup(app)
  const server: Server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const client = new Client((server.address() as AddressInfo).port)
  running.push(() => {
    client.close()
    server.closeAllConnections()
    server.close()
  })
  const send = (method: string) => (path: string, headers?: Record<string, string>) =>
    client.request(path, { method, headers })
  return { client, errors, get: send('GET'), head: send('HEAD') }
}
