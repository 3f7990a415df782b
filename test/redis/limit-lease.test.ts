import { describe, expect, test } from '@jest/globals'
import { Calendar } from '../../packages/core/src/base/calendar.ts'
import type { AlgorithmKind } from '../../packages/core/src/limit/algorithms/algorithm.ts'
import type { LimitStore } from '../../packages/core/src/limit/store/store.ts'
import { ManualClock } from '../limit/helpers.ts'
import { until } from '../support/redis-server.ts'
import { chargeOf, limitsOn, quotaOf, rateOf } from './limits/support.ts'
import { kinds, randomOf } from './limits/trace.ts'
import { client, server } from './one-client.ts'
import { freshName } from './support.ts'

const windowed = kinds.filter((kind) => kind !== 'concurrent')

/** The stores of several processes that share a clock. */
function processes(count: number): { clock: ManualClock; stores: LimitStore[]; namespace: string } {
  const clock = new ManualClock()
  const namespace = freshName()
  const stores = Array.from({ length: count }, () => limitsOn(client, { namespace, clock, time: 'clock' }))
  return { clock, stores, namespace }
}

const leased = (rate: string, lease: number, algorithm: AlgorithmKind = 'sliding-window') =>
  quotaOf(rate, { algorithm, lease })

async function take(store: LimitStore, quota: ReturnType<typeof leased>, cost = 1): Promise<boolean> {
  return (await store.consume([chargeOf(quota, 'a', cost)]))[0]!.allowed
}

