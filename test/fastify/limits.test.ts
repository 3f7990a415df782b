import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import sluice, { by, type SluicePluginOptions, type SluiceRoute } from '@sluice/fastify'
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import { testClock } from '../hosts/harness/clock.ts'

let app: FastifyInstance
let warnings: jest.SpiedFunction<typeof process.emitWarning>
beforeEach(() => {
  app = Fastify()
  warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
})
afterEach(async () => {
  warnings.mockRestore()
  await app.close()
})

type Asked = { method?: string; url: string; user?: string; payload?: object }

const register = (options: SluicePluginOptions): Promise<void> =>
  app.register(sluice, { clock: testClock(), ...options }) as unknown as Promise<void>

const ask = ({ method = 'GET', url, user, payload }: Asked): Promise<LightMyRequestResponse> =>
  app.inject({ method: method as 'GET', url, headers: user ? { 'x-user': user } : {}, ...(payload && { payload }) })

const statuses = async (...asked: readonly (Asked | string)[]): Promise<number[]> => {
  const all: number[] = []
  for (const one of asked) all.push((await ask(typeof one === 'string' ? { url: one } : one)).statusCode)
  return all
}

/** Authentication in a hook, as applications have it. */
const authenticate = async (request: { headers: Record<string, unknown>; user?: unknown }): Promise<void> => {
  const id = request.headers['x-user']
  request.user = id === undefined ? null : { id }
}

const route = (url: string, config?: SluiceRoute, options: object = {}): void => {
  app.get(url, { ...options, config: config ? { sluice: config } : {} }, async () => ({ ok: true }))
}

const limitWarnings = (): string[] =>
  warnings.mock.calls
    .filter(([, options]) => (options as { code?: string } | undefined)?.code === 'SLUICE_LIMIT_PHASE')
    .map(([message]) => String(message))

describe('the phase in which a route’s limit is asked', () => {
  test('onRequest, in front of the route’s own hooks: what these refuse has been counted', async () => {
    await register({ limits: { guess: '2/min' } })
    const guard = async (_: unknown, reply: { code(status: number): { send(body: object): unknown } }) =>
      reply.code(401).send({})
    route('/', { limit: 'guess' }, { onRequest: guard })
    expect(await statuses('/', '/', '/')).toEqual([401, 401, 429])
  })

  test('a refused request’s body is not read', async () => {
    await register({ limits: { p: '1/min' } })
    let parsed = 0
    app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
      parsed++
      done(null, JSON.parse(String(body)))
    })
    app.post('/', { config: { sluice: { limit: 'p' } } }, async () => 'ok')
    const post: Asked = { method: 'POST', url: '/', payload: { a: 1 } }
    expect(await statuses(post, post)).toEqual([200, 429])
    expect(parsed).toBe(1)
  })

  test.each([
    ['by.user', by.user],
    ['a combination with by.user', by(by.user, by.route)],
  ])('%s: behind the hooks, wherever authentication is among them, without being told', async (_, key) => {
    await register({ limits: { plan: { rate: '1/min', key } } })
    app.decorateRequest('user', null)
    route('/', { limit: 'plan' })
    // Added last, and as late as there are hooks.
    app.addHook('preHandler', authenticate)
    const [a, b] = [
      { url: '/', user: 'a' },
      { url: '/', user: 'b' },
    ]
    expect(await statuses(a, b, a, b)).toEqual([200, 200, 429, 429])
    expect(limitWarnings()).toEqual([])
  })

  test('by.hash(body): behind the parser, without being told', async () => {
    await register({ limits: { login: { rate: '1/min', key: by.hash('body.email') } } })
    app.post('/login', { config: { sluice: { limit: 'login' } } }, async () => 'ok')
    const login = (email: string): Asked => ({ method: 'POST', url: '/login', payload: { email } })
    expect(await statuses(login('a@x.org'), login('b@x.org'), login(' A@X.org '))).toEqual([200, 200, 429])
  })

  test('several policies of which one waits: all are asked then, and charged together', async () => {
    await register({ limits: { ip: '10/min', plan: { rate: '1/min', key: by.user } } })
    app.decorateRequest('user', null)
    app.addHook('preHandler', authenticate)
    route('/', { limit: ['ip', 'plan'] })
    const a: Asked = { url: '/', user: 'a' }
    expect(await statuses(a, a, a)).toEqual([200, 429, 429])
    expect((await ask({ url: '/', user: 'b' })).headers.ratelimit).toMatch(/^"ip";r=8;t=\d+, "plan";r=0;t=\d+$/)
  })

  test('a policy that says onRequest is asked there, for authentication that has run by then', async () => {
    app.decorateRequest('user', null)
    app.addHook('onRequest', authenticate)
    await register({ limits: { plan: { rate: '1/min', key: by.user, phase: 'onRequest' } }, limit: 'plan' })
    route('/')
    const [a, b] = [
      { url: '/', user: 'a' },
      { url: '/', user: 'b' },
    ]
    expect(await statuses(a, b, a)).toEqual([200, 200, 429])
    expect(await statuses('/', '/')).toEqual([200, 429])
    expect(limitWarnings()).toEqual([])
  })

  test.each<[string, SluicePluginOptions['limits'], RegExp]>([
    ['key', { p: { rate: '1/min', key: (c) => c.user?.id } }, /route GET \/x read `user`.*`phase: 'preHandler'`/],
    ['rate', { p: { rate: (c) => (c.user?.pro ? '9/s' : '1/s') } }, /`user`/],
    ['cost', { p: { rate: '9/s', cost: (c) => c.body?.items ?? 1 } }, /`body`/],
    ['asynchronous key', { p: { rate: '9/s', key: async (c) => c.session?.id } }, /`session`/],
  ])('a %s of one’s own that reads too early is warned of, once, with what to write', async (_, limits, message) => {
    await register({ limits })
    app.decorateRequest('user', null)
    route('/x', { limit: 'p' })
    await statuses('/x', '/x')
    expect(limitWarnings()).toEqual([expect.stringMatching(message)])
  })

  test('nothing is said of what countIf reads: the response is there, and so is the user, or there is none', async () => {
    await register({ limits: { p: { rate: '5/min', countIf: (r) => r.user === undefined } } })
    route('/', { limit: 'p' })
    await statuses('/')
    expect(limitWarnings()).toEqual([])
  })

  test('a policy’s own phase is obeyed: functions of one’s own then see the user', async () => {
    await register({ limits: { p: { rate: '1/min', key: (c) => c.user?.id, phase: 'preHandler' } } })
    app.decorateRequest('user', null)
    app.addHook('preHandler', authenticate)
    route('/', { limit: 'p' })
    expect(await statuses({ url: '/', user: 'a' }, { url: '/', user: 'b' }, { url: '/', user: 'a' })).toEqual([
      200, 200, 429,
    ])
    expect(limitWarnings()).toEqual([])
  })
})

