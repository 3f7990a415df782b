import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import {
  type MeterProvider as ApiMeterProvider,
  type Attributes,
  type Context,
  context,
  createNoopMeter,
  type Meter,
  type Span,
  SpanKind,
  trace,
} from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { type DataPoint, type Histogram, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'

/** As an SDK registers it. Once for each file of tests, which is a program of its own. */
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())

class Reader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

/** One value of one metric, without what it is told apart by. */
export type Value = number | Histogram

/** Real providers of the SDK, and what they were told. */
export class Telemetry {
  readonly #exporter = new InMemorySpanExporter()
  readonly #reader = new Reader()
  readonly tracerProvider: BasicTracerProvider
  readonly meterProvider = new MeterProvider({ readers: [this.#reader] })

  constructor(sampler?: Sampler) {
    const spanProcessors = [new SimpleSpanProcessor(this.#exporter)]
    this.tracerProvider = new BasicTracerProvider({ spanProcessors, ...(sampler ? { sampler } : {}) })
  }

  get options() {
    const { tracerProvider, meterProvider } = this
    return { tracerProvider, meterProvider }
  }

  /** Those that have ended, in the order in which they did. */
  get spans(): ReadableSpan[] {
    return this.#exporter.getFinishedSpans()
  }

  named(name: string): ReadableSpan[] {
    return this.spans.filter((span) => span.name === name)
  }

  /** The only one of that name. */
  one(name: string): ReadableSpan {
    const [span, ...more] = this.named(name)
    if (!span || more.length > 0) {
      throw new Error(`${more.length + (span ? 1 : 0)} of ${name} among ${this.spans.map((s) => s.name).join(', ')}`)
    }
    return span
  }

  forget(): void {
    this.#exporter.reset()
  }

  /** What is told of a metric, by its attributes. */
  async values(name: string): Promise<{ readonly attributes: Attributes; readonly value: Value }[]> {
    const metric = (await this.metrics()).find(({ descriptor }) => descriptor.name === name)
    const points = (metric?.dataPoints ?? []) as DataPoint<Value>[]
    return points.map(({ attributes, value }) => ({ attributes, value }))
  }

  async metrics() {
    const { resourceMetrics, errors } = await this.#reader.collect()
    if (errors.length > 0) throw errors[0]
    return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
  }

  /** A span of the application's own, below what is active. */
  within<T>(name: string, run: () => T): T {
    const span = this.tracerProvider.getTracer('application').startSpan(name)
    return ended(span, () => context.with(trace.setSpan(context.active(), span), run))
  }

  /** Each request to the server gets a span, as the instrumentation of node:http gives it one. */
  watch(server: Server): void {
    const tracer = this.tracerProvider.getTracer('http')
    const emit = server.emit.bind(server) as (name: string, ...args: unknown[]) => boolean
    server.emit = (name: string, ...args: unknown[]): boolean => {
      if (name !== 'request') return emit(name, ...args)
      const [request, response] = args as [IncomingMessage, ServerResponse]
      const span = tracer.startSpan(`server ${request.url}`, { kind: SpanKind.SERVER })
      response.once('close', () => span.end())
      return context.with(trace.setSpan(context.active(), span), () => emit(name, ...args))
    }
  }
}

function ended<T>(span: Span, run: () => T): T {
  const result = run()
  if (result instanceof Promise) return result.finally(() => span.end()) as T
  span.end()
  return result
}

/** The span that it is below; `undefined` for one that stands alone. */
export const parentOf = (span: ReadableSpan): string | undefined => span.parentSpanContext?.spanId
export const idOf = (span: ReadableSpan): string => span.spanContext().spanId
export const linksOf = (span: ReadableSpan): string[] => span.links.map((link) => link.context.spanId)

interface Recorded {
  readonly name: string
  readonly value: number
  readonly context: Context | undefined
}

/** Meters that remember in which context they were told of durations: the SDK has no exemplars yet. */
export class RecordingMeters implements Pick<ApiMeterProvider, 'getMeter'> {
  readonly recorded: Recorded[] = []

  getMeter(): Meter {
    return Object.assign(createNoopMeter(), {
      createHistogram: (name: string) => ({
        record: (value: number, _: Attributes, at?: Context) => void this.recorded.push({ name, value, context: at }),
      }),
    })
  }
}
