import { describe, expect, test } from '@jest/globals'
import type { Redis } from 'ioredis'
import Redis5 from 'ioredis5'
import { createLimiter } from '../../packages/core/src/limit/limiter.ts'
import type { Charge, LimitStore, Verdict } from '../../packages/core/src/limit/store/store.ts'
import { subjectLength } from '../../packages/core/src/limit/store/store.ts'
import { ManualClock } from '../limit/helpers.ts'
import { redis } from './library.ts'
import { chargeOf, limitsOn, quotaOf, rateOf, StillClock } from './limits/support.ts'
import { kinds } from './limits/trace.ts'
import { client, server } from './one-client.ts'
import { freshName } from './support.ts'

/** Calls of scripts while `run` runs. */
async function scriptsDuring(run: () => Promise<unknown>): Promise<number> {
  await server.resetStats()
  await run()
  const { evalsha = 0, eval: evaluated = 0 } = await server.calls()
  return evalsha + evaluated
}

describe('one request', () => {
  test('is one script call, whatever the number of its policies and subjects', async () => {
    const store = limitsOn(client)
    const charges = (): Charge[] => [
      chargeOf(quotaOf('1000/min', { name: 'one' }), 'someone'),
      chargeOf(quotaOf('1000/h', { name: 'two', algorithm: 'token-bucket' }), 'someone'),
      chargeOf(quotaOf('1000/d', { name: 'three', algorithm: 'fixed-window' }), 'everyone'),
    ]
    await store.consume(charges())
    const scripts = await scriptsDuring(async () => {
      for (let i = 0; i < 50; i++) await store.consume(charges())
    })
    expect(scripts).toBe(50)
    expect(await server.calls()).not.toHaveProperty('keys')
  })

  test('shares its call with others of the same turn of the event loop, each all or nothing on its own', async () => {
    const store = limitsOn(client)
    const [scarce, ample] = [quotaOf('7/d', { name: 'scarce' }), quotaOf('1000/d', { name: 'ample' })]
    let verdicts: (readonly Verdict[])[] = []
    const scripts = await scriptsDuring(async () => {
      const ask = (_: unknown, i: number) =>
        store.consume([chargeOf(ample), ...(i % 2 ? [chargeOf(scarce), chargeOf(quotaOf('9 concurrent'))] : [])])
      verdicts = await Promise.all(Array.from({ length: 50 }, ask))
    })
    // A hundred charges, at most 16 to a call; those that are out before Redis knows the script are sent with its source.
    expect(scripts).toBeLessThanOrEqual(16)
    const admitted = verdicts.filter((each) => each.every(({ allowed }) => allowed))
    expect(admitted).toHaveLength(25 + 7)
    expect((await store.peek([chargeOf(ample)]))[0]!.remaining).toBe(1000 - 25 - 7)
  })

  test.each(kinds)('is charged all or nothing where it meets %s', async (kind) => {
    const store = limitsOn(client)
    const scarce = quotaOf(rateOf(kind, 2, 'd'), { name: 'scarce', algorithm: kind })
    const ample = quotaOf('100/d', { name: 'ample' })
    const ask = () => store.consume([chargeOf(ample), chargeOf(scarce)])
    const verdicts = [await ask(), await ask(), await ask(), await ask()]
    expect(verdicts.map(([, v]) => v!.allowed)).toEqual([true, true, false, false])
    expect(verdicts.map(([v]) => v!.remaining)).toEqual([99, 98, 98, 98])
    expect((await store.peek([chargeOf(ample)]))[0]!.remaining).toBe(98)
  })

  test('of which a shadow policy is part is never refused by it', async () => {
    const store = limitsOn(client)
    const shadow = quotaOf('1/d', { name: 'shadow', shadow: true })
    const real = quotaOf('3/d', { name: 'real' })
    const ask = async () => (await store.consume([chargeOf(shadow), chargeOf(real)])).map(({ allowed }) => allowed)
    expect([await ask(), await ask(), await ask()]).toEqual([
      [true, true],
      [false, true],
      [false, true],
    ])
    expect(await ask()).toEqual([false, false])
  })

  test('above the limit is refused for good, and charges nothing', async () => {
    const store = limitsOn(client)
    const [verdict] = await store.consume([chargeOf(quotaOf('5/d'), 'a', 6)])
    expect(verdict).toMatchObject({
      allowed: false,
      permanent: true,
      retryAfterMs: Number.POSITIVE_INFINITY,
      remaining: 5,
    })
  })
})

