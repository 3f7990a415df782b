import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { prometheus } from '@sluice/prometheus'
import { Counter, Histogram, Registry, register } from 'prom-client'
import { parseExposition, seriesValue } from './exposition.ts'
import { frameworks, type Scraped } from './frameworks.ts'

const openmetrics = { accept: 'application/openmetrics-text;version=1.0.0' }
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function scrape({ url }: Scraped, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/metrics`, { headers })
  const text = await response.text()
  const type = response.headers.get('content-type') ?? ''
  const families = parseExposition(text, type.startsWith('text/plain') ? 'text' : 'openmetrics')
  return { response, text, type, families }
}

describe.each(Object.entries(frameworks))('%s', (name, boot) => {
  const route = name === 'node:http' ? '(unmatched)' : '/cities/:id'
  const start = async (registry = new Registry()) => {
    const app = await boot({ registry })
    ends.push(() => app.close())
    return app
  }

  test('answers a scraper with what happened, as text', async () => {
    const app = await start()
    for (const id of [1, 1, 1, 2]) await (await fetch(`${app.url}/cities/${id}`)).text()
    const { type, families } = await scrape(app)
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8')
    const of = { route, method: 'GET' }
    expect(seriesValue(families, 'sluice_requests_total', { ...of, result: 'hit' })).toBe(2)
    expect(seriesValue(families, 'sluice_requests_total', { ...of, result: 'miss', reason: 'uri-miss' })).toBe(2)
    expect(seriesValue(families, 'sluice_stored_total')).toBe(2)
    expect(seriesValue(families, 'sluice_entries')).toBe(2)
    expect(seriesValue(families, 'sluice_entries_bytes')).toBeGreaterThan(100)
    const filled = { route, background: 'false' }
    expect(seriesValue(families, 'sluice_fill_duration_seconds_count', filled)).toBe(2)
    expect(seriesValue(families, 'sluice_fill_duration_seconds_sum', filled)).toBeLessThan(5)
    expect(seriesValue(families, 'sluice_fill_duration_seconds_bucket', { ...filled, le: '10' })).toBe(2)
    expect(families.get('sluice_requests_total')).toMatchObject({
      type: 'counter',
      help: expect.stringMatching(/cache/),
    })
  })

  test('in OpenMetrics where that is asked for, and as text again afterwards', async () => {
    const registry = new Registry()
    new Counter({ name: 'own_things_total', help: 'Things.', registers: [registry] }).inc(3)
    const app = await start(registry)
    await (await fetch(`${app.url}/cities/1`)).text()
    for (let i = 0; i < 2; i++) {
      const asked = await scrape(app, openmetrics)
      expect(asked.type).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
      expect(asked.families.get('sluice_stored')).toMatchObject({ type: 'counter' })
      expect(seriesValue(asked.families, 'sluice_stored_total')).toBe(1)
      expect(seriesValue(asked.families, 'own_things_total')).toBe(3)
      const text = await scrape(app)
      expect(seriesValue(text.families, 'sluice_stored_total')).toBe(1)
      expect(seriesValue(text.families, 'own_things_total')).toBe(3)
    }
  })

  test('is never stored, also behind a cache, and says so', async () => {
    const app = await start()
    await (await fetch(`${app.url}/cities/1`)).text()
    const first = await scrape(app)
    await (await fetch(`${app.url}/cities/2`)).text()
    const second = await scrape(app)
    expect([
      seriesValue(first.families, 'sluice_stored_total'),
      seriesValue(second.families, 'sluice_stored_total'),
    ]).toEqual([1, 2])
    expect(second.response.headers.get('cache-control')).toBe('no-store')
    expect(second.response.headers.get('vary')).toMatch(/Accept/)
    expect(second.response.headers.get('cache-status')).toMatch(/no-store/)
    expect(seriesValue(second.families, 'sluice_not_stored_total', { reason: 'no-store' })).toBe(1)
  })

  test('a HEAD has no body, and a POST is refused', async () => {
    const app = await start()
    const head = await fetch(`${app.url}/metrics`, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
      '',
    ])
    const post = await fetch(`${app.url}/metrics`, { method: 'POST' })
    expect(post.status).toBe(name === 'Fastify' ? 404 : 405)
  })

  test('stops counting, and leaves the registry to its owner', async () => {
    const registry = new Registry()
    new Counter({ name: 'own_things_total', help: 'Things.', registers: [registry] })
    const app = await start(registry)
    app.metrics.stop()
    app.metrics.stop()
    expect(registry.getMetricsAsArray().map((metric) => metric.name)).toEqual(['own_things_total'])
  })
})

describe('what is refused', () => {
  const sluice = createSluice()

  test('the same names twice in one registry, said with what to do', () => {
    const registry = new Registry()
    prometheus(sluice, { registry })
    expect(() => prometheus(sluice, { registry })).toThrow(
      /sluice_requests_total already.*a registry or a prefix of its own/s,
    )
    expect(() => prometheus(createSluice(), { registry, prefix: 'sluice_' })).toThrow(/prometheus\.prefix/)
    // Nothing of the second is left behind, and a prefix of its own does.
    const before = registry.getMetricsAsArray().length
    prometheus(createSluice(), { registry, prefix: 'shop_' })
    expect(registry.getMetricsAsArray().length).toBe(2 * before)
  })

  test('after stop() the names are free again', () => {
    const registry = new Registry()
    prometheus(sluice, { registry }).stop()
    expect(() => prometheus(sluice, { registry })).not.toThrow()
  })

  test.each<[object, RegExp]>([
    [{ prefix: '' }, /prefix/],
    [{ prefix: '1_' }, /prefix/],
    [{ prefix: 'a-b' }, /prefix/],
    [{ registry: {} }, /Registry of prom-client/],
    [{ registry: null }, /Registry of prom-client/],
    [{ maxRoutes: 0 }, /maxRoutes/],
    [{ prefixes: 'a_' }, /prefix/],
  ])('%p', (options, message) => {
    expect(() => prometheus(sluice, options as never)).toThrow(message)
    expect(() => prometheus(sluice, options as never)).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_OPTION' }))
  })
})

describe('a registry of the application', () => {
  test('is prom-client’s own where none is given, and can be read without our handler', async () => {
    const sluice = createSluice()
    const metrics = prometheus(sluice)
    ends.push(() => metrics.stop())
    expect(metrics.registry).toBe(register)
    expect(seriesValue(parseExposition(await register.metrics()), 'sluice_stored_total')).toBe(0)
  })

  test('of OpenMetrics writes counters as that has it', async () => {
    const registry = new Registry()
    registry.setContentType('application/openmetrics-text; version=1.0.0; charset=utf-8' as never)
    prometheus(createSluice(), { registry })
    for (let i = 0; i < 2; i++) {
      const families = parseExposition(await registry.metrics(), 'openmetrics')
      expect(seriesValue(families, 'sluice_stored_total')).toBe(0)
    }
  })

  test('keeps its default labels, its histograms and its resets', async () => {
    const registry = new Registry()
    registry.setDefaultLabels({ app: 'shop' })
    const own = new Histogram({ name: 'own_seconds', help: 'Own.', buckets: [1, 2], registers: [registry] })
    own.observe(1.5)
    const metrics = prometheus(createSluice(), { registry })
    registry.resetMetrics()
    own.observe(1.5)
    const families = parseExposition((await metrics.render()).body)
    expect(seriesValue(families, 'sluice_stored_total', { app: 'shop' })).toBe(0)
    expect(seriesValue(families, 'own_seconds_bucket', { app: 'shop', le: '2' })).toBe(1)
  })

  test('a metric that throws makes a 500 of the scrape, without its words', async () => {
    const registry = new Registry()
    const collect = (): void => {
      throw new Error('the password is 1234')
    }
    new Counter({ name: 'broken_total', help: 'Broken.', registers: [registry], collect })
    const metrics = prometheus(createSluice(), { registry })
    const server = createServer((req, res) => void metrics.handler(req, res))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    ends.push(() => server.close())
    const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`)
    expect([answer.status, await answer.text()]).toEqual([500, ''])
    const seen: unknown[] = []
    await metrics.handler({ method: 'GET', headers: {} } as never, {} as never, (error) => seen.push(error))
    expect(seen).toEqual([expect.objectContaining({ message: 'the password is 1234' })])
  })

  test('names with quotes, backslashes and line ends are written so that they are read again', async () => {
    const sluice = createSluice({ limits: { 'a"b\\c\nd': '1/min' } })
    const registry = new Registry()
    prometheus(sluice, { registry })
    await sluice.check('a"b\\c\nd', { key: 'k' })
    const families = parseExposition(await registry.metrics())
    expect(seriesValue(families, 'sluice_limit_decisions_total', { policy: 'a"b\\c\nd', result: 'allowed' })).toBe(1)
  })
})
