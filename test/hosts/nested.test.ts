import { describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/express'
import express from 'express'
import request from 'supertest'

describe('a cache inside a cache', () => {
  test('of two instances: nothing the inner one knows better is stored outside', async () => {
    const app = express()
    const outer = createSluice()
    const inner = createSluice()
    let runs = 0
    app.use(outer.cache('1m', { name: 'Outer' }))
    app.get('/plain', inner.cache('1m', { name: 'Inner' }), (_req, res) => {
      res.sluice.tag('both')
      res.json({ runs: ++runs })
    })
    app.get('/cookie', inner.cache('1m', { name: 'Inner', varyBy: 'cookie' }), (req, res) => {
      res.json({ runs: ++runs, cookie: req.headers.cookie ?? null })
    })

    // The outer one cannot know what the inner one's answers are tagged with.
    expect((await request(app).get('/plain')).body).toEqual({ runs: 1 })
    expect((await request(app).get('/plain')).headers['cache-status']).toBe(
      'Inner; hit; ttl=59, Outer; fwd=uri-miss; detail=nested',
    )
    expect(outer.stats().cache).toMatchObject({ stored: 0, refused: { nested: 2 } })
    await inner.purge({ tags: ['both'] })
    expect((await request(app).get('/plain')).body).toEqual({ runs: 2 })

    for (const cookie of ['a=1', 'a=2']) {
      expect((await request(app).get('/cookie').set('cookie', cookie)).body).toMatchObject({ cookie })
    }
    const again = await request(app).get('/cookie').set('cookie', 'a=1')
    expect(again.body).toMatchObject({ cookie: 'a=1', runs: 3 })
    expect(again.headers['cache-status']).toMatch(/^Inner; hit/)
    expect(outer.stats().cache.stored).toBe(0)
  })

  test('a cache for the whole application and one for a route, of one instance', async () => {
    const app = express()
    const sluice = createSluice()
    let runs = 0
    app.use(sluice.cache())
    app.get('/', sluice.cache('1m', { tags: ['route'] }), (_req, res) => void res.json({ runs: ++runs }))
    for (let i = 0; i < 3; i++) expect((await request(app).get('/')).body).toEqual({ runs: 1 })
    await sluice.purge({ tags: ['route'] })
    for (let i = 0; i < 3; i++) expect((await request(app).get('/')).body).toEqual({ runs: 2 })
  })
})
