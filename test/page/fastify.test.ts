import { afterEach, describe, expect, test } from '@jest/globals'
import sluice, { paginateArray, type SluiceRoute } from '@sluice/fastify'
import fastify, { type FastifyInstance } from 'fastify'

const items = Array.from({ length: 9 }, (_, i) => ({ id: i + 1, name: `n${i + 1}` }))

describe('pages on Fastify', () => {
  let app: FastifyInstance
  afterEach(() => app?.close())

  async function boot(config: SluiceRoute, prepare?: (app: FastifyInstance) => void): Promise<FastifyInstance> {
    app = fastify()
    prepare?.(app)
    await app.register(sluice)
    app.get(
      '/items',
      {
        config: { sluice: config },
        schema: {
          querystring: { type: 'object', properties: { page: { type: 'integer' } }, additionalProperties: false },
        },
      },
      async (request) => paginateArray(request.page, items),
    )
    return app
  }

  test.each(['preHandler', 'onRequest'] as const)(
    'phase %s: a page is stored whole, and each hit is trimmed to what was selected',
    async (phase) => {
      await boot({ cache: '1m', phase, paginate: { defaultLimit: 2 }, fields: { store: 'whole' } })
      const miss = await app.inject('/items?page=2&fields=id')
      const hit = await app.inject('/items?fields=name&page=2')
      expect(miss.json()).toEqual([{ id: 3 }, { id: 4 }])
      expect(hit.json()).toEqual([{ name: 'n3' }, { name: 'n4' }])
      expect(hit.headers['cache-status']).toMatch(/^Sluice; hit/)
      expect(hit.headers['x-total-count']).toBe('9')
    },
  )

  test('a cache with an allow-list that has the parameters starts, and stores', async () => {
    await boot({ cache: '1m', query: ['page', 'limit'], paginate: true })
    await app.inject('/items?utm=1')
    const hit = await app.inject('/items?utm=2')
    expect(hit.headers['cache-status']).toMatch(/^Sluice; hit/)
    expect(hit.headers.link).not.toContain('utm')
  })

  test('a key of one’s own stands in place of the allow-list', async () => {
    await boot({ cache: '1m', query: ['q'], key: (c) => String(c.query.page ?? 1), paginate: { defaultLimit: 2 } })
    expect((await app.inject('/items?page=1')).json()).toEqual(items.slice(0, 2))
    expect((await app.inject('/items?page=2')).json()).toEqual(items.slice(2, 4))
    expect((await app.inject('/items?page=2')).headers['cache-status']).toMatch(/^Sluice; hit/)
  })

  test('paginate: false and fields: false are none', async () => {
    app = fastify()
    await app.register(sluice)
    app.get('/', { config: { sluice: { paginate: false, fields: false } } }, async (request) => ({
      page: request.page,
      all: 1,
    }))
    expect((await app.inject('/?fields=page')).json()).toEqual({ page: null, all: 1 })
  })

  test('an application that has decorated its requests with a page of its own still starts', async () => {
    await boot({ paginate: true }, (own) => own.decorateRequest('page', null as never))
    expect((await app.inject('/items')).json()).toEqual(items)
  })

  test('bad input is answered before the handler, and past the error handler', async () => {
    await boot({ paginate: true })
    let failures = 0
    app.setErrorHandler(() => void failures++)
    const answer = await app.inject('/items?limit=0')
    expect([answer.statusCode, answer.json().parameter, failures]).toEqual([400, 'limit', 0])
  })
})
