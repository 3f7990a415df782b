import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { redis } from '@sluice/redis'
import * as redis5 from 'redis'
import * as newer from 'redis-6'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import { Client } from '../hosts/harness/client.ts'
import { express5Host } from '../hosts/harness/express-host.ts'
import { fastifyHost } from '../hosts/harness/fastify-host.ts'
import { counted } from '../hosts/harness/handlers.ts'
import type { HostKind } from '../hosts/harness/host.ts'
import { koa3Host } from '../hosts/harness/koa-host.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
import { freshName } from './support.ts'

let server: RedisServer
const closing: (() => unknown)[] = []
beforeAll(async () => {
  server = await startRedis()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(() => server.stop())

const versions = [
  ['node-redis 5', redis5],
  ['node-redis 6', newer as unknown as typeof redis5],
] as const

/** One process of an application: a route that is cached and one that is limited, over a client of its own. */
async function processOn({ boot }: HostKind, { createClient }: typeof redis5, namespace: string) {
  const own = createClient({ url: server.url })
  own.on('error', () => {})
  const handler = counted()
  const deadlines = { read: '2s', write: '2s', limit: '2s' } as const
  const { sluice, ...booted } = await boot(
    {
      sluice: { backend: redis(own, { namespace, deadlines }), limits: { few: '3/h' } },
      routes: [
        { path: '/cached', cache: { ttl: '1m', tags: ['t'] }, handler },
        { path: '/limited', limit: ['few'], handler: counted() },
      ],
    },
    Object.assign(systemClock(), { advance: () => Promise.resolve() }),
  )
  // A client that nobody has connected is connected by what is asked first.
  if (!booted.server.listening) {
    await new Promise<void>((resolve) => booted.server.listen(0, '127.0.0.1', resolve))
  }
  const http = new Client((booted.server.address() as AddressInfo).port)
  closing.push(async () => {
    http.close()
    booted.server.closeAllConnections()
    await (booted.close?.() ?? new Promise<void>((resolve) => booted.server.close(() => resolve())))
    await sluice.close()
    own.destroy()
  })
  return { sluice, handler, get: (path: string) => http.request(path) }
}

describe.each(versions)('%s under', (_, library) => {
  test.each([express5Host, koa3Host, fastifyHost])(
    '$name: two processes share answers, purges and limits',
    async (host) => {
      const namespace = freshName()
      const [one, other] = [await processOn(host, library, namespace), await processOn(host, library, namespace)]
      expect((await one.get('/cached')).text).toBe('run 1')
      const hit = await other.get('/cached')
      expect(hit.text).toBe('run 1')
      expect(hit.header('cache-status')).toMatch(/hit/)
      expect([one.handler.runs, other.handler.runs]).toEqual([1, 0])
      await other.sluice.purge({ tags: ['t'] })
      expect((await one.get('/cached')).text).toBe('run 2')
      const statuses = []
      for (const each of [one, other, one, other]) statuses.push((await each.get('/limited')).status)
      expect(statuses).toEqual([200, 200, 200, 429])
    },
    30_000,
  )
})
