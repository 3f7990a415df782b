/** The servers that send the same JSON compressed: from Sluice's cache, and compressed each time by everybody. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { Readable } from 'node:stream'
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
  app.get('/open', (_req, res) => {
    res.setHeader('Content-Type', type)
    halfOpen().pipe(res)
  })
  app.use((_req, res) => send(res))
  return createServer(app)
}

/** A body that begins and does not end, long enough for zlib to let some of it go. */
function halfOpen() {
  const stream = new Readable({ read() {} })
  stream.push(randomBytes(65_536).toString('base64'))
  return stream
}

function koaWith(middleware) {
  const app = new Koa()
  app.use(middleware)
  app.use((ctx) => {
    ctx.type = type
    ctx.body = ctx.path === '/open' ? halfOpen() : body
  })
  return createServer(app.callback())
}

async function fastifyWith(plugin, options) {
  const app = Fastify()
  await app.register(plugin, options)
  app.get('/', (_request, reply) => reply.type(type).send(body))
  app.get('/open', (_request, reply) => reply.type(type).send(halfOpen()))
  await app.ready()
  return app.server
}

function send(res) {
  res.setHeader('Content-Type', type)
  res.end(body)
}

process.on('message', async (what) => {
  if (what !== 'memory') return
  // Buffers and zlib's memory are let go a turn after the object they belong to.
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const { heapUsed, external } = process.memoryUsage()
  process.send({ held: heapUsed + external })
})
serve(await servers[process.argv[2]]())
