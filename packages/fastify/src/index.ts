/** Sluice for Fastify 5. */
import {
  createSurface,
  frontAccess,
  type LimitPipeline,
  type Page,
  type Pipeline,
  type ResponseControl,
  type Sluice,
  type SluiceOptions,
} from '@sluice/core'
import { type FrontOptions, type Warmer, warm } from '@sluice/node'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { putInFront } from './front/put-in-front.ts'
import { EarlyRoutes } from './hooks/early-routes.ts'
import { makeOnResponse } from './hooks/on-response.ts'
import { applyPlan, wrapPipeline } from './hooks/on-route.ts'
import { makeOnSend } from './hooks/on-send.ts'
import { FastifyView } from './request/fastify-view.ts'
import { type CodingOptions, CodingStages } from './stages/compress-stage.ts'
import { exchangesKey, exchangesOf } from './stages/exchanges.ts'
import { type LimitHooks, Limiting, type LimitSettings, limitHooks } from './stages/limiting.ts'
import { planRoute, type SluiceRoute } from './stages/route-plan.ts'

export * from '@sluice/core'
export {
  type FrontOptions,
  progressLine,
  type WarmCounts,
  type WarmOptions,
  type WarmProgress,
  type WarmSource,
  type WarmTarget,
  warm,
} from '@sluice/node'
export type { LimitHook, LimitHooks, LimitSettings, RouteLimitSettings } from './stages/limiting.ts'
export type { SluiceRoute } from './stages/route-plan.ts'

/** `app.sluice`: what is not said by a route's `config.sluice`. */
export type FastifySluice = Omit<
  Sluice<Pipeline>,
  'cache' | 'compress' | 'decompress' | 'condition' | 'invalidate' | 'limit' | 'shed' | 'exempt' | 'paginate' | 'fields'
> &
  LimitHooks &
  Warmer

declare module 'fastify' {
  interface FastifyInstance {
    sluice: FastifySluice
  }
  interface FastifyRequest {
    /** The page the client asked for. There where the route's `config.sluice` says `paginate`. */
    page: Page
  }
  interface FastifyReply {
    /** What this handler can say of its own response. On routes without a cache it does nothing. */
    sluice: ResponseControl
  }
  interface FastifyContextConfig {
    sluice?: SluiceRoute | undefined
  }
}

/** The options of the plugin: those of `createSluice`, beside what `register` takes for itself. */
export interface SluicePluginOptions extends SluiceOptions, CodingOptions, LimitSettings {
  /**
   * **What stands in front of a route with `cache: { front: true }` (hooks, authentication, limits, headers) does not run for a hit.**
   * Takes the requests of this application's server, and answers those to such routes from the memory of this process before
   * Fastify has seen them. Injected requests, and the further servers of `listen({ host: 'localhost' })`, go the ordinary way.
   * Default `false`.
   */
  readonly front?: boolean | FrontOptions | undefined
}

const plugin: FastifyPluginAsync<SluicePluginOptions> = async (app, given) => {
  const {
    front,
    compress: compressed,
    decompress: decompressed,
    limit: limited,
    limitPer,
    shed: shedding,
    ...rest
  } = given
  const options: Record<string, unknown> = rest
  // `register` has options of its own in the same object.
  for (const name of ['prefix', 'logLevel', 'logSerializers']) delete options[name]
  const surface = createSurface<Pipeline>(
    options as SluiceOptions,
    mount,
    wrapPipeline,
    (request: FastifyRequest) => new FastifyView(request),
  )
  // What is mounted on a route is said in its `config.sluice`; the rest is `app.sluice`.
  const { cache, compress, decompress, condition, invalidate, paginate, fields, ...imperative } = surface
  const invalidation = invalidate()
  const codings = new CodingStages(surface, { compress: compressed, decompress: decompressed })
  const limiting = new Limiting(surface, { limit: limited, limitPer, shed: shedding })
  app.decorate('sluice', { ...imperative, ...limitHooks(surface), warm })
  app.decorateReply(exchangesKey as never, null as never)
  // An application that has a `page` of its own keeps it on its other routes.
  if (!app.hasRequestDecorator('page')) app.decorateRequest('page', null as never)
  app.decorateReply('sluice', {
    getter(this: FastifyReply) {
      return exchangesOf(this)?.control ?? idle
    },
  } as never)
  const early = new EarlyRoutes()
  app.addHook('onRoute', (route) => {
    applyPlan(route, planRoute(route, { cache, condition, invalidate, paginate, fields }, codings, limiting), () =>
      makeOnResponse(invalidation),
    )
    early.heard(route)
  })
  if (limiting.onRequest) app.addHook('onRequest', limiting.onRequest)
  if (limiting.preHandler) app.addHook('preHandler', limiting.preHandler)
  app.addHook('onSend', makeOnSend(invalidation, early) as never)
  app.addHook('onClose', () => surface.close())
  if (front) putInFront(app, frontAccess(surface), front === true ? {} : front)
}

/** An object of its own: the surface puts members of its own on what this answers. */
const mount = (pipeline: Pipeline & Partial<LimitPipeline>): Pipeline => {
  const { name, phase, phaseGiven } = pipeline
  return { ...(phase && { phase, phaseGiven }), name, open: (view) => pipeline.open(view) } as Pipeline
}

/** What a handler says of a response that nobody stores. */
const idle: ResponseControl = Object.freeze({ ttl() {}, tag() {}, skip() {} })

/**
 * The plugin. Register it, and wait for it, before the routes it is for and before plugins that change payloads in
 * `onSend` hooks (compression): what these do is then done to stored answers as to others.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import sluice from '@sluice/fastify'
 *
 * const app = Fastify()
 * await app.register(sluice, { cache: { maxBytes: '128mb' } })
 * app.get('/cities', { config: { sluice: { cache: '5m', tags: ['cities'] } } }, async () => [{ id: 1, name: 'Oslo' }])
 * app.post('/cities', { config: { sluice: { invalidates: 'cities' } } }, async (request) => save(request.body))
 * await app.listen({ port: 3000 })
 * ```
 */
const sluice: FastifyPluginAsync<SluicePluginOptions> = fastifyPlugin(plugin, {
  fastify: '5.x',
  name: '@sluice/fastify',
})

export default sluice
export type { FastifyInstance }
