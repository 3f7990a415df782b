import type { ConditionOptions } from './cache/condition.ts'
import type { InvalidationTarget, TagSource } from './cache/invalidation.ts'
import type { CacheOptions } from './cache/options.ts'
import { CompressPipeline } from './compress/compress-pipeline.ts'
import type { CompressOptions } from './compress/options.ts'
import { Engine, type InstanceEvents, type SluiceOptions, type SluiceStats } from './engine.ts'
import type { Listener } from './events.ts'
import type { Pipeline } from './exchange/exchange.ts'
import { type HandlerDecorators, handlerDecorators, type WrapHandler } from './handler-decorators.ts'
import type { Limiter } from './limit/limiter.ts'
import type { PolicyInput } from './limit/options.ts'
import type { ShedOptions } from './shed/shedder.ts'
import { cacheOptions, checkSources } from './surface-arguments.ts'
import type { Duration } from './units.ts'

/** What `createSluice` answers on frameworks with middleware. `Middleware` is the framework's own type. */
export interface Sluice<Middleware> extends HandlerDecorators {
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
  /** Forgets what a key has used. */
  reset: Limiter['reset']
  /**
   * Never serve it again, anywhere: not stale, not on error, not what is being made at this moment from older data.
   *
   * @example
   * ```ts
   * await sluice.purge({ tags: ['cities'] })
   * await sluice.purge({ url: '/cities/7' })
   * await sluice.purge({ route: '/cities/:id', params: { id: 7 } })
   * ```
   */
  purge(target: InvalidationTarget): Promise<void>
  /** It is stale from now on: stale-while-revalidate and stale-if-error may still serve it, within their windows. */
  expire(target: InvalidationTarget): Promise<void>
  /** Counters since the start, and what is held now. */
  stats(): SluiceStats
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

/** Builds the members above from the ways a framework mounts a pipeline, and puts it in front of a single handler. */
export function createSurface<Middleware>(
  options: SluiceOptions | undefined,
  mount: (pipeline: Pipeline) => Middleware,
  wrap: WrapHandler,
): Sluice<Middleware> {
  const engine = new Engine(options)
  const quiet = <P extends Pipeline>(pipeline: P): P => engine.cache.ownReads.quiet(pipeline)
  return {
    cache: (...given: readonly unknown[]) => mount(engine.cache.pipeline(cacheOptions(given))),
    compress: (compress) => mount(new CompressPipeline(compress, engine.events)),
    invalidate: (...tags) => mount(engine.cache.invalidatePipeline(checkSources(tags))),
    condition: (condition) => mount(engine.cache.conditionPipeline(condition)),
    limit: (...policies) => {
      const pipeline = engine.limiter.pipeline(...policies)
      return Object.assign(mount(quiet(pipeline)) as object, {
        per: (what: 'route') => mount(quiet(pipeline.per(what))),
      }) as LimitMiddleware<Middleware>
    },
    shed: (shed) => mount(quiet(engine.shedder.pipeline(shed))),
    exempt: () => mount(engine.limiter.exempt()),
    ...handlerDecorators(engine, wrap),
    check: (name, options) => engine.limiter.check(name, options),
    peek: (name, options) => engine.limiter.peek(name, options),
    refund: (name, options) => engine.limiter.refund(name, options),
    reset: (name, options) => engine.limiter.reset(name, options),
    purge: (target) => engine.cache.invalidate(target, 'purge'),
    expire: (target) => engine.cache.invalidate(target, 'expire'),
    stats: () => engine.stats(),
    on: (name, listener) => engine.events.on(name, listener),
    close: () => engine.close(),
  }
}
