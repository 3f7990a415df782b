import { expect, test } from '@jest/globals'
import { context, propagation, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { AlwaysOffSampler, type Sampler, SamplingDecision } from '@opentelemetry/sdk-trace-base'
import { type Attachment, type OpenTelemetryOptions, opentelemetry } from '@sluice/opentelemetry'
import {
  type AppSpec,
  type Ctx,
  describeHosts,
  gate,
  type Route,
  type TestApp,
  type TestHost,
  until,
} from '../hosts/harness/host.ts'

import { idOf, linksOf, parentOf, Telemetry } from './support.ts'

interface Traced {
  readonly app: TestApp
  readonly telemetry: Telemetry
  readonly attachment: Attachment
}

/** An application whose requests have spans, and ours below them. */
async function traced(
  host: TestHost,
  routes: AppSpec['routes'],
  how: {
    readonly options?: OpenTelemetryOptions
    readonly spec?: Partial<AppSpec>
    readonly telemetry?: Telemetry
  } = {},
): Promise<Traced> {
  const telemetry = how.telemetry ?? new Telemetry()
  const app = await host.boot({ front: false, ...how.spec, routes })
  const attachment = opentelemetry(app.sluice, { ...telemetry.options, ...how.options })
  telemetry.watch(app.server)
  return { app, telemetry, attachment }
}

/** Where the host tells the pattern of a route. */
const routeOn = (host: TestHost, path: string): object => (host.framework === 'node' ? {} : { 'http.route': path })

/** Answers when it may. */
const whenOpen = (ready: PromiseLike<unknown>): Route => ({
  path: '/',
  cache: { ttl: '1m' },
  async handler(c) {
    await ready
    c.send('one')
  },
})

describeHosts('spans', (host) => {
  test('a miss: the look-up and the fill side by side below the request, and the handler’s own below the fill', async () => {
    const telemetry = new Telemetry()
    const { app } = await traced(
      host,
      [
        {
          path: '/cities/:id',
          cache: { ttl: '1m' },
          async handler(c) {
            await telemetry.within('SELECT', () => new Promise((resolve) => setImmediate(resolve)))
            telemetry.within('render', () => {})
            c.send('Oslo')
          },
        },
      ],
      { telemetry },
    )
    await app.get('/cities/1')
    await until(() => telemetry.spans.length >= 5)
    const [server, lookup, fill] = ['server /cities/1', 'sluice.lookup', 'sluice.fill'].map((name) =>
      telemetry.one(name),
    )
    expect([parentOf(lookup!), parentOf(fill!)]).toEqual([idOf(server!), idOf(server!)])
    expect(['SELECT', 'render'].map((name) => parentOf(telemetry.one(name)))).toEqual([idOf(fill!), idOf(fill!)])
    expect(new Set(telemetry.spans.map((span) => span.spanContext().traceId)).size).toBe(1)
    const method = { 'http.request.method': 'GET' }
    const route = routeOn(host, '/cities/:id')
    expect(lookup!.attributes).toEqual({ ...method, ...route, 'sluice.result': 'miss', 'sluice.reason': 'uri-miss' })
    expect(fill!.attributes).toEqual({
      ...method,
      ...route,
      'http.response.status_code': 200,
      'http.response.body.size': 4,
      'sluice.stored': true,
      'sluice.background': false,
    })
    expect([lookup!.kind, fill!.kind]).toEqual([SpanKind.INTERNAL, SpanKind.INTERNAL])
    expect(fill!.status.code).toBe(SpanStatusCode.UNSET)
    // The look-up is over when the handler begins.
    expect(telemetry.spans.indexOf(lookup!)).toBeLessThan(telemetry.spans.indexOf(telemetry.one('render')))
  })

  test('a hit: the look-up alone', async () => {
    const { app, telemetry } = await traced(host, [
      { path: '/cities/:id', cache: { ttl: '1m' }, handler: (c) => c.send('Oslo') },
    ])
    await app.get('/cities/1')
    await until(() => telemetry.named('server /cities/1').length === 1)
    telemetry.forget()
    await app.get('/cities/1')
    await until(() => telemetry.spans.length === 2)
    expect(telemetry.one('sluice.lookup').attributes).toEqual({
      'http.request.method': 'GET',
      ...routeOn(host, '/cities/:id'),
      'http.response.status_code': 200,
      'sluice.result': 'hit',
    })
    expect(parentOf(telemetry.one('sluice.lookup'))).toBe(idOf(telemetry.one('server /cities/1')))
  })

  test('requests that wait for another’s handler: a span for each wait, linked with the fill and it with them', async () => {
    const ready = gate()
    const { app, telemetry } = await traced(host, [whenOpen(ready)])
    const all = Promise.all(Array.from({ length: 3 }, () => app.get('/')))
    await app.arrived(3)
    ready.open()
    await all
    await until(() => telemetry.named('server /').length === 3)
    const fill = telemetry.one('sluice.fill')
    const waits = telemetry.named('sluice.wait')
    expect(waits.map(linksOf)).toEqual([[idOf(fill)], [idOf(fill)]])
    expect(linksOf(fill).sort()).toEqual(waits.map(idOf).sort())
    expect(waits.map(({ attributes }) => attributes['sluice.result'])).toEqual(['stored', 'stored'])
    const lookups = telemetry.named('sluice.lookup')
    const waiting = lookups.filter(({ attributes }) => attributes['sluice.result'] === 'collapsed')
    expect(waiting.map(idOf).sort()).toEqual(waits.map((wait) => parentOf(wait)!).sort())
    expect(lookups.length).toBe(3)
    // Three requests, three traces: they have to do with each other by links alone.
    expect(new Set(telemetry.spans.map((span) => span.spanContext().traceId)).size).toBe(3)
  })

  test('a refresh in the background: below the request that has set it off, with its fill below it', async () => {
    const baggage: unknown[] = []
    const { app, telemetry } = await traced(host, [
      {
        path: '/',
        cache: { ttl: '10s', staleWhileRevalidate: '60s' },
        handler(c) {
          baggage.push(propagation.getActiveBaggage()?.getEntry('visitor')?.value)
          c.send('one')
        },
      },
    ])
    carryBaggage(app, 'alice', 2)
    await app.get('/')
    await until(() => telemetry.named('server /').length === 1)
    telemetry.forget()
    await app.clock.advance(11_000)
    await app.get('/')
    await until(() => telemetry.named('sluice.refresh').length === 1 && telemetry.named('sluice.fill').length === 1)
    await until(() => telemetry.named('sluice.lookup').length === 1)
    const [lookup, refresh, fill] = ['lookup', 'refresh', 'fill'].map((name) => telemetry.one(`sluice.${name}`))
    expect(lookup!.attributes).toMatchObject({ 'sluice.result': 'stale' })
    expect(fill!.attributes).toMatchObject({ 'sluice.background': true, 'sluice.stored': true })
    expect(parentOf(refresh!)).toBe(parentOf(lookup!))
    // Where the server is asked again, that has a span of its own in between.
    await until(() => telemetry.spans.some((span) => idOf(span) === parentOf(fill!)))
    const above = telemetry.spans.find((span) => idOf(span) === parentOf(fill!))!
    expect(above === refresh || parentOf(above) === idOf(refresh!)).toBe(true)
    expect(baggage).toEqual(['alice', undefined])
  })

  test('purges and expirations, wherever they come from', async () => {
    const { app, telemetry } = await traced(host, [
      { path: '/', cache: { ttl: '1m' }, handler: (c) => c.send('one') },
      { method: 'POST', path: '/', invalidate: ['cities', 'towns'], handler: (c) => c.send('saved') },
    ])
    await telemetry.within('job', () => app.sluice.purge({ tags: ['a', 'b', 'c'] }))
    await app.sluice.expire({ all: true })
    expect(telemetry.one('sluice.purge').attributes).toEqual({ 'sluice.tags': 3 })
    expect(parentOf(telemetry.one('sluice.purge'))).toBe(idOf(telemetry.one('job')))
    expect(telemetry.one('sluice.expire').attributes).toEqual({ 'sluice.tags': 1 })
    telemetry.forget()
    await app.request('/', { method: 'POST' })
    await until(() => telemetry.named('server /').length === 1)
    const purge = telemetry.one('sluice.purge')
    expect(purge.attributes['sluice.tags']).toBeGreaterThanOrEqual(3)
    expect(parentOf(purge)).toBe(idOf(telemetry.one('server /')))
  })

  test('a handler that fails: an error with the status, and the exception where the host shows it', async () => {
    const { app, telemetry } = await traced(host, [
      {
        path: '/fails',
        cache: { ttl: '1m' },
        handler: (c) => c.status(503).send('down'),
      },
    ])
    await app.get('/fails')
    await until(() => telemetry.named('sluice.fill').length === 1)
    const fill = telemetry.one('sluice.fill')
    expect(fill.status.code).toBe(SpanStatusCode.ERROR)
    expect(fill.attributes).toMatchObject({
      'error.type': '503',
      'http.response.status_code': 503,
      'sluice.stored': false,
    })
  })

  test('a client that goes away is no error', async () => {
    const ready = gate()
    const { app, telemetry } = await traced(host, [whenOpen(ready)])
    const leader = new AbortController()
    const gone = app.request('/', { signal: leader.signal }).catch(() => 'gone')
    await app.arrived(1)
    leader.abort()
    expect(await gone).toBe('gone')
    await until(() => telemetry.named('sluice.fill').length === 1)
    ready.open()
    const fill = telemetry.one('sluice.fill')
    expect(fill.status.code).toBe(SpanStatusCode.UNSET)
    expect(fill.attributes).toMatchObject({ 'sluice.result': 'aborted', 'sluice.stored': false })
  })

  test('what the cache leaves alone says why', async () => {
    const { app, telemetry } = await traced(host, [
      { path: '/', cache: { ttl: '1m', varyBy: () => undefined as never }, handler: (c) => c.send('one') },
      { path: '/skipped', cache: { ttl: '1m' }, handler: skipped },
    ])
    await app.get('/skipped')
    await until(() => telemetry.named('sluice.fill').length === 1)
    expect(telemetry.one('sluice.fill').attributes).toMatchObject({ 'sluice.stored': false })
    expect(JSON.stringify(telemetry.spans.map(({ attributes }) => attributes))).not.toContain('user')
  })

  test('only the spans that are wanted are drawn, and none once it is stopped', async () => {
    const { app, telemetry, attachment } = await traced(
      host,
      [{ path: '/:id', cache: { ttl: '1m' }, handler: (c) => c.send('one') }],
      { options: { spans: ['fill'] } },
    )
    const ours = (): string[] => telemetry.spans.map(({ name }) => name).filter((name) => name.startsWith('sluice.'))
    await app.get('/1')
    await until(() => ours().length === 1)
    expect(ours()).toEqual(['sluice.fill'])
    expect(parentOf(telemetry.one('sluice.fill'))).toBe(idOf(telemetry.one('server /1')))
    attachment.stop()
    await app.get('/2')
    await until(() => telemetry.named('server /2').length === 1)
    expect(ours()).toEqual(['sluice.fill'])
  })

  test('a tracer that records nothing: everything works, and nothing stands between the handler and its request', async () => {
    const telemetry = new Telemetry()
    const { app } = await traced(
      host,
      [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            telemetry.within('own', () => {})
            c.send('one')
          },
        },
      ],
      { telemetry, options: { tracerProvider: new Telemetry(new AlwaysOffSampler()).tracerProvider } },
    )
    expect((await app.get('/')).cache).toBe('uri-miss')
    expect((await app.get('/')).cache).toBe('hit')
    await until(() => telemetry.named('server /').length === 2)
    expect(telemetry.spans.map(({ name }) => name).sort()).toEqual(['own', 'server /', 'server /'])
    expect(telemetry.named('server /').map(idOf)).toContain(parentOf(telemetry.one('own')))
  })

  test('below a request that is not sampled nothing is drawn, and the sampler is not asked again', async () => {
    const asked: string[] = []
    const sampler: Sampler = {
      shouldSample(_context, _traceId, name) {
        asked.push(name)
        return { decision: SamplingDecision.NOT_RECORD }
      },
      toString: () => 'nothing',
    }
    const telemetry = new Telemetry(sampler)
    const { app } = await traced(host, [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.send('one') }], {
      telemetry,
    })
    expect((await app.get('/')).cache).toBe('uri-miss')
    expect((await app.get('/')).cache).toBe('hit')
    expect(asked).toEqual(['server /', 'server /'])
    // Of what stands alone it is.
    await app.sluice.purge({ all: true })
    expect(asked).toEqual(['server /', 'server /', 'sluice.purge'])
    expect(telemetry.spans).toEqual([])
  })
})

