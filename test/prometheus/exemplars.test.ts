import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, test } from '@jest/globals'
import type { TraceContext } from '@sluice/core'
import { type PrometheusOptions, prometheus } from '@sluice/prometheus'
import { Registry } from 'prom-client'
import { says } from '../hosts/harness/handlers.ts'
import { describeHosts, type TestHost, until } from '../hosts/harness/host.ts'
import { parseExposition } from './exposition.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const openmetrics = 'application/openmetrics-text;version=1.0.0'

/** What buckets of fills show, after one fill. */
async function shownBy(host: TestHost, exemplar: PrometheusOptions['exemplar'], accept = openmetrics) {
  const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({}) }] })
  const metrics = prometheus(app.sluice, { registry: new Registry(), exemplar })
  const told: unknown[] = []
  app.sluice.on('fill', (event) => told.push(event))
  await app.get('/')
  await until(() => told.length === 1)
  await app.get('/')
  const { body } = await metrics.render(accept)
  const families = parseExposition(body, accept === openmetrics ? 'openmetrics' : 'text')
  const samples = families.get('sluice_fill_duration_seconds')!.samples
  expect(samples.find(({ name }) => name.endsWith('_count'))?.value).toBe(1)
  return samples.flatMap((one) => (one.exemplar ? [one.exemplar] : []))
}

describeHosts('exemplars', (host) => {
  test('the bucket that a fill fell into names its trace, in OpenMetrics', async () => {
    let asked = 0
    const exemplar = () => {
      asked++
      return { traceId, spanId: 'b7ad6b7169203331', traceFlags: 1 }
    }
    const shown = await shownBy(host, exemplar)
    expect(shown).toHaveLength(1)
    expect(shown[0]!.labels).toEqual({ trace_id: traceId, span_id: 'b7ad6b7169203331' })
    expect(shown[0]!.at).toBeGreaterThan(1_600_000_000)
    expect(shown[0]!.at).toBeLessThan(1e11)
    // In the memory of this process there are no backend calls, and the hit is not asked about.
    expect(asked).toBe(1)
  })

  test('text has none, and is read as ever', async () => {
    expect(await shownBy(host, () => ({ traceId, spanId: 'b7ad6b7169203331' }), 'text/plain')).toEqual([])
  })
})

describeHosts('no exemplar', (host) => {
  test.each<[string, PrometheusOptions['exemplar']]>([
    ['without a trace', () => undefined],
    ['of a trace that nobody keeps', () => ({ traceId, spanId: 'b7ad6b7169203331', traceFlags: 0 })],
    ['of identifiers longer than OpenMetrics allows', () => ({ traceId: 'a'.repeat(100), spanId: 'b'.repeat(14) })],
    [
      'of one that throws',
      () => {
        throw new Error('no tracer')
      },
    ],
    ['of something else', () => ({ traceId: 7 }) as unknown as TraceContext],
  ])('%s', async (_, exemplar) => {
    expect(await shownBy(host, exemplar)).toEqual([])
  })
})

test('128 characters in all are allowed', async () => {
  const { Histogram } = await import('../../packages/core/src/figures/histogram.ts')
  const { collectFigures, createSluice } = { ...(await import('@sluice/core')), ...(await import('@sluice/node')) }
  expect(new Histogram().read().exemplars).toBeUndefined()
  const sluice = createSluice()
  const listeners: ((event: never) => void)[] = []
  const source = {
    on: (name: string, listener: (event: never) => void) => {
      if (name === 'backend') listeners.push(listener)
      return () => {}
    },
    stats: () => sluice.stats(),
  }
  const figures = collectFigures(source as never, {
    exemplar: () => ({ traceId: 'a'.repeat(100), spanId: 'b'.repeat(13) }),
  })
  listeners[0]!({ operation: 'read', ms: 20_000, ok: true } as never)
  const { durations } = figures.snapshot().backend[0]!
  // Above all bounds.
  expect(durations.exemplars!.at(-1)).toMatchObject({ traceId: 'a'.repeat(100), ms: 20_000 })
  expect(durations.exemplars!.filter(Boolean)).toHaveLength(1)
  await sluice.close()
})

describeHosts('the trace of the request', (host) => {
  test('is the one that is active while its handler answers', async () => {
    const active = new AsyncLocalStorage<TraceContext>()
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler: (c) => active.run({ traceId, spanId: 'b7ad6b7169203331' }, () => c.send('x')),
        },
      ],
    })
    const metrics = prometheus(app.sluice, { registry: new Registry(), exemplar: () => active.getStore() })
    let told = 0
    app.sluice.on('fill', () => told++)
    await app.get('/')
    await until(() => told === 1)
    const families = parseExposition((await metrics.render(openmetrics)).body, 'openmetrics')
    const shown = families.get('sluice_fill_duration_seconds')!.samples.filter((one) => one.exemplar)
    // Koa sends what a handler has left behind: what was active in this one alone is over by then, what is in the request is not.
    expect(shown).toHaveLength(host.framework === 'koa' ? 0 : 1)
  })
})
