import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { opentelemetry } from '@sluice/opentelemetry'
import { describeHosts, until } from '../hosts/harness/host.ts'
// For its context manager.
import './support.ts'

interface KeyValue {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly boolValue?: boolean; readonly intValue?: number }
}
interface Scoped {
  readonly scope: { readonly name: string }
}
interface OtlpSpan {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly KeyValue[]
}
interface OtlpMetric {
  readonly name: string
  readonly unit: string
  readonly sum?: {
    readonly isMonotonic: boolean
    readonly dataPoints: readonly { readonly asDouble?: number; readonly asInt?: string | number }[]
  }
  readonly histogram?: {
    readonly dataPoints: readonly { readonly count: string | number; readonly explicitBounds: readonly number[] }[]
  }
}

/** A collector: keeps what it is sent. */
let receiver: Server
let received: { readonly path: string; readonly body: Record<string, never> }[] = []
let url = ''
beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    received.push({ path: request.url!, body: JSON.parse(Buffer.concat(pieces).toString()) })
    response.setHeader('Content-Type', 'application/json').end('{}')
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
})
afterAll(async () => {
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
})
beforeEach(() => {
  received = []
})

const attributesOf = ({ attributes }: { readonly attributes: readonly KeyValue[] }): object =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? value.boolValue ?? Number(value.intValue)]),
  )

/** What came to a path of the protocol, without resources and scopes. */
function sent<T>(path: string, resources: string, scopes: string, items: string): T[] {
  return received
    .filter((one) => one.path === path)
    .flatMap(({ body }) => body[resources] as unknown as Record<string, (Scoped & Record<string, T[]>)[]>[])
    .flatMap((resource) => resource[scopes]!)
    .filter(({ scope }) => scope.name === '@sluice/opentelemetry')
    .flatMap((scope) => scope[items]!)
}

describeHosts('over OTLP', (host) => {
  test('a collector is sent spans and metrics', async () => {
    const traces = new BasicTracerProvider({
      spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${url}/v1/traces` }))],
    })
    const exporter = new OTLPMetricExporter({ url: `${url}/v1/metrics` })
    const meters = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] })
    const app = await host.boot({
      front: false,
      routes: [{ path: '/cities/:id', cache: { ttl: '1m' }, handler: (c) => c.send('Oslo') }],
    })
    const stored: unknown[] = []
    app.sluice.on('fill', (event) => stored.push(event))
    const attachment = opentelemetry(app.sluice, { tracerProvider: traces, meterProvider: meters })
    await app.get('/cities/1')
    await app.get('/cities/1')
    await until(() => stored.length === 1)
    await Promise.all([traces.forceFlush(), meters.forceFlush()])

    const spans = sent<OtlpSpan>('/v1/traces', 'resourceSpans', 'scopeSpans', 'spans')
    expect(spans.map(({ name }) => name)).toEqual(['sluice.lookup', 'sluice.fill', 'sluice.lookup'])
    const route = host.framework === 'node' ? {} : { 'http.route': '/cities/:id' }
    expect(attributesOf(spans[2]!)).toEqual({
      'http.request.method': 'GET',
      ...route,
      'http.response.status_code': 200,
      'sluice.result': 'hit',
    })
    for (const span of spans) {
      expect(span.traceId).toMatch(/^[0-9a-f]{32}$/)
      expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano))
    }

    const metrics = new Map(
      sent<OtlpMetric>('/v1/metrics', 'resourceMetrics', 'scopeMetrics', 'metrics').map((one) => [one.name, one]),
    )
    const requests = metrics.get('sluice.requests')!
    expect([requests.unit, requests.sum!.isMonotonic]).toEqual(['{request}', true])
    expect(requests.sum!.dataPoints.map(({ asDouble, asInt }) => Number(asDouble ?? asInt))).toEqual([1, 1])
    const fills = metrics.get('sluice.fill.duration')!
    expect([fills.unit, fills.histogram!.dataPoints.map(({ count }) => Number(count))]).toEqual(['s', [1]])
    expect(fills.histogram!.dataPoints[0]!.explicitBounds.length).toBe(16)
    expect(metrics.get('sluice.cache.size')).toMatchObject({ unit: 'By', sum: { isMonotonic: false } })
    attachment.stop()
    await Promise.all([traces.shutdown(), meters.shutdown()])
  })
})
