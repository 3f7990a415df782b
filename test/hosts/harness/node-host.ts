import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSluice, pageOf, type ResponseControl } from '@sluice/node'
import { type AppSpec, type Limits, openDoor, type Route, type Step } from './app.ts'
import type { Booted, HostKind } from './host.ts'
import { serverOf } from './server.ts'
import { type Answering, cookieIn, typed, writePieces } from './steps.ts'

type Req = IncomingMessage & { params?: Record<string, string>; user?: unknown; session?: unknown; body?: unknown }
type Res = ServerResponse & { sluice?: ResponseControl }
type Middleware = (req: Req, res: Res, next: (error?: unknown) => void) => void

/** Plain node:http, with the smallest router that can be called one. */
export const nodeHost: HostKind = {
  name: 'node:http',
  framework: 'node',
  async boot(spec, clock): Promise<Booted> {
    const sluice = createSluice({ ...spec.sluice, clock })
    const limits = limitsOf(sluice, spec)
    const door = spec.door && openDoor(sluice, spec.door, '/ops')
    const doors = door ? [door, ...(spec.door?.purge && door.purge ? [door.purge] : [])] : []
    const unmatched = [...limits, ...doors, ...(spec.use ?? []).map(asMiddleware)]
    const routes = spec.routes.map((route) => ({
      route,
      pattern: compile(route.path),
      chain: [...limits, ...chainOf(spec, route, sluice)],
    }))
    const listener = (req: Req, res: Res): unknown => {
      const path = (req.url ?? '/').split('?', 1)[0]!
      const method = req.method === 'HEAD' ? 'GET' : req.method
      for (const { route, pattern, chain } of routes) {
        const params = pattern(path)
        if (!params || (route.method ?? 'GET') !== method) continue
        req.params = params
        return run(chain, req, res)
      }
      return run(unmatched, req, res)
    }
    const parsed = (req: Req, res: Res): void => {
      const isFirst = door && !spec.door?.behindParsers && req.url!.startsWith('/ops')
      if (isFirst || Number(req.headers['content-length'] ?? 0) === 0) {
        listener(req, res)
        return
      }
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        req.body = req.headers['content-type']?.includes('json') ? JSON.parse(text) : text
        listener(req, res)
      })
    }
    return { server: serverOf(spec, parsed, sluice), sluice }
  },
}

function chainOf(spec: AppSpec, route: Route, sluice: ReturnType<typeof createSluice>): Middleware[] {
  return [
    ...(spec.compress ? [sluice.compress(spec.compress) as Middleware] : []),
    ...(spec.use ?? []).map(asMiddleware),
    ...limitsOf(sluice, route),
    ...(route.exempt ? [sluice.exempt() as Middleware] : []),
    ...(route.before ?? []).map(asMiddleware),
    ...(route.limitUser ? [sluice.limit(...route.limitUser) as Middleware] : []),
    ...(route.fields?.store === 'whole' ? [sluice.fields(route.fields) as Middleware] : []),
    ...(route.cache ? [sluice.cache(route.cache) as Middleware] : []),
    ...(route.condition ? [sluice.condition(route.condition) as Middleware] : []),
    ...(route.invalidate ? [sluice.invalidate(...route.invalidate) as Middleware] : []),
    ...(route.fields && route.fields.store !== 'whole' ? [sluice.fields(route.fields) as Middleware] : []),
    ...(route.paginate ? [sluice.paginate(route.paginate) as Middleware] : []),
    ...(route.limitMisses ? [sluice.limit(...route.limitMisses) as Middleware] : []),
    ...(route.between ?? []).map(asMiddleware),
    asMiddleware(route.handler),
  ]
}

function limitsOf(sluice: ReturnType<typeof createSluice>, { shed, limit, limitPer }: Limits): Middleware[] {
  return [
    ...(shed ? [sluice.shed(shed) as Middleware] : []),
    ...(limit ? [(limitPer ? sluice.limit(...limit).per(limitPer) : sluice.limit(...limit)) as Middleware] : []),
  ]
}

function run(chain: readonly Middleware[], req: Req, res: Res): void {
  const next = (at: number, error?: unknown): void => {
    if (error !== undefined) {
      fail(res, error)
      return
    }
    const middleware = chain[at]
    if (!middleware) {
      res.statusCode = 404
      res.end('not found')
      return
    }
    try {
      middleware(req, res, (e) => next(at + 1, e))
    } catch (thrown) {
      fail(res, thrown)
    }
  }
  next(0)
}

function fail(res: Res, error: unknown): void {
  if (res.headersSent) {
    res.destroy()
    return
  }
  res.statusCode = Number((error as { status?: number }).status ?? 500)
  res.end('failed')
}

const asMiddleware =
  (step: Step): Middleware =>
  (req, res, next) => {
    const c = context(req, res)
    Promise.resolve()
      .then(() => step(c))
      .then(() => c.answered || next())
      .catch(next)
  }

function context(req: Req, res: Res): Answering {
  return {
    answered: false,
    method: req.method!,
    path: req.url!.split('?', 1)[0]!,
    header: (name) => req.headers[name.toLowerCase()] as string | undefined,
    headers: () => ({ ...req.headers }),
    cookie: (name) => cookieIn(req.headers.cookie, name),
    get query() {
      return Object.fromEntries(new URLSearchParams(req.url!.split('?')[1] ?? ''))
    },
    get params() {
      return req.params ?? {}
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
      return req.socket.remoteAddress
    },
    set: (name, value) => void res.setHeader(name, value as string),
    append: (name, value) => void res.appendHeader(name, value),
    remove: (name) => res.removeHeader(name),
    status(code) {
      res.statusCode = code
      return this
    },
    send(body) {
      this.answered = true
      if (body === undefined) return void res.end()
      const { type, body: bytes } = typed(body)
      if (!res.hasHeader('content-type')) res.setHeader('content-type', type)
      res.end(bytes)
    },
    stream(pieces) {
      this.answered = true
      return writePieces(res, pieces)
    },
    get sluice() {
      return res.sluice!
    },
    get page() {
      return pageOf(req)
    },
    response: res,
    raw: { req, res },
  }
}

/** `/a/:id` as a function from a path to the parameters. */
function compile(pattern: string): (path: string) => Record<string, string> | undefined {
  const parts = pattern.split('/')
  return (path) => {
    const given = path.split('/')
    if (given.length !== parts.length) return undefined
    const params: Record<string, string> = {}
    for (const [i, part] of parts.entries()) {
      if (part.startsWith(':')) params[part.slice(1)] = given[i]!
      else if (part !== given[i]) return undefined
    }
    return params
  }
}
