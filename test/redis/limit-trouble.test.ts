import { afterEach, describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import type { CheckResult } from '../../packages/core/src/limit/checks.ts'
import type { LimitEvents } from '../../packages/core/src/limit/events.ts'
import { createLimiter, type Limiter } from '../../packages/core/src/limit/limiter.ts'
import { timed } from '../support/lateness.ts'
import { startRedis, until } from '../support/redis-server.ts'
import { startStage, type Trouble, troubles, urlFor } from '../support/redis-troubles.ts'
import { redis } from './library.ts'
import { freshName } from './support.ts'

const graceMs = 50

const limit = 5
const ofTheProcess = 2
const lease = 3

const limits = {
  open: { rate: `${limit}/h`, onOutage: 'open' },
  closed: { rate: `${limit}/h`, onOutage: 'closed' },
  local: { rate: `${limit}/h`, onOutage: 'local', share: ofTheProcess / limit },
  inAdvance: { rate: `${limit}/h`, onOutage: 'closed', lease },
  leased: { rate: '100/h', lease: 50 },
  permits: { rate: '3 concurrent', permitTtl: '2s' },
} as const

type PolicyName = keyof typeof limits

/** The policies with that limit, which every trouble is tried on. */
const counted = ['open', 'closed', 'local', 'inAdvance'] as const

interface Answer {
  readonly policy: PolicyName
  readonly key: string
  readonly allowed: boolean
  readonly via: CheckResult['via']
}

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A limiter as an application has it, what it answered, and what it reported. */
class Application {
  readonly limiter: Limiter
  readonly events: string[] = []
  readonly answers: Answer[] = []
  readonly deadlineMs: number
  slowestMs = 0
  readonly #close: () => unknown

  constructor(target: Parameters<typeof redis>[0], deadlineMs = 100) {
    this.deadlineMs = deadlineMs
    const backend = redis(target, { namespace: freshName(), deadlines: { limit: deadlineMs } })
    const clock = systemClock()
    const events = {
      wants: () => true,
      emit: (name: keyof LimitEvents) => void this.events.push(name),
    }
    this.limiter = createLimiter({ store: backend.limitStore!({ clock, report: () => {} }), limits, clock, events })
    this.#close = () => backend.close!()
    closing.push(() => this.close())
  }

  async check(policy: PolicyName, key = 'k'): Promise<CheckResult> {
    const { value, ms } = await timed(() => this.limiter.check(policy, { key }))
    this.slowestMs = Math.max(this.slowestMs, ms)
    this.answers.push({ policy, key, allowed: value.allowed, via: value.via })
    return value
  }

  /** Asks until Redis decides. */
  async decided(policy: PolicyName, key = 'k'): Promise<boolean> {
    let allowed = false
    await until(async () => {
      const verdict = await this.check(policy, key)
      allowed = verdict.allowed
      return verdict.via === 'store'
    }, 20_000)
    return allowed
  }

  async reached(): Promise<void> {
    await this.decided('open', 'reached')
  }

  /** As many as Redis still admits, up to what nobody could explain. */
  async useUp(policy: PolicyName): Promise<void> {
    for (let i = 0; i <= 2 * limit; i++) if (!(await this.decided(policy))) return
    throw new Error(`Redis never refuses: ${policy}`)
  }

  keepsTime(): void {
    expect(this.slowestMs).toBeLessThanOrEqual(this.deadlineMs + graceMs)
  }

  async ready(): Promise<void> {
    await this.reached()
    this.slowestMs = 0
    this.answers.length = 0
    this.events.length = 0
  }

  /** How many requests of that policy were admitted, by Redis and without it. */
  admitted(policy: PolicyName): { store: number; instead: number } {
    const all = this.answers.filter((one) => one.policy === policy && one.key === 'k' && one.allowed)
    const store = all.filter(({ via }) => via === 'store').length
    return { store, instead: all.length - store }
  }

  async close(): Promise<void> {
    await this.limiter.close()
    await this.#close()
  }
}

/** A crowd on every policy at once, then a trickle of new clients for as long as the trouble should last. */
async function crowd(app: Application, { lastsMs = 300 }: Trouble): Promise<readonly Answer[]> {
  const from = app.answers.length
  const end = performance.now() + lastsMs
  const permits = Array.from({ length: 5 }, () => app.check('permits'))
  await Promise.all(counted.flatMap((policy) => Array.from({ length: 10 }, () => app.check(policy))))
  for (const { release } of await Promise.all(permits)) release?.()
  for (let i = 0; performance.now() < end; i++) {
    await Promise.all([0, 1, 2].map((j) => app.check('open', `client ${i} ${j}`)))
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return app.answers.slice(from)
}

describe('Redis that is', () => {
  test.each(troubles)(
    '$name: nobody waits longer than the deadline, each policy decides, it recovers, and no more are \
admitted than the limit and that policy allow',
    async (trouble) => {
      const stage = await startStage()
      closing.push(() => stage.stop())
      // Where nothing may be noticed, a busy machine should not be either.
      const app = new Application(urlFor(trouble, stage), trouble.leaves === 'everything' ? 1_000 : undefined)
      await app.ready()
      for (const policy of counted) await app.decided(policy)
      const before = app.answers.length

      const end = await trouble.begin(stage)
      const meanwhile = await crowd(app, trouble)
      const instead = meanwhile.filter(({ via }) => via !== 'store')
      const of = (policy: PolicyName) => instead.filter((one) => one.policy === policy)
      for (const { via, allowed } of of('open')) expect([via, allowed]).toEqual(['open', true])
      for (const { via, allowed } of [...of('closed'), ...of('inAdvance')])
        expect([via, allowed]).toEqual(['closed', false])
      expect(of('local').every(({ via }) => via === 'local')).toBe(true)
      if (trouble.leaves === 'everything') {
        expect(instead).toEqual([])
        expect(app.events).not.toContain('store-error')
      } else {
        expect(instead.length).toBeGreaterThan(0)
        expect(app.events).toContain('store-error')
      }
      if (trouble.leaves === 'nothing' || trouble.leaves === 'reads') {
        // What had been taken in advance was charged then, and can be used.
        const store = meanwhile.filter(({ via }) => via === 'store')
        expect(store.map(({ policy }) => policy)).toEqual(Array(lease - 1).fill('inAdvance'))
        expect(app.admitted('local').instead).toBe(ofTheProcess)
        // The breaker is open: nobody waits at all, but for the one that looks whether Redis is back.
        const { ms } = await timed(async () => {
          for (let i = 0; i < 100; i++) await app.limiter.check('open', { key: `other${i}` })
        })
        expect(ms).toBeLessThan(app.deadlineMs + graceMs)
      }

      await end()
      await app.reached()
      for (const policy of counted) await app.useUp(policy)
      app.keepsTime()

      const fallback = { open: of('open').length, closed: 0, local: ofTheProcess, inAdvance: 0 }
      for (const policy of counted) {
        const { store, instead: without } = app.admitted(policy)
        expect(without).toBeLessThanOrEqual(fallback[policy])
        const forgotten = trouble.forgets
          ? app.answers.slice(0, before).filter((one) => one.policy === policy).length
          : 0
        const inHand = trouble.forgets && policy === 'inAdvance' ? lease - 1 : 0
        expect(store).toBeLessThanOrEqual(limit + forgotten + inHand)
      }
      // What was charged for those who were refused is given back, but where nobody could know that it was charged.
      const all = limit + (trouble.forgets ? 1 : 0)
      if (trouble.leaves !== 'moments') {
        await until(async () => {
          await app.useUp('closed')
          return app.admitted('closed').store >= all
        })
        expect(app.admitted('closed').store).toBe(all)
      }
      await until(async () => (await app.limiter.peek('permits', { key: 'k' })).remaining === 3, 5_000)
    },
    40_000,
  )

  test('frozen while requests wait for units in advance and permits: they are given back when it is too late', async () => {
    const server = await startRedis()
    closing.push(() => server.stop())
    const app = new Application(server.url)
    await app.ready()
    server.freeze()
    const verdicts = await Promise.all([
      ...Array.from({ length: 5 }, () => app.check('leased')),
      ...Array.from({ length: 5 }, () => app.check('permits')),
    ])
    expect(verdicts.every(({ via }) => via === 'local')).toBe(true)
    app.keepsTime()
    for (const { release } of verdicts) release?.()
    server.thaw()
    await app.reached()
    await until(async () => (await app.limiter.peek('permits', { key: 'k' })).remaining === 3, 5_000)
    // The five that were admitted meanwhile stay counted, and no more.
    await until(async () => (await app.limiter.peek('leased', { key: 'k' })).remaining === 95, 5_000)
  }, 30_000)

  test('frozen does not keep the application from closing', async () => {
    const server = await startRedis()
    closing.push(() => server.stop())
    const app = new Application(server.url)
    await app.ready()
    await app.check('permits')
    await app.check('leased')
    server.freeze()
    const { ms } = await timed(() => app.limiter.close())
    expect(ms).toBeLessThan(3_000)
  }, 20_000)

  test('not there yet: requests are decided from the first on, and it is used as soon as it comes', async () => {
    const server = await startRedis()
    closing.push(() => server.stop())
    await server.kill()
    const app = new Application(server.url)
    const verdicts = await Promise.all([app.check('open'), app.check('closed'), app.check('local')])
    expect(verdicts.map(({ allowed, via }) => [allowed, via])).toEqual([
      [true, 'open'],
      [false, 'closed'],
      [true, 'local'],
    ])
    app.keepsTime()
    await expect(app.limiter.reset('open', { key: 'k' })).rejects.toMatchObject({ code: 'ERR_SLUICE_STORE' })
    await server.restart()
    await app.reached()
  }, 30_000)
})

describe('whatever the client was told to do', () => {
  const loading = troubles.find(({ name }) => name.startsWith('loading'))!

  test('one that queues, sends again for ever and does not mind LOADING keeps nobody waiting', async () => {
    const stage = await startStage()
    closing.push(() => stage.stop())
    const client = new Redis(stage.server.port, {
      maxRetriesPerRequest: null,
      enableOfflineQueue: true,
      enableReadyCheck: false,
      retryStrategy: () => 50,
    })
    client.on('error', () => {})
    closing.push(() => client.disconnect())
    const app = new Application(client)
    await app.ready()
    for (const policy of counted) await app.check(policy)
    const end = await loading.begin(stage)
    const meanwhile = await crowd(app, loading)
    expect(meanwhile.every(({ policy, via }) => via !== 'store' || policy === 'inAdvance')).toBe(true)
    await end()
    await app.reached()
    await app.useUp('closed')
    expect(app.admitted('closed')).toEqual({ store: limit, instead: 0 })
    app.keepsTime()
  }, 30_000)
})
