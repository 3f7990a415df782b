import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Router from '@koa/router'
import { createSluice as forExpress } from '@sluice/express'
import sluiceFastify from '@sluice/fastify'
import { createSluice as forKoa } from '@sluice/koa'
import { createSluice as forNode } from '@sluice/node'
import { type PrometheusMetrics, type PrometheusOptions, prometheus } from '@sluice/prometheus'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'

/** An application with `/cities/:id`, cached, and `/metrics` as the guide has it. */
export interface Scraped {
  readonly url: string
  readonly metrics: PrometheusMetrics
  close(): Promise<void>
}

type Boot = (options: PrometheusOptions) => Promise<Scraped>

async function listening(server: Server, metrics: PrometheusMetrics, end: () => Promise<void>): Promise<Scraped> {
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    metrics.stop()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await end()
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, metrics, close }
}

/** `/metrics` stands behind a cache here, where an application may have one for all its routes. */
export const frameworks: Readonly<Record<string, Boot>> = {
  async 'node:http'(options) {
    const sluice = forNode()
    const metrics = prometheus(sluice, options)
    const cached = sluice.cache('1m')
    const listener: RequestListener = (req, res) =>
      cached(req, res, () => {
        if (req.url === '/metrics') void metrics.handler(req, res)
        else res.end('Oslo')
      })
    return listening(createServer(listener), metrics, () => sluice.close())
  },
  async Express(options) {
    const sluice = forExpress()
    const metrics = prometheus(sluice, options)
    const app = express()
    app.use('/metrics', sluice.cache('1m'))
    app.all('/metrics', metrics.handler)
    app.get('/cities/:id', sluice.cache('1m'), (_req, res) => void res.send('Oslo'))
    return listening(createServer(app), metrics, () => sluice.close())
  },
  async Koa(options) {
    const sluice = forKoa()
    const metrics = prometheus(sluice, options)
    const router = new Router()
    router.get('/metrics', sluice.cache('1m'), async (ctx) => {
      const { headers, body } = await metrics.render(ctx.get('Accept'))
      ctx.set(headers)
      ctx.body = body
    })
    router.get('/cities/:id', sluice.cache('1m'), (ctx) => {
      ctx.body = 'Oslo'
    })
    const app = new Koa().use(router.routes()).use(router.allowedMethods())
    return listening(createServer(app.callback()), metrics, () => sluice.close())
  },
  async Fastify(options) {
    const app = Fastify()
    await app.register(sluiceFastify)
    const metrics = prometheus(app.sluice, options)
    const config = { sluice: { cache: '1m' } }
    app.get('/metrics', { config }, async (request, reply) => {
      const { headers, body } = await metrics.render(request.headers.accept)
      return reply.headers(headers).send(body)
    })
    app.get('/cities/:id', { config }, async () => 'Oslo')
    await app.listen({ port: 0, host: '127.0.0.1' })
    return listening(app.server, metrics, async () => void (await app.close()))
  },
}
