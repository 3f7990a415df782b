import { describe, expect, test } from '@jest/globals'
import { type BatchOptions, createSluice } from '@sluice/node'
import { createBatch } from '../../packages/core/src/batch/batch.ts'
import { type Ctx, describeHosts, testClock } from '../hosts/harness/host.ts'

interface City {
  readonly id: number
  readonly name: string
}

const cityOf = (id: number): City => ({ id, name: `City ${id}` })

/** A load function that remembers what it was asked. */
function recorded<Value>(answer: (ids: readonly number[]) => Value) {
  const calls: number[][] = []
  const load = async (ids: readonly number[]): Promise<Value> => {
    calls.push([...ids])
    return answer(ids)
  }
  return { calls, load }
}

describe('batch', () => {
  test('N look-ups of one request become one', async () => {
    const { calls, load } = recorded((ids) => ids.map(cityOf))
    const cities = createBatch(load)
    const request = {}
    const found = await Promise.all([1, 2, 3, 2].map((id) => cities(request).load(id)))
    expect(found).toEqual([1, 2, 3, 2].map(cityOf))
    expect(calls).toEqual([[1, 2, 3]])
  })

  test('a request remembers what it loaded; another request asks again', async () => {
    const { calls, load } = recorded((ids) => ids.map(cityOf))
    const cities = createBatch(load)
    const [one, other] = [{}, {}]
    await cities(one).load(1)
    await cities(one).load(1)
    await cities(other).load(1)
    expect(calls).toEqual([[1], [1]])
  })

  test('nothing of one request is seen by another that loads at the same time', async () => {
    const seen: object[] = []
    const cities = createBatch(async (ids: readonly number[], request) => {
      seen.push(request)
      return ids.map((id) => ({ id, for: request }))
    })
    const [alice, bob] = [{ user: 'alice' }, { user: 'bob' }]
    const [a, b] = await Promise.all([cities(alice).load(1), cities(bob).load(1)])
    expect([a?.for, b?.for]).toEqual([alice, bob])
    expect(seen).toEqual([alice, bob])
  })

  test('keyOf: values in any order, and some missing, as `where id = any($1)` answers them', async () => {
    const { load } = recorded(() => [cityOf(3), cityOf(1)])
    const cities = createBatch(load, { keyOf: (city) => city.id })
    expect(await cities({}).loadMany([1, 2, 3])).toEqual([cityOf(1), undefined, cityOf(3)])
  })

  test('a Map will do', async () => {
    const cities = createBatch((ids: readonly number[]) => new Map(ids.slice(0, 1).map((id) => [id, cityOf(id)])))
    expect(await cities({}).loadMany([1, 2])).toEqual([cityOf(1), undefined])
  })

  test('null is nothing, and an Error is of its key alone', async () => {
    const cities = createBatch(async (): Promise<(City | Error | null)[]> => [cityOf(1), null, new Error('gone')])
    const loader = cities({})
    const settled = await Promise.allSettled([1, 2, 3].map((id) => loader.load(id)))
    expect(settled.map((s) => (s.status === 'fulfilled' ? s.value : String(s.reason)))).toEqual([
      cityOf(1),
      undefined,
      'Error: gone',
    ])
    await expect(loader.loadMany([1, 3])).rejects.toThrow('gone')
  })

  test('maxBatch bounds how many are loaded at once', async () => {
    const { calls, load } = recorded((ids) => ids.map(cityOf))
    await createBatch(load, { maxBatch: 2 })({}).loadMany([1, 2, 3, 4, 5])
    expect(calls).toEqual([[1, 2], [3, 4], [5]])
  })

  test('keys that are objects are told apart by cacheKey', async () => {
    const calls: { id: number }[][] = []
    const load = async (keys: readonly { id: number }[]): Promise<Map<{ id: number }, City>> => {
      calls.push([...keys])
      return new Map(keys.map(({ id }) => [{ id }, cityOf(id)]))
    }
    const cities = createBatch(load, { cacheKey: ({ id }) => id })
    expect(await cities({}).loadMany([{ id: 1 }, { id: 2 }, { id: 1 }])).toEqual([1, 2, 1].map(cityOf))
    expect(calls).toEqual([[{ id: 1 }, { id: 2 }]])
  })

  test('prime and clear', async () => {
    const { calls, load } = recorded((ids) => ids.map(cityOf))
    const loader = createBatch(load)({})
    loader.prime(1, { id: 1, name: 'first' })
    expect(await loader.load(1)).toEqual({ id: 1, name: 'first' })
    loader.prime(1, { id: 1, name: 'second' })
    expect(await loader.load(1)).toEqual({ id: 1, name: 'second' })
    loader.clear(1)
    expect(await loader.load(1)).toEqual(cityOf(1))
    await loader.load(2)
    loader.clear()
    await loader.loadMany([1, 2])
    expect(calls).toEqual([[1], [2], [1, 2]])
  })

  test.each<[string, () => unknown, RegExp]>([
    ['too few values', async () => [cityOf(1)], /answered 1 values for 2 keys\. .*`keyOf`/],
    ['an object', async () => ({ 1: cityOf(1) }), /answered an object/],
    ['nothing', async () => undefined, /answered undefined/],
  ])('a load function that answers %s is told so', async (_, load, message) => {
    await expect(createBatch(load as never)({}).loadMany([1, 2])).rejects.toThrow(message)
  })

  test('a load that fails, fails all it was for, and is tried again by the next request', async () => {
    let fails = true
    const cities = createBatch(async (ids: readonly number[]) => {
      if (fails) throw new Error('database down')
      return ids.map(cityOf)
    })
    await expect(cities({}).load(1)).rejects.toThrow('database down')
    fails = false
    expect(await cities({}).load(1)).toEqual(cityOf(1))
  })

  test.each<[string, () => unknown, RegExp]>([
    ['no function', () => createBatch(5 as never), /batch\(load\) must be given a function; received 5/],
    ['an unknown option', () => createBatch(() => [], { max: 5 } as never), /There is no option `batch\.max`/],
    ['a bad bound', () => createBatch(() => [], { maxBatch: 0 }), /`batch\.maxBatch`/],
    ['no request', () => createBatch(() => [])(undefined as never), /kept for a request; it was given undefined/],
  ])('%s is a mistake that is named', (_, make, message) => {
    expect(make).toThrow(message)
  })
})

