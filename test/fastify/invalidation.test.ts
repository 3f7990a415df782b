import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import sluice from '@sluice/fastify'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'

let app: FastifyInstance
beforeEach(async () => {
  app = Fastify()
  await app.register(sluice)
})
afterEach(() => app.close())

const isHit = async (url: string): Promise<boolean> =>
  /; hit/.test(String((await app.inject(url)).headers['cache-status']))

/** Two stored URLs; whether each is still there after the request. */
async function outcome(request: InjectOptions): Promise<{ status: number; it: boolean; other: boolean }> {
  for (const url of ['/it', '/other']) await app.inject(url)
  const { statusCode } = await app.inject(request)
  return { status: statusCode, it: await isHit('/it'), other: await isHit('/other') }
}

function cacheBoth(): void {
  for (const url of ['/it', '/other'])
    app.get(url, { config: { sluice: { cache: '5m', tags: [url] } } }, async () => url)
}

describe('a successful unsafe request invalidates its URL, on every route', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE'] as const)('%s', async (method) => {
    cacheBoth()
    app.route({ method, url: '/it', handler: async () => 'changed' })
    expect(await outcome({ method, url: '/it' })).toEqual({ status: 200, it: false, other: true })
  })

  test('answered by a hook', async () => {
    cacheBoth()
    app.post('/it', { preHandler: async (_, reply) => reply.send('changed') }, async () => 'never')
    expect((await outcome({ method: 'POST', url: '/it' })).it).toBe(false)
  })

  test('in a plugin, with a stream', async () => {
    cacheBoth()
    await app.register(async (scope) => {
      scope.post('/it', async () => new Blob(['changed']).stream())
    })
    expect((await outcome({ method: 'POST', url: '/it' })).it).toBe(false)
  })

  test.each([
    ['reply.hijack()', true],
    ['reply.raw', false],
  ])('written through %s', async (_, hijack) => {
    cacheBoth()
    app.post('/it', (__, reply) => {
      if (hijack) reply.hijack()
      reply.raw.end('changed')
    })
    expect((await outcome({ method: 'POST', url: '/it' })).it).toBe(false)
  })

  test('and what Location and Content-Location name on the same origin', async () => {
    cacheBoth()
    app.post('/make', async (_, reply) =>
      reply.code(201).headers({ location: '/it', 'content-location': 'http://elsewhere.example/other' }).send(),
    )
    expect(await outcome({ method: 'POST', url: '/make' })).toEqual({ status: 201, it: false, other: true })
  })

  test.each([
    [404, 'an error answer', async (_: unknown, reply: { code(n: number): unknown }) => void reply.code(404)],
    [500, 'a throw', async () => Promise.reject(new Error('no'))],
  ])('not after %i: %s', async (status, _, handler) => {
    cacheBoth()
    app.post('/it', async (request, reply) => {
      await handler(request, reply as never)
      return 'no'
    })
    expect(await outcome({ method: 'POST', url: '/it' })).toEqual({ status, it: true, other: true })
  })

  test('not after a safe one', async () => {
    cacheBoth()
    app.options('/it', async () => 'options')
    expect(await outcome({ method: 'OPTIONS', url: '/it' })).toEqual({ status: 200, it: true, other: true })
  })
})

describe('invalidates', () => {
  const sources: readonly (readonly [string, unknown])[] = [
    ['a tag', '/other'],
    ['a function', (r: { params: { id: string } }) => `/${r.params.id}`],
    ['a list', ['x', (r: { params: { id: string } }) => [`/${r.params.id}`, 'y']]],
  ]
  test.each(sources)('%s: purged after success', async (_, invalidates) => {
    cacheBoth()
    app.post('/change/:id', { config: { sluice: { invalidates: invalidates as never } } }, async () => 'changed')
    expect(await outcome({ method: 'POST', url: '/change/other' })).toEqual({ status: 200, it: true, other: false })
  })

  test('nothing is purged after a failure', async () => {
    cacheBoth()
    app.post('/it', { config: { sluice: { invalidates: '/other' } } }, async (_, reply) => reply.code(409).send())
    expect(await outcome({ method: 'POST', url: '/it' })).toEqual({ status: 409, it: true, other: true })
  })

  test('the purge is over before the answer is sent', async () => {
    const { memory } = await import('@sluice/fastify')
    const inner = memory()
    let over = false
    const slow = Fastify()
    await slow.register(sluice, {
      backend: {
        ...inner,
        cacheStore: (env) => {
          const store = inner.cacheStore(env)
          const invalidate = store.invalidate.bind(store)
          store.invalidate = async (tags, mode) => {
            await new Promise((resolve) => setTimeout(resolve, 20))
            over = true
            await invalidate(tags, mode)
          }
          return store
        },
      },
    })
    slow.post('/it', async () => 'changed')
    expect((await slow.inject({ method: 'POST', url: '/it' })).body).toBe('changed')
    expect(over).toBe(true)
    await slow.close()
  })
})

describe('condition', () => {
  test('answers 304 and 412 before the handler runs', async () => {
    let runs = 0
    const config = { sluice: { condition: { etag: () => 'v1' } } }
    app.route({ method: ['GET', 'PUT'], url: '/c', config, handler: async () => `run ${++runs}` })
    const first = await app.inject('/c')
    expect(first.headers.etag).toBe('"v1"')
    const same = await app.inject({ url: '/c', headers: { 'if-none-match': '"v1"' } })
    expect([same.statusCode, same.body]).toEqual([304, ''])
    const lost = await app.inject({ method: 'PUT', url: '/c', headers: { 'if-match': '"v0"' } })
    expect(lost.statusCode).toBe(412)
    expect(runs).toBe(1)
  })

  test('with a version that has to be waited for, and a callback handler', async () => {
    const config = { sluice: { cache: '5m', condition: { etag: async () => 'v1' } } } as const
    app.get('/c', { config }, (_, reply) => void setTimeout(() => reply.send('body'), 5))
    expect((await app.inject('/c')).body).toBe('body')
    expect((await app.inject('/c')).headers).toMatchObject({ etag: '"v1"' })
    expect((await app.inject({ url: '/c', headers: { 'if-none-match': '"v1"' } })).statusCode).toBe(304)
  })
})
