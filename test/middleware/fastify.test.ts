import { createReadStream, statSync } from 'node:fs'
import path from 'node:path'
import { Readable, Writable } from 'node:stream'
import fastifyCookie from '@fastify/cookie'
import fastifyCors from '@fastify/cors'
import fastifyHelmet from '@fastify/helmet'
import fastifySecureSession from '@fastify/secure-session'
import fastifySession from '@fastify/session'
import { describe, expect, test } from '@jest/globals'
import sluice from '@sluice/fastify'
import ejs from 'ejs'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { closeServed, expectGreetings, expectHits, expectHitsWithAnalytics, type Served, servedAt } from './visitors.ts'

closeServed()

const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
const files = path.join(import.meta.dirname, 'files')

type Plug = (app: FastifyInstance) => Promise<unknown>

const secret = 's'.repeat(32)

/** What the plugins at hand leave on a request. */
type Asked = FastifyRequest & {
  session: { user?: { name: string }; get?(name: string): unknown; set?(name: string, value: unknown): void }
  user?: { name: string } | null
}

const sessions =
  (options = {}): Plug =>
  async (app) => {
    await app.register(fastifyCookie)
    await app.register(fastifySession, { secret, cookie: { secure: false }, saveUninitialized: false, ...options })
  }

const secureSessions: Plug = async (app) => {
  await app.register(fastifySecureSession, { key: Buffer.alloc(32, 1) })
}

const others: Plug = async (app) => {
  await app.register(fastifyCors, { origin: true, credentials: true })
  await app.register(fastifyHelmet)
}

/** Finds out who asks, as authentication does. */
const users: Plug = async (app) => {
  app.decorateRequest('user', null)
  app.addHook('onRequest', async (request) => {
    const asked = request as Asked
    const user = asked.session.get?.('user') as { name: string } | undefined
    if (user) asked.user = { name: user.name }
  })
}

const sessionUser = (request: Asked): { name: string } | undefined =>
  request.session.get ? (request.session.get('user') as { name: string } | undefined) : request.session.user

const nameOf = (request: Asked): string => (request.user ?? sessionUser(request))?.name ?? 'visitor'

const render = async (reply: FastifyReply, name: string, locals: object): Promise<string> => {
  reply.type('text/html')
  return ejs.renderFile(path.join(files, `${name}.ejs`), locals)
}

const pages: Readonly<Record<string, (request: Asked, reply: FastifyReply) => unknown>> = {
  '/plain': async () => ({ hello: 'everybody' }),
  '/greeting': async (request) => `hello ${nameOf(request)}`,
  '/whether': async (request) => `hello ${sessionUser(request) ? nameOf(request) : 'visitor'}`,
  '/own-property': async (request) => `hello ${request.session.user?.name ?? 'visitor'}`,
  '/stream': async () => Readable.from(['hello ', 'everybody']),
  '/streamed-greeting': async (request) => Readable.from(['hello ', nameOf(request)]),
  '/sent': (_request, reply) => {
    const file = path.join(files, 'page.txt')
    return reply.header('content-length', statSync(file).size).send(createReadStream(file))
  },
  '/piped': async () => createReadStream(path.join(files, 'page.txt')),
  '/rendered': (_request, reply) => render(reply, 'everybody', { title: 'hello' }),
  '/rendered-greeting': (request, reply) => {
    const user = request.user ?? sessionUser(request)
    return render(reply, 'greeting', user ? { user } : {})
  },
}

const open = ['/plain', '/stream', '/sent', '/piped', '/rendered'] as const
const greeting = ['/greeting', '/whether', '/own-property', '/streamed-greeting', '/rendered-greeting'] as const

const stacks: readonly (readonly [string, Plug])[] = [
  ['@fastify/session', sessions()],
  ['@fastify/session, rolling', sessions({ rolling: true })],
  ['@fastify/secure-session', secureSessions],
  [
    '@fastify/cors, @fastify/helmet, @fastify/session and users',
    async (app) => {
      await others(app)
      await sessions()(app)
      await users(app)
    },
  ],
  [
    '@fastify/cors, @fastify/helmet, @fastify/secure-session and users',
    async (app) => {
      await others(app)
      await secureSessions(app)
      await users(app)
    },
  ],
]

