import { context, ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { AlwaysOffSampler, AlwaysOnSampler, BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import { dashboard } from '@sluice/dashboard'
import { opentelemetry } from '@sluice/opentelemetry'
import { prometheus } from '@sluice/prometheus'
import { Registry } from 'prom-client'

/** A reader that is never asked. */
class Reader extends MetricReader {
  async onShutdown() {}
  async onForceFlush() {}
}

/** Spans begin and end; what exports them is another package's to measure. */
const dropped = { onStart() {}, onEnd() {}, async forceFlush() {}, async shutdown() {} }

function providers(sampler) {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  return {
    meterProvider: new MeterProvider({ readers: [new Reader()] }),
    tracerProvider: new BasicTracerProvider({ sampler, spanProcessors: [dropped] }),
  }
}

/** As a request is handled that its instrumentation has left out. */
export function belowUnsampled(run) {
  const left = { traceId: '1'.repeat(32), spanId: '1'.repeat(16), traceFlags: TraceFlags.NONE }
  return context.with(trace.setSpanContext(ROOT_CONTEXT, left), run)
}

/** What can be attached to an instance, by name. */
export const attachments = {
  metrics: (sluice) => prometheus(sluice, { registry: new Registry() }),
  'live page': (sluice) => dashboard(sluice, { authorize: () => false }),
  'otel metrics': (sluice) => opentelemetry(sluice, { ...providers(), spans: false }),
  'otel without SDK': (sluice) => opentelemetry(sluice),
  'otel unsampled': (sluice) => opentelemetry(sluice, providers(new AlwaysOffSampler())),
  'otel sampled': (sluice) => opentelemetry(sluice, providers(new AlwaysOnSampler())),
}