describe('what stands in Redis', () => {
  test.each(kinds)(
    'keys of %s are of one length, under a hash tag, expire, and tell nobody whose they are',
    async (kind) => {
      const namespace = freshName()
      const store = limitsOn(client, { namespace })
      const limiter = createLimiter({
        store,
        limits: {
          a: { rate: rateOf(kind, 10, 'd'), algorithm: kind },
          'a much longer name {}': { rate: rateOf(kind, 20, 'd'), algorithm: kind },
        },
      })
      for (const key of ['203.0.113.9', 'someone@example.org', 'x'.repeat(500)]) {
        await limiter.check('a', { key })
        await limiter.check('a much longer name {}', { key })
        if (kind !== 'concurrent') await limiter.refund('a', { key })
      }
      const keys = await client.keys(`${namespace}:*`)
      expect(keys).toHaveLength(6)
      expect(new Set(keys.map((key) => key.length)).size).toBe(1)
      for (const key of keys) {
        expect(key).toMatch(new RegExp(`\\{[\\w-]{${subjectLength}}\\}`))
        expect(key).not.toMatch(/203\.0|someone|longer/)
        expect(await client.pttl(key)).toBeGreaterThan(0)
      }
      await limiter.close()
    },
  )

  test('a state expires when its quota is full again, and not before', async () => {
    const namespace = freshName()
    const quota = quotaOf('10/h', { algorithm: 'fixed-window' })
    await limitsOn(client, { namespace }).consume([chargeOf(quota)])
    const [key] = await client.keys(`${namespace}:*`)
    const left = await client.pttl(key!)
    expect(left).toBeGreaterThan(3_600_000 - 10_000)
    expect(left).toBeLessThanOrEqual(3_601_000)
  })

  test('two applications in two namespaces do not meet', async () => {
    const charge = chargeOf(quotaOf('1/d'))
    expect((await limitsOn(client).consume([charge]))[0]!.allowed).toBe(true)
    expect((await limitsOn(client).consume([charge]))[0]!.allowed).toBe(true)
  })

  test('processes whose clocks are apart count by the time of the server', async () => {
    const namespace = freshName()
    const [early, late] = [new StillClock(1_000), new StillClock(9_000_000_000_000)]
    const a = limitsOn(client, { namespace, clock: early })
    const b = limitsOn(client, { namespace, clock: late })
    const quota = quotaOf('3/d')
    const verdicts = [await a.consume([chargeOf(quota)]), await b.consume([chargeOf(quota)])]
    expect(verdicts.map(([v]) => v!.remaining)).toEqual([2, 1])
    expect(Math.abs(verdicts[0]![0]!.atMs - Date.now())).toBeLessThan(10_000)
  })
})

describe('scripts', () => {
  test('that were flushed are sent again', async () => {
    const store = limitsOn(client)
    const quota = quotaOf('10/d')
    await store.consume([chargeOf(quota)])
    await client.script('FLUSH')
    const verdicts = await Promise.all(Array.from({ length: 5 }, () => store.consume([chargeOf(quota)])))
    expect(verdicts.map(([v]) => v!.remaining).sort()).toEqual([4, 5, 6, 7, 8])
    await client.script('FLUSH')
    await store.settle([{ charge: chargeOf(quota), verdict: verdicts[0]![0]!, refund: 1 }])
    expect((await store.peek([chargeOf(quota)]))[0]!.remaining).toBe(5)
  })

  test('run through ioredis 5 as well, and with a key prefix', async () => {
    const old = new (Redis5 as unknown as typeof Redis)({ port: server.port, keyPrefix: 'app:' })
    await old.ping()
    const store = limitsOn(old)
    const quota = quotaOf('2/d')
    const verdicts = []
    for (let i = 0; i < 3; i++) verdicts.push((await store.consume([chargeOf(quota)]))[0]!.allowed)
    expect(verdicts).toEqual([true, true, false])
    await store.reset([chargeOf(quota)])
    expect((await store.consume([chargeOf(quota)]))[0]!.allowed).toBe(true)
    old.disconnect()
  })
})

