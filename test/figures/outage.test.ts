import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { collectFigures } from '@sluice/core'
import { createSluice } from '@sluice/node'
import { redis } from '../redis/library.ts'
import { freshName } from '../redis/support.ts'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())

const policies = ['open', 'closed', 'local'] as const

test('while Redis is gone, what each policy did instead is counted, failed calls are told apart, and breakers are open', async () => {
  const limits = Object.fromEntries(policies.map((onOutage) => [onOutage, { rate: '100/h', onOutage }]))
  const deadlines = { limit: '200ms', read: '200ms' } as const
  const sluice = createSluice({
    backend: redis(server.url, { namespace: freshName(), tier: false, deadlines }),
    limits,
  })
  const figures = collectFigures(sluice)
  await sluice.ready()
  const askAll = async (): Promise<void> => {
    for (const policy of policies) await sluice.check(policy, { key: 'k' })
  }
  const instead = (): unknown => {
    const { open, closed, local } = figures.snapshot().stats.limits.policies
    return [open!.failedOpen, closed!.failedClosed, local!.countedLocally]
  }
  const calls = (ok: boolean): number => {
    const of = figures.snapshot().backend.filter((one) => one.operation === 'limit' && one.ok === ok)
    return of.reduce((sum, { durations }) => sum + durations.count, 0)
  }
  await askAll()
  expect([instead(), calls(true), calls(false)]).toEqual([[0, 0, 0], 3, 0])
  expect(figures.snapshot().stats.limits.store.breakersOpen).toBe(0)

  await server.kill()
  for (let i = 0; i < 4; i++) await askAll()
  expect(instead()).toEqual([4, 4, 4])
  expect(calls(true)).toBe(3)
  // From the fifth failure on nobody is sent there.
  expect(calls(false)).toBe(5)
  const { stats, errors } = figures.snapshot()
  expect(stats.limits.store.breakersOpen).toBe(1)
  expect(stats.limits.policies.closed).toMatchObject({ allowed: 1, denied: 4, failedOpen: 0, countedLocally: 0 })
  expect(errors).toEqual([{ code: 'ERR_SLUICE_STORE', count: expect.any(Number) }])

  await server.restart()
  await until(async () => figures.snapshot().stats.limits.store.breakersOpen === 0)
  const before = instead()
  await askAll()
  expect(instead()).toEqual(before)
  await sluice.close()
  figures.stop()
})

test('calls of all memos are counted together', async () => {
  const sluice = createSluice()
  const twice = sluice.memo((n: number) => 2 * n, { ttl: '1m' })
  await Promise.all([twice(1), twice(1)])
  await twice(1)
  await expect(sluice.memo(() => Promise.reject(new Error('no')), { ttl: '1m' })()).rejects.toThrow('no')
  expect(sluice.stats().memos).toEqual({
    hits: expect.any(Number),
    misses: 2,
    coalesced: expect.any(Number),
    errors: 1,
  })
  const { hits, coalesced } = sluice.stats().memos
  expect(hits + coalesced).toBe(2)
  await sluice.close()
})
