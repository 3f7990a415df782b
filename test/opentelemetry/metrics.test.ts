import { describe, expect, test } from '@jest/globals'
import { trace } from '@opentelemetry/api'
import type { Histogram } from '@opentelemetry/sdk-metrics'
import { createSurface, durationBoundsMs, type Pipeline, type PolicyInput, type RequestView } from '@sluice/core'
import { NodeRequestView } from '@sluice/node'
import { opentelemetry } from '@sluice/opentelemetry'
import { prometheus } from '@sluice/prometheus'
import { Registry } from 'prom-client'
import { answer } from '../figures/answer.ts'
import { describeHosts, gate, until } from '../hosts/harness/host.ts'
import { counterparts } from './counterparts.ts'
import { idOf, RecordingMeters, Telemetry } from './support.ts'

/** A surface whose middleware is its pipelines, asked without a server. */
function surface(limits?: Record<string, PolicyInput>) {
  return createSurface<Pipeline>(
    { limits },
    (pipeline) => ({ name: pipeline.name, open: (view) => pipeline.open(view) }),
    () => () => {},
    (request) => request as RequestView,
  )
}

/** A request as a host hands it in, without its socket. */
function requestTo(url: string, route: string | undefined, method = 'GET'): RequestView {
  const socket = { remoteAddress: '127.0.0.1', localPort: 3000 }
  const raw = { method, url, headers: { host: 'localhost:3000' }, socket }
  return Object.create(new NodeRequestView(raw as never), { route: { value: route } }) as RequestView
}

describeHosts('metrics', (host) => {
  test('say of every request what became of it, by the pattern of its route', async () => {
    const telemetry = new Telemetry()
    const app = await host.boot({
      front: false,
      sluice: { limits: { all: '3/min' } },
      limit: ['all'],
      routes: [{ path: '/cities/:id', cache: { ttl: '1m' }, handler: (c) => c.send('Oslo') }],
    })
    opentelemetry(app.sluice, { ...telemetry.options, spans: false })
    for (const id of [1, 1, 2, 2]) await app.get(`/cities/${id}`)
    // On node:http nobody knows of patterns, and the conventions want none then.
    const route = host.framework === 'node' ? {} : { 'http.route': '/cities/:id' }
    const get = { ...route, 'http.request.method': 'GET' }
    expect(await telemetry.values('sluice.requests')).toEqual([
      { attributes: { ...get, 'sluice.result': 'hit' }, value: 1 },
      { attributes: { ...get, 'sluice.result': 'miss', 'sluice.reason': 'uri-miss' }, value: 2 },
    ])
    expect(await telemetry.values('sluice.rate_limiting.requests')).toEqual(
      expect.arrayContaining([
        { attributes: { 'sluice.rate_limiting.policy': 'all', 'sluice.rate_limiting.result': 'allowed' }, value: 3 },
        { attributes: { 'sluice.rate_limiting.policy': 'all', 'sluice.rate_limiting.result': 'refused' }, value: 1 },
      ]),
    )
    const [fills, ...others] = await telemetry.values('sluice.fill.duration')
    expect(others).toEqual([])
    expect(fills!.attributes).toEqual({ ...route, 'sluice.background': false })
    const { count, buckets } = fills!.value as Histogram
    expect(count).toBe(2)
    expect(buckets.boundaries).toEqual(durationBoundsMs.map((ms) => ms / 1_000))
  })

  test('a fill is recorded in the context of its span', async () => {
    const telemetry = new Telemetry()
    const meters = new RecordingMeters()
    const app = await host.boot({
      front: false,
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.send('Oslo') }],
    })
    opentelemetry(app.sluice, { ...telemetry.options, meterProvider: meters })
    await app.get('/')
    await until(() => telemetry.named('sluice.fill').length === 1)
    expect(meters.recorded.map(({ name }) => name)).toEqual(['sluice.fill.duration'])
    const span = trace.getSpan(meters.recorded[0]!.context!)
    expect(span?.spanContext().spanId).toBe(idOf(telemetry.one('sluice.fill')))
  })
})

describe('the same figures as those of Prometheus', () => {
  test('every metric there has its counterpart here, and says the same', async () => {
    const telemetry = new Telemetry()
    const registry = new Registry()
    const sluice = surface({ mail: { rate: '2/min', warnAt: 0.5 }, jobs: '2 concurrent' })
    sluice.shed({ concurrency: true })
    prometheus(sluice, { registry })
    opentelemetry(sluice, telemetry.options)
    const cache = sluice.cache({ ttl: '1m', unless: (c) => c.path !== '/no' })
    for (const path of ['/1', '/1', '/2', '/no']) await answer(cache, requestTo(path, '/:id'), {})
    await answer(cache, requestTo('/3', '/:id'), { skip: 'today' })
    const twice = sluice.memo((n: number) => 2 * n, { ttl: '1m' })
    for (const n of [1, 1, 2]) await twice(n)
    for (let i = 0; i < 4; i++) await sluice.check('mail', { key: 'alice' })
    await sluice.purge({ tags: ['a', 'b'] })
    await sluice.expire({ all: true })
    const working = gate()
    sluice.defer(() => working)
    await new Promise((resolve) => setImmediate(resolve))
    const told = new Map((await registry.getMetricsAsJSON()).map((metric) => [metric.name, metric]))
    const metrics = new Map((await telemetry.metrics()).map((metric) => [metric.descriptor.name, metric]))
    const pairs = counterparts()
    expect(pairs.length).toBeGreaterThan(40)
    let more = 0
    for (const { ours, theirs } of pairs) {
      const samples = told.get(theirs)!.values as { value: number; metricName?: string }[]
      const points = (metrics.get(ours)?.dataPoints ?? []) as { value: unknown }[]
      // These are read of the process at that moment.
      if (/event_loop/.test(theirs)) continue
      const theirValues = samples.flatMap(({ value, metricName }) =>
        metricName === undefined || metricName.endsWith('_count') ? value : [],
      )
      const ourValues = points.map(({ value }) => (typeof value === 'number' ? value : (value as Histogram).count))
      expect([ours, ourValues.sort()]).toEqual([ours, theirValues.sort()])
      if (ourValues.some((value) => value > 0)) more++
    }
    // What is compared is not all nothing.
    expect(more).toBeGreaterThan(10)
    working.open()
    await sluice.close()
  })
})

