/** Servers that answer from Sluice's cache, with something attached and without. `node metrics-servers.mjs NAME`. */
import { createServer } from 'node:http'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { attachments } from './lib/attachments.mjs'
import { serve } from './lib/compare.mjs'

const body = Buffer.from('x'.repeat(10_240))
const [kind, attached] = process.argv[2].split(' + ')
const observe = (sluice) => {
  if (attached) attachments[attached](sluice)
  return sluice
}

const servers = {
  async node() {
    const { createSluice } = await import('@sluice/node')
    const cached = observe(createSluice()).cache('1h')
    return createServer((req, res) => cached(req, res, () => res.end(body)))
  },
  async front() {
    const { createSluice } = await import('@sluice/express')
    const sluice = observe(createSluice())
    const app = express()
    app.get('/', sluice.cache('1h', { front: true }), (_req, res) => void res.end(body))
    return createServer(sluice.front(app))
  },
  async express() {
    const { createSluice } = await import('@sluice/express')
    const app = express()
    app.get('/', observe(createSluice()).cache('1h'), (_req, res) => void res.end(body))
    return createServer(app)
  },
  async koa() {
    const { createSluice } = await import('@sluice/koa')
    const app = new Koa()
    app.use(observe(createSluice()).cache('1h'))
    app.use((ctx) => {
      ctx.body = body
    })
    return createServer(app.callback())
  },
  async fastify() {
    const { default: sluice } = await import('@sluice/fastify')
    const app = Fastify()
    await app.register(sluice)
    observe(app.sluice)
    app.get('/', { config: { sluice: { cache: '1h' } } }, (_request, reply) => reply.send(body))
    await app.ready()
    return app.server
  },
}

serve(await servers[kind]())
