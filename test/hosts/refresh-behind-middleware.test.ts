import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastifyCompress from '@fastify/compress'
import fastifyRateLimit from '@fastify/rate-limit'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { CacheStats } from '@sluice/core'
import { createSluice as onExpress } from '@sluice/express'
import onFastify from '@sluice/fastify'
import { createSluice as onKoa } from '@sluice/koa'
import compression from 'compression'
import express5 from 'express'
import { rateLimit } from 'express-rate-limit'
import express4 from 'express4'
import fastify from 'fastify'
import Koa3 from 'koa'
import koaCompress from 'koa-compress'
import koaSession from 'koa-session'
import Koa2 from 'koa2'
import { Client } from './harness/client.ts'
import { type TestClock, testClock } from './harness/clock.ts'
import { until } from './harness/host.ts'

const cache = { ttl: '10s', staleWhileRevalidate: '60s', guard: 'off', witness: false } as const
const text = 'compressible '.repeat(300)

interface Booted {
  readonly listener: RequestListener
  readonly stats: () => CacheStats
}

/** Applications with what stands in front of handlers elsewhere, which looks at sockets, responses and their ends. */
const applications: Readonly<Record<string, (clock: TestClock) => Promise<Booted>>> = {
  'Express 4': (clock) => expressWith(express4 as unknown as typeof express5, clock),
  'Express 5': (clock) => expressWith(express5, clock),
  'Koa 2': (clock) => koaWith(Koa2 as unknown as typeof Koa3, clock),
  'Koa 3': (clock) => koaWith(Koa3, clock),
  'Fastify 5': async (clock) => {
    const app = fastify()
    await app.register(onFastify, { clock })
    await app.register(fastifyRateLimit, { max: 100 })
    await app.register(fastifyCompress, { threshold: 0 })
    app.get('/', { config: { sluice: { cache } } }, async () => text)
    await app.ready()
    return { listener: app.routing as RequestListener, stats: () => app.sluice.stats().cache }
  },
}

async function expressWith(express: typeof express5, clock: TestClock): Promise<Booted> {
  const sluice = onExpress({ clock })
  const app = express()
  app.use(rateLimit({ windowMs: 60_000, limit: 100, validate: false }))
  app.use(compression({ threshold: 0 }))
  app.get('/', sluice.cache(cache), (_req, res) => void res.send(text))
  return { listener: app, stats: () => sluice.stats().cache }
}

async function koaWith(Koa: typeof Koa3, clock: TestClock): Promise<Booted> {
  const sluice = onKoa({ clock })
  const app = new Koa()
  app.keys = ['k']
  app.use(koaSession({}, app as never) as never)
  app.use(koaCompress({ threshold: 0 }) as never)
  app.use(sluice.cache(cache))
  app.use((ctx) => {
    ctx.body = text
  })
  return { listener: app.callback(), stats: () => sluice.stats().cache }
}

describe.each(Object.entries(applications))('a refresh behind other middleware: %s', (_, boot) => {
  let server: Server
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  test('goes through it as a client’s request does', async () => {
    const clock = testClock()
    const { listener, stats } = await boot(clock)
    server = createServer(listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = new Client((server.address() as AddressInfo).port)
    try {
      const first = await client.request('/')
      expect([first.status, first.text]).toEqual([200, text])
      await clock.advance(11_000)
      const stale = await client.request('/')
      expect([stale.text, stale.cache]).toEqual([text, 'hit'])
      await until(() => stats().stored + stats().revalidated === 2)
      await clock.advance(5_000)
      const fresh = await client.request('/')
      expect([fresh.text, fresh.header('cache-status')]).toEqual([text, 'Sluice; hit; ttl=5'])
    } finally {
      client.close()
    }
  })
})