describe('the plugin’s own limit', () => {
  test('is for every route, those declared before it and those of other plugins, made-up paths and errors', async () => {
    app.get('/early', async () => 'early')
    await register({ limits: { ip: '5/min' }, limit: 'ip' })
    app.get('/late', async () => 'late')
    app.get('/broken', async () => {
      throw new Error('broken')
    })
    app.register(async (part) => {
      part.get('/inside', async () => 'inside')
    })
    const paths = ['/early', '/late', '/broken', '/made-up', '/inside', '/late', '/early', '/made-up/2']
    expect(await statuses(...paths)).toEqual([200, 200, 500, 404, 200, 429, 429, 429])
  })

  test('also where the application has a 404 handler of its own', async () => {
    await register({ limit: '1/min' })
    app.setNotFoundHandler(async (_, reply) => reply.code(404).send({ own: true }))
    const first = await ask({ url: '/a' })
    expect([first.statusCode, first.json(), first.headers['ratelimit-policy']]).toEqual([
      404,
      { own: true },
      '"1/min";q=1;w=60',
    ])
    expect(await statuses('/b')).toEqual([429])
  })

  test('stands where the plugin was registered: what later hooks refuse has been counted', async () => {
    await register({ limit: '2/min' })
    app.addHook('onRequest', async (_, reply) => reply.code(401).send({}))
    route('/')
    expect(await statuses('/', '/', '/')).toEqual([401, 401, 429])
  })

  test('that waits for the hooks sees the user on every route, and still counts made-up paths', async () => {
    await register({ limits: { plan: { rate: '1/min', key: by.user } }, limit: 'plan' })
    app.decorateRequest('user', null)
    route('/')
    app.addHook('preHandler', authenticate)
    expect(await statuses({ url: '/', user: 'a' }, { url: '/', user: 'b' }, { url: '/', user: 'a' })).toEqual([
      200, 200, 429,
    ])
    expect(await statuses('/made-up', '/made-up/2')).toEqual([404, 429])
  })

  test('limitPer: every route has its own, made-up paths share one', async () => {
    await register({ limit: '1/min', limitPer: 'route' })
    route('/a')
    route('/b/:id')
    expect(await statuses('/a', '/b/1', '/b/2', '/a', '/nothing', '/nothing/2')).toEqual([200, 200, 429, 429, 404, 429])
  })

  test('and a route’s own, of the same name: charged once', async () => {
    await register({ limits: { ip: '2/min' }, limit: 'ip' })
    route('/', { limit: 'ip' })
    expect(await statuses('/', '/', '/')).toEqual([200, 200, 429])
  })

  test('a route’s own beside it: both are told of, and what one refuses the other does not charge', async () => {
    await register({ limits: { ip: '9/min', few: '1/min' }, limit: 'ip' })
    route('/', { limit: 'few' })
    expect((await ask({ url: '/' })).headers['ratelimit-policy']).toBe('"ip";q=9;w=60, "few";q=1;w=60')
    expect((await ask({ url: '/' })).headers.ratelimit).toMatch(/^"few";r=0;t=\d+, "ip";r=8;t=\d+$/)
    expect(await app.sluice.peek('ip', { key: '127.0.0.1' })).toMatchObject({ remaining: 8 })
  })

  test('exempt routes are neither counted nor refused', async () => {
    await register({ limits: { ip: '1/min' }, limit: 'ip' })
    route('/health', { exempt: true })
    route('/')
    expect(await statuses('/health', '/health', '/', '/', '/health')).toEqual([200, 200, 200, 429, 200])
    expect((await ask({ url: '/health' })).headers.ratelimit).toBeUndefined()
  })

  test('exempt holds also for a wrapper around the handler', async () => {
    await register({})
    const handler = app.sluice.limited('1/min')(async () => 'ok')
    app.get('/', { config: { sluice: { exempt: true } } }, handler)
    expect(await statuses('/', '/', '/')).toEqual([200, 200, 200])
  })

  test('of an unknown name throws at the start', async () => {
    await expect(
      app.register(sluice, { limits: { ip: '1/s' }, limit: 'up' }) as unknown as Promise<void>,
    ).rejects.toThrow(/no policy "up".*`ip`|no policy "up"/)
  })
})

