import { expect, test } from '@jest/globals'
import Router from '@koa/router'
import { createSluice } from '@sluice/express'
import sluicePlugin from '@sluice/fastify'
import { createSluice as createKoa } from '@sluice/koa'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import request from 'supertest'
import { explainReason, reasons } from '../../packages/core/src/cache/reasons.ts'

const mine = { stored: false, reason: 'private', cause: expect.stringContaining('private'), terms: [] }
const ours = { stored: true, terms: ['accept-language'] }

test('Express: why a route is stored, or not', async () => {
  const app = express()
  const sluice = createSluice()
  app.get('/mine/:id', sluice.cache('1m'), (_req, res) => void res.set('Cache-Control', 'private').send('x'))
  app.get('/ours/:id', sluice.cache('1m'), (req, res) => void res.send(`${req.get('accept-language')}`))
  app.get('/why/:id', sluice.cache('1m', { unless: () => true }), (req, res) => void res.json(sluice.explain(req)))
  app.get('/explain', (req, res) => {
    const asked = Object.assign(Object.create(req) as express.Request, {
      originalUrl: String(req.query.url),
      url: String(req.query.url),
      route: undefined,
    })
    res.json(sluice.explain(asked))
  })
  for (const path of ['/mine/1', '/ours/1']) await request(app).get(path)
  expect((await request(app).get('/explain?url=/mine/1')).body).toMatchObject({ ...mine, cause: expect.any(String) })
  expect((await request(app).get('/explain?url=/ours/1')).body).toMatchObject(ours)
  expect((await request(app).get('/explain?url=/none')).body).toEqual({ route: 'GET /none', terms: [] })
})

test('Koa and Fastify have it too', async () => {
  const koa = new Koa()
  const sluice = createKoa()
  const router = new Router()
  let told: unknown
  router.get('/', sluice.cache('1m'), (ctx) => {
    ctx.set('Cache-Control', 'private')
    ctx.body = 'x'
    told ??= () => sluice.explain(ctx)
  })
  koa.use(router.routes() as never)
  await request(koa.callback()).get('/')
  expect((told as () => unknown)()).toMatchObject({ route: 'GET /', ...mine })

  const fastify = Fastify()
  await fastify.register(sluicePlugin)
  let seen: object | undefined
  fastify.get('/', { config: { sluice: { cache: '1m' } } }, async (req, reply) => {
    seen = req
    return reply.header('Cache-Control', 'private').send('x')
  })
  await fastify.inject('/')
  expect(fastify.sluice.explain(seen!)).toMatchObject({ route: 'GET /', ...mine })
  await fastify.close()
})

test('every reason has a cause and a remedy; those that name what was read, too', () => {
  for (const reason of [...Object.keys(reasons), 'unkeyed-cookie', 'unkeyed-query', 'because', 'constructor']) {
    const { cause, remedy } = explainReason(reason)
    expect([typeof cause, typeof remedy, cause.length > 10]).toEqual(['string', 'string', true])
  }
})