describe('bounds', () => {
  test('100,000 URLs, and as many words of clients and handlers, add no series', async () => {
    const telemetry = new Telemetry()
    const sluice = surface()
    opentelemetry(sluice, telemetry.options)
    const cache = sluice.cache({ ttl: '1m', unless: (c) => !c.path.endsWith('00') })
    const series = async (): Promise<number> =>
      (await telemetry.metrics()).reduce((sum, { dataPoints }) => sum + dataPoints.length, 0)
    let early = 0
    for (let i = 0; i < 100_000; i++) {
      const hundreds = Math.floor(i / 100)
      const view = requestTo(`/cities/${i + 100}?q=${i}`, hundreds % 2 ? '/cities/:id' : undefined)
      await answer(cache, view, { skip: hundreds % 4 === 0 && `${i}` })
      if (i === 1_000) early = await series()
    }
    expect(await series()).toBe(early)
    for (let i = 0; i < 100; i++) await answer(cache, requestTo('/', '/cities/:id', `VERB${i}`), {})
    expect(await series()).toBe(early + 1)
    const methods = (await telemetry.values('sluice.requests')).map(
      ({ attributes }) => attributes['http.request.method'],
    )
    expect(new Set(methods)).toEqual(new Set(['GET', '_OTHER']))
    const words = new Set(telemetry.spans.flatMap(({ attributes }) => Object.values(attributes).map(String)))
    const allowed = ['GET', '/cities/:id', 'miss', 'uri-miss', '200', '5', '1', 'true', 'false']
    expect([...words].filter((word) => !allowed.includes(word))).toEqual([])
    await sluice.close()
  })

  test('routes above the bound are told together, in metrics and in spans', async () => {
    const telemetry = new Telemetry()
    const sluice = surface()
    opentelemetry(sluice, { ...telemetry.options, maxRoutes: 2 })
    const cache = sluice.cache({ ttl: '1m' })
    for (let i = 0; i < 5; i++) await answer(cache, requestTo(`/r${i}/1`, `/r${i}/:id`), {})
    const routes = ['/r0/:id', '/r1/:id', '(other)']
    for (const name of ['sluice.requests', 'sluice.fill.duration', 'sluice.fill.body.size']) {
      const told = await telemetry.values(name)
      expect([name, told.map(({ attributes }) => attributes['http.route'])]).toEqual([name, routes])
    }
    const drawn = telemetry.named('sluice.fill').map(({ attributes }) => attributes['http.route'])
    expect(drawn).toEqual([...routes, '(other)', '(other)'])
    await sluice.close()
  })
})

describe('an attachment', () => {
  test('that is stopped says nothing more, and lets go of everything', async () => {
    const telemetry = new Telemetry()
    const sluice = surface()
    const attachment = opentelemetry(sluice, telemetry.options)
    const cache = sluice.cache({ ttl: '1m' })
    await answer(cache, requestTo('/1', '/:id'), {})
    expect((await telemetry.values('sluice.requests')).length).toBe(1)
    attachment.stop()
    attachment.stop()
    telemetry.forget()
    await answer(cache, requestTo('/2', '/:id'), {})
    expect(telemetry.spans).toEqual([])
    const again = new Telemetry()
    opentelemetry(sluice, again.options)
    await answer(cache, requestTo('/3', '/:id'), {})
    expect((await again.values('sluice.requests')).map(({ value }) => value)).toEqual([1])
    expect(again.named('sluice.fill').length).toBe(1)
    await sluice.close()
  })

  test('puts the attributes it was given on every value and every span', async () => {
    const telemetry = new Telemetry()
    const sluice = surface()
    opentelemetry(sluice, { ...telemetry.options, attributes: { 'sluice.instance': 'catalogue' } })
    await answer(sluice.cache({ ttl: '1m' }), requestTo('/1', '/:id'), {})
    const points = (await telemetry.metrics()).flatMap(({ dataPoints }) =>
      dataPoints.map(({ attributes }) => attributes),
    )
    const all = [...points, ...telemetry.spans.map(({ attributes }) => attributes)]
    expect(all.length).toBeGreaterThan(20)
    expect(all.filter((one) => one['sluice.instance'] !== 'catalogue')).toEqual([])
    await sluice.close()
  })

  test('a tracer that throws breaks no request, and is told of', async () => {
    const sluice = surface()
    const errors: string[] = []
    sluice.on('error', ({ error }) => errors.push(error.message))
    const getTracer = () => ({
      startSpan() {
        throw new Error('no spans today')
      },
      startActiveSpan() {},
    })
    opentelemetry(sluice, { metrics: false, tracerProvider: { getTracer } as never })
    await answer(sluice.cache({ ttl: '1m' }), requestTo('/1', '/:id'), {})
    expect(sluice.stats().cache.stored).toBe(1)
    expect(new Set(errors)).toEqual(new Set(['The tracer failed: no spans today.']))
    await sluice.close()
  })
})