describe('memo', () => {
  /** The smallest memory there is: what `sluice.memo(one, { ttl, tags })` is to this. */
  function memory() {
    const kept = new Map<number, Promise<City | undefined>>()
    const memo: NonNullable<BatchOptions<number, City>['memo']> = (one) => (id) => {
      const known = kept.get(id) ?? one(id)
      kept.set(id, known)
      return known
    }
    return { kept, memo }
  }

  test('values live on between requests, and what is missing still comes in one batch', async () => {
    const { calls, load } = recorded((ids) => ids.map(cityOf))
    const { memo } = memory()
    const cities = createBatch(load, { memo })
    expect(await cities({}).loadMany([1, 2])).toEqual([cityOf(1), cityOf(2)])
    expect(await cities({}).loadMany([2, 3, 4])).toEqual([2, 3, 4].map(cityOf))
    expect(calls).toEqual([
      [1, 2],
      [3, 4],
    ])
  })

  test('what was forgotten (by its tag, say) is loaded again', async () => {
    const { calls, load } = recorded((ids) => ids.map(cityOf))
    const { kept, memo } = memory()
    const cities = createBatch(load, { memo })
    await cities({}).load(1)
    kept.delete(1)
    await cities({}).load(1)
    expect(calls).toEqual([[1], [1]])
  })

  test('an error is of its key alone', async () => {
    const { load } = recorded((ids) => ids.map((id) => (id === 2 ? new Error('gone') : cityOf(id))))
    const loader = createBatch<number, City>(load, { memo: (one) => one })({})
    const settled = await Promise.allSettled([1, 2].map((id) => loader.load(id)))
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })
})

describe('sluice.batch with memo', () => {
  test('values live on between requests until their time is over', async () => {
    const clock = testClock()
    const sluice = createSluice({ clock })
    const { calls, load } = recorded((ids) => ids.map(cityOf))
    const cities = sluice.batch(load, { memo: { ttl: '1m' } })
    await cities({}).loadMany([1, 2])
    expect(await cities({}).loadMany([1, 2, 3])).toEqual([1, 2, 3].map(cityOf))
    expect(calls).toEqual([[1, 2], [3]])
    await clock.advance(61_000)
    await cities({}).load(1)
    expect(calls).toEqual([[1, 2], [3], [1]])
    await sluice.close()
  })

  test('and until they are purged by tag', async () => {
    const sluice = createSluice()
    const { calls, load } = recorded((ids) => ids.map(cityOf))
    const cities = sluice.batch(load, {
      memo: { ttl: '1m', tags: (city: City | undefined) => [`city:${city?.id}`] },
    })
    await cities({}).loadMany([1, 2])
    await sluice.purge({ tags: ['city:2'] })
    await cities({}).loadMany([1, 2])
    expect(calls).toEqual([[1, 2], [2]])
    await sluice.close()
  })

  test('what a caller does to its value is seen by nobody else', async () => {
    const sluice = createSluice()
    const cities = sluice.batch(recorded((ids) => ids.map(cityOf)).load, { memo: { ttl: '1m' } })
    const mine = (await cities({}).load(1)) as { name: string }
    mine.name = 'changed'
    expect(await cities({}).load(1)).toEqual(cityOf(1))
    await sluice.close()
  })

  test('keys that are objects are told apart by cacheKey between requests too', async () => {
    const sluice = createSluice()
    const calls: number[][] = []
    const load = async (keys: readonly { id: number; asked: number }[]) => {
      calls.push(keys.map(({ id }) => id))
      return keys.map(({ id }) => cityOf(id))
    }
    const cities = sluice.batch(load, { cacheKey: ({ id }) => id, memo: { ttl: '1m' } })
    await cities({}).load({ id: 1, asked: 1 })
    await cities({}).load({ id: 1, asked: 2 })
    expect(calls).toEqual([[1]])
    await sluice.close()
  })

  test('its options are checked at start-up', async () => {
    const sluice = createSluice()
    expect(() => sluice.batch(() => [], { memo: { tll: '1m' } as never })).toThrow(/`memo\.tll`/)
    expect(() => sluice.batch(() => [], { memo: true as never })).toThrow(/`batch\.memo`/)
    await sluice.close()
  })
})

describeHosts('batch in a handler', (host) => {
  test('keyed by the request of the framework', async () => {
    const { calls, load } = recorded((ids) => ids.map(cityOf))
    const sluice = createSluice()
    const cities = sluice.batch(load)
    const app = await host.boot({
      routes: [
        {
          path: '/trip',
          async handler(c: Ctx) {
            const found = await Promise.all([1, 2, 3].map((id) => cities(c.raw.req).load(id)))
            c.send(found)
          },
        },
      ],
    })
    const answers = await Promise.all([app.get('/trip'), app.get('/trip')])
    for (const answer of answers) expect(answer.json()).toEqual([1, 2, 3].map(cityOf))
    expect(calls).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ])
    await sluice.close()
  })
})
