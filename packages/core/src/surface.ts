import type { ConditionOptions } from './cache/condition.ts'
import type { InvalidationTarget, TagSource } from './cache/invalidation.ts'
import type { CacheOptions } from './cache/options.ts'
import { Engine, type SluiceOptions, type SluiceStats } from './engine.ts'
import { optionError } from './errors.ts'
import type { Listener, SluiceEvents } from './events.ts'
import type { Pipeline } from './exchange/exchange.ts'
import type { Duration } from './units.ts'

/** What `createSluice` answers on frameworks with middleware. `Middleware` is the framework's own type. */
export interface Sluice<Middleware> {
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
  on<Name extends keyof SluiceEvents>(name: Name, listener: Listener<SluiceEvents[Name]>): () => void
  /** Saves the snapshot where there is one, lets connections and timers go. */
  close(): Promise<void>
}

/** Builds the members above from the way a framework mounts a pipeline. */
export function createSurface<Middleware>(
  options: SluiceOptions | undefined,
  mount: (pipeline: Pipeline) => Middleware,
): Sluice<Middleware> {
  const engine = new Engine(options)
  return {
    cache: (...given: readonly unknown[]) => mount(engine.cache.pipeline(cacheOptions(given))),
    invalidate: (...tags) => mount(engine.cache.invalidatePipeline(checkSources(tags))),
    condition: (condition) => mount(engine.cache.conditionPipeline(condition)),
    purge: (target) => engine.cache.invalidate(target, 'purge'),
    expire: (target) => engine.cache.invalidate(target, 'expire'),
    stats: () => engine.stats(),
    on: (name, listener) => engine.events.on(name, listener),
    close: () => engine.close(),
  }
}

/** The options of `cache('5m', { … })`, `cache({ … })` and `cache()`. */
export function cacheOptions(given: readonly unknown[]): CacheOptions {
  const [first, second, ...more] = given
  if (more.length) throw optionError('cache(ttl, options)', 'takes two arguments', more[0])
  if (typeof first === 'object' && first !== null) {
    if (second !== undefined) throw optionError('cache(options)', 'takes one argument', second)
    return first as CacheOptions
  }
  if (second !== undefined && (typeof second !== 'object' || second === null)) {
    throw optionError('cache(ttl, options)', 'must be given an object of options', second)
  }
  const options = (second ?? {}) as CacheOptions
  if (first === undefined) return options
  if (options.ttl !== undefined)
    throw optionError('cache.ttl', 'must be given once: as the first argument', options.ttl)
  return { ...options, ttl: first as Duration }
}

/** @throws SluiceError unless each is a tag or a function */
export function checkSources(sources: readonly TagSource[]): readonly TagSource[] {
  for (const source of sources) {
    if (typeof source !== 'function' && (typeof source !== 'string' || source === '')) {
      throw optionError('invalidate(...tags)', 'must be given tags or functions of the response', source)
    }
  }
  return sources
}
