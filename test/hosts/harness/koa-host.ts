import { Readable } from 'node:stream'
import Router from '@koa/router'
import { createSluice } from '@sluice/koa'
import Koa3, { type Context, type Middleware } from 'koa'
import Koa2 from 'koa2'
import { type AppSpec, type Limits, openDoor, type Route, type Step } from './app.ts'
import type { Booted, HostKind } from './host.ts'
import { serverOf } from './server.ts'
import { type Answering, asBuffer } from './steps.ts'

export const koa2Host: HostKind = {
  name: 'Koa 2',
  framework: 'koa',
  boot: (spec, clock) => boot(Koa2 as unknown as typeof Koa3, spec, clock),
}

export const koa3Host: HostKind = {
  name: 'Koa 3',
  framework: 'koa',
  boot: (spec, clock) => boot(Koa3, spec, clock),
}

async function boot(Koa: typeof Koa3, spec: AppSpec, clock: Parameters<HostKind['boot']>[1]): Promise<Booted> {
  const sluice = createSluice({ ...spec.sluice, clock })
  const app = new Koa()
  // The default handler answers; this one would also print.
  app.silent = true
  app.proxy = spec.proxy ?? false
  const { failed } = spec
  if (failed) app.use((ctx, next) => next().catch((error) => failed(context(ctx), error)))
  if (spec.compress) app.use(sluice.compress(spec.compress))
  for (const middleware of limitsOf(sluice, spec)) app.use(middleware)
  if (spec.door?.behindParsers) app.use(parseBody)
  if (spec.door) {
    const door = openDoor(sluice, spec.door, '/ops')
    app.use(door.koa)
    if (spec.door.purge && door.purge) app.use(door.purge.koa)
  }
  if (!spec.door?.behindParsers) app.use(parseBody)
  for (const step of spec.use ?? []) app.use(asMiddleware(step))
  const router = new Router({ methods: [...new Set(['HEAD', ...spec.routes.map((route) => route.method ?? 'GET')])] })
  for (const route of spec.routes) {
    const method = route.method ?? 'GET'
    router.register(route.path, method === 'GET' ? ['HEAD', 'GET'] : [method], chainOf(route, sluice) as never[])
  }
  app.use(router.routes() as unknown as Middleware)
  return { server: serverOf(spec, spec.front ? app : app.callback(), sluice), sluice }
}

function chainOf(route: Route, sluice: ReturnType<typeof createSluice>): Middleware[] {
  return [
    ...limitsOf(sluice, route),
    ...(route.exempt ? [sluice.exempt()] : []),
    ...(route.before ?? []).map(asMiddleware),
    ...(route.limitUser ? [sluice.limit(...route.limitUser)] : []),
    ...(route.fields?.store === 'whole' ? [sluice.fields(route.fields)] : []),
    ...(route.cache ? [sluice.cache(route.cache)] : []),
    ...(route.condition ? [sluice.condition(route.condition)] : []),
    ...(route.invalidate ? [sluice.invalidate(...route.invalidate)] : []),
    ...(route.fields && route.fields.store !== 'whole' ? [sluice.fields(route.fields)] : []),
    ...(route.paginate ? [sluice.paginate(route.paginate)] : []),
    ...(route.limitMisses ? [sluice.limit(...route.limitMisses)] : []),
    ...(route.between ?? []).map(asMiddleware),
    asMiddleware(route.handler),
  ]
}

function limitsOf(sluice: ReturnType<typeof createSluice>, { shed, limit, limitPer }: Limits): Middleware[] {
  return [
    ...(shed ? [sluice.shed(shed)] : []),
    ...(limit ? [limitPer ? sluice.limit(...limit).per(limitPer) : sluice.limit(...limit)] : []),
  ]
}

/** What koa-bodyparser does. */
const parseBody: Middleware = async (ctx, next) => {
  if (Number(ctx.req.headers['content-length'] ?? 0) > 0) {
    const chunks: Buffer[] = []
    for await (const chunk of ctx.req) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const { request } = ctx as { request: { body?: unknown } }
    request.body = ctx.req.headers['content-type']?.includes('json') ? JSON.parse(text) : text
  }
  await next()
}

const asMiddleware =
  (step: Step): Middleware =>
  async (ctx, next) => {
    const c = context(ctx)
    await step(c)
    if (!c.answered) await next()
  }

function context(ctx: Context): Answering {
  return {
    answered: false,
    get method() {
      return ctx.method
    },
    get path() {
      return ctx.path
    },
    // `ctx.get` answers '' for what is absent.
    header: (name) => (name.toLowerCase() in ctx.headers ? ctx.get(name) : undefined),
    headers: () => ({ ...ctx.headers }),
    cookie: (name) => ctx.cookies.get(name),
    get query() {
      return ctx.query
    },
    get params() {
      return ctx.params as Record<string, string>
    },
    get user() {
      return ctx.state.user
    },
    set user(user) {
      ctx.state.user = user
    },
    get session() {
      return ctx.session
    },
    set session(session) {
      ctx.session = session
    },
    get ip() {
      return ctx.ip
    },
    set: (name, value) => ctx.set(name, value as string),
    append: (name, value) => ctx.append(name, value),
    remove: (name) => ctx.remove(name),
    status(code) {
      ctx.status = code
      return this
    },
    send(body) {
      this.answered = true
      if (body === undefined) {
        const { status } = ctx
        ctx.body = null
        ctx.status = status === 404 && !isExplicit(ctx) ? 200 : status
      } else {
        // Of text that begins like a tag Koa makes HTML.
        if (typeof body === 'string' && !ctx.response.get('content-type')) ctx.type = 'text/plain'
        ctx.body = body instanceof Uint8Array ? asBuffer(body) : body
      }
    },
    stream(pieces) {
      this.answered = true
      ctx.body = Readable.from(pieces)
    },
    get sluice() {
      return ctx.sluice
    },
    get page() {
      return ctx.page
    },
    response: ctx.response,
    raw: { req: ctx.req, res: ctx.res },
  }
}

const isExplicit = (ctx: Context): boolean =>
  (ctx.response as unknown as { _explicitStatus?: boolean })._explicitStatus === true
