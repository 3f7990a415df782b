import { createServer } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { createSluice as createForExpress } from '@sluice/express'
import fastifySluice from '@sluice/fastify'
import { createSluice as createForKoa } from '@sluice/koa'
import { createSluice as createForNode } from '@sluice/node'
import express from 'express'
import fastify from 'fastify'
import Koa from 'koa'
import supertest from 'supertest'
import { counted, says } from './harness/handlers.ts'
import { describeHosts } from './harness/host.ts'

describeHosts('stats()', (host) => {
  test('counts what happened, and answers a copy', async () => {
    const app = await host.boot({
      front: false,
      sluice: { cache: { maxBytes: '100kb' } },
      routes: [
        {
          path: '/a',
          cache: { ttl: '10s', staleIfError: '1h' },
          handler: counted((c, run) => c.status(run > 1 ? 500 : 200).send('x')),
        },
        { path: '/b', cache: { ttl: '10s' }, handler: says({ fields: { 'Cache-Control': 'no-store' } }) },
        { path: '/c/:n', cache: { ttl: '1h' }, handler: says({ body: 'y'.repeat(10_000) }) },
        { method: 'POST', path: '/a', cache: {}, handler: says({}) },
      ],
    })
    const before = app.sluice.stats()
    await app.get('/a')
    await app.get('/a')
    await app.get('/a', { 'if-none-match': '*' })
    await app.clock.advance(11_000)
    await app.get('/a')
    await app.get('/b')
    await app.request('/a', { method: 'POST' })
    const { cache } = app.sluice.stats()
    expect(cache).toMatchObject({
      hits: 2,
      misses: 3,
      stale: 1,
      stored: 1,
      notModified: 1,
      bypassed: 1,
      refused: { 'no-store': 1 },
    })
    expect(before.cache).toMatchObject({ hits: 0, misses: 0, stored: 0, entries: 0, bytes: 0, refused: {} })
    for (let n = 0; n < 30; n++) await app.get(`/c/${n}`)
    const full = app.sluice.stats().cache
    expect(full.evictions).toBeGreaterThan(15)
    expect(full.entries).toBeLessThan(12)
    expect(full.bytes).toBeGreaterThan(50_000)
    expect(full.bytes).toBeLessThanOrEqual(102_400)
  })

  test('a listener that was taken away hears nothing more, and one that throws disturbs nobody', async () => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({ fields: { 'Cache-Control': 'no-store' } }) }],
    })
    const heard: unknown[] = []
    const off = app.sluice.on('refused', ({ reason }) => heard.push(reason))
    await app.get('/')
    off()
    await app.get('/')
    expect(heard).toEqual(['no-store'])
  })
})

describe('supertest, without a listening server', () => {
  const viaNode = () => {
    const cached = createForNode().cache('1m')
    return createServer((req, res) => cached(req, res, () => res.end('hello')))
  }
  const viaExpress = () => {
    const app = express()
    app.get('/', createForExpress().cache('1m'), (_req, res) => void res.send('hello'))
    return app
  }
  const viaKoa = () => {
    const app = new Koa()
    app.use(createForKoa().cache('1m'))
    app.use((ctx) => {
      ctx.body = 'hello'
    })
    return app.callback()
  }

  test.each([
    ['node:http', viaNode],
    ['Express', viaExpress],
    ['Koa', viaKoa],
  ] as const)('%s: miss, hit, 304', async (_, make) => {
    const agent = supertest(make() as never)
    const miss = await agent.get('/').expect(200, 'hello')
    expect(miss.headers['cache-status']).toContain('stored')
    const hit = await agent.get('/').expect(200, 'hello')
    expect(hit.headers['cache-status']).toMatch(/^Sluice; (hit|fwd=uri-miss)/)
    await agent.get('/').set('If-None-Match', miss.headers.etag!).expect(304)
  })

  test('Fastify: the same through app.inject', async () => {
    const app = fastify()
    await app.register(fastifySluice)
    app.get('/', { config: { sluice: { cache: '1m' } } }, async () => 'hello')
    const miss = await app.inject('/')
    expect([miss.statusCode, miss.body]).toEqual([200, 'hello'])
    const hit = await app.inject('/')
    expect([hit.statusCode, hit.body]).toEqual([200, 'hello'])
    expect(hit.headers['cache-status']).toMatch(/^Sluice; hit; ttl=(60|59)$/)
    const headers = { 'if-none-match': String(hit.headers.etag) }
    expect((await app.inject({ url: '/', headers })).statusCode).toBe(304)
    await app.close()
  })
})

describe('a hit in memory awaits nothing', () => {
  const ended: boolean[] = []
  const viaNode = () => {
    const cached = createForNode().cache('1m')
    return createServer((req, res) => {
      cached(req, res, () => setImmediate(() => res.end('hello')))
      ended.push(res.writableEnded)
    })
  }
  const viaExpress = () => {
    const app = express()
    app.use((_req, res, next) => {
      next()
      ended.push(res.writableEnded)
    })
    app.get('/', createForExpress().cache('1m'), (_req, res) => void setImmediate(() => res.send('hello')))
    return createServer(app)
  }

  test.each([
    ['node:http', viaNode],
    ['Express', viaExpress],
  ] as const)('%s: it is answered before the middleware returns', async (_, make) => {
    ended.length = 0
    const server = make().listen(0)
    const agent = supertest(server)
    for (let i = 0; i < 3; i++) await agent.get('/').expect(200, 'hello')
    await new Promise((resolve) => server.close(resolve))
    expect(ended).toEqual([false, true, true])
  })
})