describe('units taken in advance', () => {
  test.each(windowed)('of a %s are n at a time: a round trip for n requests', async (kind) => {
    const { stores } = processes(1)
    const quota = leased(rateOf(kind, 1_000, 'min'), 50, kind)
    await take(stores[0]!, quota)
    await server.resetStats()
    for (let i = 1; i < 200; i++) expect(await take(stores[0]!, quota)).toBe(true)
    // With the ones that are fetched while the last are used up: these may be on their way still.
    await until(async () => (await server.calls()).evalsha === 4)
  })

  test('are there to be used, and not used up, in the verdict of who takes them: what remains goes down one by one', async () => {
    const { stores } = processes(1)
    const quota = leased('100/min', 40)
    const left: number[] = []
    for (let i = 0; i < 100; i++) left.push((await stores[0]!.consume([chargeOf(quota)]))[0]!.remaining)
    expect(left).toEqual(Array.from({ length: 100 }, (_, i) => 99 - i))
  })

  test('are fetched before the last ones are used up, so that nobody waits, and never more than n and a quarter', async () => {
    const { stores } = processes(2)
    const quota = leased('1000/min', 40)
    const charge = chargeOf(quota)
    const inHand = async (used: number) => 1000 - used - (await stores[1]!.peek([charge]))[0]!.remaining
    for (let i = 0; i < 30; i++) await take(stores[0]!, quota)
    expect(await inHand(30)).toBe(10)
    await take(stores[0]!, quota)
    await until(async () => (await inHand(31)) === 49)
    expect((await stores[0]!.peek([charge]))[0]!.remaining).toBe(969)
    await server.resetStats()
    for (let i = 31; i < 69; i++) expect(stores[0]!.decided!([charge])?.[0]?.remaining).toBe(999 - i)
    expect((await server.calls()).evalsha).toBeUndefined()
  })

  test('that are on their way when the key is reset, or the process closes, go back', async () => {
    for (const ends of ['reset', 'close'] as const) {
      const { stores } = processes(2)
      const quota = leased('1000/min', 40)
      const charge = chargeOf(quota)
      for (let i = 0; i < 31; i++) await take(stores[0]!, quota)
      await (ends === 'reset' ? stores[0]!.reset([charge]) : stores[0]!.close())
      const left = ends === 'reset' ? 1000 : 969
      await until(async () => (await stores[1]!.peek([charge]))[0]!.remaining === left)
    }
  })

  test.each(windowed)('of a %s are never more than there are, over four processes', async (kind) => {
    const { stores } = processes(4)
    const quota = leased(rateOf(kind, 100, 'h'), 30, kind)
    let admitted = 0
    for (let i = 0; i < 100; i++) for (const store of stores) if (await take(store, quota)) admitted++
    // A bucket keeps back what flows in while units are held.
    expect(admitted).toBeLessThanOrEqual(100)
    expect(admitted).toBeGreaterThanOrEqual(kind === 'token-bucket' ? 99 : 100)
  })

  test('are fetched once by fifty requests that need them at the same time', async () => {
    const { stores } = processes(1)
    const quota = leased('1000/min', 50)
    await server.resetStats()
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => take(stores[0]!, quota)))
    expect(verdicts).not.toContain(false)
    const { evalsha = 0, eval: sources = 0 } = await server.calls()
    expect(evalsha + sources).toBeLessThanOrEqual(2)
    expect((await stores[0]!.peek([chargeOf(quota)]))[0]!.remaining).toBe(950)
  })

  test('that are not used in time go back', async () => {
    const { clock, stores } = processes(2)
    const quota = leased('100/min', 100)
    await take(stores[0]!, quota)
    expect(await take(stores[1]!, quota)).toBe(false)
    clock.advance(1_000)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await stores[1]!.peek([chargeOf(quota)]))[0]!.remaining).toBe(99)
    expect(await take(stores[1]!, quota)).toBe(true)
  })

  test('that were fetched while others were in use go back with them, each once', async () => {
    const { clock, stores } = processes(2)
    const quota = leased('100/min', 40)
    const left = async () => (await stores[1]!.peek([chargeOf(quota)]))[0]!.remaining
    for (let i = 0; i < 31; i++) await take(stores[0]!, quota)
    await until(async () => (await left()) === 20)
    clock.advance(1_001)
    await until(async () => (await left()) > 20)
    expect(await left()).toBe(69)
  })

  test('go back when the process closes', async () => {
    const { stores } = processes(2)
    const quota = leased('100/min', 60)
    await take(stores[0]!, quota)
    expect((await stores[1]!.peek([chargeOf(quota)]))[0]!.remaining).toBe(40)
    await stores[0]!.close()
    expect((await stores[1]!.peek([chargeOf(quota)]))[0]!.remaining).toBe(99)
  })

  test('that a response gives back are used again', async () => {
    const { stores } = processes(1)
    const quota = leased('10/min', 10)
    const charge = chargeOf(quota)
    const [verdict] = await stores[0]!.consume([charge])
    await stores[0]!.settle([{ charge, verdict: verdict!, refund: 1 }])
    let admitted = 0
    for (let i = 0; i < 20; i++) if (await take(stores[0]!, quota)) admitted++
    expect(admitted).toBe(10)
  })

  test('are taken for all policies of a request, or for none', async () => {
    const { stores } = processes(1)
    const [a, b] = [quotaOf('100/min', { name: 'a', lease: 20 }), quotaOf('7/min', { name: 'b', lease: 20 })]
    const ask = async () =>
      (await stores[0]!.consume([chargeOf(a), chargeOf(b)])).every(({ allowed }) => allowed) ? 1 : 0
    let admitted = 0
    for (let i = 0; i < 20; i++) admitted += await ask()
    expect(admitted).toBe(7)
    expect((await stores[0]!.peek([chargeOf(a)]))[0]!.remaining).toBe(93)
  })

  test('do nothing where a policy of the request has none, and where a window is too short', async () => {
    const { stores } = processes(1)
    const mixed = [quotaOf('100/min', { name: 'a', lease: 20 }), quotaOf('100/min', { name: 'b' })]
    const short = quotaOf('100/100 ms', { name: 'c', lease: 20 })
    for (const quotas of [mixed, [short]]) {
      await stores[0]!.consume(quotas.map((quota) => chargeOf(quota)))
      await server.resetStats()
      for (let i = 0; i < 5; i++) await stores[0]!.consume(quotas.map((quota) => chargeOf(quota)))
      expect((await server.calls()).evalsha).toBe(5)
    }
  })

  test.each(windowed.filter((kind) => kind !== 'calendar-window'))(
    'keep the guarantee of %s in every window, however they are used',
    async (kind) => {
      const windowMs = 1_600
      const most = { 'sliding-window': 20, 'sliding-log': 20, 'token-bucket': 40, 'fixed-window': 39 }[
        kind as 'sliding-window'
      ]
      for (let seed = 1; seed <= 6; seed++) {
        const random = randomOf(seed)
        const { clock, stores } = processes(3)
        const quota = leased(`20/${windowMs} ms`, 7, kind)
        const used: number[] = []
        for (let i = 0; i < 250; i++) {
          clock.advance(Math.floor(random() * 60))
          const burst = random() < 0.1 ? 25 : 2
          for (let n = 0; n < burst; n++) {
            if (await take(stores[Math.floor(random() * 3)]!, quota)) used.push(clock.now())
          }
        }
        const worst = Math.max(...used.map((from) => used.filter((at) => at >= from && at < from + windowMs).length))
        expect(worst).toBeLessThanOrEqual(most)
        expect(worst).toBeGreaterThan(10)
      }
    },
    20_000,
  )

  test('are not used in the next period of a calendar: at most N in each, over the midnights of three processes', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = randomOf(seed)
      const { clock, stores } = processes(3)
      const days = new Calendar('day', 'Europe/Berlin')
      const quota = quotaOf('20/calendar day', { lease: 7, timeZone: 'Europe/Berlin' })
      const used = new Map<number, number>()
      for (let night = 0; night < 3; night++) {
        const midnight = days.at(clock.now()).untilMs
        clock.advance(midnight - clock.now() - 200)
        while (clock.now() < midnight + 900) {
          clock.advance(Math.floor(random() * 60))
          for (let n = random() < 0.1 ? 12 : 1; n > 0; n--) {
            const { fromMs } = days.at(clock.now())
            if (await take(stores[Math.floor(random() * 3)]!, quota)) used.set(fromMs, (used.get(fromMs) ?? 0) + 1)
          }
        }
      }
      expect(Math.max(...used.values())).toBeLessThanOrEqual(20)
      expect(Math.max(...used.values())).toBeGreaterThan(15)
      expect(used.size).toBe(4)
    }
  }, 20_000)
})

describe('a refund of a policy whose units are taken in advance', () => {
  test('gives back what was used here, and not what is still to be used', async () => {
    const store = limitsOn(client)
    const quota = quotaOf('100/h', { lease: 50 })
    for (let i = 0; i < 3; i++) await store.consume([chargeOf(quota)])
    const [before] = await store.peek([chargeOf(quota)])
    await store.refund([chargeOf(quota, 'a', 80)])
    const [after] = await store.peek([chargeOf(quota)])
    expect([before!.remaining, after!.remaining]).toEqual([97, 100])
  })
})
