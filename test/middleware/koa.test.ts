import { createReadStream } from 'node:fs'
import path from 'node:path'
import { Readable, Writable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import koaCors from '@koa/cors'
import { type CacheOptions, createSluice } from '@sluice/koa'
import ejs from 'ejs'
import Koa3, { type Context, type Middleware, type Next } from 'koa'
import helmet from 'koa-helmet'
import { KoaPassport } from 'koa-passport'
import send from 'koa-send'
import { createSession } from 'koa-session'
import Koa2 from 'koa2'
import morgan from 'morgan'
import passportLocal from 'passport-local'
import { closeServed, expectGreetings, expectHits, expectHitsWithAnalytics, type Served, serve } from './visitors.ts'

closeServed()

const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
const files = path.join(import.meta.dirname, 'files')

type Stack = (app: Koa3) => readonly Middleware[]

const sessions =
  (options = {}): Stack =>
  (app) => [createSession({ ...options }, app as never) as never]

/** Sessions that are kept on the server, as most are. */
function storedSessions(): Stack {
  const kept = new Map<string, object>()
  const store = {
    get: async (key: string) => kept.get(key),
    set: async (key: string, value: object) => void kept.set(key, structuredClone(value)),
    destroy: async (key: string) => void kept.delete(key),
  }
  return sessions({ store, rolling: true })
}

const body: Middleware = async (ctx, next) => {
  if (ctx.method === 'POST' && (ctx.request as { body?: unknown }).body === undefined) {
    const chunks: Buffer[] = []
    for await (const chunk of ctx.req) chunks.push(chunk as Buffer)
    ;(ctx.request as { body?: unknown }).body = JSON.parse(Buffer.concat(chunks).toString())
  }
  return next()
}

const passports: Stack = (app) => {
  const auth = new KoaPassport()
  auth.use(
    new passportLocal.Strategy((name: string, _password: string, done: (error: null, user: object) => void) =>
      done(null, { name }),
    ),
  )
  auth.serializeUser((user: { name: string }, done: (error: null, id: string) => void) => done(null, user.name))
  auth.deserializeUser((name: string, done: (error: null, user: object) => void) => done(null, { name }))
  const login = auth.authenticate('local')
  return [
    ...sessions()(app),
    body,
    auth.initialize(),
    auth.session(),
    (ctx, next) => (ctx.method === 'POST' ? login(ctx, next) : next()),
  ]
}

const log: Middleware = async (ctx, next) => {
  await new Promise((resolve) => morgan('combined', { stream: nowhere })(ctx.req, ctx.res, resolve))
  return next()
}
const others: readonly Middleware[] = [koaCors({ credentials: true }), log, helmet() as Middleware]

type Asked = Context & { isAuthenticated?(): boolean; session?: { user?: { name: string } } }

const nameOf = (ctx: Asked): string => ctx.state.user?.name ?? ctx.session?.user?.name ?? 'visitor'

async function render(ctx: Context, name: string, locals = {}): Promise<void> {
  ctx.type = 'html'
  ctx.body = await ejs.renderFile(path.join(files, `${name}.ejs`), { ...ctx.state, ...locals })
}

const pages: Readonly<Record<string, (ctx: Asked) => unknown>> = {
  '/plain': (ctx) => {
    ctx.body = { hello: 'everybody' }
  },
  '/greeting': (ctx) => {
    ctx.body = `hello ${nameOf(ctx)}`
  },
  '/whether': (ctx) => {
    const signedIn = ctx.isAuthenticated ? ctx.isAuthenticated() : ctx.session?.user !== undefined
    ctx.body = `hello ${signedIn ? nameOf(ctx) : 'visitor'}`
  },
  '/stream': (ctx) => {
    ctx.body = Readable.from(['hello ', 'everybody'])
  },
  '/streamed-greeting': (ctx) => {
    ctx.body = Readable.from(['hello ', nameOf(ctx)])
  },
  '/sent': (ctx) => send(ctx, 'page.txt', { root: files, maxage: 60_000 }),
  '/piped': (ctx) => {
    ctx.body = createReadStream(path.join(files, 'page.txt'))
  },
  '/rendered': (ctx) => render(ctx, 'everybody', { title: 'hello' }),
  '/rendered-greeting': (ctx) => {
    if (nameOf(ctx) !== 'visitor') ctx.state.user = { name: nameOf(ctx) }
    return render(ctx, 'greeting')
  },
}

const handle: Middleware = async (ctx: Asked) => {
  if (ctx.path === '/login') {
    const name = (ctx.request as unknown as { body: { username: string } }).body.username
    if (!ctx.state.user) ctx.session!.user = { name }
    ctx.body = `signed in ${name}`
  } else await pages[ctx.path]?.(ctx)
}

const open = ['/plain', '/stream', '/sent', '/piped', '/rendered'] as const
const greeting = ['/greeting', '/whether', '/streamed-greeting', '/rendered-greeting'] as const

const stacks: readonly (readonly [string, () => Stack])[] = [
  ['koa-session', () => sessions()],
  ['koa-session, rolling', () => sessions({ rolling: true, renew: true })],
  ['koa-session with a store', storedSessions],
  ['koa-passport', () => passports],
  ['@koa/cors, morgan, koa-helmet and koa-session', () => (app) => [...others, ...sessions()(app)]],
  ['all of them with koa-passport', () => (app) => [...others, ...passports(app)]],
]

describe.each([
  ['Koa 2', Koa2],
  ['Koa 3', Koa3],
])('%s', (_, Koa) => {
  interface Spec {
    readonly stack: Stack
    readonly first?: 'cache'
    readonly cache?: CacheOptions
  }

  function boot({ stack, first, cache = {} }: Spec): Promise<Served> {
    const app = new Koa()
    app.keys = ['k']
    const sluice = createSluice()
    const cached = sluice.cache({ ttl: '1m', ...cache })
    const middleware = [...stack(app), body]
    for (const one of first === 'cache' ? [cached, ...middleware] : [...middleware, cached]) app.use(one)
    app.use(handle)
    return serve(app.callback(), () => sluice.close())
  }

  describe.each(stacks)('%s', (_, stack) => {
    test.each(['middleware', 'cache'] as const)('%s first: pages that nobody shapes hit', async (first) => {
      const app = await boot({ stack: stack(), ...(first === 'cache' && { first }) })
      for (const page of open) await expectHits(app, page)
    })

    test.each(['middleware', 'cache'] as const)('%s first: who has signed in has his own', async (first) => {
      for (const page of greeting) {
        const app = await boot({ stack: stack(), ...(first === 'cache' && { first }) })
        await expectGreetings(app, page)
      }
    })

    test('cookies of others do not cost the hits', async () => {
      const app = await boot({ stack: stack() })
      for (const page of open) await expectHitsWithAnalytics(app, page)
      const cookies = ['koa.sess', 'koa.sess.sig']
      const named = await boot({ stack: stack(), first: 'cache', cache: { cookies } })
      for (const page of [...open, ...greeting]) await expectHitsWithAnalytics(named, page)
      await expectGreetings(named, '/greeting')
    })
  })

  class Private {
    #name: string
    constructor(name: string) {
      this.#name = name
    }
    get user(): { name: string } | undefined {
      return this.#name === 'visitor' ? undefined : { name: this.#name }
    }
    get name(): string {
      return this.#name
    }
  }

  const whoAsks = (ctx: Context): string => ctx.get('x-who') || 'visitor'
  const strange: readonly (readonly [string, (ctx: Asked) => void, (ctx: Asked) => string])[] = [
    [
      'a frozen state',
      (ctx) => {
        ctx.state = Object.freeze({ name: whoAsks(ctx) })
      },
      (ctx) => ctx.state.name,
    ],
    [
      'a sealed state',
      (ctx) => {
        ctx.state = Object.seal({ name: whoAsks(ctx) })
      },
      (ctx) => ctx.state.name,
    ],
    [
      'a state of a class',
      (ctx) => {
        ctx.state = new Private(whoAsks(ctx)) as never
      },
      (ctx) => ctx.state.name,
    ],
    [
      'a frozen user in the state',
      (ctx) => {
        ctx.state.user = Object.freeze({ name: whoAsks(ctx) })
      },
      (ctx) => ctx.state.user.name,
    ],
    [
      'a session of a class',
      (ctx) => {
        ctx.session = new Private(whoAsks(ctx)) as never
      },
      (ctx) => ctx.session?.user?.name ?? 'visitor',
    ],
    [
      'a fixed user of the context',
      (ctx) => void Object.defineProperty(ctx, 'user', { value: { name: whoAsks(ctx) } }),
      (ctx) => ctx.user.name,
    ],
    [
      'a fixed getter on the request',
      (ctx) => {
        const name = whoAsks(ctx)
        Object.defineProperty(ctx.request, 'user', { get: () => (name === 'visitor' ? undefined : { name }) })
      },
      (ctx) => (ctx.request as unknown as Asked).user?.name ?? 'visitor',
    ],
  ]
  test.each(strange)('%s: works as without a cache, and never leaks', async (_, put, read) => {
    const app = new Koa()
    const sluice = createSluice()
    app.use((ctx: Asked, next: Next) => {
      put(ctx)
      return next()
    })
    app.use(sluice.cache('1m'))
    app.use((ctx: Asked) => {
      ctx.body = read(ctx)
    })
    const served = await serve(app.callback(), () => sluice.close())
    for (const who of ['alice', 'bob', undefined, 'alice', undefined, 'bob']) {
      const answer = await served.visitor().get('/', who === undefined ? {} : { 'x-who': who })
      expect([answer.status, answer.text]).toEqual([200, who ?? 'visitor'])
    }
  })
})
