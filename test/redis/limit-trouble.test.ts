import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { systemClock } from '../../packages/core/src/clock.ts'
import type { LimitEvents } from '../../packages/core/src/limit/events.ts'
import { type CheckResult, createLimiter, type Limiter } from '../../packages/core/src/limit/limiter.ts'
import { redis } from '../../packages/redis/src/index.ts'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { freshName } from './support.ts'

const deadlineMs = 100
const graceMs = 50

const limits = {
  open: { rate: '5/h', onOutage: 'open' },
  closed: { rate: '5/h', onOutage: 'closed' },
  local: { rate: '4/h', onOutage: 'local', share: 0.5 },
  leased: { rate: '100/h', lease: 50 },
  permits: { rate: '3 concurrent' },
} as const

/** A limiter as an application has it, and what it reported. */
class Application {
  readonly limiter: Limiter
  readonly events: string[] = []
  slowestMs = 0
  readonly #close: () => unknown

  constructor(url: string) {
    const backend = redis(url, { namespace: freshName() })
    const clock = systemClock()
    const events = {
      wants: () => true,
      emit: (name: keyof LimitEvents) => void this.events.push(name),
    }
    this.limiter = createLimiter({ store: backend.limitStore!({ clock, report: () => {} }), limits, clock, events })
    this.#close = () => backend.close!()
  }

  /** What the machine itself was late by meanwhile is not counted against the deadline. */
  async check(policy: keyof typeof limits, key = 'k'): Promise<CheckResult> {
    let late = 0
    let last = performance.now()
    const beat = setInterval(() => {
      late += Math.max(0, performance.now() - last - 5)
      last = performance.now()
    }, 5)
    const start = performance.now()
    const verdict = await this.limiter.check(policy, { key })
    clearInterval(beat)
    this.slowestMs = Math.max(this.slowestMs, performance.now() - start - late)
    return verdict
  }

  async ready(): Promise<void> {
    await until(async () => (await this.check('open', 'ready')).via === 'store', 20_000)
    this.slowestMs = 0
    this.events.length = 0
  }

  async close(): Promise<void> {
    await this.limiter.close()
    await this.#close()
  }
}

interface Trouble {
  readonly name: string
  readonly begin: (server: RedisServer) => unknown
  readonly end: (server: RedisServer) => unknown
  /** Whether what was counted before is still there afterwards. */
  readonly remembers: boolean
}

const troubles: readonly Trouble[] = [
  { name: 'frozen', begin: (server) => server.freeze(), end: (server) => server.thaw(), remembers: true },
  { name: 'killed', begin: (server) => server.kill(), end: (server) => server.restart(), remembers: false },
  {
    name: 'read-only, as a replica after a failover',
    begin: (server) => server.cli('REPLICAOF', '127.0.0.1', '1'),
    end: (server) => server.cli('REPLICAOF', 'NO', 'ONE'),
    remembers: true,
  },
  {
    name: 'out of memory',
    begin: (server) => server.cli('CONFIG', 'SET', 'maxmemory', '1'),
    end: (server) => server.cli('CONFIG', 'SET', 'maxmemory', '0'),
    remembers: true,
  },
]

describe('Redis that is', () => {
  let server: RedisServer
  let app: Application

  beforeEach(async () => {
    server = await startRedis()
    app = new Application(server.url)
    await app.ready()
  })
  afterEach(async () => {
    server.thaw()
    await app.close()
    await server.stop()
  })

  test.each(troubles)(
    '$name: nobody waits longer than the deadline, each policy decides, and it recovers',
    async (trouble) => {
      const { begin, end, remembers } = trouble
      await Promise.all([app.check('open'), app.check('closed'), app.check('local')])
      await begin(server)

      const ask = (policy: 'open' | 'closed' | 'local') =>
        Promise.all(Array.from({ length: 10 }, () => app.check(policy)))
      const [open, closed, local] = await Promise.all([ask('open'), ask('closed'), ask('local')])
      expect(open.map(({ allowed, via }) => [allowed, via])).toEqual(open.map(() => [true, 'open']))
      expect(closed.map(({ allowed, via }) => [allowed, via])).toEqual(closed.map(() => [false, 'closed']))
      // Half of four, as the share says.
      expect(local.filter(({ allowed }) => allowed)).toHaveLength(2)
      expect(local.every(({ via }) => via === 'local')).toBe(true)
      expect(app.events).toContain('store-error')

      // The breaker is open: nobody waits at all, but for the one that looks whether Redis is back.
      const start = performance.now()
      for (let i = 0; i < 100; i++) await app.limiter.check('open', { key: `other${i}` })
      expect(performance.now() - start).toBeLessThan(2 * deadlineMs + graceMs)

      await end(server)
      await until(async () => (await app.check('open', 'ready')).via === 'store', 20_000)
      expect(app.slowestMs).toBeLessThanOrEqual(deadlineMs + graceMs)
      const after = await app.check('closed')
      expect(after.via).toBe('store')
      // Frozen, it did in the end what it had been asked to; what was refused meanwhile was given back.
      expect(after.remaining).toBeLessThanOrEqual(4)
      expect(after.remaining).toBeGreaterThanOrEqual(remembers ? 1 : 4)
    },
    40_000,
  )

  test('frozen while requests wait for units in advance and permits: they are given back when it is too late', async () => {
    server.freeze()
    const checks = Promise.all([
      ...Array.from({ length: 5 }, () => app.check('leased')),
      ...Array.from({ length: 5 }, () => app.check('permits')),
    ])
    const verdicts = await checks
    expect(verdicts.every(({ via }) => via === 'local')).toBe(true)
    expect(app.slowestMs).toBeLessThanOrEqual(deadlineMs + graceMs)
    for (const { release } of verdicts) release?.()
    server.thaw()
    await until(async () => (await app.check('open', 'ready')).via === 'store', 20_000)
    await until(async () => (await app.limiter.peek('permits', { key: 'k' })).remaining === 3, 5_000)
    // The five that were admitted meanwhile stay counted, and no more.
    await until(async () => (await app.limiter.peek('leased', { key: 'k' })).remaining === 95, 5_000)
  }, 30_000)

  test('frozen does not keep the application from closing', async () => {
    await app.check('permits')
    await app.check('leased')
    server.freeze()
    const start = performance.now()
    await app.limiter.close()
    expect(performance.now() - start).toBeLessThan(3_000)
  }, 20_000)
})

test('Redis that was never there: requests are decided from the first on, and it is used as soon as it comes', async () => {
  const server = await startRedis()
  await server.kill()
  const app = new Application(server.url)
  const verdicts = await Promise.all([app.check('open'), app.check('closed'), app.check('local')])
  expect(verdicts.map(({ allowed, via }) => [allowed, via])).toEqual([
    [true, 'open'],
    [false, 'closed'],
    [true, 'local'],
  ])
  expect(app.slowestMs).toBeLessThanOrEqual(deadlineMs + graceMs)
  await expect(app.limiter.reset('open', { key: 'k' })).rejects.toMatchObject({ code: 'ERR_SLUICE_STORE' })
  await server.restart()
  await until(async () => (await app.check('open', 'ready')).via === 'store', 20_000)
  await app.close()
  await server.stop()
}, 30_000)