describeHosts('spans at the front door', (host) => {
  test('an answer in front of the application is a look-up below the request', async () => {
    const { app, telemetry } = await traced(
      host,
      [{ path: '/', cache: { ttl: '1m', front: true }, handler: (c) => c.send('one') }],
      { spec: { front: true } },
    )
    const fronts: unknown[] = []
    app.sluice.on('front', (event) => fronts.push(event))
    for (let i = 0; i < 20 && fronts.length === 0; i++) {
      telemetry.forget()
      await app.get('/')
    }
    expect(fronts.length).toBe(1)
    await until(() => telemetry.named('server /').length >= 1)
    const lookup = telemetry.named('sluice.lookup').at(-1)!
    expect(lookup.attributes).toMatchObject({ 'sluice.result': 'hit', 'http.response.status_code': 200 })
    expect(telemetry.named('server /').map(idOf)).toContain(parentOf(lookup))
  })
})

/** So many requests carry it, as a propagator reads it from their fields. */
function carryBaggage(app: TestApp, visitor: string, requests: number): void {
  let seen = 0
  const { server } = app
  const emit = server.emit.bind(server) as (name: string, ...args: unknown[]) => boolean
  server.emit = (name: string, ...args: unknown[]): boolean => {
    if (name !== 'request' || ++seen > requests) return emit(name, ...args)
    const carried = propagation.createBaggage({ visitor: { value: visitor } })
    return context.with(propagation.setBaggage(context.active(), carried), () => emit(name, ...args))
  }
}

function skipped(c: Ctx): void {
  c.sluice.skip(`user ${c.path}`)
  c.send('one')
}
