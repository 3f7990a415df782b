import { describe, expect, test } from '@jest/globals'
import { Calendar } from '../../packages/core/src/base/calendar.ts'
import { createLimiter } from '../../packages/core/src/limit/limiter.ts'
import { chargeOf, limitsOn, quotaOf, StillClock } from './limits/support.ts'
import { client, server } from './one-client.ts'
import { freshName } from './support.ts'

const hour = 3_600_000
const day = 24 * hour

/** Whose midnight, by the real clock of the server, is hours away. */
const timeZone = Math.abs(new Date().getUTCHours() - 12) < 6 ? 'UTC' : 'Asia/Tokyo'
const ten = quotaOf('10/calendar day', { timeZone })

async function scriptsDuring(run: () => Promise<unknown>): Promise<number> {
  await server.resetStats()
  await run()
  const { evalsha = 0, eval: evaluated = 0 } = await server.calls()
  return evalsha + evaluated
}

/** A process whose clock is off by so much; the server's is right. */
function process(offMs: number, namespace = freshName()) {
  const clock = new StillClock(Date.now() + offMs)
  return limitsOn(client, { namespace, clock, unconfirmedMs: 0 })
}

describe('a calendar on Redis', () => {
  test.each([0, hour, -hour, 26 * hour, -26 * hour, 40 * day, -40 * day, 4_000 * day])(
    'is Redis’s, whatever a process believes: clocks that are %d ms off count in the same day',
    async (offMs) => {
      const namespace = freshName()
      const stores = [process(0, namespace), process(offMs, namespace), process(-offMs, namespace)]
      const admitted: boolean[] = []
      for (let i = 0; i < 18; i++) {
        const [verdict] = await stores[i % 3]!.consume([chargeOf(ten)])
        admitted.push(verdict!.allowed)
        const { untilMs } = new Calendar('day', timeZone).at(Date.now())
        const toMidnight = untilMs - Date.now()
        expect(Math.abs(verdict!.resetMs - toMidnight)).toBeLessThan(2_000)
        if (!verdict!.allowed) expect(verdict!.retryAfterMs).toBe(verdict!.resetMs)
      }
      expect(admitted.filter(Boolean)).toHaveLength(10)
    },
  )

  test('is asked a second time where Redis’s time is not where it was believed to be, and then never again', async () => {
    const store = process(400 * day)
    const ask = (): Promise<unknown> => store.consume([chargeOf(ten), chargeOf(quotaOf('5/min', { name: 'other' }))])
    await process(0).consume([chargeOf(ten), chargeOf(quotaOf('5/min', { name: 'other' }))])
    expect(await scriptsDuring(ask)).toBe(2)
    expect(await scriptsDuring(async () => [await ask(), await ask(), await ask()])).toBe(3)
  })

  test('charges nothing until it knows the period: all that share a call are asked again, and are charged once', async () => {
    const store = process(-400 * day)
    const other = quotaOf('100/h', { name: 'other' })
    const verdicts = await Promise.all([
      store.consume([chargeOf(other)]),
      store.consume([chargeOf(other), chargeOf(ten)]),
      store.consume([chargeOf(ten), chargeOf(other, 'b')]),
    ])
    expect(verdicts.flat().every(({ allowed }) => allowed)).toBe(true)
    const left = await store.peek([chargeOf(other), chargeOf(ten), chargeOf(other, 'b')])
    expect(left.map(({ remaining }) => remaining)).toEqual([98, 8, 99])
  })

  test('finds the periods of keys that were last charged while clocks were far ahead', async () => {
    // Each of a batch in another period; and the calendar is another one since.
    const namespace = freshName()
    const clock = new StillClock()
    const store = limitsOn(client, { namespace, clock, time: 'clock', unconfirmedMs: 0 })
    const now = clock.ms
    const subjects = Array.from({ length: 12 }, (_, i) => `s${i}`)
    for (const [i, subject] of subjects.entries()) {
      clock.ms = now + i * 5 * day
      await store.consume([chargeOf(ten, subject, 4)])
    }
    clock.ms = now
    const later = { ...quotaOf('10/calendar day', { timeZone: 'America/New_York' }), id: ten.id }
    const verdicts = await Promise.all(subjects.map((subject) => store.consume([chargeOf(later, subject, 2)])))
    expect(verdicts.flat().map(({ remaining }) => remaining)).toEqual(subjects.map(() => 4))
  })

  test('expires with its period, and a second', async () => {
    const namespace = freshName()
    const store = process(3 * day, namespace)
    await store.consume([chargeOf(quotaOf('10/calendar month', { timeZone }))])
    const [key] = await client.keys(`${namespace}:*`)
    const toGo = new Calendar('month', timeZone).at(Date.now()).untilMs - Date.now()
    expect(Math.abs((await client.pttl(key!)) - toGo - 1_000)).toBeLessThan(2_000)
  })

  test('a key that is used up is refused from memory, with a wait that shrinks', async () => {
    const clock = new StillClock()
    const store = limitsOn(client, { clock, time: 'clock' })
    const quota = quotaOf('1/calendar day', { timeZone: 'Asia/Kathmandu' })
    const { untilMs } = new Calendar('day', 'Asia/Kathmandu').at(clock.ms)
    await store.consume([chargeOf(quota)])
    await store.consume([chargeOf(quota)])
    clock.ms += 500
    let waits: (number | undefined)[] = []
    const scripts = await scriptsDuring(async () => {
      waits = (await Promise.all([1, 2, 3].map(() => store.consume([chargeOf(quota)])))).map(([v]) => v!.retryAfterMs)
    })
    expect([scripts, ...waits]).toEqual([0, ...Array(3).fill(untilMs - clock.ms)])
    clock.ms = untilMs
    expect((await store.consume([chargeOf(quota)]))[0]!.allowed).toBe(true)
  })

  test('what a request gives back is given back by the process that is wrong about the time, too', async () => {
    const store = process(-400 * day)
    const charge = chargeOf(ten, 'a', 3)
    const [verdict] = await store.consume([charge])
    await store.settle([{ charge, verdict: verdict!, refund: 2 }])
    expect((await store.peek([charge]))[0]!.remaining).toBe(9)
    await store.refund([chargeOf(ten)])
    expect((await store.peek([charge]))[0]!.remaining).toBe(10)
  })

  test('through a limiter: plans that change, routes, reset', async () => {
    const namespace = freshName()
    const limits = { p: { rate: () => '5 per calendar day', key: () => 'me', timeZone, per: 'route' as const } }
    const limiter = createLimiter({ store: process(400 * day, namespace), limits, deadlineMs: 10_000 })
    const me = { key: 'me', route: 'GET /', rate: '5 per calendar day' }
    for (const remaining of [4, 3]) expect(await limiter.check('p', me)).toMatchObject({ remaining, via: 'store' })
    expect(await limiter.peek('p', { ...me, rate: '9 per calendar month' })).toMatchObject({ remaining: 7 })
    expect(await limiter.peek('p', { ...me, route: 'GET /b' })).toMatchObject({ remaining: 5 })
    await limiter.reset('p', { key: 'me', rate: me.rate })
    expect(await limiter.peek('p', me)).toMatchObject({ remaining: 5 })
    await limiter.close()
  })
})
