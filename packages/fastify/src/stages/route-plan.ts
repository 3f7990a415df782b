import {
  type CacheOptions,
  type ConditionOptions,
  type Duration,
  type FieldsOptions,
  isSluiceError,
  type KeyFunction,
  type PaginateOptions,
  type Pipeline,
  type Sluice,
  SluiceError,
  suggest,
  type TagSource,
} from '@sluice/core'
import type { RouteOptions } from 'fastify'
import type { CodingOptions, CodingStages } from './compress-stage.ts'
import type { Stage } from './exchanges.ts'
import type { Limiting, LimitStages, RouteLimitSettings } from './limiting.ts'

/**
 * What a route says in `config.sluice`. The options of `cache` may stand beside it.
 *
 * @example
 * ```ts
 * app.get('/cities', { config: { sluice: { cache: '5m', tags: ['cities'] } } }, listCities)
 * app.patch('/cities/:id', { config: { sluice: { invalidates: (r) => `city:${r.params.id}` } } }, changeCity)
 * ```
 */
export interface SluiceRoute extends CacheOptions, CodingOptions, RouteLimitSettings {
  /**
   * How long the route's responses are fresh; `true`: as long as the handler's own Cache-Control says; an object: all the
   * options. Default `false`.
   */
  cache?: Duration | boolean | CacheOptions | undefined
  /** What is purged after the handler succeeded (2xx, 3xx) and before its answer is sent. */
  invalidates?: TagSource | readonly TagSource[] | undefined
  /** Answers 304 or 412 before the handler runs (RFC 9110 §13). */
  condition?: ConditionOptions | undefined
  /**
   * Reads which page of a list the client wants into `request.page`, and puts `Link` and `X-Total-Count` on the answer that
   * `request.page.reply(items)` makes. `true`: with the defaults. Default `false`.
   */
  paginate?: boolean | PaginateOptions | undefined
  /** Sends of a JSON answer what the client selected with `?fields=`. `true`: with the defaults. Default `false`. */
  fields?: boolean | FieldsOptions | undefined
  /**
   * When the store is asked. `preHandler`: after every hook, so that no authentication is skipped. `onRequest`: before the
   * body is read and any later hook has run; faster, and **unsafe** unless the route is public. Default `preHandler`.
   */
  phase?: 'preHandler' | 'onRequest' | undefined
}

/** A route's stages, made once, when it is registered. */
export interface RoutePlan {
  /** Asked in an onRequest hook in front of the route's own. */
  readonly guards: readonly Stage[]
  /** Asked in an onRequest hook behind the route's own. */
  readonly early: readonly Stage[]
  /** Asked when every hook has run, in this order. */
  readonly stages: readonly Stage[]
}

type Surface = Pick<Sluice<Pipeline>, 'cache' | 'condition' | 'invalidate' | 'paginate' | 'fields'>

/** Exhaustive by its type: an option that core learns has to be written here. */
const cacheNames: Readonly<Record<keyof CacheOptions, true>> = {
  ttl: true,
  clientTtl: true,
  cdnTtl: true,
  staleWhileRevalidate: true,
  staleIfError: true,
  negativeTtl: true,
  jitter: true,
  earlyRefresh: true,
  tags: true,
  query: true,
  varyBy: true,
  key: true,
  public: true,
  unless: true,
  storeIf: true,
  methods: true,
  maxEntryBytes: true,
  timeout: true,
  honourRequest: true,
  heuristic: true,
  guard: true,
  witness: true,
  maxVariants: true,
  cookies: true,
  etag: true,
  front: true,
  name: true,
  showKey: true,
  targets: true,
}

const ownNames = [
  ...['cache', 'compress', 'decompress', 'invalidates', 'condition', 'paginate', 'fields', 'phase'],
  ...['limit', 'limitPer', 'shed', 'exempt'],
] as const

/** @throws SluiceError naming the route, the option, the rule and the value */
export function planRoute(route: RouteOptions, surface: Surface, codings: CodingStages, limiting: Limiting): RoutePlan {
  const given = route.config?.sluice
  try {
    if (given !== undefined) checkGiven(given)
    const coding = codings.of(route)
    const { guards, late } = limiting.stages(route)
    if (given === undefined) return { guards, early: coding, stages: late }
    const { early, stages } = plan(given, route, surface, late)
    return { guards, early: [...coding, ...early], stages: [...late, ...stages] }
  } catch (error) {
    if (!isSluiceError(error)) throw error
    throw new SluiceError(error.code, `Route ${[route.method].flat().join(', ')} ${route.url}: ${error.message}`, {
      cause: error,
    })
  }
}

function checkGiven(given: SluiceRoute): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrong('config.sluice', 'must be an object', given)
  }
  checkNames(Object.keys(given))
}

