import {
  type Attributes,
  type Context,
  context,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  type TracerProvider,
  type Span as TracerSpan,
  trace,
} from '@opentelemetry/api'
import type { Span, SpanFacts, SpanName, Tracing } from '@sluice/core'
import { type Bounds, errorType, spanAttributes } from '../attributes.ts'

export interface TracingSettings extends Bounds {
  readonly provider: TracerProvider
  readonly tracer: Tracer
  /** Which spans are drawn. */
  readonly names: ReadonlySet<SpanName>
  /** On each span. */
  readonly attributes: Attributes
  /** A tracer that throws must not break a request. */
  failed(error: unknown): void
}

/** Draws the spans that core tells of, below the active one. */
export class OpenTelemetryTracing implements Tracing {
  readonly #settings: TracingSettings

  constructor(settings: TracingSettings) {
    this.#settings = settings
  }

  /** No SDK stands behind the global provider, as yet. */
  get #isIdle(): boolean {
    const { provider } = this.#settings
    return provider instanceof ProxyTracerProvider && provider.getDelegate() === nobody
  }

  begin(name: SpanName, facts: SpanFacts, agoMs = 0): Span | undefined {
    const { tracer, names, attributes, failed } = this.#settings
    if (!names.has(name) || this.#isIdle) return undefined
    try {
      const around = context.active()
      if (isLeftOut(trace.getSpan(around))) return undefined
      const span = tracer.startSpan(
        name === 'backend' ? `sluice.backend.${facts.operation}` : `sluice.${name}`,
        {
          kind: name === 'backend' ? SpanKind.CLIENT : SpanKind.INTERNAL,
          attributes: { ...attributes, ...spanAttributes(facts, this.#settings) },
          // Times of a span's own that are small numbers are read as `performance.now()`.
          ...(agoMs > 0 ? { startTime: performance.now() - agoMs } : {}),
        },
        around,
      )
      if (!span.isRecording()) return undefined
      // A refresh is nobody's request: what else was in the context (baggage) is the visitor's who happened to come by.
      const inside = trace.setSpan(name === 'refresh' ? ROOT_CONTEXT : around, span)
      return new DrawnSpan(span, { around, inside }, agoMs > 0, this.#settings)
    } catch (error) {
      failed(error)
      return undefined
    }
  }
}

/** Where tracers come from that record nothing. */
const nobody = new ProxyTracerProvider().getDelegate()

/**
 * The trace is not sampled: to ask the sampler again would cost more than a look-up does. Of a remote parent it is to be asked, for it
 * need not believe that one.
 */
function isLeftOut(parent: TracerSpan | undefined): boolean {
  if (!parent || parent.isRecording()) return false
  const { isRemote, traceFlags } = parent.spanContext()
  return !isRemote && (traceFlags & TraceFlags.SAMPLED) === 0
}

/** What is active: around a span, and in it. */
interface Contexts {
  readonly around: Context
  readonly inside: Context
}

class DrawnSpan implements Span {
  readonly #span: TracerSpan
  readonly #contexts: Contexts
  readonly #isBackdated: boolean
  readonly #settings: TracingSettings
  #hasFailed = false
  #hasEnded = false

  constructor(span: TracerSpan, contexts: Contexts, isBackdated: boolean, settings: TracingSettings) {
    this.#span = span
    this.#contexts = contexts
    this.#isBackdated = isBackdated
    this.#settings = settings
  }

  within<T>(run: () => T): T {
    return context.with(this.#contexts.inside, run)
  }

  outside<T>(run: () => T): T {
    return context.with(this.#contexts.around, run)
  }

  note(facts: SpanFacts): void {
    this.#change(() => this.#span.setAttributes(spanAttributes(facts, this.#settings)))
  }

  link(other: Span): void {
    if (!(other instanceof DrawnSpan)) return
    this.#change(() => this.#span.addLink({ context: other.#span.spanContext() }))
  }

  fail(type: string, error?: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#change(() => {
      this.#span.setAttribute(errorType, typeOf(type, error))
      if (error === undefined) {
        this.#span.setStatus({ code: SpanStatusCode.ERROR })
        return
      }
      const message = error instanceof Error ? error.message : String(error)
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message })
      this.#span.recordException(error instanceof Error ? error : message)
    })
  }

  end(): void {
    this.#change(() => {
      // The clock of a span that was given its beginning counts whole milliseconds.
      this.#span.end(this.#isBackdated ? performance.now() : undefined)
      this.#hasEnded = true
    })
  }

  #change(change: () => void): void {
    if (this.#hasEnded) return
    try {
      change()
    } catch (error) {
      this.#settings.failed(error)
    }
  }
}

/** A status says most, then the code of an error, then its class; `Error` alone says nothing. */
function typeOf(type: string, error: unknown): string {
  if (/^\d/.test(type) || !(error instanceof Error)) return type
  const { code, name } = error as { code?: unknown; name: string }
  if (typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code)) return code
  return name === 'Error' ? type : name
}
