/** The servers of page.mjs; the argument says which one. Each answers page 3 of a list of 1,000 with 20 items. */
import { createServer } from 'node:http'
import { createSluice as createExpressSluice } from '@sluice/express'
import sluiceFastify from '@sluice/fastify'
import { createSluice as createKoaSluice } from '@sluice/koa'
import { createSluice, pageOf } from '@sluice/node'
import express from 'express'
import fastify from 'fastify'
import Koa from 'koa'
import { serve } from './lib/compare.mjs'

const items = Array.from({ length: 1_000 }, (_, id) => ({ id, name: `City ${id}`, country: 'NL', population: id * 37 }))
const cursors = { style: 'cursor', sort: ['id'], count: 'never' }

/** What a handler does that has no library: reads two parameters, checks them, writes two fields. */
function byHand(url) {
  const params = new URLSearchParams(url.split('?', 2)[1])
  const page = Number(params.get('page') ?? 1)
  const limit = Number(params.get('limit') ?? 20)
  if (!(page >= 1 && limit >= 1 && limit <= 100)) throw new Error('bad page')
  const link = (n, rel) => `<?page=${n}&limit=${limit}>; rel="${rel}"`
  const links = [link(1, 'first'), link(page - 1, 'prev'), link(page + 1, 'next'), link(1_000 / limit, 'last')]
  const start = (page - 1) * limit
  return { found: items.slice(start, start + limit), fields: { Link: links.join(', '), 'X-Total-Count': '1000' } }
}

const ofPage = (page) => page.reply(items.slice(page.offset, page.offset + page.limit), { total: items.length })

/** The rows behind the cursor, as an index would find them. */
function ofCursor(page) {
  const after = page.cursor ? page.cursor.values[0] + 1 : 40
  return page.reply(items.slice(after, after + page.take))
}

function sendJson(res, value) {
  const body = JSON.stringify(value)
  res.setHeader('Content-Type', 'application/json')
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}

const onNode = (options, of) => () => {
  const pages = createSluice().paginate(options)
  return createServer((req, res) => pages(req, res, () => sendJson(res, of(pageOf(req)))))
}

const onExpress = (mount) => () => {
  const app = express()
  app.disable('etag')
  mount(app)
  return createServer(app)
}

const onKoa = (mount) => () => {
  const app = new Koa()
  mount(app)
  return createServer(app.callback())
}

const servers = {
  node: () =>
    createServer((req, res) => {
      const { found, fields } = byHand(req.url)
      for (const [name, value] of Object.entries(fields)) res.setHeader(name, value)
      sendJson(res, found)
    }),
  'node + pages': onNode({}, ofPage),
  'node + cursors': onNode(cursors, ofCursor),
  express: onExpress((app) => {
    app.get('/', (req, res) => {
      const { found, fields } = byHand(req.url)
      res.set(fields).json(found)
    })
  }),
  'express + pages': onExpress((app) => {
    app.get('/', createExpressSluice().paginate(), (req, res) => res.json(ofPage(req.page)))
  }),
  'express + cursors': onExpress((app) => {
    app.get('/', createExpressSluice().paginate(cursors), (req, res) => res.json(ofCursor(req.page)))
  }),
  koa: onKoa((app) => {
    app.use((ctx) => {
      const { found, fields } = byHand(ctx.url)
      ctx.set(fields)
      ctx.body = found
    })
  }),
  'koa + pages': onKoa((app) => {
    app.use(createKoaSluice().paginate())
    app.use((ctx) => {
      ctx.body = ofPage(ctx.page)
    })
  }),
  'koa + cursors': onKoa((app) => {
    app.use(createKoaSluice().paginate(cursors))
    app.use((ctx) => {
      ctx.body = ofCursor(ctx.page)
    })
  }),
  fastify: async () => {
    const app = fastify()
    app.get('/', (request, reply) => {
      const { found, fields } = byHand(request.url)
      reply.headers(fields).send(found)
    })
    await app.ready()
    return app.server
  },
  'fastify + pages': onFastify(true, ofPage),
  'fastify + cursors': onFastify(cursors, ofCursor),
}

function onFastify(paginate, of) {
  return async () => {
    const app = fastify()
    await app.register(sluiceFastify)
    app.get('/', { config: { sluice: { paginate } } }, (request, reply) => {
      reply.send(of(request.page))
    })
    await app.ready()
    return app.server
  }
}

serve(await servers[process.argv[2]]())
