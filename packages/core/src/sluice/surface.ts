import { optionError } from '../base/errors.ts'
import type { Listener } from '../base/events.ts'
import type { Duration } from '../base/units.ts'
import type { ConditionOptions } from '../cache/condition.ts'
import type { Explanation } from '../cache/explain.ts'
import type { FrontAnswer, FrontDoor } from '../cache/front/front-door.ts'
import type { InvalidationTarget, TagSource } from '../cache/invalidation.ts'
import type { CacheOptions } from '../cache/policy/options.ts'
import type { PurgeOptions, PurgeReport } from '../cache/response-cache.ts'
import { CompressPipeline } from '../compress/compress-pipeline.ts'
import { type DecompressOptions, DecompressPipeline } from '../compress/decompress.ts'
import type { CompressOptions } from '../compress/options.ts'
import type { Defer } from '../defer/deferred.ts'
import type { Pipeline } from '../exchange/exchange.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { targetText } from '../http/locate.ts'
import type { Limiter } from '../limit/limiter.ts'
import type { PolicyInput } from '../limit/policy/options.ts'
import type { FieldsOptions } from '../page/fields/fields-options.ts'
import type { PaginateOptions } from '../page/options.ts'
import type { ShedOptions } from '../shed/shedder.ts'
import { type MakeBatch, makeBatches } from './batches.ts'
import { Engine, type ReadyOptions, type SluiceOptions, type SluiceStats } from './engine.ts'
import { type HandlerDecorators, handlerDecorators, type WrapHandler } from './handler-decorators.ts'
import type { InstanceEvents } from './instance-events.ts'
import type { LogOptions } from './log/log.ts'
import type { LogTarget } from './log/logger.ts'
import type { Memos } from './memos.ts'
import { giveAccess } from './operator-access.ts'
import { cacheOptions, checkSources } from './surface-arguments.ts'

