import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type AnyAlgorithm, algorithmFor } from '../../packages/core/src/limit/algorithms/algorithm-for.ts'
import { parseRate } from '../../packages/core/src/limit/policy/rate.ts'
import { MemoryLimitStore } from '../../packages/core/src/limit/store/memory-limit-store.ts'
import type { Charge, Quota } from '../../packages/core/src/limit/store/store.ts'
import { ManualClock } from './helpers.ts'

function quota(rate: string, extra: Partial<Quota> = {}): Quota {
  const algorithm: AnyAlgorithm = algorithmFor('limits.x', parseRate('r', rate)[0]!, undefined, 30_000)
  const base = { policy: 'x', name: 'x', shadow: false, onOutage: 'local', share: 1, lease: 0 } as const
  return { ...base, id: `:${algorithm.signature}`, algorithm, ...extra }
}

let serial = 0
const charge = (q: Quota, subject: string, cost = 1): Charge => ({
  quota: q,
  key: `${subject.padEnd(22, '.')}${q.id}`,
  cost,
  permit: q.algorithm.kind === 'concurrent' ? `p${serial++}` : '',
})

const make = (maxKeys?: number) => {
  const clock = new ManualClock()
  return { clock, store: new MemoryLimitStore(clock, { maxKeys }) }
}
const allowed = (store: MemoryLimitStore, ...charges: Charge[]) => store.consume(charges).map((v) => v.allowed)

describe('all or none', () => {
  test('a request refused by one policy charges no other', () => {
    const { store } = make()
    const [wide, narrow] = [quota('10/min'), quota('2/min')]
    for (let i = 0; i < 2; i++) expect(allowed(store, charge(wide, 'a'), charge(narrow, 'a'))).toEqual([true, true])
    for (let i = 0; i < 5; i++) {
      const [w, n] = store.consume([charge(wide, 'a'), charge(narrow, 'a')])
      expect([w!.allowed, w!.remaining, n!.allowed, n!.remaining]).toEqual([true, 8, false, 0])
    }
    expect(store.peek([charge(wide, 'a')])[0]!.remaining).toBe(8)
  })

  test('over random charges: either every quota has its units, or none has', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 })),
        ),
        (requests) => {
          const { store } = make()
          const quotas = [quota('10/min'), quota('7/s'), quota('5/h')]
          const used = [0, 0, 0]
          for (const costs of requests) {
            const charges = quotas.map((q, i) => charge(q, 'a', costs[i]))
            const fits = costs.every((cost, i) => used[i]! + cost <= quotas[i]!.algorithm.limit)
            const verdicts = store.consume(charges)
            expect(verdicts.every((v) => v.allowed)).toBe(fits)
            if (fits) for (const i of used.keys()) used[i]! += costs[i]!
            expect(verdicts.map((v, i) => v.limit - v.remaining - used[i]!)).toEqual([0, 0, 0])
          }
        },
      ),
    )
  })

  test('a shadow quota neither refuses nor is charged past its limit, and is not charged where another refuses', () => {
    const { store } = make()
    const [shadow, real] = [quota('1/min', { shadow: true }), quota('3/h')]
    expect(allowed(store, charge(shadow, 'a'), charge(real, 'a'))).toEqual([true, true])
    expect(allowed(store, charge(shadow, 'a'), charge(real, 'a'))).toEqual([false, true])
    expect(store.peek([charge(real, 'a')])[0]!.remaining).toBe(1)
    expect(allowed(store, charge(quota('1/min'), 'b', 2), charge(shadow, 'b'))).toEqual([false, true])
    expect(store.peek([charge(shadow, 'b')])[0]!.remaining).toBe(1)
  })

  test('a cost above the limit is permanent, also among others', () => {
    const { store } = make()
    const [v, w] = store.consume([charge(quota('5/s'), 'a', 6), charge(quota('9/s'), 'a', 6)])
    expect([v!.permanent, v!.allowed, w!.permanent, w!.allowed, w!.remaining]).toEqual([true, false, false, true, 9])
    expect(store.consume([charge(quota('5/s'), 'a', 6)])[0]).toMatchObject({ permanent: true, remaining: 5 })
  })
})