describe('a blocked key', () => {
  const limit = 3
  const quota = quotaOf(`${limit}/min`, { algorithm: 'fixed-window' })

  async function usedUp(store: LimitStore, subject = 'a'): Promise<void> {
    for (let i = 0; i <= limit; i++) await store.consume([chargeOf(quota, subject)])
  }

  test('is refused without a round trip, by the verdict Redis would give', async () => {
    const clock = new ManualClock()
    const store = limitsOn(client, { clock, time: 'clock' })
    await usedUp(store)
    const scripts = await scriptsDuring(async () => {
      for (let i = 0; i < 100; i++) {
        clock.advance(7)
        const [verdict] = await store.consume([chargeOf(quota)])
        const [asked] = await store.peek([chargeOf(quota)])
        expect(verdict).toEqual(asked)
      }
    })
    // One for each peek.
    expect(scripts).toBe(100)
  })

  test('is asked for once in a second, and admitted the moment its time is up', async () => {
    const clock = new ManualClock()
    const store = limitsOn(client, { clock, time: 'clock' })
    await usedUp(store)
    const scripts = await scriptsDuring(async () => {
      for (let i = 0; i < 5_000; i += 10) {
        clock.advance(10)
        expect((await store.consume([chargeOf(quota)]))[0]!.allowed).toBe(false)
      }
    })
    expect(scripts).toBe(5)
    clock.advance(60_000 - 5_000 - 1)
    expect((await store.consume([chargeOf(quota)]))[0]!).toMatchObject({ allowed: false, retryAfterMs: 1 })
    clock.advance(1)
    expect((await store.consume([chargeOf(quota)]))[0]!.allowed).toBe(true)
  })

  test('refuses a request of several policies too, with what was left for the others', async () => {
    const store = limitsOn(client)
    const other = quotaOf('100/d', { name: 'other' })
    await usedUp(store)
    const ask = () => store.consume([chargeOf(other), chargeOf(quota)])
    await ask()
    const scripts = await scriptsDuring(async () => {
      const verdicts = await ask()
      expect(verdicts.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
        [true, 100],
        [false, 0],
      ])
    })
    expect(scripts).toBe(0)
    expect((await store.consume([chargeOf(other)]))[0]!.remaining).toBe(99)
  })

  test.each(['reset', 'refund', 'settle'] as const)('is free at once after a %s in this process', async (how) => {
    const store = limitsOn(client)
    const charge = chargeOf(quota)
    const [verdict] = await store.consume([charge])
    await usedUp(store)
    if (how === 'settle') await store.settle([{ charge, verdict: verdict!, refund: 1 }])
    else await store[how]([charge])
    expect((await store.consume([chargeOf(quota)]))[0]!.allowed).toBe(true)
  })

  test('is free within a second after a reset in another process', async () => {
    const clock = new ManualClock()
    const namespace = freshName()
    const a = limitsOn(client, { namespace, clock, time: 'clock' })
    const b = limitsOn(client, { namespace, clock, time: 'clock' })
    await usedUp(a)
    await b.reset([chargeOf(quota)])
    clock.advance(1_000)
    expect((await a.consume([chargeOf(quota)]))[0]!.allowed).toBe(true)
  })

  test('never is a concurrency: its permits come back at any time', async () => {
    const namespace = freshName()
    const a = limitsOn(client, { namespace })
    const b = limitsOn(client, { namespace })
    const one = quotaOf('1 concurrent')
    const held = chargeOf(one)
    const [verdict] = await a.consume([held])
    expect((await b.consume([chargeOf(one)]))[0]!.allowed).toBe(false)
    await a.settle([{ charge: held, verdict: verdict!, refund: 1 }])
    expect((await b.consume([chargeOf(one)]))[0]!.allowed).toBe(true)
  })

  test('one of more than ten thousand is asked for again', async () => {
    const store = limitsOn(client, { clock: new StillClock(), time: 'clock' })
    const tight = quotaOf('1/d')
    const subjects = Array.from({ length: 10_001 }, (_, i) => `s${i}`)
    await Promise.all(subjects.map((subject) => store.consume([chargeOf(tight, subject)])))
    await Promise.all(subjects.map((subject) => store.consume([chargeOf(tight, subject)])))
    const decided = subjects.filter((subject) => store.decided([chargeOf(tight, subject)]))
    expect(decided).toHaveLength(10_000)
  })
})

describe('permits', () => {
  const quota = quotaOf('2 concurrent', { permitTtlMs: 10_000 })

  test('are given back once, however often it is asked', async () => {
    const store = limitsOn(client)
    const [a, b] = [chargeOf(quota), chargeOf(quota)]
    const [verdict] = await store.consume([a])
    await store.consume([b])
    for (let i = 0; i < 3; i++) await store.settle([{ charge: a, verdict: verdict!, refund: 1 }])
    expect((await store.peek([chargeOf(quota)]))[0]!.remaining).toBe(1)
  })

  test('come back when their lease ends, unless they are renewed', async () => {
    const clock = new ManualClock()
    const store = limitsOn(client, { clock, time: 'clock' })
    const [kept, lost] = [chargeOf(quota), chargeOf(quota)]
    await store.consume([kept])
    await store.consume([lost])
    clock.advance(9_000)
    await store.renew([kept])
    clock.advance(2_000)
    expect((await store.peek([chargeOf(quota)]))[0]!.remaining).toBe(1)
    await store.renew([lost])
    expect((await store.peek([chargeOf(quota)]))[0]!.remaining).toBe(1)
  })

  test('of one key are renewed by one call, and thousands in parts', async () => {
    const store = limitsOn(client)
    const many = quotaOf('5000 concurrent')
    const charges = Array.from({ length: 500 }, (_, i) => chargeOf(many, `s${i % 250}`))
    await Promise.all(charges.map((charge) => store.consume([charge])))
    await store.renew(charges)
    expect(await scriptsDuring(() => store.renew(charges))).toBe(2)
  })
})

describe('the backend', () => {
  test('limits through createSluice count in Redis, hashed with what the namespace gives', async () => {
    const namespace = freshName()
    const clock = new StillClock()
    const backends = [1, 2].map(() => redis(client, { namespace }))
    const [a, b] = backends.map((backend) => backend.limitStore!({ clock, report: () => {} }))
    const limiters = [a!, b!].map((store) => createLimiter({ store, limits: { p: '3/d' } }))
    const results = []
    for (const limiter of [...limiters, ...limiters]) {
      results.push((await limiter.check('p', { key: '203.0.113.9' })).allowed)
    }
    expect(results).toEqual([true, true, true, false])
    expect(a!.secret).toBe(b!.secret)
    expect(a!.secret).not.toBe(limitsOn(client).secret)
    for (const limiter of limiters) await limiter.close()
    for (const backend of backends) await backend.close!()
  })
})