/** What `createSluice` answers on frameworks with middleware. `Middleware` is the framework's own type. */
export interface Sluice<Middleware> extends HandlerDecorators, Memos {
  /**
   * Caches the responses of what comes after it. With a TTL the route is stored that long; without one the handler's own
   * Cache-Control decides (RFC 9111).
   *
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * app.get('/cities', sluice.cache('5m', { tags: ['cities'] }), listCities)
   * ```
   */
  cache(ttl: Duration, options?: Omit<CacheOptions, 'ttl'>): Middleware
  cache(options?: CacheOptions): Middleware
  /**
   * Compresses what comes after it: br, zstd where Node has it, gzip and deflate. Mount it in front of `cache`, and
   * stored answers keep their compressed forms.
   *
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * app.use(sluice.compress({ threshold: '1kb', skip: ['/account/*'] }))
   * ```
   */
  compress(options?: CompressOptions): Middleware
  /**
   * Decodes request bodies that come with `Content-Encoding`. Mount it in front of what parses bodies. A body that would
   * become too large is answered 413, a coding that is not read 415, both as problem+json.
   *
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * app.use(sluice.decompress({ maxBytes: '1mb' }), express.json())
   * ```
   */
  decompress(options?: DecompressOptions): Middleware
  /**
   * Reads which page of a list the client wants into `req.page` (`ctx.page`, `request.page`), answers 400 where that makes
   * no sense, and puts `Link` and `X-Total-Count` on the answer that `page.reply(items)` makes. Mount it behind `cache`.
   *
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * app.get('/cities', sluice.cache('5m'), sluice.paginate({ maxLimit: 50 }), async (req, res) => {
   *   const { limit, offset } = req.page
   *   res.json(req.page.reply(await listCities(limit, offset), { total: await countCities() }))
   * })
   * ```
   */
  paginate(options?: PaginateOptions): QueryMiddleware<Middleware>
  /**
   * Sends of a JSON answer what the client selected: `?fields=id,name,country(code)` (the language of json-mask). Mount
   * it behind `cache`, or in front of it with `store: 'whole'`.
   *
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * app.get('/cities', sluice.cache('5m'), sluice.fields({ maxDepth: 3 }), listCities)
   * ```
   */
  fields(options?: FieldsOptions): QueryMiddleware<Middleware>
  /**
   * A loader for each request: what is asked for by many parts of a handler is loaded at once, each key once. With `memo`
   * values are kept between requests too.
   *
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * const cityOf = sluice.batch((ids: readonly number[]) => citiesByIds(ids), {
   *   keyOf: (city) => city.id,
   *   memo: { ttl: '1m', tags: (city) => [`city:${city?.id}`] },
   * })
   * app.get('/trips', async (req, res) => {
   *   const trips = await listTrips()
   *   res.json(await Promise.all(trips.map(async (t) => ({ ...t, city: await cityOf(req).load(t.cityId) }))))
   * })
   * ```
   */
  batch: MakeBatch
  /**
   * Purges tags, and the URL itself, after the handler succeeded (2xx, 3xx) and before its answer is sent.
   *
   * @example
   * ```ts
   * app.patch('/cities/:id', sluice.invalidate('cities', (r) => `city:${r.params.id}`), changeCity)
   * ```
   */
  invalidate(...tags: readonly TagSource[]): Middleware
  /**
   * Answers 304 or 412 before the handler runs (RFC 9110 §13), from a version that is cheap to tell.
   *
   * @example
   * ```ts
   * app.get('/cities/:id', sluice.condition({ etag: (c) => versionOf(c.params.id) }), showCity)
   * ```
   */
  condition(options: ConditionOptions): Middleware
  /**
   * Counts requests against policies: names from `createSluice({ limits })`, rates, or policies given in place. Several
   * are charged together or not at all. What is refused gets 429 with Retry-After and costs nothing behind this point.
   *
   * @throws SluiceError for an unknown name (with the nearest known one) and a rate that does not parse
   * @example
   * ```ts
   * app.use(sluice.limit('ip'))
   * app.get('/search', sluice.limit('search', '20/s').per('route'), search)
   * ```
   */
  limit(...policies: readonly PolicyInput[]): LimitMiddleware<Middleware>
  /**
   * Refuses requests with 503 and a jittered Retry-After while this process has more to do than it can: by the delay of
   * its event loop, lowest priority first, and, where asked for, by an adaptive bound on how many it works on at once.
   *
   * @example
   * ```ts
   * app.use(sluice.shed({ priority: (c) => (c.path === '/health' ? 'critical' : 'default') }))
   * ```
   */
  shed(options?: ShedOptions): Middleware
  /** Requests that pass here are not limited: neither behind this point nor, given back, before it. */
  exempt(): Middleware
  /**
   * Charges a policy without a request: for jobs and web sockets. At once in memory, so a result and not a promise;
   * `await` serves both.
   *
   * @example
   * ```ts
   * const { allowed, retryAfterMs } = await sluice.check('mail', { key: user.id })
   * ```
   */
  check: Limiter['check']
  /** What `check` would answer; charges nothing. */
  peek: Limiter['peek']
  /** Gives back what `check` or a request took. */
  refund: Limiter['refund']
  /** Forgets what a key has used; without a key what all keys of the policy have used, and answers for how many. */
  reset: Limiter['reset']
  /**
   * Shuts a key out of a policy with a `ban`, in all processes.
   *
   * @example
   * ```ts
   * await sluice.ban('login', { key: '203.0.113.9', for: '1h', reason: 'ticket 4711' })
   * for (const ban of await sluice.bans('login')) if (ban.byHand) await sluice.unban('login', ban)
   * ```
   */
  ban: Limiter['ban']
  /** Lets a key in again, in all processes, and forgets its refusals and bans; answers whether it was shut out. */
  unban: Limiter['unban']
  /** The bans that hold now, of one policy or of all. */
  bans: Limiter['bans']
  /**
   * Never serve it again, anywhere: not stale, not on error, not what is being made at this moment from older data.
   *
   * @example
   * ```ts
   * await sluice.purge({ tags: ['cities'] })
   * await sluice.purge({ url: '/cities/7' })
   * await sluice.purge({ route: '/cities/:id', params: { id: 7 } })
   * ```
   * @throws SluiceError `ERR_SLUICE_STORE` where a shared store has not confirmed it in time; it is tried again until it has
   */
  purge(target: InvalidationTarget): Promise<void>
  purge(target: InvalidationTarget, options: PurgeOptions): Promise<PurgeReport>
  /** It is stale from now on: stale-while-revalidate and stale-if-error may still serve it, within their windows. */
  expire(target: InvalidationTarget): Promise<void>
  /**
   * Work that no client should wait for: runs when the response is gone, a few pieces at a time. What it throws goes to
   * the `error` event; `close()` waits for it. It is lost where the process ends: what must not be belongs into a queue.
   *
   * With the response (`res`, `ctx`, `reply`) in front it waits for that one. Without, it runs after this turn of the
   * event loop.
   *
   * @returns whether it was taken: not where too much is waiting, or after `close()`
   * @throws SluiceError for what is no function or no response
   * @example
   * ```ts
   * app.post('/cities', async (req, res) => {
   *   const city = await save(req.body)
   *   sluice.defer(res, () => sendMail(city))
   *   res.status(201).json(city)
   * })
   * ```
   */
  defer: Defer
  /**
   * Why the answers of a request's route are stored or not: what became of the last one, the reason as `Cache-Status` has
   * it, its cause and its remedy, and what of the request they are told apart by.
   *
   * @param request - Express's or node's `req`, Koa's `ctx`, Fastify's `request`
   * @example
   * ```ts
   * app.get('/why', (req, res) => res.json(sluice.explain(req)))
   * ```
   */
  explain(request: object): Explanation
  /**
   * Resolves when the backend answers, has what it needs and takes what is written: on Redis that there is a connection and
   * the scripts are loaded. At once in memory. Nothing has to wait for it: what is asked before that waits by itself, as
   * long as it would for an answer. It is for those who would rather not start without.
   *
   * @throws SluiceError `ERR_SLUICE_STORE` that says why it does not: unreachable, a wrong password, a replica, …
   * @example
   * ```ts
   * await sluice.ready({ timeout: '2s' })
   * app.listen(3000)
   * ```
   */
  ready(options?: ReadyOptions): Promise<void>
  /** Counters since the start, and what is held now. */
  stats(): SluiceStats
  /**
   * Writes what happens as lines of a log: what failed, what is not stored and what to write, who is refused, purges. Each fact
   * once, and after a minute how often it came again. No line holds a key, a cookie, an address or a tag.
   *
   * @param logger - pino, winston, bunyan, Fastify's `app.log`, `console`, or anything with `info`, `warn` and `error`
   * @returns stops, and writes what is still counted
   * @throws SluiceError when the logger is none, or an option is wrong
   * @example
   * ```ts
   * sluice.log(pino(), { every: '5m' })
   * ```
   */
  log(logger: LogTarget, options?: LogOptions): () => void
  /** Listens to an event; the answer stops listening. */
  on<Name extends keyof InstanceEvents>(name: Name, listener: Listener<InstanceEvents[Name]>): () => void
  /** Saves the snapshot where there is one, lets connections and timers go. */
  close(): Promise<void>
}

