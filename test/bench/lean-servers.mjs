/** The servers of lean.mjs: `node lean-servers.mjs 'FRAMEWORK: KIND'`. All send the same 10 kB of JSON text. */
import { createServer } from 'node:http'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { serve } from './lib/compare.mjs'
import { body, hitHead as head, text, type } from './lib/ten-kilobytes.mjs'

const quota = { rate: '1000000000/min' }

/** The stages of each kind, from the outside in, and what the handler reads. */
const kinds = {
  hit: { stages: ['cache'] },
  terms: { stages: ['cache'], reads: ['accept-language', 'x-theme', 'x-tenant'] },
  compressed: { stages: ['compress', 'cache'] },
  limited: { stages: ['limit', 'cache'] },
  all: { stages: ['compress', 'limit', 'cache'] },
  redis: { stages: ['cache'], redis: true },
  /** The handler alone, which makes its answer each time. */
  uncached: { stages: [] },
}

async function sluiceFor(framework, { redis }) {
  const { createSluice } = await import(`@sluice/${framework}`)
  return createSluice({ limits: { quota }, ...(redis && { backend: await backend() }) })
}

async function backend() {
  const { redis } = await import('@sluice/redis')
  return redis(process.env.SLUICE_BENCH_REDIS)
}

const stage = (sluice, name) =>
  name === 'cache' ? sluice.cache('5m') : name === 'limit' ? sluice.limit('quota') : sluice.compress()

const hosts = {
  async node(kind) {
    const sluice = await sluiceFor('node', kind)
    const stages = kind.stages.map((name) => stage(sluice, name))
    const handler = (req, res) => {
      for (const name of kind.reads ?? []) void req.headers[name]
      res.setHeader('Content-Type', type)
      res.end(text)
    }
    const run = stages.reduceRight((next, each) => (req, res) => each(req, res, () => next(req, res)), handler)
    return createServer(run)
  },
  async express(kind) {
    const sluice = await sluiceFor('express', kind)
    const app = express()
    for (const name of kind.stages) app.use(stage(sluice, name))
    app.use((req, res) => {
      for (const name of kind.reads ?? []) void req.headers[name]
      res.setHeader('Content-Type', type)
      res.end(text)
    })
    return createServer(app)
  },
  async koa(kind) {
    const sluice = await sluiceFor('koa', kind)
    const app = new Koa()
    for (const name of kind.stages) app.use(stage(sluice, name))
    app.use((ctx) => {
      for (const name of kind.reads ?? []) void ctx.headers[name]
      ctx.type = type
      ctx.body = text
    })
    return createServer(app.callback())
  },
  async fastify(kind) {
    const { default: plugin } = await import('@sluice/fastify')
    const app = Fastify()
    await app.register(plugin, {
      limits: { quota },
      ...(kind.redis && { backend: await backend() }),
      ...(kind.stages.includes('compress') && { compress: {} }),
    })
    const sluice = {
      ...(kind.stages.includes('cache') && { cache: '5m' }),
      ...(kind.stages.includes('limit') && { limit: 'quota' }),
    }
    app.get('/*', { config: { sluice } }, (request, reply) => {
      for (const name of kind.reads ?? []) void request.headers[name]
      return reply.type(type).send(text)
    })
    await app.ready()
    return app.server
  },
}

/** The framework sending the same bytes with the same fields, and nothing of ours. */
const bare = {
  node: () => createServer((_req, res) => void res.writeHead(200, head).end(body)),
  express: () => createServer(express().use((_req, res) => void res.writeHead(200, head).end(body))),
  koa() {
    const app = new Koa()
    app.use((ctx) => {
      ctx.set(head)
      ctx.body = body
      ctx.type = type
    })
    return createServer(app.callback())
  },
  async fastify() {
    const app = Fastify()
    app.get('/*', (_request, reply) => reply.headers(head).send(body))
    await app.ready()
    return app.server
  },
}

const [framework, kind] = process.argv[2].split(': ')
serve(await (kind === 'bare' ? bare[framework]() : hosts[framework](kinds[kind])))
