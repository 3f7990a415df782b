import { createReadStream } from 'node:fs'
import path from 'node:path'
import { Readable, Writable } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import { type CacheOptions, createSluice, type SluiceOptions } from '@sluice/express'
import cookieParser from 'cookie-parser'
import cookieSession from 'cookie-session'
import cors from 'cors'
import ejs from 'ejs'
import express5, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express'
import session from 'express-session'
import express4 from 'express4'
import helmet from 'helmet'
import i18next from 'i18next'
import * as i18nextMiddleware from 'i18next-http-middleware'
import morgan from 'morgan'
import passport from 'passport'
import passportLocal from 'passport-local'
import { pinoHttp } from 'pino-http'
import { closeServed, expectGreetings, expectHits, expectHitsWithAnalytics, type Served, serve } from './visitors.ts'

closeServed()

type Asked = Request & {
  session?: { user?: { name: string }; views?: number } & Record<string, unknown>
  user?: { name: string }
  isAuthenticated?(): boolean
}

const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
const files = path.join(import.meta.dirname, 'files')

const sessions = (options = {}): RequestHandler[] => [
  session({ secret: 's', resave: false, saveUninitialized: false, ...options }),
]
const cookieSessions = (): RequestHandler[] => [cookieSession({ keys: ['k'] })]

function passports(): RequestHandler[] {
  const auth = new passport.Passport()
  auth.use(
    new passportLocal.Strategy((name: string, _password: string, done: (error: null, user: object) => void) =>
      done(null, { name }),
    ),
  )
  auth.serializeUser((user: { name: string }, done: (error: null, id: string) => void) => done(null, user.name))
  auth.deserializeUser((name: string, done: (error: null, user: object) => void) => done(null, { name }))
  const login = auth.authenticate('local')
  return [
    ...sessions(),
    auth.initialize(),
    auth.session(),
    express5.json(),
    (req, res, next) => (req.method === 'POST' ? login(req, res, next) : next()),
  ]
}

function translations(): RequestHandler[] {
  const i18n = i18next.createInstance()
  void i18n.use(i18nextMiddleware.LanguageDetector).init({ fallbackLng: 'en', preload: ['en', 'de'], resources: {} })
  return [i18nextMiddleware.handle(i18n) as unknown as RequestHandler]
}

const others = (): RequestHandler[] => [
  cors({ origin: true, credentials: true }),
  morgan('combined', { stream: nowhere }),
  helmet(),
  cookieParser('c'),
]
/** Writes down the whole request when it comes, so in front of a cache is its place. */
const pino = (): RequestHandler[] => [pinoHttp({ stream: nowhere } as never) as unknown as RequestHandler]

/** Who asks, wherever the middleware at hand has left him. */
const nameOf = (req: Asked): string => req.user?.name ?? req.session?.user?.name ?? 'visitor'

function pages(app: Express, between: RequestHandler = (_req, _res, next) => next()): void {
  app.engine('ejs', ejs.renderFile)
  app.set('views', files)
  app.set('view engine', 'ejs')
  app.post('/login', express5.json(), (req: Asked, res) => {
    const name = req.body.username as string
    if (!req.user) req.session!.user = { name }
    res.send(`signed in ${name}`)
  })
  app.use(between)
  app.get('/plain', (_req, res) => void res.json({ hello: 'everybody' }))
  app.get('/greeting', (req, res) => void res.send(`hello ${nameOf(req)}`))
  app.get('/whether', (req: Asked, res) => {
    const signedIn = req.isAuthenticated ? req.isAuthenticated() : req.session?.user !== undefined
    res.send(`hello ${signedIn ? nameOf(req) : 'visitor'}`)
  })
  app.get('/stream', (_req, res) => void Readable.from(['hello ', 'everybody']).pipe(res))
  app.get('/streamed-greeting', (req, res) => void Readable.from(['hello ', nameOf(req)]).pipe(res))
  app.get('/sent', (_req, res) => res.sendFile(path.join(files, 'page.txt'), { maxAge: '1m' }))
  app.get('/piped', (_req, res) => void createReadStream(path.join(files, 'page.txt')).pipe(res))
  app.get('/rendered', (_req, res) => res.render('everybody', { title: 'hello' }))
  app.get('/rendered-greeting', (req: Asked, res) => {
    if (nameOf(req) !== 'visitor') res.locals.user = { name: nameOf(req) }
    res.render('greeting')
  })
  app.use('/files', express5.static(files, { maxAge: '1m' }))
}

const open = ['/plain', '/stream', '/sent', '/piped', '/files/page.txt', '/rendered'] as const
const greeting = ['/greeting', '/whether', '/streamed-greeting', '/rendered-greeting'] as const

const stacks: readonly (readonly [string, () => RequestHandler[]])[] = [
  ['express-session', () => sessions()],
  ['express-session, rolling and resaving', () => sessions({ rolling: true, resave: true })],
  ['cookie-session', cookieSessions],
  ['passport', passports],
  ['cors, morgan, helmet, pino-http, cookie-parser and express-session', () => [...others(), ...sessions()]],
  ['all of them with passport', () => [...others(), ...passports()]],
]

