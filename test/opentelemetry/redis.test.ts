import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { createSluice } from '@sluice/node'
import { opentelemetry } from '@sluice/opentelemetry'
import { describeHosts, gate, until } from '../hosts/harness/host.ts'
import { redis } from '../redis/library.ts'
import { freshName } from '../redis/support.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
import { idOf, parentOf, RecordingMeters, Telemetry } from './support.ts'

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

let server: RedisServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())

const call = (operation: string): object => ({ 'db.system.name': 'redis', 'db.operation.name': operation })

describeHosts('on Redis', (host) => {
  test('calls of the store stand below what needed them: the look-up, the fill, the purge', async () => {
    const telemetry = new Telemetry()
    const backend = redis(server.url, { namespace: freshName(), tier: false })
    const app = await host.boot({
      front: false,
      sluice: { backend },
      routes: [
        {
          path: '/cities/:id',
          cache: { ttl: '1m' },
          limitMisses: ['5/min'],
          handler(c) {
            telemetry.within('SELECT', () => {})
            c.send('Oslo')
          },
        },
      ],
    })
    opentelemetry(app.sluice, telemetry.options)
    telemetry.watch(app.server)
    await app.get('/cities/1')
    await until(() => telemetry.named('server /cities/1').length === 1 && telemetry.named('sluice.fill').length === 1)
    const fill = telemetry.one('sluice.fill')
    expect(parentOf(fill)).toBe(idOf(telemetry.one('server /cities/1')))
    expect(parentOf(telemetry.one('SELECT'))).toBe(idOf(fill))
    const reads = telemetry.named('sluice.backend.read')
    expect(reads.map(parentOf)).toEqual(reads.map(() => idOf(telemetry.one('sluice.lookup'))))
    const [store, limit] = ['store', 'limit'].map((name) => telemetry.one(`sluice.backend.${name}`))
    expect([parentOf(store!), parentOf(limit!)]).toEqual([idOf(fill), idOf(fill)])
    expect([reads[0]!.attributes, store!.attributes, limit!.attributes]).toEqual(['read', 'store', 'limit'].map(call))
    expect(store!.kind).toBe(SpanKind.CLIENT)
    telemetry.forget()
    expect((await app.get('/cities/1')).cache).toBe('hit')
    await until(() => telemetry.named('server /cities/1').length === 1)
    expect(telemetry.spans.map(({ name }) => name).sort()).toEqual([
      'server /cities/1',
      'sluice.backend.read',
      'sluice.lookup',
    ])
    expect(parentOf(telemetry.one('sluice.backend.read'))).toBe(idOf(telemetry.one('sluice.lookup')))
    await app.sluice.purge({ tags: 'oslo' })
    expect(parentOf(telemetry.one('sluice.backend.invalidate'))).toBe(idOf(telemetry.one('sluice.purge')))
    // The name of the tag, and of the key, are nowhere.
    expect(JSON.stringify(telemetry.spans.map(({ attributes }) => attributes))).not.toMatch(/oslo|cities\/1/)
  })

  test('a request that waits for another process', async () => {
    const namespace = freshName()
    const telemetry = new Telemetry()
    const ready = gate()
    const boot = () =>
      host.boot({
        front: false,
        sluice: { backend: redis(server.url, { namespace, tier: false }) },
        routes: [
          {
            path: '/',
            cache: { ttl: '1m' },
            async handler(c) {
              await ready
              c.send('one')
            },
          },
        ],
      })
    const [leader, follower] = [await boot(), await boot()]
    opentelemetry(follower.sluice, telemetry.options)
    telemetry.watch(follower.server)
    let led = false
    leader.sluice.on('backend', ({ operation }) => {
      led ||= operation === 'read'
    })
    const first = leader.get('/')
    await until(() => led)
    const second = follower.get('/')
    await follower.arrived(1)
    await until(() => telemetry.named('sluice.backend.read').length === 1)
    ready.open()
    await first
    let answered = false
    void second.then(() => {
      answered = true
    })
    // Who follows asks again from time to time.
    for (; !answered; await after(5)) await follower.clock.advance(5)
    await until(() => telemetry.named('server /').length === 1)
    expect(telemetry.one('sluice.lookup').attributes).toMatchObject({ 'sluice.result': 'collapsed' })
    expect(parentOf(telemetry.one('sluice.backend.follow'))).toBe(idOf(telemetry.one('sluice.lookup')))
    expect(telemetry.named('sluice.fill')).toEqual([])
  })
})

describe('a store that fails', () => {
  test('is an error with its code and its exception, below what it was asked for; a purge that did not hold is one too', async () => {
    const own = await startRedis()
    const telemetry = new Telemetry()
    const deadlines = { limit: '100ms', read: '100ms', purge: '100ms' } as const
    const sluice = createSluice({
      backend: redis(own.url, { namespace: freshName(), tier: false, deadlines }),
      limits: { mail: '5/min' },
    })
    await sluice.ready()
    opentelemetry(sluice, telemetry.options)
    await own.kill()
    await telemetry.within('job', () => Promise.resolve(sluice.check('mail', { key: 'alice' })))
    await expect(sluice.purge({ tags: 'oslo' })).rejects.toThrow()
    const [limit, purge, invalidate] = ['backend.limit', 'purge', 'backend.invalidate'].map((name) =>
      telemetry.one(`sluice.${name}`),
    )
    expect(parentOf(limit!)).toBe(idOf(telemetry.one('job')))
    expect(parentOf(invalidate!)).toBe(idOf(purge!))
    for (const span of [limit!, purge!, invalidate!]) {
      expect(span.status.code).toBe(SpanStatusCode.ERROR)
      expect(span.attributes['error.type']).toBe('ERR_SLUICE_STORE')
      expect(span.events.map(({ name }) => name)).toEqual(['exception'])
    }
    const calls = await telemetry.values('db.client.operation.duration')
    expect(calls.map(({ attributes }) => attributes)).toEqual([
      { ...call('limit'), 'error.type': '_OTHER' },
      { ...call('invalidate'), 'error.type': '_OTHER' },
    ])
    await sluice.close()
    await own.stop()
  })
})

describe('what is measured', () => {
  test('is recorded in the context of its span, from which an SDK takes exemplars', async () => {
    const telemetry = new Telemetry()
    const meters = new RecordingMeters()
    const sluice = createSluice({
      backend: redis(server.url, { namespace: freshName(), tier: false }),
      limits: { mail: '5/min' },
    })
    await sluice.ready()
    opentelemetry(sluice, { ...telemetry.options, meterProvider: meters })
    await sluice.check('mail', { key: 'alice' })
    const [recorded] = meters.recorded
    expect(recorded?.name).toBe('db.client.operation.duration')
    expect(trace.getSpan(recorded!.context!)?.spanContext().spanId).toBe(idOf(telemetry.one('sluice.backend.limit')))
    await sluice.close()
  })
})
