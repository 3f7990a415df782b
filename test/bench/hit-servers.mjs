/** The servers that send the same 10 kB: bare, from Sluice's cache, from others'. `node hit-servers.mjs NAME`. */
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { serve } from './lib/compare.mjs'
import { hitHead as bareHead, body, type } from './lib/ten-kilobytes.mjs'

const require = createRequire(import.meta.url)
const nodeHandler = (_req, res) => {
  res.writeHead(200, bareHead)
  res.end(body)
}

const servers = {
  node: () => createServer(nodeHandler),
  'node + sluice': async () => {
    const { createSluice } = await import('@sluice/node')
    const cached = createSluice().cache('5m')
    return createServer((req, res) => cached(req, res, () => send(res)))
  },
  express: () => createServer(express().use(nodeHandler)),
  'express + sluice': async () => {
    const { createSluice } = await import('@sluice/express')
    const app = express()
    app.use(createSluice().cache('5m'))
    app.use((_req, res) => send(res))
    return createServer(app)
  },
  'express + apicache': () => {
    const app = express()
    app.use(require('apicache').middleware('5 minutes'))
    app.use((_req, res) => void res.type(type).send(body))
    return createServer(app)
  },
  koa: () => createServer(bareKoa().callback()),
  'koa + sluice': async () => {
    const { createSluice } = await import('@sluice/koa')
    const app = new Koa()
    app.use(createSluice().cache('5m'))
    app.use(koaSend)
    return createServer(app.callback())
  },
  'koa + koa-cash': () => koaCash(),
  'koa + koa-cash, same fields': () => koaCash(leftOutByKoaCash),
  fastify: async () => {
    const app = Fastify()
    app.get('/', (_request, reply) => reply.headers(bareHead).send(body))
    await app.ready()
    return app.server
  },
  'fastify + sluice': async () => {
    const { default: sluice } = await import('@sluice/fastify')
    const app = Fastify()
    await app.register(sluice)
    app.get('/', { config: { sluice: { cache: '5m' } } }, (_request, reply) => reply.type(type).send(body))
    await app.ready()
    return app.server
  },
}

function send(res) {
  res.setHeader('Content-Type', type)
  res.end(body)
}

function koaSend(ctx) {
  ctx.type = type
  ctx.body = body
}

/** A hit of koa-cash has none of these, unless the application sets them each time. */
const { 'Content-Type': _, 'Content-Length': __, ...leftOutByKoaCash } = bareHead

/** @param added - fields that the application sets on each hit */
function koaCash(added) {
  const app = new Koa()
  const held = new Map()
  app.use(
    require('koa-cash')({
      get: async (key) => held.get(key),
      set: async (key, value) => void held.set(key, value),
      compression: false,
    }),
  )
  app.use(async (ctx) => {
    if (await ctx.cashed()) {
      if (added) ctx.set(added)
    } else koaSend(ctx)
  })
  return createServer(app.callback())
}

function bareKoa() {
  const app = new Koa()
  app.use((ctx) => {
    ctx.set(bareHead)
    ctx.body = body
    ctx.type = type
  })
  return app
}

serve(await servers[process.argv[2]]())
