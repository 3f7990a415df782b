/**
 * The servers that answer a few bytes at `/`, and 10 kB of JSON at `/list`: bare, behind Sluice's limiter, behind others'.
 * `node limit-http-servers.mjs NAME`.
 */
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { serve } from './lib/compare.mjs'

const require = createRequire(import.meta.url)
const body = '{"ok":true}'
const list = Array.from({ length: 160 }, (_, i) => ({
  id: i,
  name: `City number ${i}`,
  population: i * 1000,
  country: 'NO',
}))
const type = 'application/json; charset=utf-8'
/** Never reached. */
const quota = 1_000_000_000
const windowMs = 60_000

const policy = (headers) => ({ rate: `${quota}/min`, headers })

function expressApp(...middleware) {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  for (const each of middleware) app.use(each)
  app.get('/', (_req, res) => {
    res.setHeader('Content-Type', type)
    res.setHeader('Content-Length', body.length)
    res.end(body)
  })
  app.get('/list', (_req, res) => void res.json(list))
  return createServer(app)
}

function koaApp(...middleware) {
  const app = new Koa()
  for (const each of middleware) app.use(each)
  app.use((ctx) => {
    ctx.type = type
    ctx.body = ctx.path === '/list' ? list : body
  })
  return createServer(app.callback())
}

async function fastifyApp(plugin, options) {
  const app = Fastify()
  if (plugin) await app.register(plugin, options)
  app.get('/', (_request, reply) => reply.type(type).send(body))
  app.get('/list', async () => list)
  await app.ready()
  return app.server
}

async function sluiceOn(framework, headers) {
  const { createSluice } = await import(`@sluice/${framework}`)
  return createSluice().limit(policy(headers))
}

async function fastifySluice(headers) {
  const { default: plugin } = await import('@sluice/fastify')
  return fastifyApp(plugin, { limit: policy(headers) })
}

const servers = {
  express: () => expressApp(),
  'express + sluice': async () => expressApp(await sluiceOn('express', 'draft-11')),
  'express + sluice, legacy': async () => expressApp(await sluiceOn('express', 'legacy')),
  'express + express-rate-limit': () =>
    expressApp(require('express-rate-limit').rateLimit({ windowMs, limit: quota, validate: false })),
  koa: () => koaApp(),
  'koa + sluice': async () => koaApp(await sluiceOn('koa', 'draft-11')),
  'koa + sluice, legacy': async () => koaApp(await sluiceOn('koa', 'legacy')),
  'koa + koa-ratelimit': () =>
    koaApp(require('koa-ratelimit')({ driver: 'memory', db: new Map(), duration: windowMs, max: quota })),
  fastify: () => fastifyApp(),
  'fastify + sluice': () => fastifySluice('draft-11'),
  'fastify + sluice, legacy': () => fastifySluice('legacy'),
  'fastify + @fastify/rate-limit': () =>
    fastifyApp(require('@fastify/rate-limit'), { max: quota, timeWindow: windowMs }),
}

serve(await servers[process.argv[2]]())