/** Middleware of `sluice.limit(...)`. */
export type LimitMiddleware<Middleware> = Middleware & {
  /** The same policies with a quota of its own for each route: the matched pattern and the method, never the raw URL. */
  per(what: 'route'): Middleware
}

/** Middleware that reads query parameters by itself. */
export type QueryMiddleware<Middleware> = Middleware & {
  /** Their names, for a cache in front: `sluice.cache('5m', { query: ['q', ...pages.params] })`. */
  readonly params: readonly string[]
}

/** Builds the members above from the ways a framework mounts a pipeline, and puts it in front of a single handler. */
export function createSurface<Middleware>(
  options: SluiceOptions | undefined,
  mountHost: (pipeline: Pipeline) => Middleware,
  wrapHost: WrapHandler,
  view: (request: never) => RequestView,
): Sluice<Middleware> {
  const engine = new Engine(options)
  const { front } = engine.cache
  const mount = (pipeline: Pipeline): Middleware => mountHost(front.noting(pipeline))
  const wrap: WrapHandler = (pipeline, handler) => wrapHost(front.noting(pipeline), handler)
  const quiet = <P extends Pipeline>(pipeline: P): P => engine.cache.ownReads.quiet(pipeline)
  const withParams = (pipeline: Pipeline & { readonly params: readonly string[] }): QueryMiddleware<Middleware> =>
    Object.assign(mount(pipeline) as object, { params: pipeline.params }) as QueryMiddleware<Middleware>
  const surface: Sluice<Middleware> = {
    cache: (...given: readonly unknown[]) => mount(engine.cache.pipeline(cacheOptions(given))),
    compress: (compress) => mount(new CompressPipeline(compress, engine.events)),
    decompress: (decompress) => mount(new DecompressPipeline(decompress)),
    paginate: (page) => withParams(engine.pages.paginate(page)),
    fields: (fields) => withParams(engine.pages.fields(fields)),
    batch: makeBatches(engine.memos.memo),
    invalidate: (...tags) => mount(engine.cache.invalidatePipeline(checkSources(tags))),
    condition: (condition) => mount(engine.cache.conditionPipeline(condition)),
    limit: (...policies) => {
      engine.limits()
      const pipeline = engine.limiter.pipeline(...policies)
      return Object.assign(mount(quiet(pipeline)) as object, {
        per: (what: 'route') => mount(quiet(pipeline.per(what))),
      }) as LimitMiddleware<Middleware>
    },
    shed: (shed) => mount(quiet(engine.shedder.pipeline(shed))),
    exempt: () => mount(engine.limiter.exempt()),
    ...handlerDecorators(engine, wrap),
    ...engine.memos,
    defer: engine.deferred.add,
    check: (name, options) => engine.limiter.check(name, options),
    peek: (name, options) => engine.limiter.peek(name, options),
    refund: (name, options) => engine.limiter.refund(name, options),
    reset: engine.limiter.reset,
    ban: (name, request) => engine.limiter.ban(name, request),
    unban: (name, who) => engine.limiter.unban(name, who),
    bans: (name) => engine.limiter.bans(name),
    purge: ((target: InvalidationTarget, options?: PurgeOptions) =>
      engine.cache.invalidate(target, 'purge', options)) as Sluice<Middleware>['purge'],
    expire: async (target) => void (await engine.cache.invalidate(target, 'expire')),
    explain: (request) => engine.cache.explain(view(request as never)),
    ready: (options) => engine.ready(options),
    stats: () => engine.stats(),
    log: (logger, options) => engine.log.to(logger, options),
    on: (name, listener) => engine.events.on(name, listener),
    close: () => engine.close(),
  }
  giveAccess(surface, engine)
  accesses.set(surface, {
    door: front,
    limit(policies) {
      engine.limits()
      const pipeline = quiet(engine.limiter.pipeline(...policies))
      if (typeof pipeline.atFront === 'object') {
        throw optionError('front.limit', 'must be told by the raw request alone', policies)
      }
      return pipeline
    },
    told: (view, { reply, hit }, { request, response }) => {
      if (!engine.events.wants('front')) return
      const { status, body } = reply
      const length = body?.byteLength ?? 0
      const { method, route } = view
      const url = targetText(view)
      engine.events.emit('front', { method, url, route, status, length, hit, request, response })
    },
  })
  return surface
}

/** What a host needs to answer in front of an application. */
export interface FrontAccess {
  readonly door: FrontDoor
  /**
   * A stage that charges requests before the application has seen them.
   *
   * @throws SluiceError where a policy asks the framework or a function of the application's
   */
  limit(policies: readonly PolicyInput[]): Pipeline
  /** Tells the listeners of an answer that was given there. */
  told(view: RequestView, answer: FrontAnswer, native: { readonly request: object; readonly response: object }): void
}

const accesses = new WeakMap<object, FrontAccess>()

/** @param surface - as `createSurface` answered it, and no copy of it */
export const frontAccess = (surface: object): FrontAccess => accesses.get(surface)!
