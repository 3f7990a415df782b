import type { Duration } from '../base/units.ts'
import type { TagSource } from '../cache/invalidation.ts'
import type { CacheOptions } from '../cache/policy/options.ts'
import { type AnyFunction, type FunctionDecorator, makeDecorator } from '../decorate/decorate.ts'
import type { Pipeline } from '../exchange/exchange.ts'
import type { PolicyInput } from '../limit/policy/options.ts'
import type { Engine } from './engine.ts'
import { cacheOptions, checkSources } from './surface-arguments.ts'

/** Decorator and wrapper of `sluice.limited(...)`. */
export type LimitedDecorator = FunctionDecorator & {
  /** The same policies with a quota of its own for each route: the matched pattern and the method, never the raw URL. */
  per(what: 'route'): FunctionDecorator
}

/**
 * What `cache`, `limit` and `invalidate` are as middleware, for a single handler: around a function, or over a method of
 * a class. The handlers are the framework's: `(req, res, next)`, `(ctx, next)`, `(request, reply)`.
 *
 * They apply from the inside out, as decorators do. `@limited(…) @cached(…)` charges every request;
 * `@cached(…) @limited(…)` charges only those that the cache does not answer.
 */
export interface HandlerDecorators {
  /**
   * Caches the responses of one handler, as `cache` does.
   *
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * app.get('/cities', sluice.cached('5m', { tags: ['cities'] })((req, res) => res.json(list())))
   * ```
   */
  cached(ttl: Duration, options?: Omit<CacheOptions, 'ttl'>): FunctionDecorator
  cached(options?: CacheOptions): FunctionDecorator
  /**
   * Counts the requests of one handler, as `limit` does.
   *
   * @throws SluiceError for an unknown name (with the nearest known one) and a rate that does not parse
   * @example
   * ```ts
   * class Cities {
   *   @sluice.limited('search', '20/s') search(req, res) {}
   * }
   * ```
   */
  limited(...policies: readonly PolicyInput[]): LimitedDecorator
  /**
   * Purges tags, and the URL itself, after this handler succeeded, as `invalidate` does.
   *
   * @example
   * ```ts
   * class Cities {
   *   @sluice.invalidates('cities', (r) => `city:${r.params.id}`) change(req, res) {}
   * }
   * ```
   */
  invalidates(...tags: readonly TagSource[]): FunctionDecorator
}

/** How a framework puts a pipeline in front of one handler: answers the handler that is called in its place. */
export type WrapHandler = (pipeline: Pipeline, handler: AnyFunction) => AnyFunction

export function handlerDecorators(engine: Engine, wrap: WrapHandler): HandlerDecorators {
  const decorator = (what: string, pipeline: Pipeline): FunctionDecorator =>
    makeDecorator(what, (handler) => wrap(pipeline, handler))
  return {
    cached: (...given: readonly unknown[]) => decorator('cached(...)', engine.cache.pipeline(cacheOptions(given))),
    limited: (...policies) => {
      const pipeline = engine.limiter.pipeline(...policies)
      const limited = (made: Pipeline): FunctionDecorator =>
        decorator('limited(...)', engine.cache.ownReads.quiet(made))
      return Object.assign(limited(pipeline), { per: (what: 'route') => limited(pipeline.per(what)) })
    },
    invalidates: (...tags) => decorator('invalidates(...)', engine.cache.invalidatePipeline(checkSources(tags))),
  }
}
