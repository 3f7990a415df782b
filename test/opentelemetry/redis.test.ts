import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { createSluice, type NodeSluice } from '@sluice/node'
import { opentelemetry } from '@sluice/opentelemetry'
import { describeHosts, gate, until } from '../hosts/harness/host.ts'
import { redis } from '../redis/library.ts'
import { freshName } from '../redis/support.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
import { idOf, parentOf, RecordingMeters, Telemetry } from './support.ts'

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
})

test('a request that waits for another process: its call of the store is its wait', async () => {
  const namespace = freshName()
  const telemetry = new Telemetry()
  const ready = gate()
  const boot = async (sluice: NodeSluice): Promise<{ server: Server; url: string }> => {
    const cached = sluice.cache('1m')
    const app = createServer((req, res) => cached(req, res, () => void ready.then(() => res.end('one'))))
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
    return { server: app, url: `http://127.0.0.1:${(app.address() as AddressInfo).port}/` }
  }
  const sluices = [0, 1].map(() => createSluice({ backend: redis(server.url, { namespace, tier: false }) }))
  const [leading, following] = sluices as [NodeSluice, NodeSluice]
  const [leader, follower] = [await boot(leading), await boot(following)]
  opentelemetry(following, telemetry.options)
  let led = false
  leading.on('backend', ({ operation }) => {
    led ||= operation === 'read'
  })
  const first = fetch(leader.url)
  await until(() => led)
  const second = fetch(follower.url)
  await until(() => telemetry.named('sluice.backend.read').length === 1)
  ready.open()
  const answers = await Promise.all([first, second])
  expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(['one', 'one'])
  expect(telemetry.one('sluice.lookup').attributes).toMatchObject({ 'sluice.result': 'collapsed' })
  expect(parentOf(telemetry.one('sluice.backend.follow'))).toBe(idOf(telemetry.one('sluice.lookup')))
  expect(telemetry.named('sluice.fill')).toEqual([])
  for (const { server: app } of [leader, follower]) {
    app.closeAllConnections()
    app.close()
  }
  for (const sluice of sluices) await sluice.close()
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
    // The purge is tried again until it holds.
    await own.restart()
    await sluice.ready()
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