describe('app.sluice makes hooks', () => {
  test('limit: for a part of an application', async () => {
    await register({ limits: { admin: '1/min' } })
    app.register(async (admin) => {
      admin.addHook('onRequest', app.sluice.limit('admin'))
      admin.get('/admin/a', async () => 'a')
      admin.get('/admin/b', async () => 'b')
    })
    route('/')
    expect(await statuses('/admin/a', '/admin/b', '/', '/')).toEqual([200, 429, 200, 200])
  })

  test('limit(…).per(route), in preHandler', async () => {
    await register({})
    app.addHook('preHandler', app.sluice.limit('1/min').per('route'))
    route('/a')
    route('/b')
    expect(await statuses('/a', '/b', '/a')).toEqual([200, 200, 429])
  })

  test('exempt: what was charged in front of it comes back', async () => {
    await register({ limits: { ip: '1/min' }, limit: 'ip' })
    app.register(async (free) => {
      free.addHook('onRequest', app.sluice.exempt())
      free.get('/free', async () => 'free')
    })
    expect(await statuses('/free', '/free', '/free')).toEqual([200, 200, 200])
  })

  test('by.user in an onRequest hook in front of authentication is warned of', async () => {
    await register({})
    app.addHook('onRequest', app.sluice.limit({ rate: '1/min', key: by.user }))
    app.decorateRequest('user', null)
    route('/')
    await statuses('/')
    expect(limitWarnings()).toEqual([expect.stringMatching(/mounted as a hook read `user`/)])
  })
})

describe('shedding', () => {
  const busy = { maxDelay: '1ms', maxUtilisation: 0, priority: 'sheddable' } as const

  test('the plugin’s is for all, made-up paths too; a route may have its own or none', async () => {
    await register({ shed: busy })
    route('/')
    route('/never', { shed: false })
    route('/own', { shed: { priority: 'critical' } })
    expect(await statuses('/', '/made-up', '/never', '/own')).toEqual([503, 503, 200, 200])
  })

  test('a route’s own', async () => {
    await register({})
    route('/', { shed: busy })
    route('/other')
    const answer = await ask({ url: '/' })
    expect([answer.statusCode, answer.headers['cache-control']]).toEqual([503, 'no-store'])
    expect(answer.json()).toMatchObject({ type: expect.stringMatching(/#temporary-reduced-capacity$/) })
    expect(await statuses('/other')).toEqual([200])
  })

  test('comes before limits: what is shed is not counted', async () => {
    await register({ shed: busy, limits: { ip: '5/min' }, limit: 'ip' })
    route('/')
    await statuses('/', '/')
    expect(await app.sluice.peek('ip', { key: '127.0.0.1' })).toMatchObject({ remaining: 5 })
  })
})

test('a permit of a response that a handler hijacks ends when that does', async () => {
  await register({ limits: { p: '1 concurrent' } })
  const answers: (() => void)[] = []
  app.get('/', { config: { sluice: { limit: 'p' } } }, async (_, reply) => {
    reply.hijack()
    reply.raw.write('first')
    answers.push(() => reply.raw.end('last'))
  })
  const url = await app.listen({ port: 0 })
  const first = await fetch(url)
  expect((await fetch(url)).status).toBe(429)
  answers[0]!()
  expect(await first.text()).toBe('firstlast')
  const second = await fetch(url)
  expect(second.status).toBe(200)
  // And where the client goes away.
  await second.body!.cancel()
  for (let i = 0; i < 200 && app.sluice.stats().limits.permits > 0; i++) await new Promise(setImmediate)
  expect(app.sluice.stats().limits.permits).toBe(0)
  app.server.closeAllConnections()
})
