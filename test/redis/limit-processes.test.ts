import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { rateOf } from './limits/support.ts'
import { kinds } from './limits/trace.ts'
import { type Checked, LimitWorker } from './limits/workers.ts'
import { freshName } from './support.ts'

/** `npm run test:limits-diff` runs 4, 8 and 16. */
const processes = (process.env.SLUICE_LIMIT_PROCESSES ?? '4').split(',').map(Number)

const limit = 200
/** Whose midnight is hours away. */
const timeZone = Math.abs(new Date().getUTCHours() - 12) < 6 ? 'UTC' : 'Asia/Tokyo'
const limits = {
  ...Object.fromEntries(
    kinds.map((kind) => [
      kind,
      {
        rate: rateOf(kind, limit, '366 d'),
        algorithm: kind,
        ...(kind === 'calendar-window' && { timeZone }),
      },
    ]),
  ),
  leased: { rate: rateOf('sliding-window', limit, '366 d'), lease: 20 },
  leasedMonth: { rate: rateOf('calendar-window', limit, ''), lease: 20, timeZone },
  permits: { rate: '10 concurrent', permitTtl: '2s' },
  closing: { rate: '100/h', lease: 60 },
}

let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
})
afterAll(async () => {
  await server.stop()
})

const total = (checked: readonly Checked[]): number => checked.reduce((sum, { allowed }) => sum + allowed, 0)

describe.each(processes)('%d processes, each with 50 in flight', (count) => {
  let workers: LimitWorker[]

  beforeAll(async () => {
    const namespace = freshName()
    workers = await Promise.all(Array.from({ length: count }, () => LimitWorker.start(server.url, namespace, limits)))
    // Connected, and decided by Redis from here on.
    for (const worker of workers) {
      await until(async () => (await worker.check('sliding-window', 'first', 1, 1)).elsewhere === 0, 20_000)
    }
  }, 60_000)
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.kill()))
  })

  test.each([...kinds, 'leased', 'leasedMonth'])('admit exactly as many as the limit says: %s', async (policy) => {
    const checked = await Promise.all(workers.map((worker) => worker.check(policy, 'hot', limit)))
    expect(checked.map(({ elsewhere }) => elsewhere)).toEqual(workers.map(() => 0))
    expect(total(checked)).toBe(limit)
  })

  test('what a process has taken in advance and not used is there for the others when it closes', async () => {
    const [first, second] = workers as [LimitWorker, LimitWorker]
    expect((await first.check('closing', 'k', 5, 1)).allowed).toBe(5)
    await first.close()
    expect((await second.check('closing', 'k', 120)).allowed).toBe(95)
  })

  test('permits of a process that is killed come back after their lease, those of others stay out', async () => {
    const [, second, third] = workers as [LimitWorker, LimitWorker, LimitWorker]
    expect((await second.check('permits', 'k', 6)).allowed).toBe(6)
    expect((await third.check('permits', 'k', 3)).allowed).toBe(3)
    await second.kill()
    expect((await third.check('permits', 'k', 2)).allowed).toBe(1)
    await until(async () => (await third.check('permits', 'k', 1)).allowed === 1, 5_000)
    // Four were kept by being renewed; six have come back, and one of them was just taken.
    expect((await third.check('permits', 'k', 20)).allowed).toBe(5)
  })
})
