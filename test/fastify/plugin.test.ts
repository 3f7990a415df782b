import { afterEach, describe, expect, test } from '@jest/globals'
import sluice from '@sluice/fastify'
import Fastify, { type FastifyInstance } from 'fastify'

let app: FastifyInstance
afterEach(() => app.close())

describe('the plugin', () => {
  test('answers the second request from the cache', async () => {
    app = Fastify()
    await app.register(sluice)
    let runs = 0
    app.get('/cities', { config: { sluice: { cache: '5m', tags: ['cities'] } } }, async () => ({ runs: ++runs }))
    const first = await app.inject('/cities')
    const second = await app.inject('/cities')
    expect(first.headers['cache-status']).toBe('Sluice; fwd=uri-miss; stored')
    expect(second.headers['cache-status']).toMatch(/^Sluice; hit; ttl=/)
    expect(second.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(second.json()).toEqual({ runs: 1 })
    await app.sluice.purge({ tags: ['cities'] })
    expect((await app.inject('/cities')).json()).toEqual({ runs: 2 })
  })
})
