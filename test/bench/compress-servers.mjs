/** The servers that send the same JSON compressed: from Sluice's cache, and compressed each time by everybody. */
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { serve } from './lib/compare.mjs'

const require = createRequire(import.meta.url)
const size = Number(process.env.BODY ?? 10_240)
const rows = []
for (let id = 0; JSON.stringify(rows).length < size; id++) {
  rows.push({
    id,
    name: `City number ${id}`,
    population: (id * 7919) % 100_003,
    country: 'NO',
    near: [id % 13, id % 17],
  })
}
const body = Buffer.from(JSON.stringify(rows))
const type = 'application/json; charset=utf-8'
const level = 6
const ours = { encodings: ['gzip'], level: { gzip: level } }

const servers = {
  'hit, no compress': async () => hits({ compress: false }),
  'hit, identity': async () => hits({ accept: 'identity' }),
  'hit, gzip': async () => hits({ accept: 'gzip' }),
  'hit, br': async () => hits({ accept: 'br' }),

  'express + compression': () => expressWith(require('compression')({ level, threshold: 0 })),
  'express + sluice': async () => {
    const { createSluice } = await import('@sluice/express')
    return expressWith(createSluice().compress(ours))
  },
  'koa + koa-compress': () =>
    koaWith(require('koa-compress')({ gzip: { level }, br: false, deflate: false, threshold: 0 })),
  'koa + sluice': async () => {
    const { createSluice } = await import('@sluice/koa')
    return koaWith(createSluice().compress(ours))
  },
  'fastify + @fastify/compress': () =>
    fastifyWith(require('@fastify/compress'), { encodings: ['gzip'], zlibOptions: { level }, threshold: 0 }),
  'fastify + sluice': async () => {
    const { default: sluice } = await import('@sluice/fastify')
    return fastifyWith(sluice, { compress: ours })
  },
}

async function hits({ compress = true, accept }) {
  const { createSluice } = await import('@sluice/node')
  const sluice = createSluice()
  const stages = [...(compress ? [sluice.compress()] : []), sluice.cache('5m')]
  return createServer((req, res) => {
    // The load sends the same to all servers: what differs is set here, for the price of an assignment.
    req.headers['accept-encoding'] = accept
    const next = (at) => (stages[at] ? stages[at](req, res, () => next(at + 1)) : send(res))
    next(0)
  })
}

function expressWith(middleware) {
  const app = express()
  app.use(middleware)
  app.use((_req, res) => send(res))
  return createServer(app)
}

function koaWith(middleware) {
  const app = new Koa()
  app.use(middleware)
  app.use((ctx) => {
    ctx.type = type
    ctx.body = body
  })
  return createServer(app.callback())
}

async function fastifyWith(plugin, options) {
  const app = Fastify()
  await app.register(plugin, options)
  app.get('/', (_request, reply) => reply.type(type).send(body))
  await app.ready()
  return app.server
}

function send(res) {
  res.setHeader('Content-Type', type)
  res.end(body)
}

serve(await servers[process.argv[2]]())
