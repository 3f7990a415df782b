import type { SluiceErrorCode } from '../base/errors.ts'
import type { Listener } from '../base/events.ts'
import { checkOptions, rule } from '../base/options.ts'
import type { SluiceStats } from '../sluice/engine.ts'
import type { InstanceEvents } from '../sluice/instance-events.ts'
import { AnswerCounts, type AnswerFigures } from './answer-counts.ts'
import type { TraceContext } from './histogram.ts'
import { BoundedNames, reasonLabel } from './labels.ts'
import {
  type BackendFigures,
  BackendTallies,
  type CompressionFigures,
  CompressionTallies,
  type FillFigures,
  FillTallies,
  type InvalidationFigures,
  InvalidationTallies,
  type LookupFigures,
  LookupTallies,
} from './tallies.ts'

/** What of an instance figures are made from. */
export interface FiguresSource {
  on<Name extends keyof InstanceEvents>(name: Name, listener: Listener<InstanceEvents[Name]>): () => void
  stats(): SluiceStats
}

export interface FiguresOptions {
  /** How many routes are told apart; all others are counted together as `(other)`. Default 500. */
  readonly maxRoutes?: number | undefined
  /**
   * The trace that is active: asked when a handler has filled the cache and when a backend was called, never for a hit. Each bucket of
   * their durations then shows the latest trace that fell into it. One that throws, or answers with identifiers too long for
   * OpenMetrics (128 characters with their names), shows none. Default: none.
   *
   * @example
   * ```ts
   * import { trace } from '@opentelemetry/api'
   * collectFigures(sluice, { exemplar: () => trace.getActiveSpan()?.spanContext() })
   * ```
   */
  readonly exemplar?: (() => TraceContext | undefined) | undefined
}

/** Figures of one moment. Counters count since `collectFigures`; those in `stats` since the instance was made. */
export interface FiguresSnapshot {
  readonly answers: readonly AnswerFigures[]
  /** Of `answers`, those given in front of the application. */
  readonly front: readonly { readonly route: string; readonly count: number }[]
  /** How long hits took to find. */
  readonly lookups: readonly LookupFigures[]
  readonly fills: readonly FillFigures[]
  /** Answers that were not stored, by reason. */
  readonly notStored: readonly { readonly reason: string; readonly count: number }[]
  readonly backend: readonly BackendFigures[]
  readonly compression: readonly CompressionFigures[]
  readonly invalidations: readonly InvalidationFigures[]
  /** What went wrong and was survived. */
  readonly errors: readonly { readonly code: SluiceErrorCode; readonly count: number }[]
  /** What the instance itself says at this moment. */
  readonly stats: SluiceStats
}

export interface Figures {
  /** A copy, safe to keep. */
  snapshot(): FiguresSnapshot
  /** What a route is called in the figures: as it is, or `(other)` above `maxRoutes`. */
  routeLabel(route: string): string
  /** Listens no longer. What was counted stays. */
  stop(): void
}

/**
 * Counts what an instance does, for metrics: by route pattern, and by words of which there is a fixed number. Never by URL, key or
 * user, so that however many of these there are, the figures take no more room.
 *
 * @throws SluiceError `ERR_SLUICE_OPTION` for an option that does not exist or does not fit
 * @example
 * ```ts
 * const figures = collectFigures(sluice)
 * const { answers } = figures.snapshot()
 * ```
 */
export function collectFigures(source: FiguresSource, options: FiguresOptions = {}): Figures {
  checkOptions<FiguresOptions>('figures', options, { maxRoutes: rule.positiveInteger, exemplar: rule.function })
  const { exemplar } = options
  const trace = exemplar ? () => traceOf(exemplar) : () => undefined
  const names = new BoundedNames(options.maxRoutes ?? 500)
  const answers = new AnswerCounts(names)
  const lookups = new LookupTallies(names)
  const fills = new FillTallies(names)
  const backend = new BackendTallies()
  const compression = new CompressionTallies()
  const invalidations = new InvalidationTallies()
  const errors = new Map<SluiceErrorCode, number>()
  const ends = [
    source.on('answer', (event) => answers.add(event)),
    source.on('lookup', (event) => lookups.add(event)),
    source.on('fill', (event) => fills.add(event, trace())),
    source.on('backend', (event) => backend.add(event, trace())),
    source.on('compressed', (event) => compression.add(event)),
    source.on('invalidated', (event) => invalidations.add(event)),
    source.on('error', ({ error: { code } }) => errors.set(code, (errors.get(code) ?? 0) + 1)),
  ]
  return {
    snapshot() {
      const stats = source.stats()
      return {
        answers: answers.read(),
        front: answers.readFront(),
        lookups: lookups.read(),
        fills: fills.read(),
        notStored: byReason(stats.cache.refused),
        backend: backend.read(),
        compression: compression.read(),
        invalidations: invalidations.read(),
        errors: [...errors].map(([code, count]) => ({ code, count })),
        stats,
      }
    },
    routeLabel: (route) => names.admit(route),
    stop() {
      for (const end of ends.splice(0)) end()
    },
  }
}

function byReason(refused: Readonly<Record<string, number>>): { reason: string; count: number }[] {
  const counts = new Map<string, number>()
  for (const [reason, count] of Object.entries(refused)) {
    const label = reasonLabel(reason)
    counts.set(label, (counts.get(label) ?? 0) + count)
  }
  return [...counts].map(([reason, count]) => ({ reason, count }))
}

/** What an exemplar may have in all (OpenMetrics 1.0 §Exemplars), less the names `trace_id` and `span_id`. */
const mostCharacters = 128 - 'trace_idspan_id'.length

function traceOf(exemplar: () => TraceContext | undefined): TraceContext | undefined {
  try {
    const trace = exemplar()
    if (!trace || (trace.traceFlags !== undefined && (trace.traceFlags & 1) === 0)) return undefined
    const { traceId, spanId } = trace
    if (typeof traceId !== 'string' || typeof spanId !== 'string' || traceId === '') return undefined
    return traceId.length + spanId.length > mostCharacters ? undefined : trace
  } catch {
    return undefined
  }
}