function plan(
  given: SluiceRoute,
  route: RouteOptions,
  surface: Surface,
  limits: LimitStages['late'],
): Pick<RoutePlan, 'early' | 'stages'> {
  const { cache, invalidates, condition, paginate, fields, phase = 'preHandler', ...others } = given
  // What of a route is not the cache's is seen to elsewhere.
  const { compress: _, decompress: __, limit: ___, limitPer: ____, shed: _____, exempt: ______, ...beside } = others
  if (phase !== 'preHandler' && phase !== 'onRequest') {
    throw wrong('phase', "must be 'preHandler' or 'onRequest'", phase)
  }
  const early: Stage[] = []
  const stages: Stage[] = []
  const options = readCache(cache, beside, route)
  const stageOf = (pipeline: Pipeline): Stage => ({ pipeline, invalidates: false, route: route.url })
  const trim = switched('fields', fields)
  if (trim?.store === 'whole') (phase === 'onRequest' ? early : stages).push(stageOf(surface.fields(trim)))
  if (options) {
    if (phase === 'onRequest' && options.methods?.some((m) => m === 'POST' || m === 'QUERY')) {
      throw wrong('phase', "must be 'preHandler' where the body is part of the key", phase)
    }
    if (phase === 'onRequest' && limits.length) {
      throw wrong(
        'phase',
        "must be 'preHandler' where a limit is asked behind the hooks, or hits would not count",
        phase,
      )
    }
    const list = phase === 'onRequest' ? early : stages
    list.push({ pipeline: surface.cache(options), invalidates: true, route: route.url })
  } else if (given.phase !== undefined && cache !== false) throw wrong('phase', 'needs `cache` beside it', phase)
  if (condition !== undefined) stages.push(stageOf(surface.condition(condition)))
  if (invalidates !== undefined) {
    const sources = Array.isArray(invalidates) ? (invalidates as readonly TagSource[]) : [invalidates as TagSource]
    stages.push({ pipeline: surface.invalidate(...sources), invalidates: true, route: route.url })
  }
  if (trim && trim.store !== 'whole') {
    const { params, ...pipeline } = surface.fields(trim)
    checkKeyed('fields', params, options)
    stages.push(stageOf(pipeline))
  }
  const list = switched('paginate', paginate)
  if (list) {
    const { params, ...pipeline } = surface.paginate(list)
    checkKeyed('paginate', params, options)
    stages.push(stageOf(pipeline))
  }
  return { early, stages }
}

/** `true` stands for the defaults, and `false` for nothing. */
function switched<T extends object>(option: string, given: boolean | T | undefined): T | undefined {
  if (given === undefined || given === false) return undefined
  if (given === true) return {} as T
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given
  throw wrong(option, 'must be true, false or an object of options', given)
}

/** A stored page must be found by what it is a page of. */
function checkKeyed(option: string, params: readonly string[], cache: CacheOptions | undefined): void {
  const { query, key } = cache ?? {}
  if (!query || key) return
  const missing = params.filter((name) => !query.includes(name))
  if (missing.length === 0) return
  const names = missing.map((name) => `'${name}'`).join(', ')
  throw new SluiceError(
    'ERR_SLUICE_OPTION',
    `Option \`query\` must have the parameters that \`${option}\` reads: add ${names}, or one page would be served for another.`,
  )
}

function checkNames(names: readonly string[]): void {
  const known = [...ownNames, ...Object.keys(cacheNames)]
  for (const name of names) {
    if (!known.includes(name)) {
      throw new SluiceError('ERR_SLUICE_OPTION', `There is no option \`${name}\`. ${suggest(name, known)}`)
    }
  }
}

/** The options of the route's cache, from all the ways to write them. */
function readCache(cache: SluiceRoute['cache'], beside: CacheOptions, route: RouteOptions): CacheOptions | undefined {
  const names = Object.keys(beside).filter((name) => beside[name as keyof CacheOptions] !== undefined)
  if (cache === undefined || cache === false) {
    if (names.length && cache === undefined) {
      throw wrong(names[0]!, 'needs `cache` beside it', beside[names[0] as keyof CacheOptions])
    }
    return undefined
  }
  let inside: CacheOptions = {}
  if (typeof cache === 'object' && cache !== null) inside = cache
  else if (cache !== true) inside = { ttl: cache }
  for (const name of names) {
    if (inside[name as keyof CacheOptions] !== undefined) throw wrong(name, 'must be given once', beside[name as never])
  }
  return { ...inside, ...beside, ...constraint(inside.varyBy ?? beside.varyBy, route) }
}

/**
 * Routes of one URL may differ by a constraint alone (a version, say), and which of them a request belongs to is not in
 * its URL: the constraint becomes part of the key.
 */
function constraint(varyBy: CacheOptions['varyBy'], route: RouteOptions): Pick<CacheOptions, 'varyBy'> {
  const constraints = Object.entries(route.constraints ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  if (constraints.length === 0) return {}
  const text = JSON.stringify(constraints.map(([name, value]) => [name, String(value)]))
  const own: KeyFunction = () => text
  return { varyBy: [...(varyBy === undefined ? [] : [varyBy].flat()), own] as readonly (string | KeyFunction)[] }
}

function wrong(option: string, rule: string, received: unknown): SluiceError {
  const shown = typeof received === 'object' ? 'an object' : (JSON.stringify(received) ?? String(received))
  return new SluiceError('ERR_SLUICE_OPTION', `Option \`${option}\` ${rule}; received ${shown}.`)
}
