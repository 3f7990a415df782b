/**
 * The script time a limiter adds to a request, without sockets: requests and responses are node's own objects, given to
 * the application by hand. What limit-http measures with the noise of a network is told apart here.
 * `npm run bench -- limit-script`; arguments behind it choose frameworks.
 *
 * Goal: less than the limiter people use on that framework.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { median } from './lib/rounds.mjs'

const require = createRequire(import.meta.url)
const body = '{"ok":true}'
const type = 'application/json; charset=utf-8'
const quota = 1_000_000_000
const windowMs = 60_000
const policy = { rate: `${quota}/min` }

async function expressApp(middleware) {
  const app = express()
  app.disable('x-powered-by')
  if (middleware) app.use(middleware)
  app.get('/', (_req, res) => {
    res.setHeader('Content-Type', type)
    res.end(body)
  })
  return app
}

async function koaApp(middleware) {
  const app = new Koa()
  if (middleware) app.use(middleware)
  app.use((ctx) => {
    ctx.type = type
    ctx.body = body
  })
  return app.callback()
}

async function fastifyApp(plugin, options) {
  const app = Fastify()
  if (plugin) await app.register(plugin, options)
  app.get('/', (_request, reply) => reply.type(type).send(body))
  await app.ready()
  return app.routing
}

const limitOf = async (framework) => (await import(`@sluice/${framework}`)).createSluice().limit(policy)
const { rateLimit } = require('express-rate-limit')
const koaRateLimit = require('koa-ratelimit')
const groups = {
  express: {
    bare: await expressApp(),
    sluice: await expressApp(await limitOf('express')),
    'express-rate-limit': await expressApp(rateLimit({ windowMs, limit: quota, validate: false })),
  },
  koa: {
    bare: await koaApp(),
    sluice: await koaApp(await limitOf('koa')),
    'koa-ratelimit': await koaApp(koaRateLimit({ driver: 'memory', db: new Map(), duration: windowMs, max: quota })),
  },
  fastify: {
    bare: await fastifyApp(),
    sluice: await fastifyApp((await import('@sluice/fastify')).default, { limit: policy }),
    '@fastify/rate-limit': await fastifyApp(require('@fastify/rate-limit'), { max: quota, timeWindow: windowMs }),
  },
}

const socket = {
  remoteAddress: '127.0.0.1',
  localPort: 3000,
  encrypted: false,
  on() {},
  once() {},
  removeListener() {},
}

function ask(app) {
  return new Promise((resolve) => {
    const req = new IncomingMessage(socket)
    Object.assign(req, { method: 'GET', url: '/', headers: { host: 'localhost:3000' } })
    const res = new ServerResponse(req)
    const { end } = res
    res.end = function (...args) {
      const result = end.apply(this, args)
      if (res.statusCode !== 200) throw new Error(`${res.statusCode}`)
      resolve()
      return result
    }
    app(req, res)
  })
}

const count = 4_000
const wanted = process.argv.slice(2)
for (const [framework, apps] of Object.entries(groups)) {
  if (wanted.length > 0 && !wanted.includes(framework)) continue
  const names = Object.keys(apps)
  const took = new Map(names.map((name) => [name, []]))
  for (let round = 0; round < 20; round++) {
    for (const name of [...names.slice(round % 3), ...names.slice(0, round % 3)]) {
      const before = process.cpuUsage()
      for (let i = 0; i < count; i++) {
        await ask(apps[name])
        // Without a turn of the event loop what node leaves for the next tick heaps up, and the collector is measured.
        if (i % 16 === 0) await new Promise(setImmediate)
      }
      if (round > 3) took.get(name).push(process.cpuUsage(before).user / count)
    }
  }
  const added = (name) => median(took.get(name).map((us, i) => us - took.get('bare')[i]))
  const [, ours, theirs] = names
  console.log(
    `${framework}: bare ${median(took.get('bare')).toFixed(2)} µs; ${ours} adds ${added(ours).toFixed(2)} µs, ` +
      `${theirs} ${added(theirs).toFixed(2)} µs: × ${(added(ours) / added(theirs)).toFixed(2)}`,
  )
}
process.exit()
