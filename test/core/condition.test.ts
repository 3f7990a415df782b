import { describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/express'
import express from 'express'
import request from 'supertest'

describe('condition() on a request that changes what it is about', () => {
  test('the answer to a PATCH has not the validators of the state before it (RFC 9110 §8.8)', async () => {
    const app = express()
    const sluice = createSluice()
    let version = 1
    const condition = sluice.condition({ etag: () => `v${version}`, lastModified: () => version * 1_000 })
    app.get('/', condition, (_req, res) => void res.json({ version }))
    app.patch('/', condition, (_req, res) => void res.status(204).end(String(++version)))

    const { headers } = await request(app).get('/')
    expect(headers.etag).toBe('"v1"')
    const changed = await request(app).patch('/').set('if-match', '"v1"')
    expect([changed.status, changed.headers.etag, changed.headers['last-modified']]).toEqual([
      204,
      undefined,
      undefined,
    ])
    expect((await request(app).patch('/').set('if-match', '"v1"')).status).toBe(412)
    expect((await request(app).get('/').set('if-none-match', '"v1"')).status).toBe(200)
    expect((await request(app).get('/').set('if-none-match', '"v2"')).status).toBe(304)
  })
})
