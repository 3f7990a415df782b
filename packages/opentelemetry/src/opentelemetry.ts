import { type Attributes, type MeterProvider, metrics, type TracerProvider, trace } from '@opentelemetry/api'
import {
  BoundedNames,
  checkOptions,
  collectFigures,
  type FiguresSource,
  operatorAccess,
  optionError,
  type Rule,
  rule,
  SluiceError,
  type SpanName,
} from '@sluice/core'
import { measure } from './metrics/measure.ts'
import { OpenTelemetryTracing } from './spans/tracing.ts'

/** What `opentelemetry(sluice, …)` is given. */
export interface OpenTelemetryOptions {
  /** Whether there are metrics. Default `true`. */
  readonly metrics?: boolean | undefined
  /**
   * Which spans are drawn: of a `lookup`, of the `wait` for another request's fill, of a `fill`, of a `refresh`, of a `purge` or an
   * `expire`, of a call of the `backend`. `true`: all of them. A hit is one span, that of its look-up. Default `true`.
   */
  readonly spans?: boolean | readonly SpanName[] | undefined
  /** Where meters come from. Default: the global provider, as it is now: start the SDK first. */
  readonly meterProvider?: MeterProvider | undefined
  /** Where tracers come from. Default: the global provider. */
  readonly tracerProvider?: TracerProvider | undefined
  /** How many routes are told apart; all others are counted together as `(other)`. Default 500. */
  readonly maxRoutes?: number | undefined
  /**
   * On each value and each span: texts, numbers and booleans. What tells two instances of one process apart. Default: none.
   *
   * @example
   * ```ts
   * opentelemetry(sluice, { attributes: { 'sluice.instance': 'catalogue' } })
   * ```
   */
  readonly attributes?: Attributes | undefined
}

/** What `opentelemetry(…)` answers. */
export interface Attachment {
  /** Counts no longer, and draws no more spans. Those under way end. */
  stop(): void
}

const names: readonly SpanName[] = ['lookup', 'wait', 'fill', 'refresh', 'purge', 'expire', 'backend']
const scope = '@sluice/opentelemetry'

const providerWith =
  (method: 'getMeter' | 'getTracer', what: string): Rule =>
  (value) =>
    typeof (value as Record<string, unknown> | null)?.[method] === 'function' ? undefined : `must be a ${what}`

const spansRule: Rule = (value) => {
  const known = Array.isArray(value) && value.every((name) => names.includes(name))
  return typeof value === 'boolean' || known
    ? undefined
    : `must be true, false or an array of ${names.map((name) => `'${name}'`).join(', ')}`
}

const attributesRule: Rule = (value) => {
  const isFlat = (one: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof one)
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(isFlat)
    ? undefined
    : 'must be an object of texts, numbers and booleans'
}

/**
 * Tells OpenTelemetry what an instance does: the figures of `@sluice/prometheus` as its instruments, and spans of what takes time,
 * below whatever span is active. What a handler does is drawn below the fill it runs for.
 *
 * @param sluice - what `createSluice` answered, or `app.sluice`
 * @throws SluiceError `ERR_SLUICE_OPTION` for an option that does not exist or does not fit, for what is no instance, and where spans
 *   of this instance are drawn already
 * @example
 * ```ts
 * sdk.start() // of @opentelemetry/sdk-node, say
 * const sluice = createSluice()
 * opentelemetry(sluice)
 * ```
 */
export function opentelemetry(sluice: FiguresSource, options: OpenTelemetryOptions = {}): Attachment {
  checkOptions<OpenTelemetryOptions>('opentelemetry', options, {
    metrics: rule.boolean,
    spans: spansRule,
    meterProvider: providerWith('getMeter', 'MeterProvider of OpenTelemetry'),
    tracerProvider: providerWith('getTracer', 'TracerProvider of OpenTelemetry'),
    maxRoutes: rule.positiveInteger,
    attributes: attributesRule,
  })
  const access = typeof sluice === 'object' && sluice !== null ? operatorAccess(sluice) : undefined
  if (!access) {
    const must = 'must be given what `createSluice` answered, or `app.sluice`'
    throw optionError('opentelemetry(sluice)', must, sluice)
  }
  const { maxRoutes, attributes = {}, spans = true } = options
  const system = access.backend
  const figures = options.metrics === false ? undefined : collectFigures(sluice, { maxRoutes })
  const ends: (() => void)[] = figures ? [() => figures.stop()] : []
  if (spans !== false) {
    const known = new BoundedNames(maxRoutes ?? 500)
    const provider = options.tracerProvider ?? trace.getTracerProvider()
    const tracing = new OpenTelemetryTracing({
      provider,
      tracer: provider.getTracer(scope, access.version),
      names: new Set(spans === true ? names : spans),
      attributes,
      system,
      routeLabel: figures?.routeLabel ?? ((route) => known.admit(route)),
      failed(cause) {
        const why = cause instanceof Error ? cause.message : String(cause)
        access.report(new SluiceError('ERR_SLUICE_CALLBACK', `The tracer failed: ${why}.`, { cause }))
      },
    })
    const end = access.trace(tracing)
    if (!end) {
      figures?.stop()
      const must =
        'must be false, since spans of this instance are drawn already: call `stop()` of the first attachment'
      throw optionError('opentelemetry.spans', must, spans)
    }
    ends.push(end)
  }
  if (figures) {
    const meter = (options.meterProvider ?? metrics.getMeterProvider()).getMeter(scope, access.version)
    ends.push(measure({ source: sluice, figures, meter, system, attributes }))
  }
  return {
    stop() {
      for (const end of ends.splice(0)) end()
    },
  }
}
