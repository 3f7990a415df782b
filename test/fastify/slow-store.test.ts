import { connect } from 'node:http2'
import { afterEach, describe, expect, test } from '@jest/globals'
import sluice, { type Backend, type CacheStore, memory, type SluiceRoute } from '@sluice/fastify'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'

let app: FastifyInstance
afterEach(() => app.close())

/** A backend that is asked over a network: every look-up is a promise. */
function slow(): Backend {
  const inner = memory()
  return {
    ...inner,
    cacheStore(env) {
      const store = inner.cacheStore(env)
      const later =
        <A extends unknown[], R>(act: (...args: A) => R) =>
        async (...args: A): Promise<Awaited<R>> => {
          await new Promise((resolve) => setImmediate(resolve))
          return await act.apply(store, args)
        }
      return Object.defineProperties(
        Object.create(store),
        Object.getOwnPropertyDescriptors({
          get: later(store.get),
          set: later(store.set),
          position: later(store.position),
          // What reads a private field must be asked of the store itself.
          order: store.order,
          usage: () => store.usage(),
          close: () => store.close(),
        }),
      ) as CacheStore
    },
  }
}

const phases: readonly SluiceRoute['phase'][] = ['preHandler', 'onRequest']

describe.each(phases)('a store that has to be waited for, asked in %s', (phase) => {
  const config = { sluice: { cache: '5m', phase } } as const
  const handlers: readonly (readonly [string, (reply: FastifyReply) => unknown])[] = [
    ['async', async () => 'body'],
    ['returning', () => 'body'],
    ['sending', (reply) => void reply.send('body')],
    ['sending later', (reply) => void setTimeout(() => reply.send('body'), 10)],
    ['returning the reply', (reply) => reply.send('body')],
    ['async, returning the reply', async (reply) => reply.send('body')],
    [
      'async, sending later',
      async (reply) => {
        setTimeout(() => reply.send('body'), 10)
        return reply
      },
    ],
  ]
  test.each(handlers)('a handler that is %s', async (_, handler) => {
    app = Fastify()
    await app.register(sluice, { backend: slow() })
    let runs = 0
    app.get('/it', { config }, (_request, reply) => {
      runs++
      return handler(reply)
    })
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    for (const status of [/fwd=uri-miss/, /; hit/, /; hit/]) {
      const answer = await fetch(`${url}/it`)
      expect(answer.headers.get('cache-status')).toMatch(status)
      expect(await answer.text()).toBe('body')
    }
    expect(runs).toBe(1)
    expect((await app.inject('/it')).body).toBe('body')
  })

  test.each([
    ['throws', () => throwing()],
    ['rejects', async () => throwing()],
    ['sends an error', (reply: FastifyReply) => void reply.send(new Error('mine'))],
  ])('a handler that %s', async (_, handler) => {
    app = Fastify()
    await app.register(sluice, { backend: slow() })
    app.get('/it', { config }, (_request, reply) => handler(reply))
    const answer = await app.inject('/it')
    expect([answer.statusCode, answer.json().message]).toEqual([500, 'mine'])
  })

  test('what Fastify cannot send is Fastify’s error', async () => {
    app = Fastify()
    await app.register(sluice, { backend: slow() })
    app.get('/it', { config }, (_request, reply) => reply.type('text/plain').send(7 as never))
    app.get('/header', { config }, async (_request, reply) => reply.header('x-bad', 'a\nb').send('body'))
    expect((await app.inject('/it')).json().code).toBe('FST_ERR_REP_INVALID_PAYLOAD_TYPE')
    expect((await app.inject('/header')).statusCode).toBe(500)
  })

  test('an answer that a timeout gave while the store was asked is not given twice', async () => {
    app = Fastify()
    const backend = slow()
    await app.register(sluice, { backend })
    const varyBy = async (): Promise<string> => {
      await new Promise((resolve) => setTimeout(resolve, 40))
      return 'x'
    }
    let runs = 0
    app.get(
      '/it',
      { config: { sluice: { ...config.sluice, varyBy } }, handlerTimeout: 10 },
      async () => `run ${++runs}`,
    )
    expect((await app.inject('/it')).statusCode).toBe(503)
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(runs).toBe(0)
    expect(app.sluice.stats().cache.stored).toBe(0)
  })
})

function throwing(): never {
  throw new Error('mine')
}

test('HTTP/2: stored and answered, by the same key as its authority says', async () => {
  const server = Fastify({ http2: true })
  app = server as unknown as FastifyInstance
  await app.register(sluice)
  let runs = 0
  app.get('/it', { config: { sluice: { cache: '5m' } } }, async () => ({ run: ++runs }))
  const session = connect(await app.listen({ port: 0, host: '127.0.0.1' }))
  const get = (authority?: string) =>
    new Promise<string>((resolve, reject) => {
      const stream = session.request({ ':path': '/it', ...(authority && { ':authority': authority }) })
      let body = ''
      stream.setEncoding('utf8').on('data', (piece) => {
        body += piece
      })
      stream.on('end', () => resolve(body)).on('error', reject)
    })
  expect([await get(), await get(), await get('other.example')]).toEqual(['{"run":1}', '{"run":1}', '{"run":2}'])
  session.close()
})