describe('giving back', () => {
  test('peek changes nothing; settle gives back; refund gives back the newest; reset forgets', () => {
    const { store, clock } = make()
    const q = quota('3/min')
    expect(store.peek([charge(q, 'a')])[0]).toMatchObject({ allowed: true, remaining: 3 })
    expect(store.usage().entries).toBe(0)
    const [verdict] = store.consume([charge(q, 'a', 2)])
    clock.advance(10)
    store.settle([{ charge: charge(q, 'a', 2), verdict: verdict!, refund: 1 }])
    expect(store.peek([charge(q, 'a')])[0]!.remaining).toBe(2)
    store.refund([charge(q, 'a', 5)])
    expect(store.peek([charge(q, 'a')])[0]!.remaining).toBe(3)
    store.consume([charge(q, 'a', 3)])
    store.reset([charge(q, 'a')])
    expect(store.peek([charge(q, 'a')])[0]!.remaining).toBe(3)
  })

  test('settling what was refused, or has run out, gives nothing', () => {
    const { store, clock } = make()
    const q = quota('2/min')
    const [first] = store.consume([charge(q, 'a', 2)])
    const [refused] = store.consume([charge(q, 'a', 1)])
    store.settle([{ charge: charge(q, 'a', 1), verdict: refused!, refund: 1 }])
    expect(store.peek([charge(q, 'a')])[0]!.remaining).toBe(0)
    clock.advance(70_000)
    store.consume([charge(q, 'a', 2)])
    store.settle([{ charge: charge(q, 'a', 2), verdict: first!, refund: 2 }])
    expect(store.peek([charge(q, 'a')])[0]!.remaining).toBe(0)
  })

  test('a concurrent permit is given back exactly once', () => {
    const { store } = make()
    const q = quota('2 concurrent')
    const [a, b] = [charge(q, 'a'), charge(q, 'a')]
    const [verdict] = store.consume([a])
    store.consume([b])
    expect(allowed(store, charge(q, 'a'))).toEqual([false])
    for (let i = 0; i < 3; i++) store.settle([{ charge: a, verdict: verdict!, refund: 1 }])
    expect(allowed(store, charge(q, 'a'))).toEqual([true])
    expect(allowed(store, charge(q, 'a'))).toEqual([false])
  })
})

