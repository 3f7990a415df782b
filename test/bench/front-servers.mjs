/** The servers of front.mjs. `node front-servers.mjs NAME`. */
import { createServer } from 'node:http'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { serve } from './lib/compare.mjs'
import { body, hitHead, type } from './lib/ten-kilobytes.mjs'

/** What a hit of ours sends behind `compress`. */
const head = { ...hitHead, Vary: 'Accept-Encoding' }
const send = (_request, response) => {
  response.setHeader('Content-Type', type)
  response.end(body)
}
const route = { front: true }

const fronted = {
  async node(options) {
    const { createSluice } = await import('@sluice/node')
    const sluice = createSluice()
    const [compress, cached] = [sluice.compress(), sluice.cache('5m', route)]
    return createServer(
      sluice.front((req, res) => compress(req, res, () => cached(req, res, () => send(req, res))), options),
    )
  },
  async express(options) {
    const { createSluice } = await import('@sluice/express')
    const sluice = createSluice()
    const app = express().use(sluice.compress())
    app.get('/', sluice.cache('5m', route), send)
    return createServer(sluice.front(app, options))
  },
  async koa(options) {
    const { createSluice } = await import('@sluice/koa')
    const sluice = createSluice()
    const app = new Koa()
    app.use(sluice.compress()).use(sluice.cache('5m', route))
    app.use((ctx) => {
      ctx.type = type
      ctx.body = body
    })
    return createServer(sluice.front(app, options))
  },
  async fastify(options) {
    const { default: sluice } = await import('@sluice/fastify')
    const app = Fastify()
    await app.register(sluice, { front: options ?? true, compress: {} })
    app.get('/', { config: { sluice: { cache: { ttl: '5m', ...route } } } }, (_request, reply) =>
      reply.type(type).send(body),
    )
    await app.ready()
    return app.server
  },
}

const servers = {
  'node:http': () =>
    createServer((_request, response) => {
      response.writeHead(200, head)
      response.end(body)
    }),
}
for (const [name, make] of Object.entries(fronted)) {
  servers[`${name} + front`] = () => make()
  servers[`${name} + front, writeHead`] = () => make({ oneBuffer: false })
}

serve(await servers[process.argv[2]]())
