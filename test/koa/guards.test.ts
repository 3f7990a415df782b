import { describe, expect, test } from '@jest/globals'
import Router from '@koa/router'
import { by, createSluice, type KoaSluice } from '@sluice/koa'
import type Koa from 'koa'
import type { Context, Middleware } from 'koa'
import mount from 'koa-mount'
import { createSession } from 'koa-session'
import { type Booted, describeKoa } from './harness.ts'

/** Sends `X-User` of whoever signed in; 401 otherwise. */
interface Guard {
  readonly title: string
  /** What has to be in front of everything: sessions. */
  readonly setUp?: (app: Koa) => void
  readonly guard: Middleware
  readonly as: (app: Booted, user: string) => Promise<Record<string, string>>
}

const users: Record<string, string> = { 'Bearer a': 'alice', 'Bearer b': 'bob' }

const guards: readonly Guard[] = [
  {
    title: 'an Authorization header',
    guard(ctx, next) {
      const user = users[ctx.get('Authorization')]
      if (!user) ctx.throw(401)
      ctx.state.user = { id: user }
      return next()
    },
    as: async (_app, user) => ({ authorization: `Bearer ${user[0]}` }),
  },
  {
    title: 'a header of its own',
    guard(ctx, next) {
      const user = ctx.request.headers['x-api-key']
      if (!user) {
        ctx.status = 401
        return
      }
      ctx.state.user = { id: user }
      return next()
    },
    as: async (_app, user) => ({ 'x-api-key': user }),
  },
  {
    title: 'a signed cookie',
    setUp(app) {
      app.keys = ['secret']
      app.use(async (ctx, next) => {
        if (ctx.path !== '/login') return next()
        ctx.cookies.set('who', String(ctx.query.as), { signed: true })
        ctx.body = 'in'
      })
    },
    guard(ctx, next) {
      const user = ctx.cookies.get('who', { signed: true })
      if (!user) ctx.throw(401)
      ctx.state.user = { id: user }
      return next()
    },
    as: signIn,
  },
  {
    title: 'koa-session in front of everything',
    setUp(app) {
      app.keys = ['secret']
      app.use(createSession({ renew: false }, app as never) as never)
      app.use(login)
    },
    guard: sessionGuard,
    as: signIn,
  },
]

function login(ctx: Context, next: () => Promise<void>): Promise<void> | undefined {
  if (ctx.path !== '/login') return next()
  ctx.session.user = String(ctx.query.as)
  ctx.body = 'in'
  return undefined
}

function sessionGuard(ctx: Context, next: () => Promise<void>): Promise<void> | undefined {
  if (!ctx.session.user) ctx.throw(401)
  ctx.state.user = { id: ctx.session.user }
  return next()
}

async function signIn(app: Booted, user: string): Promise<Record<string, string>> {
  const answer = await app.get(`/login?as=${user}`)
  return {
    cookie: answer
      .lines('set-cookie')
      .map((line) => line.split(';', 1)[0])
      .join('; '),
  }
}

type Place = readonly [title: string, mount: (app: Koa, guard: Middleware, cache: Middleware, say: Middleware) => void]

/** Every place people put a guard, with the cache in front of it and behind it. */
const places: readonly Place[] = [
  ['guard on the application, cache behind it', (app, guard, cache, say) => void app.use(guard).use(cache).use(say)],
  ['cache on the application, guard behind it', (app, guard, cache, say) => void app.use(cache).use(guard).use(say)],
  [
    'guard on the router, cache on the route',
    (app, guard, cache, say) => void app.use(new Router().use(guard).get('/me', cache, say).routes() as never),
  ],
  [
    'cache on the application, guard on the router',
    (app, guard, cache, say) => void app.use(cache).use(new Router().use(guard).get('/me', say).routes() as never),
  ],
  [
    'cache on the router, guard on the route',
    (app, guard, cache, say) => void app.use(new Router().use(cache).get('/me', guard, say).routes() as never),
  ],
  [
    'guard and cache on the route',
    (app, guard, cache, say) => void app.use(new Router().get('/me', guard, cache, say).routes() as never),
  ],
  [
    'cache and guard on the route',
    (app, guard, cache, say) => void app.use(new Router().get('/me', cache, guard, say).routes() as never),
  ],
  [
    'cache on the application, guard in a mounted one',
    (app, guard, cache, say) =>
      void app.use(cache).use(mount('/me', async (ctx, next) => guard(ctx, () => say(ctx, next)))),
  ],
]

describeKoa('authentication is never skipped', (boot) => {
  describe.each(guards)('$title', ({ setUp, guard, as }) => {
    const start = (place: Place[1], cacheOf: (sluice: KoaSluice) => Middleware, say: Middleware) =>
      boot((app) => {
        setUp?.(app)
        place(app, guard, cacheOf(createSluice()), say)
      })

    test.each(places)('%s: nobody gets a stored answer around the guard', async (_, place) => {
      const app = await start(
        place,
        (sluice) => sluice.cache('1m'),
        (ctx) => {
          ctx.body = `for ${ctx.state.user.id}`
        },
      )
      const [alice, bob] = [await as(app, 'alice'), await as(app, 'bob')]
      for (let round = 0; round < 2; round++) {
        expect((await app.get('/me', alice)).text).toBe('for alice')
        expect((await app.get('/me', bob)).text).toBe('for bob')
        expect((await app.get('/me')).status).toBe(401)
        expect((await app.head('/me')).status).toBe(401)
      }
    })

    test.each(places)('%s: nor an answer that is the same for everybody behind the guard', async (_, place) => {
      const app = await start(
        place,
        (sluice) => sluice.cache('1m'),
        (ctx) => {
          ctx.body = 'members only'
        },
      )
      const alice = await as(app, 'alice')
      for (let round = 0; round < 2; round++) {
        expect((await app.get('/me', alice)).text).toBe('members only')
        expect((await app.get('/me')).status).toBe(401)
        expect((await app.get('/me', { cookie: 'forged=1', authorization: 'x' })).status).toBe(401)
      }
    })

    test('behind the guard, by.user stores one answer for each user', async () => {
      let runs = 0
      const app = await start(
        places[0]![1],
        (sluice) => sluice.cache('1m', { varyBy: by.user }),
        (ctx) => {
          runs++
          ctx.body = `for ${ctx.state.user.id}`
        },
      )
      const [alice, bob] = [await as(app, 'alice'), await as(app, 'bob')]
      for (const cache of ['uri-miss', 'hit']) {
        expect(await app.get('/me', alice)).toMatchObject({ cache, text: 'for alice' })
        expect(await app.get('/me', bob)).toMatchObject({ cache, text: 'for bob' })
      }
      expect(runs).toBe(2)
    })
  })
})