describe('bounded', () => {
  test('never more keys than maxKeys, whatever is thrown at it', () => {
    const { store, clock } = make(100)
    for (let i = 0; i < 5_000; i++) {
      store.consume([charge(quota(i % 3 ? '5/s' : '1/h'), `k${i}`)])
      expect(store.usage().entries).toBeLessThanOrEqual(100)
      if (i % 7 === 0) clock.advance(50)
    }
  })

  test('idle keys, whose quota is full again, leave first', () => {
    const { store, clock } = make(100)
    const [long, short] = [quota('10/h'), quota('10/s')]
    for (let i = 0; i < 50; i++) store.consume([charge(long, `l${i}`)])
    for (let i = 0; i < 50; i++) store.consume([charge(short, `s${i}`)])
    clock.advance(5_000)
    for (let i = 0; i < 30; i++) store.consume([charge(short, `n${i}`)])
    expect(store.usage().evictions).toBe(0)
    for (let i = 0; i < 50; i++) expect(store.peek([charge(long, `l${i}`)])[0]!.remaining).toBe(9)
  })

  test('idle keys leave as new ones come, without a timer', () => {
    const { store, clock } = make(10_000)
    const q = quota('10/s')
    for (let i = 0; i < 1_000; i++) store.consume([charge(q, `a${i}`)])
    clock.advance(10_000)
    for (let i = 0; i < 1_000; i++) store.consume([charge(q, `b${i}`)])
    expect(store.usage().entries).toBeLessThanOrEqual(1_001)
    expect(clock.timers).toBe(0)
  })

  test('a key that is blocked is never evicted, though a million others come', () => {
    const { store } = make(1_000)
    const q = quota('4/h')
    const blocked = Array.from({ length: 50 }, (_, i) => `blocked${i}`)
    for (const key of blocked) store.consume([charge(q, key, 4)])
    for (let i = 0; i < 100_000; i++) store.consume([charge(q, `flood${i}`)])
    for (const key of blocked) expect(allowed(store, charge(q, key))).toEqual([false])
    expect(store.usage().evictions).toBeGreaterThan(0)
    expect(store.usage().entries).toBe(1_000)
  })

  test('a flood buys back at most half a quota', () => {
    const { store } = make(100)
    const q = quota('10/h')
    store.consume([charge(q, 'modest', 5)])
    store.consume([charge(q, 'attacker', 6)])
    for (let i = 0; i < 20_000; i++) store.consume([charge(q, `flood${i}`)])
    // Pushed out while others had as much left or less.
    expect(store.usage().evictions).toBeGreaterThan(19_000)
    expect(store.peek([charge(q, 'attacker')])[0]!.remaining).toBe(4)
    expect(store.peek([charge(q, 'modest')])[0]!.remaining).toBeGreaterThanOrEqual(5)
  })

  test('newcomers do not share a bucket while the table is full of blocked keys, which stay blocked', () => {
    const { store } = make(10_000)
    const q = quota('4/h')
    for (let i = 0; i < 10_000; i++) store.consume([charge(q, `blocked${i}`, 4)])
    const heap = () => store.usage().entries
    expect(heap()).toBe(10_000)
    for (let i = 0; i < 1_000; i++) {
      expect(store.consume([charge(q, `new${i}`)])[0]).toMatchObject({ allowed: true, remaining: 3, via: 'store' })
    }
    store.consume([charge(q, 'new0', 3)])
    expect(allowed(store, charge(q, 'new0'))).toEqual([false])
    expect(store.consume([charge(q, 'new1')])[0]).toMatchObject({ allowed: true, remaining: 2 })
    // A flood goes through the reserve: whoever was used longest ago leaves, and never one that is blocked.
    for (let i = 0; i < 50_000; i++) store.consume([charge(q, `flood${i}`)])
    expect(allowed(store, charge(q, 'new0'))).toEqual([false])
    expect(store.consume([charge(q, 'another')])[0]).toMatchObject({ remaining: 3, via: 'store' })
    for (let i = 0; i < 10_000; i++) expect(allowed(store, charge(q, `blocked${i}`))).toEqual([false])
    expect([heap(), store.usage().overflowed]).toEqual([10_000, 0])
  })

  test('a permit in the reserve is known when it comes back, and several policies find theirs there', () => {
    const { store } = make(8)
    const [q, permits] = [quota('1/h'), quota('1 concurrent')]
    for (let i = 0; i < 8; i++) store.consume([charge(q, `blocked${i}`)])
    const taken = charge(permits, 'a')
    const [verdict] = store.consume([taken])
    for (let i = 0; i < 100; i++) store.consume([charge(quota('9/h'), `flood${i}`)])
    expect(allowed(store, charge(permits, 'a'))).toEqual([false])
    store.settle([{ charge: taken, verdict: verdict!, refund: 1 }])
    expect(allowed(store, charge(permits, 'a'))).toEqual([true])
    store.reset([charge(permits, 'a')])
    expect(allowed(store, charge(permits, 'a'))).toEqual([true])
  })

  test('when the reserve is full of blocked keys too, unknown keys share one overflow bucket per quota; known keys do not notice', () => {
    const { store, clock } = make(10)
    const q = quota('2/min')
    for (let i = 0; i < 12; i++) store.consume([charge(q, `k${i}`, 2)])
    expect(allowed(store, charge(q, 'new1'))).toEqual([true])
    const [second] = store.consume([charge(q, 'new2')])
    expect(second).toMatchObject({ allowed: true, via: 'overflow', remaining: 0 })
    expect(allowed(store, charge(q, 'new3'))).toEqual([false])
    expect(allowed(store, charge(quota('9/h'), 'new3'))).toEqual([true])
    store.settle([{ charge: charge(q, 'new2'), verdict: second!, refund: 1 }])
    expect(allowed(store, charge(q, 'new4'))).toEqual([true])
    expect(store.usage().overflowed).toBe(5)
    clock.advance(120_000)
    expect(store.consume([charge(q, 'new5')])[0]!.via).toBe('store')
  })

  test('permits that are out keep their key', () => {
    const { store } = make(10)
    const q = quota('4 concurrent')
    const held = charge(q, 'holder')
    const [verdict] = store.consume([held])
    for (let i = 0; i < 1_000; i++) store.consume([charge(quota('10/h'), `k${i}`)])
    expect(store.peek([charge(q, 'holder')])[0]!.remaining).toBe(3)
    store.settle([{ charge: held, verdict: verdict!, refund: 1 }])
    expect(store.peek([charge(q, 'holder')])[0]!.remaining).toBe(4)
  })

  test('a charge never gets lost to the room another charge of the same request needs', () => {
    const { store } = make(2)
    const quotas = [quota('3/h'), quota('5/h')]
    for (let i = 0; i < 3; i++) store.consume(quotas.map((q) => charge(q, 'a')))
    expect(allowed(store, ...quotas.map((q) => charge(q, 'a')))).toEqual([false, true])
  })

  test('a million keys: bounded, and no decision waits for the others', () => {
    const { store } = make(50_000)
    const q = quota('10/min')
    const took: number[] = []
    for (let i = 0; i < 200_000; i++) {
      const one = [charge(q, (i * 2_654_435_761).toString(36))]
      const start = performance.now()
      store.consume(one)
      took.push(performance.now() - start)
    }
    took.sort((a, b) => a - b)
    expect(store.usage().entries).toBe(50_000)
    // Generous: a scan of 50,000 keys takes milliseconds, and would be in every one of them.
    expect(took[Math.floor(took.length * 0.99)]).toBeLessThan(0.5)
  })

  test.each([0, -1, 1.5, '5', Number.NaN])('maxKeys %p is refused', (maxKeys) => {
    expect(() => new MemoryLimitStore(new ManualClock(), { maxKeys: maxKeys as number })).toThrow(/limits\.maxKeys/)
  })
})
