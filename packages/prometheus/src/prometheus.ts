import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  checkOptions,
  collectFigures,
  type FiguresOptions,
  type FiguresSnapshot,
  type FiguresSource,
  optionError,
  type Rule,
  rule,
} from '@sluice/core'
import { type Registry, type RegistryContentType, register } from 'prom-client'
import { type Exposition, expose } from './exposition.ts'
import { FigureMetric } from './figure-metric.ts'
import { definitions } from './metrics.ts'

/** What `prometheus(sluice, …)` is given. */
export interface PrometheusOptions {
  /** The registry of prom-client the metrics are put into. Default: prom-client's own, `register`. */
  readonly registry?: Registry<RegistryContentType> | undefined
  /** What the names of the metrics begin with: letters, digits, `_` and `:`. Default `sluice_`. */
  readonly prefix?: string | undefined
  /** How many routes are told apart; all others are counted together as `(other)`. Default 500. */
  readonly maxRoutes?: number | undefined
  /**
   * The trace that is active, for exemplars of fills and backend calls, in OpenMetrics: never asked for a hit. One that throws, or
   * answers with identifiers too long for OpenMetrics, shows none. Default: none.
   *
   * @example
   * ```ts
   * import { trace } from '@opentelemetry/api'
   * prometheus(sluice, { exemplar: () => trace.getActiveSpan()?.spanContext() })
   * ```
   */
  readonly exemplar?: FiguresOptions['exemplar']
}

export interface PrometheusMetrics {
  /** The registry that has the metrics. */
  readonly registry: Registry<RegistryContentType>
  /**
   * Answers a scraper with everything the registry has: for node:http, and as a handler of Express. In OpenMetrics where its
   * `Accept` says so, else as text.
   */
  readonly handler: (
    request: IncomingMessage,
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ) => Promise<void>
  /**
   * The same answer for any other framework.
   *
   * @param accept - the request's `Accept` field
   * @example
   * ```ts
   * router.get('/metrics', async (ctx) => {
   *   const { headers, body } = await metrics.render(ctx.get('Accept'))
   *   ctx.set(headers)
   *   ctx.body = body
   * })
   * ```
   */
  render(accept?: string): Promise<Exposition>
  /** Counts no longer, and takes the metrics out of the registry. */
  stop(): void
}

const prefixRule: Rule = (value) =>
  typeof value === 'string' && /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(value)
    ? undefined
    : 'must be a letter, `_` or `:`, and then letters, digits, `_` and `:`'

const registryRule: Rule = (value) => {
  const { registerMetric, getMetricsAsJSON } = (value ?? {}) as Partial<Registry>
  return typeof registerMetric === 'function' && typeof getMetricsAsJSON === 'function'
    ? undefined
    : 'must be a Registry of prom-client'
}

/**
 * Exports what an instance does as metrics of Prometheus. What is counted costs requests next to nothing; all else is done when a
 * scraper asks.
 *
 * @throws SluiceError `ERR_SLUICE_OPTION` for an option that does not exist or does not fit, and where the registry has metrics of
 *   these names already: of two instances, one needs a registry or a prefix of its own
 * @example
 * ```ts
 * const metrics = prometheus(sluice)
 * app.get('/metrics', metrics.handler)
 * ```
 */
export function prometheus(sluice: FiguresSource, options: PrometheusOptions = {}): PrometheusMetrics {
  checkOptions<PrometheusOptions>('prometheus', options, {
    registry: registryRule,
    prefix: prefixRule,
    maxRoutes: rule.positiveInteger,
    exemplar: rule.function,
  })
  const registry = options.registry ?? (register as Registry<RegistryContentType>)
  const prefix = options.prefix ?? 'sluice_'
  for (const { name } of definitions) {
    if (!registry.getSingleMetric(`${prefix}${name}`)) continue
    const what = options.prefix === undefined ? 'prometheus.registry' : 'prometheus.prefix'
    const must = `must be another one, since the registry has a metric called ${prefix}${name} already: give each instance a registry or a prefix of its own, and call \`prometheus\` once for each`
    throw optionError(what, must, options.prefix ?? 'a registry with that prefix in it')
  }
  const figures = collectFigures(sluice, { maxRoutes: options.maxRoutes, exemplar: options.exemplar })
  const snapshot = once(() => figures.snapshot())
  const metrics = definitions.map((definition) => new FigureMetric(prefix, definition, snapshot))
  for (const metric of metrics) registry.registerMetric(metric as never)
  const render = (accept?: string): Promise<Exposition> => expose(registry, accept)
  return {
    registry,
    render,
    handler: (request, response, next) => answer(request, response, render, next),
    stop() {
      figures.stop()
      for (const metric of metrics) {
        if ((registry.getSingleMetric(metric.name) as unknown) === metric) registry.removeSingleMetric(metric.name)
      }
    },
  }
}

/** One snapshot for all metrics of a scrape: a registry asks them one behind the other, without letting go of the thread. */
function once(take: () => FiguresSnapshot): () => FiguresSnapshot {
  let taken: FiguresSnapshot | undefined
  return () => {
    if (!taken) {
      taken = take()
      queueMicrotask(() => {
        taken = undefined
      })
    }
    return taken
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  render: PrometheusMetrics['render'],
  next: ((error?: unknown) => void) | undefined,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': '0' }).end()
    return
  }
  let exposition: Exposition
  try {
    exposition = await render(request.headers.accept)
  } catch (error) {
    // One of the application's own metrics: what it says of itself is not the scraper's to read.
    if (next) next(error)
    else response.writeHead(500, { 'Cache-Control': 'no-store', 'Content-Length': '0' }).end()
    return
  }
  const { headers, body } = exposition
  response.statusCode = 200
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(request.method === 'HEAD' ? undefined : body)
}