describe('Fastify 5', () => {
  async function boot(plug: Plug, first?: 'cache', cache = {}): Promise<Served> {
    const app = fastify({ forceCloseConnections: true, logger: { stream: nowhere } }) as unknown as FastifyInstance
    if (first === 'cache') await app.register(sluice)
    await plug(app)
    if (first !== 'cache') await app.register(sluice)
    app.post('/login', async (request) => {
      const { username } = request.body as { username: string }
      const { session } = request as Asked
      if (session.set) session.set('user', { name: username })
      else session.user = { name: username }
      return `signed in ${username}`
    })
    for (const [url, handler] of Object.entries(pages)) {
      app.get(url, { config: { sluice: { cache: { ttl: '1m', ...cache } } } }, (request, reply) =>
        handler(request as Asked, reply),
      )
    }
    await app.listen({ port: 0, host: '127.0.0.1' })
    return servedAt((app.server.address() as { port: number }).port, () => app.close())
  }

  describe.each(stacks)('%s', (title, plug) => {
    test.each(['plugins', 'cache'] as const)('%s first: pages that nobody shapes hit', async (first) => {
      const app = await boot(plug, first === 'cache' ? 'cache' : undefined)
      for (const page of open) await expectHits(app, page)
    })

    test.each(['plugins', 'cache'] as const)('%s first: who has signed in has his own', async (first) => {
      for (const page of greeting) {
        if (page === '/own-property' && title.includes('secure')) continue
        const app = await boot(plug, first === 'cache' ? 'cache' : undefined)
        await expectGreetings(app, page)
      }
    })

    test('cookies of others do not cost the hits', async () => {
      const app = await boot(plug)
      for (const page of open) await expectHitsWithAnalytics(app, page)
      const named = await boot(plug, undefined, { cookies: ['sessionId', 'session'] })
      for (const page of [...open, ...greeting]) await expectHitsWithAnalytics(named, page)
    })
  })

  class Private {
    #name: string
    constructor(name: string) {
      this.#name = name
    }
    get name(): string {
      return this.#name
    }
  }

  type Strange = FastifyRequest & { account: { name: string }; user: { name: string } }
  const whoAsks = (request: FastifyRequest): string => String(request.headers['x-who'] ?? 'visitor')
  const strange: readonly (readonly [string, (request: Strange) => void, (request: Strange) => string])[] = [
    [
      'a user of a class',
      (request) => {
        request.user = new Private(whoAsks(request))
      },
      (request) => request.user.name,
    ],
    [
      'a frozen user',
      (request) => {
        request.user = Object.freeze({ name: whoAsks(request) })
      },
      (request) => request.user.name,
    ],
    [
      'a fixed user',
      (request) => void Object.defineProperty(request, 'user', { value: { name: whoAsks(request) } }),
      (request) => request.user.name,
    ],
    [
      'a fixed account on the raw request',
      (request) => void Object.defineProperty(request.raw, 'account', { value: { name: whoAsks(request) } }),
      (request) => (request.raw as unknown as Strange).account.name,
    ],
    [
      'a decorator of each request',
      (request) => {
        request.account = { name: whoAsks(request) }
      },
      (request) => request.account.name,
    ],
  ]
  test.each(strange)('%s: works as without a cache, and never leaks', async (_, put, read) => {
    const app = fastify({ forceCloseConnections: true })
    await app.register(sluice)
    app.decorateRequest('account', null as never)
    app.decorateRequest('user', null as never)
    app.addHook('onRequest', async (request) => put(request as Strange))
    app.get('/', { config: { sluice: { cache: '1m' } } }, async (request) => read(request as Strange))
    await app.listen({ port: 0, host: '127.0.0.1' })
    const served = servedAt((app.server.address() as { port: number }).port, () => app.close())
    for (const who of ['alice', 'bob', undefined, 'alice', undefined, 'bob']) {
      const answer = await served.visitor().get('/', who === undefined ? {} : { 'x-who': who })
      expect([answer.status, answer.text]).toEqual([200, who ?? 'visitor'])
    }
  })
})
