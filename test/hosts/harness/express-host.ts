import { createSluice } from '@sluice/express'
import express5, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express'
import express4 from 'express4'
import { type AppSpec, type Limits, openDoor, type Step } from './app.ts'
import type { Booted, HostKind } from './host.ts'
import { serverOf } from './server.ts'
import { type Answering, asBuffer, cookieIn, writePieces } from './steps.ts'

export const express4Host: HostKind = {
  name: 'Express 4',
  framework: 'express',
  boot: (spec, clock) => boot(express4 as unknown as typeof express5, spec, clock),
}

export const express5Host: HostKind = {
  name: 'Express 5',
  framework: 'express',
  boot: (spec, clock) => boot(express5, spec, clock),
}

async function boot(express: typeof express5, spec: AppSpec, clock: Parameters<HostKind['boot']>[1]): Promise<Booted> {
  const sluice = createSluice({ ...spec.sluice, clock })
  const app: Express = express()
  app.disable('x-powered-by')
  if (spec.proxy) app.set('trust proxy', true)
  if (spec.compress) app.use(sluice.compress(spec.compress))
  app.use(...limitsOf(sluice, spec))
  const parsers = [express.json(), express.text({ type: 'text/*' })]
  if (spec.door?.behindParsers) app.use(...parsers)
  if (spec.door) {
    const door = openDoor(sluice, spec.door)
    app.use('/ops', door)
    if (spec.door.purge && door.purge) app.use(door.purge)
  }
  if (!spec.door?.behindParsers) app.use(...parsers)
  for (const step of spec.use ?? []) app.use(asHandler(step))
  for (const route of spec.routes) {
    const chain: RequestHandler[] = [
      ...limitsOf(sluice, route),
      ...(route.exempt ? [sluice.exempt()] : []),
      ...(route.before ?? []).map(asHandler),
      ...(route.limitUser ? [sluice.limit(...route.limitUser)] : []),
      ...(route.fields?.store === 'whole' ? [sluice.fields(route.fields)] : []),
      ...(route.cache ? [sluice.cache(route.cache)] : []),
      ...(route.condition ? [sluice.condition(route.condition)] : []),
      ...(route.invalidate ? [sluice.invalidate(...route.invalidate)] : []),
      ...(route.fields && route.fields.store !== 'whole' ? [sluice.fields(route.fields)] : []),
      ...(route.paginate ? [sluice.paginate(route.paginate)] : []),
      ...(route.limitMisses ? [sluice.limit(...route.limitMisses)] : []),
      ...(route.between ?? []).map(asHandler),
      asHandler(route.handler),
    ]
    const method = (route.method ?? 'GET').toLowerCase() as 'get'
    app[method](route.path, ...chain)
  }
  const { failed: own } = spec
  const failed: ErrorRequestHandler = (error, req, res, _next) => {
    if (res.headersSent) res.destroy()
    else if (own) void own(context(req, res), error)
    else res.status(error.status ?? 500).send('failed')
  }
  // Without one of its own Express prints what it is not told to keep quiet.
  if (own === false) app.set('env', 'test')
  else app.use(failed)
  return { server: serverOf(spec, app, sluice), sluice, express: app }
}

function limitsOf(sluice: ReturnType<typeof createSluice>, { shed, limit, limitPer }: Limits): RequestHandler[] {
  return [
    ...(shed ? [sluice.shed(shed)] : []),
    ...(limit ? [limitPer ? sluice.limit(...limit).per(limitPer) : sluice.limit(...limit)] : []),
    // `app.use()` wants at least one.
    (_req, _res, next) => next(),
  ]
}

const asHandler =
  (step: Step): RequestHandler =>
  (req, res, next) => {
    const c = context(req, res)
    Promise.resolve()
      .then(() => step(c))
      .then(() => c.answered || next())
      .catch(next)
  }

type WithIdentity = Request & { user?: unknown; session?: unknown }

function context(req: WithIdentity, res: Response): Answering {
  return {
    answered: false,
    get method() {
      return req.method
    },
    get path() {
      return req.path
    },
    header: (name) => req.get(name),
    headers: () => ({ ...req.headers }),
    cookie: (name) => cookieIn(req.headers.cookie, name),
    get query() {
      return req.query
    },
    get params() {
      return req.params as Record<string, string>
    },
    get user() {
      return req.user
    },
    set user(user) {
      req.user = user
    },
    get session() {
      return req.session
    },
    set session(session) {
      req.session = session
    },
    get ip() {
      return req.ip
    },
    set: (name, value) => void res.setHeader(name, value as string),
    append: (name, value) => void res.append(name, value),
    remove: (name) => res.removeHeader(name),
    status(code) {
      res.status(code)
      return this
    },
    send(body) {
      this.answered = true
      if (body === undefined) res.end()
      else if (body instanceof Uint8Array) res.send(asBuffer(body))
      else if (typeof body === 'string') {
        if (!res.hasHeader('content-type')) res.type('text/plain')
        res.send(body)
      } else res.json(body)
    },
    stream(pieces) {
      this.answered = true
      return writePieces(res, pieces)
    },
    get sluice() {
      return res.sluice
    },
    get page() {
      return req.page
    },
    response: res,
    raw: { req, res },
  }
}
