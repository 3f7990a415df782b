import type { Server } from 'node:http'
import { Readable } from 'node:stream'
import sluice from '@sluice/fastify'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type AppSpec, type Limits, openDoor, type Route, type Step } from './app.ts'
import { testCertificate } from './certificate.ts'
import type { Booted, HostKind } from './host.ts'
import { type Answering, asBuffer, cookieIn } from './steps.ts'

/** Here the look-up comes behind every hook, so that `before` and `between` both run in front of it. */
export const fastifyHost: HostKind = {
  name: 'Fastify 5',
  framework: 'fastify',
  async boot(spec, clock): Promise<Booted> {
    const app = fastify({
      forceCloseConnections: true,
      trustProxy: spec.proxy ?? false,
      ...(spec.http2 ? { http2: true as never } : {}),
      ...(spec.http2 === 'secure' ? { https: testCertificate as never } : {}),
    }) as FastifyInstance
    await app.register(sluice, { ...spec.sluice, ...limitsOf(spec), ...frontOf(spec), clock })
    const { failed } = spec
    if (failed) app.setErrorHandler((error, request, reply) => void failed(context(request, reply), error))
    app.decorateRequest('user', null)
    app.decorateRequest('session', null as never)
    app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
    if (spec.door) {
      const door = openDoor(app.sluice, spec.door)
      await app.register(door.fastify, { prefix: '/ops' })
      if (spec.door.purge && door.purge) await app.register(door.purge.fastify)
    }
    for (const step of spec.use ?? []) app.addHook('onRequest', asHook(step))
    for (const route of spec.routes) addRoute(app, route)
    await app.ready()
    return { server: app.server as Server, sluice: app.sluice, close: () => app.close(), fastify: app }
  },
}

function frontOf({ front, compress }: AppSpec): Pick<AppSpec, 'front' | 'compress'> {
  return { ...(front && { front }), ...(compress && { compress }) }
}

function addRoute(app: FastifyInstance, route: Route): void {
  const method = route.method ?? 'GET'
  if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  const { cache, condition, invalidate, paginate, fields, limitUser, limitMisses, exempt } = route
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    await route.handler(context(request, reply))
    return reply
  }
  app.route({
    method,
    url: route.path,
    config: {
      sluice: {
        ...limitsOf(limitUser ? { limit: limitUser } : route),
        ...(exempt ? { exempt } : {}),
        ...(cache ? { cache } : {}),
        ...(condition ? { condition } : {}),
        ...(paginate ? { paginate } : {}),
        ...(fields ? { fields } : {}),
        ...(invalidate ? { invalidates: invalidate } : {}),
      },
    },
    onRequest: (route.before ?? []).map(asHook),
    preHandler: (route.between ?? []).map(asHook),
    handler: limitMisses ? app.sluice.limited(...limitMisses)(handler) : handler,
  })
}

/** Without the members that say nothing: `register` does not tell these from mistakes. */
function limitsOf({ shed, limit, limitPer }: Limits): Limits {
  return { ...(shed && { shed }), ...(limit && { limit }), ...(limitPer && { limitPer }) }
}

const asHook = (step: Step) => async (request: FastifyRequest, reply: FastifyReply) => {
  const c = context(request, reply)
  await step(c)
  return c.answered ? reply : undefined
}

type WithIdentity = FastifyRequest & { user?: unknown; session?: unknown }

function context(request: WithIdentity, reply: FastifyReply): Answering {
  return {
    answered: false,
    method: request.method,
    path: request.url.split('?', 1)[0]!,
    header: (name) => request.headers[name.toLowerCase()] as string | undefined,
    headers: () => ({ ...request.headers }),
    cookie: (name) => cookieIn(request.headers.cookie, name),
    get query() {
      return request.query as Record<string, unknown>
    },
    get params() {
      return request.params as Record<string, string>
    },
    get user() {
      return request.user
    },
    set user(user) {
      request.user = user
    },
    get session() {
      return request.session
    },
    set session(session) {
      request.session = session
    },
    get ip() {
      return request.ip
    },
    set: (name, value) => void reply.header(name, value),
    append(name, value) {
      const there = reply.getHeader(name)
      if (there === undefined || name.toLowerCase() === 'set-cookie') reply.header(name, value)
      else reply.header(name, [there, value].flat())
    },
    remove: (name) => void reply.removeHeader(name),
    status(code) {
      reply.status(code)
      return this
    },
    send(body) {
      this.answered = true
      reply.send(body instanceof Uint8Array ? asBuffer(body) : body)
    },
    stream(pieces) {
      this.answered = true
      reply.send(Readable.from(pieces))
    },
    get sluice() {
      return reply.sluice
    },
    get page() {
      return request.page
    },
    response: reply,
    raw: { req: request.raw, res: reply.raw },
  }
}
