import {
  type LimitPipeline,
  optionError,
  type Pipeline,
  type PolicyInput,
  type ShedOptions,
  type Sluice,
} from '@sluice/core'
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { makeHook } from '../hooks/stage-hook.ts'
import { watchEarlyReads } from './early-reads.ts'
import type { Stage } from './exchanges.ts'

/** What a route says in `config.sluice` of limits, and the plugin for all of them. */
export interface LimitSettings {
  /**
   * The policies requests count against, together or not at all: names from `limits`, rates, or policies in place. Asked
   * in front of the route's own onRequest hooks; behind every hook where a policy's `phase` is `preHandler`.
   */
  limit?: PolicyInput | readonly PolicyInput[] | undefined
  /** `'route'`: each route (pattern and method) has a quota of its own, as `per` in each of the policies. */
  limitPer?: 'route' | undefined
  /** Refuses requests with 503 while this process has more to do than it can. `true`: with the defaults. Default `false`. */
  shed?: boolean | ShedOptions | undefined
}

/** What a route says beside these. */
export interface RouteLimitSettings extends LimitSettings {
  /** `true`: its requests are not limited, by the plugin's `limit` either. Default `false`. */
  exempt?: boolean | undefined
}

/** The stages of a route that come before all others of their phase. */
export interface LimitStages {
  /** Asked in onRequest, in front of the route's own hooks: failed authentication counts too. */
  readonly guards: readonly Stage[]
  /** Asked when every hook has run. */
  readonly late: readonly Stage[]
}

/** A hook as Fastify takes it for onRequest, preValidation and preHandler. */
export type LimitHook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void

type Surface = Pick<Sluice<Pipeline>, 'limit' | 'shed' | 'exempt'>

/** How requests are limited: by what the plugin says for all of them, and by what a route says. */
export class Limiting {
  readonly #surface: Surface
  readonly #shed: readonly Stage[]
  readonly #limit: LimitStages
  /** Whether any route is to be left out of what is for all. */
  #exceptions = false

  /** @throws SluiceError when one of the plugin's options is wrong */
  constructor(surface: Surface, plugins: LimitSettings) {
    this.#surface = surface
    this.#shed = this.#shedding(plugins.shed, undefined)
    this.#limit = this.#limits(plugins, undefined)
  }

  /**
   * The hook that every request passes, made-up paths too. A hook and not a stage of each route, so that it stands where the
   * plugin was registered: what hooks behind it refuse has been counted.
   */
  get onRequest(): LimitHook | undefined {
    const limit = this.#limit.guards
    if (this.#shed.length + limit.length === 0) return undefined
    const all = [...this.#shed, ...limit]
    return makeHook('sluiceLimit', (request) => {
      if (!this.#exceptions) return all
      const own = request.routeOptions.config?.sluice
      if (own?.exempt !== true && own?.shed === undefined) return all
      return [...(own.shed === undefined ? this.#shed : []), ...(own.exempt === true ? [] : limit)]
    })
  }

  /** Of a limit for all that is asked late: made-up paths have no handler to stand in front of. */
  get preHandler(): LimitHook | undefined {
    const { late } = this.#limit
    return late.length ? makeHook('sluiceLimit', (request) => (request.is404 ? late : [])) : undefined
  }

  /** @throws SluiceError when one of the route's options is wrong */
  stages(route: RouteOptions): LimitStages {
    const own: RouteLimitSettings = route.config?.sluice ?? {}
    const { exempt = false, limit, shed } = own
    if (typeof exempt !== 'boolean') throw optionError('exempt', 'must be true or false', exempt)
    if (exempt && limit !== undefined) throw optionError('exempt', 'must not stand beside `limit`', exempt)
    if (exempt || shed !== undefined) this.#exceptions = true
    const shedding = this.#shedding(shed, route.url)
    // Also for limits that stand in front of the handler itself.
    if (exempt) return { guards: [...shedding, stageOf(this.#surface.exempt(), route.url)], late: [] }
    const { guards, late } = this.#limits(own, route)
    return { guards: [...shedding, ...guards], late: [...this.#limit.late, ...late] }
  }

  #shedding(given: LimitSettings['shed'], url: string | undefined): readonly Stage[] {
    if (given === undefined || given === false) return []
    if (given !== true && (typeof given !== 'object' || given === null || Array.isArray(given))) {
      throw optionError('shed', 'must be true, false or an object of options', given)
    }
    return [stageOf(this.#surface.shed(given === true ? undefined : given), url)]
  }

  #limits({ limit, limitPer }: LimitSettings, route: RouteOptions | undefined): LimitStages {
    if (limitPer !== undefined && limitPer !== 'route') throw optionError('limitPer', "must be 'route'", limitPer)
    if (limit === undefined) {
      if (limitPer !== undefined) throw optionError('limitPer', 'needs `limit` beside it', limitPer)
      return { guards: [], late: [] }
    }
    const made = this.#surface.limit(
      ...(Array.isArray(limit) ? (limit as readonly PolicyInput[]) : [limit as PolicyInput]),
    )
    const pipeline = (limitPer ? made.per('route') : made) as LimitPipeline
    if (pipeline.phase === 'preHandler') return { guards: [], late: [stageOf(pipeline, route?.url)] }
    const where = route ? `of route ${[route.method].flat().join(', ')} ${route.url}` : 'of the plugin'
    return { guards: [stageOf(watchEarlyReads(pipeline, where), route?.url)], late: [] }
  }
}

function stageOf(pipeline: Pipeline, route: string | undefined): Stage {
  return { pipeline, invalidates: false, route }
}

/** What `app.sluice` has for `app.addHook`: limits for a part of an application. */
export interface LimitHooks {
  /**
   * A hook that counts requests against policies, as `config.sluice.limit` does: for everything in an encapsulated part.
   *
   * @throws SluiceError for an unknown name (with the nearest known one) and a rate that does not parse
   * @example
   * ```ts
   * app.register(async (admin) => {
   *   admin.addHook('onRequest', app.sluice.limit('admin'))
   *   admin.get('/users', listUsers)
   * })
   * ```
   */
  limit(...policies: readonly PolicyInput[]): LimitHook & {
    /** The same policies with a quota of its own for each route: the matched pattern and the method. */
    per(what: 'route'): LimitHook
  }
  /** A hook that refuses requests with 503 under load, as `config.sluice.shed` does. */
  shed(options?: ShedOptions): LimitHook
  /** A hook whose requests are not limited: neither behind it nor, given back, in front of it. */
  exempt(): LimitHook
}

export function limitHooks(surface: Surface): LimitHooks {
  const hook = (name: string, pipeline: Pipeline): LimitHook => {
    const stages = [stageOf(pipeline, undefined)]
    return makeHook(name, () => stages)
  }
  const limited = (pipeline: LimitPipeline): LimitHook =>
    hook('sluiceLimit', watchEarlyReads(pipeline, 'that was mounted as a hook'))
  return {
    limit(...policies) {
      const pipeline = surface.limit(...policies) as unknown as LimitPipeline
      return Object.assign(limited(pipeline), { per: (what: 'route') => limited(pipeline.per(what)) })
    },
    shed: (options) => hook('sluiceShed', surface.shed(options)),
    exempt: () => hook('sluiceExempt', surface.exempt()),
  }
}
