import { afterEach, describe, expect, test } from '@jest/globals'
import sluice, { type SluiceRoute } from '@sluice/fastify'
import Fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RouteShorthandOptions,
} from 'fastify'

/**
 * Every place people mount a guard in. None of them may leave a way to a stored answer around it, whichever way the
 * guard was told who asks.
 */

let app: FastifyInstance
afterEach(() => app.close())

type Guard = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

/** Knows the user by a field, or by a session that some hook has loaded. */
const guards: Record<string, Guard> = {
  'by header': async (request, reply) => {
    if (request.headers.authorization !== 'Bearer alice') return reply.code(401).send({ error: 'who are you?' })
    return undefined
  },
  'by session cookie': async (request, reply) => {
    if (!request.headers.cookie?.includes('sid=alice')) return reply.code(401).send({ error: 'who are you?' })
    return undefined
  },
  'by throwing': async (request) => {
    const known = request.headers.authorization === 'Bearer alice' || request.headers.cookie === 'sid=alice'
    if (!known) throw Object.assign(new Error('who are you?'), { statusCode: 401 })
  },
}

interface Place {
  readonly name: string
  mount(app: FastifyInstance, guard: Guard, config: SluiceRoute): Promise<void>
}

const handler = async (): Promise<object> => ({ secret: 42 })
const get = (instance: FastifyInstance, config: SluiceRoute, options: RouteShorthandOptions = {}): void => {
  instance.get('/secret', { ...options, config: { sluice: config } }, handler)
}

const stages = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

/** preParsing hooks are given the payload; these guards leave it alone. */
const asHook = (stage: string, guard: Guard): never =>
  (stage === 'preParsing'
    ? async (request: FastifyRequest, reply: FastifyReply, _payload: unknown) => void (await guard(request, reply))
    : guard) as never

const places: Place[] = stages.flatMap((stage): Place[] => [
  {
    name: `${stage}, application, before Sluice`,
    async mount(root, guard, config) {
      root.addHook(stage as 'preHandler', asHook(stage, guard))
      await root.register(sluice)
      get(root, config)
    },
  },
  {
    name: `${stage}, application, after Sluice`,
    async mount(root, guard, config) {
      await root.register(sluice)
      root.addHook(stage as 'preHandler', asHook(stage, guard))
      get(root, config)
    },
  },
  {
    name: `${stage}, application, after the route`,
    async mount(root, guard, config) {
      await root.register(sluice)
      get(root, config)
      root.addHook(stage as 'preHandler', asHook(stage, guard))
    },
  },
  {
    name: `${stage}, plugin`,
    async mount(root, guard, config) {
      await root.register(sluice)
      await root.register(async (scope) => {
        scope.addHook(stage as 'preHandler', asHook(stage, guard))
        get(scope, config)
      })
    },
  },
  {
    name: `${stage}, plugin, after the route`,
    async mount(root, guard, config) {
      await root.register(sluice)
      await root.register(async (scope) => {
        get(scope, config)
        scope.addHook(stage as 'preHandler', asHook(stage, guard))
      })
    },
  },
  {
    name: `${stage}, route`,
    async mount(root, guard, config) {
      await root.register(sluice)
      get(root, config, { [stage]: asHook(stage, guard) })
    },
  },
  {
    name: `${stage}, route, in a list`,
    async mount(root, guard, config) {
      await root.register(sluice)
      get(root, config, { [stage]: [async () => {}, asHook(stage, guard)] })
    },
  },
  {
    name: `${stage}, appended by a later onRoute hook`,
    async mount(root, guard, config) {
      await root.register(sluice)
      root.addHook('onRoute', (route) => {
        route[stage] = [route[stage] ?? [], asHook(stage, guard)].flat() as never
      })
      get(root, config)
    },
  },
  {
    name: `${stage}, appended by an earlier onRoute hook`,
    async mount(root, guard, config) {
      root.addHook('onRoute', (route) => {
        route[stage] = [route[stage] ?? [], asHook(stage, guard)].flat() as never
      })
      await root.register(sluice)
      get(root, config)
    },
  },
])

places.push({
  name: 'around the handler, in a later onRoute hook',
  async mount(root, guard, config) {
    await root.register(sluice)
    root.addHook('onRoute', (route) => {
      const inner = route.handler
      route.handler = async function (request, reply) {
        await guard(request, reply)
        return reply.sent ? reply : inner.call(this, request, reply)
      }
    })
    get(root, config)
  },
})

const credentials = { authorization: 'Bearer alice', cookie: 'sid=alice' }

describe.each(places.map((place) => [place.name, place] as const))('a guard in %s', (_, place) => {
  test.each(Object.entries(guards))('%s: no stranger is given a stored answer', async (__, guard) => {
    app = Fastify()
    // The route says the answer is the same for everybody who may have it, so it is stored whoever asks first.
    await place.mount(app, guard, { cache: '5m', public: true })

    const filled = await app.inject({ url: '/secret', headers: credentials })
    expect(filled.statusCode).toBe(200)
    expect((await app.inject({ url: '/secret', headers: credentials })).headers['cache-status']).toMatch(/; hit/)

    for (const method of ['GET', 'HEAD'] as const) {
      for (const headers of [{}, { authorization: 'Bearer bob' }, { cookie: 'sid=bob' }]) {
        const stranger = await app.inject({ method, url: '/secret', headers })
        expect(stranger.statusCode).toBe(401)
        expect(stranger.body).not.toContain('42')
      }
    }
    const conditional = await app.inject({ url: '/secret', headers: { 'if-none-match': String(filled.headers.etag) } })
    expect(conditional.statusCode).toBe(401)
  })
})

test('a refusal is not stored in place of the answer', async () => {
  app = Fastify()
  await app.register(sluice)
  get(app, { cache: '5m', public: true, negativeTtl: '5m' }, { preHandler: guards['by header'] as never })
  await app.inject('/secret')
  expect((await app.inject({ url: '/secret', headers: credentials })).json()).toEqual({ secret: 42 })
})

test("phase: 'onRequest' is asked before hooks of later stages, and says so by its name", async () => {
  app = Fastify()
  await app.register(sluice)
  let guarded = 0
  get(app, { cache: '5m', phase: 'onRequest' }, { preHandler: async () => void guarded++ })
  await app.inject('/secret')
  expect((await app.inject('/secret')).headers['cache-status']).toMatch(/; hit/)
  expect(guarded).toBe(1)
})

test("with phase: 'onRequest' a guard in an earlier onRequest hook still stands in front", async () => {
  app = Fastify()
  app.addHook('onRequest', guards['by header'] as never)
  await app.register(sluice)
  get(app, { cache: '5m', phase: 'onRequest', public: true })
  expect((await app.inject({ url: '/secret', headers: credentials })).statusCode).toBe(200)
  expect((await app.inject('/secret')).statusCode).toBe(401)
})

test("with phase: 'onRequest' an answer behind a later guard is not stored: the guard's reads are noticed", async () => {
  app = Fastify()
  await app.register(sluice)
  get(app, { cache: '5m', phase: 'onRequest' }, { preHandler: guards['by session cookie'] as never })
  const answer = await app.inject({ url: '/secret', headers: { cookie: 'sid=alice' } })
  expect(answer.headers['cache-status']).toBe('Sluice; fwd=uri-miss; detail=unkeyed-cookie')
  expect((await app.inject('/secret')).statusCode).toBe(401)
})