describe.each([
  ['Express 4', express4 as unknown as typeof express5],
  ['Express 5', express5],
])('%s', (_, express) => {
  interface Spec {
    readonly stack: readonly RequestHandler[]
    readonly first?: 'cache'
    readonly cache?: CacheOptions
    readonly options?: SluiceOptions
    readonly between?: RequestHandler
  }

  function boot({ stack, first, cache = {}, options, between }: Spec): Promise<Served> {
    const app: Express = express()
    const sluice = createSluice(options)
    const cached = sluice.cache({ ttl: '1m', ...cache })
    if (first === 'cache') app.use(cached, ...stack)
    else app.use(...stack, cached)
    pages(app, between)
    app.use((error: Error, _req: Request, res: Response, _next: NextFunction) => void res.status(500).send(error.stack))
    return serve(app, () => sluice.close())
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
      const named = await boot({
        stack: stack(),
        first: 'cache',
        cache: { cookies: ['connect.sid', 'session', 'session.sig'] },
      })
      for (const page of [...open, ...greeting]) await expectHitsWithAnalytics(named, page)
      await expectGreetings(named, '/greeting')
    })
  })

  test('what belongs in front of a cache: a logger that writes down the request, translations', async () => {
    const ignore = ['req.t', 'req.i18n', 'res.locals.t', 'res.locals.exists', 'res.locals.i18n']
    const stack = [...pino(), ...translations(), ...sessions()]
    const app = await boot({ stack, cache: { guard: { ignore } } })
    for (const page of open) await expectHits(app, page)
    for (const page of greeting) await expectGreetings(app, page)
  })

  test('a session for everybody: its cookie is each visitor’s own, the page is shared', async () => {
    const app = await boot({ stack: sessions({ saveUninitialized: true }) })
    for (const page of open) {
      const cookies = new Set<string | undefined>()
      for (const cache of ['uri-miss', 'hit', 'hit']) {
        const answer = await app.visitor().get(page)
        expect([page, answer.cache]).toEqual([page, cache])
        expect(answer.header('cache-control') ?? '').not.toMatch(/public/)
        cookies.add(answer.header('set-cookie'))
      }
      expect([page, cookies.size, cookies.has(undefined)]).toEqual([page, 3, false])
    }
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

  const whoAsks = (req: Request): string => req.get('x-who') ?? 'visitor'
  const strange: readonly (readonly [
    string,
    (req: Asked, res: Response) => void,
    (req: Asked, res: Response) => string,
  ])[] = [
    [
      'frozen locals',
      (req, res) => {
        res.locals = Object.freeze({ name: whoAsks(req) })
      },
      (_, res) => res.locals.name,
    ],
    [
      'sealed locals',
      (req, res) => {
        res.locals = Object.seal({ name: whoAsks(req) })
      },
      (_, res) => res.locals.name,
    ],
    [
      'locals of a class',
      (req, res) => {
        res.locals = new Private(whoAsks(req)) as never
      },
      (_, res) => res.locals.name,
    ],
    [
      'a session of a class',
      (req) => {
        req.session = new Private(whoAsks(req)) as never
      },
      (req) => req.session?.user?.name ?? 'visitor',
    ],
    [
      'a user of a class',
      (req) => {
        req.user = new Private(whoAsks(req))
      },
      (req) => req.user!.name,
    ],
    [
      'a frozen session',
      (req) => {
        req.session = Object.freeze({ user: { name: whoAsks(req) } }) as never
      },
      (req) => req.session!.user!.name,
    ],
    [
      'a fixed user',
      (req) => void Object.defineProperty(req, 'user', { value: { name: whoAsks(req) } }),
      (req) => req.user!.name,
    ],
    [
      'a fixed account',
      (req) => void Object.defineProperty(req, 'account', { value: { name: whoAsks(req) } }),
      (req) => (req as unknown as { account: { name: string } }).account.name,
    ],
    [
      'a session with a fixed user',
      (req) => {
        req.session = Object.defineProperty({}, 'user', { value: { name: whoAsks(req) } })
      },
      (req) => req.session!.user!.name,
    ],
    [
      'a user with frozen parts',
      (req) => {
        req.user = { name: 'x', who: Object.freeze({ name: whoAsks(req) }) } as never
      },
      (req) => (req.user as never as { who: { name: string } }).who.name,
    ],
  ]
  test.each(strange)('%s: works as without a cache, and never leaks', async (_, put, read) => {
    const app = express()
    const sluice = createSluice()
    app.use((req, res, next) => {
      put(req, res)
      next()
    }, sluice.cache('1m'))
    app.get('/', (req, res) => void res.send(read(req, res)))
    const served = await serve(app, () => sluice.close())
    for (const who of ['alice', 'bob', undefined, 'alice', undefined, 'bob']) {
      const answer = await served.visitor().get('/', who === undefined ? {} : { 'x-who': who })
      expect([answer.status, answer.text]).toEqual([200, who ?? 'visitor'])
    }
  })
})
