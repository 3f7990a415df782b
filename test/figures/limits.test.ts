import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { prometheus } from '@sluice/prometheus'
import { Registry } from 'prom-client'
import { says } from '../hosts/harness/handlers.ts'
import { describeHosts, until } from '../hosts/harness/host.ts'
import { parseExposition, seriesValue } from '../prometheus/exposition.ts'
import { redis } from '../redis/library.ts'
import { freshName } from '../redis/support.ts'
import { serverOfTests } from '../support/outside-redis.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'

let server: RedisServer
beforeAll(async () => {
  server = await serverOfTests()
})
afterAll(() => server.stop())

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

describeHosts('what limits give back', (host) => {
  test('is told by policy: once for each request, however many rates it has', async () => {
    const limits = {
      failures: { rate: '9/min, 99/hour', countIf: ({ status }: { status: number }) => status >= 400 },
      other: '9/min',
    }
    const app = await host.boot({
      front: false,
      sluice: { limits },
      routes: [
        { path: '/ok', limit: ['failures'], handler: says({}) },
        { path: '/bad', limit: ['failures'], handler: says({ status: 404 }) },
      ],
    })
    for (const path of ['/ok', '/ok', '/bad']) await app.get(path)
    const refunded = () => app.sluice.stats().limits.policies.failures?.refunded
    await until(() => refunded() === 2)
    expect(app.sluice.stats().limits.policies.other?.refunded).toBe(0)
  })
})

const limits = { mail: '5/min', jobs: { rate: '3 concurrent' } } as const

const stores = {
  'in memory': () => createSluice({ limits }),
  'on Redis': () => createSluice({ limits, backend: redis(server.url, { namespace: freshName() }) }),
}

describe.each(Object.entries(stores))('limits %s,', (_, open) => {
  const start = async () => {
    const sluice = open()
    ends.push(() => sluice.close())
    await sluice.ready()
    const registry = new Registry()
    prometheus(sluice, { registry })
    return { sluice, read: async () => parseExposition(await registry.metrics()) }
  }

  test('what is refunded by hand', async () => {
    const { sluice, read } = await start()
    await sluice.check('mail', { key: 'a' })
    await sluice.refund('mail', { key: 'a' })
    expect(sluice.stats().limits.policies.mail).toMatchObject({ allowed: 1, refunded: 1 })
    expect(seriesValue(await read(), 'sluice_limit_refunds_total', { policy: 'mail' })).toBe(1)
  })

  test('how many permits are out, of the busiest key too, and how many may be', async () => {
    const { sluice, read } = await start()
    const taken = []
    for (const key of ['a', 'a', 'b']) taken.push(await sluice.check('jobs', { key }))
    const told = async () => {
      const families = await read()
      const of = { policy: 'jobs' }
      return ['', '_busiest', '_max'].map((part) => seriesValue(families, `sluice_limit_permits${part}`, of))
    }
    expect(await told()).toEqual([3, 2, 3])
    expect(sluice.stats().limits.policies.jobs).toMatchObject({ permits: { out: 3, busiest: 2, limit: 3 } })
    expect(sluice.stats().limits.policies.mail).not.toHaveProperty('permits')
    for (const { release } of taken) release?.()
    expect(await told()).toEqual([0, 0, 3])
    // That a permit comes back is no refund.
    expect(sluice.stats().limits.policies.jobs?.refunded).toBe(0)
  })
})

test('the caps of memory', async () => {
  const sluice = createSluice({ cache: { maxBytes: '1mb' } })
  ends.push(() => sluice.close())
  const { cache, limits: counted } = sluice.stats()
  expect([cache.maxBytes, counted.store.maxEntries]).toEqual([2 ** 20, 100_000])
  expect(cache.bus).toBeUndefined()
})

describe('the bus of invalidations', () => {
  test('says how far behind it is, and further and further once no message comes', async () => {
    const own = await startRedis()
    let stopped = false
    ends.push(() => stopped || own.stop())
    const sluice = createSluice({ backend: redis(own.url, { namespace: freshName() }) })
    ends.push(() => sluice.close())
    sluice.on('error', () => {})
    const registry = new Registry()
    prometheus(sluice, { registry })
    const bus = () => sluice.stats().cache.bus!
    await until(() => bus().delayMs !== undefined)
    expect(bus().behindMs).toBeLessThan(2_500)
    expect(bus().delayMs).toBeLessThan(500)
    const families = parseExposition(await registry.metrics())
    expect(seriesValue(families, 'sluice_bus_behind_seconds')).toBeLessThan(2.5)
    expect(seriesValue(families, 'sluice_bus_delay_seconds')).toBeLessThan(0.5)
    await own.stop()
    stopped = true
    const then = bus().behindMs
    await until(() => bus().behindMs > then + 1_600)
  })
})
