import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { gate, turn } from '../hosts/harness/host.ts'
import { backends, type Instance, instance } from './stores.ts'

interface City {
  id: number
  name: string
  run: number
}

describe.each(backends)('memo, %s', (where, backend) => {
  let sluice: Instance
  beforeEach(() => {
    sluice = instance({ backend: backend() })
  })
  afterEach(() => sluice.close())

  const counting = () => {
    let run = 0
    return jest.fn(async (id: number): Promise<City> => ({ id, name: `city ${id}`, run: ++run }))
  }

  describe('what is kept', () => {
    test('a second call is answered from it, until the TTL is over', async () => {
      const load = counting()
      const get = sluice.memo(load, { ttl: '1m', name: 'get' })
      expect((await get(7)).run).toBe(1)
      expect(await get(7)).toEqual({ id: 7, name: 'city 7', run: 1 })
      await sluice.clock.advance(59_999)
      expect((await get(7)).run).toBe(1)
      await sluice.clock.advance(1)
      expect((await get(7)).run).toBe(2)
    })

    test('other arguments are another call', async () => {
      const get = sluice.memo(counting(), { ttl: '1m', name: 'get' })
      expect([(await get(1)).run, (await get(2)).run, (await get(1)).run]).toEqual([1, 2, 1])
    })

    test.each<[string, unknown]>([
      ['undefined', undefined],
      ['null', null],
      ['false', false],
      ['0', 0],
      ['-0', -0],
      ['NaN', Number.NaN],
      ['the empty string', ''],
      ['a bigint', 10n],
      ['a Date', new Date(5)],
      ['a Map', new Map([['a', { b: 1 }]])],
      ['a Set', new Set([1])],
      ['bytes', new Uint8Array([1, 2, 3])],
      ['nested JSON', { a: [1, { b: null, c: 'x' }], d: true }],
      ['JSON with `undefined` in it', { a: undefined, b: [undefined] }],
      ['JSON with -0 in it', [-0]],
      ['an object with a key __proto__', JSON.parse('{"__proto__":{"a":1}}')],
      ['a list with itself twice', Array(2).fill({ a: 1 })],
      ['an error as a value', new RangeError('no')],
    ])('%s comes back as it was', async (_name, value) => {
      const load = jest.fn(() => value)
      const get = sluice.memo(load, { ttl: '1m', name: 'get' })
      const [first, second] = [await get(), await get()]
      expect([load.mock.calls.length, sluice.errors]).toEqual([1, []])
      expect(first).toEqual(value)
      expect(second).toEqual(value)
      expect(Object.is(second, -0)).toBe(Object.is(value, -0))
      if (Array.isArray(value) && Object.is(value[0], -0)) expect(Object.is((second as number[])[0], -0)).toBe(true)
    })

    test('a caller who changes its result changes nobody’s', async () => {
      const original = { id: 1, list: [1], when: new Date(5) }
      const get = sluice.memo(async () => original, { ttl: '1m', name: 'get' })
      const mine = await Promise.all([get(), get()])
      mine[0].list.push(2)
      mine[0].when.setTime(9)
      original.list.push(3)
      expect(mine[1]).toEqual({ id: 1, list: [1], when: new Date(5) })
      expect(await get()).toEqual({ id: 1, list: [1], when: new Date(5) })
    })

    test('ttl 0 keeps nothing', async () => {
      const get = sluice.memo(counting(), { ttl: 0, name: 'get' })
      expect([(await get(1)).run, (await get(1)).run]).toEqual([1, 2])
    })

    test('storeIf says what may be kept', async () => {
      const load = jest.fn(async (id: number) => (id > 1 ? { id } : undefined))
      const get = sluice.memo(load, { ttl: '1m', name: 'get', storeIf: (city, id) => city?.id === id })
      for (const id of [1, 1, 2, 2]) await get(id)
      expect(load.mock.calls.map(([id]) => id)).toEqual([1, 1, 2])
    })

    test('jitter takes up to its share off the TTL', async () => {
      const random = jest.spyOn(Math, 'random').mockReturnValue(0.5)
      const load = counting()
      const get = sluice.memo(load, { ttl: 1000, jitter: 0.4, name: 'get' })
      await get(1)
      random.mockRestore()
      await sluice.clock.advance(799)
      expect((await get(1)).run).toBe(1)
      await sluice.clock.advance(1)
      expect((await get(1)).run).toBe(2)
    })

    test('a serializer of one’s own brings classes back', async () => {
      class Point {
        readonly x: number
        constructor(x: number) {
          this.x = x
        }
        double() {
          return this.x * 2
        }
      }
      const serializer = {
        serialize: (point: Point) => String(point.x),
        deserialize: (bytes: Buffer) => new Point(Number(bytes.toString())),
      }
      const load = jest.fn(async (x: number) => new Point(x))
      const get = sluice.memo(load, { ttl: '1m', name: 'get', serializer })
      expect([(await get(2)).double(), (await get(2)).double(), load.mock.calls.length]).toEqual([4, 4, 1])
    })

    test('a value that cannot be copied is given out, not kept, and reported', async () => {
      const load = jest.fn(async () => ({ act: () => 'acted' }))
      const get = sluice.memo(load, { ttl: '1m', name: 'get' })
      const both = await Promise.all([get(), get()])
      expect(both.map((one) => one.act())).toEqual(['acted', 'acted'])
      expect(both[0]).not.toBe(both[1])
      expect(sluice.errors[0]).toMatchObject({
        code: 'ERR_SLUICE_CALLBACK',
        message: expect.stringMatching(/^The memo of `get` could not copy a value/),
      })
      expect(load).toHaveBeenCalledTimes(2)
    })
  })

  describe('the key', () => {
    test('does not depend on the order of keys', async () => {
      const load = jest.fn(async (_query: object) => 1)
      const get = sluice.memo(load, { ttl: '1m', name: 'get' })
      await get({ a: 1, b: { c: 1, d: 2 } })
      await get({ b: { d: 2, c: 1 }, a: 1 })
      expect(load).toHaveBeenCalledTimes(1)
    })

    test('tells undefined, null, NaN, 0, -0, dates, maps and bigints apart', async () => {
      const load = jest.fn(async (..._args: unknown[]) => 1)
      const get = sluice.memo(load, { ttl: '1m', name: 'get' })
      const calls = [
        [],
        [undefined],
        [null],
        [Number.NaN],
        [0],
        [-0],
        [0n],
        ['0'],
        [''],
        [new Date(0)],
        [new Map()],
        [new Set()],
        [{}],
        [[]],
      ]
      for (const args of [...calls, ...calls]) await get(...args)
      expect(load).toHaveBeenCalledTimes(calls.length)
    })

    test('what has none rejects, and the function does not run', async () => {
      const load = jest.fn(async (_of: unknown) => 1)
      const get = sluice.memo(load, { ttl: '1m', name: 'get' })
      await expect(get(() => 1)).rejects.toThrow(/argument 1: it is a function/)
      await expect(get.fresh(Symbol('a'))).rejects.toThrow(/it is a symbol/)
      await expect(get.delete(new (class City {})())).rejects.toThrow(/an instance of City/)
      expect(load).not.toHaveBeenCalled()
    })

    test('key(...args) in place of the arguments', async () => {
      const load = jest.fn(async (request: { user: string; log: () => void }) => request.user)
      const get = sluice.memo(load, { ttl: '1m', name: 'get', key: (request) => ['user', request.user] })
      const log = () => {}
      for (const user of ['ada', 'ada', 'bob']) await get({ user, log })
      expect(load.mock.calls.map(([{ user }]) => user)).toEqual(['ada', 'bob'])
    })
  })

  describe('single flight', () => {
    test('calls at the same time share one run', async () => {
      const open = gate()
      const load = jest.fn(async (id: number) => {
        await open
        return { id }
      })
      const get = sluice.memo(load, { ttl: '1m', name: 'get' })
      const calls = Array.from({ length: 100 }, () => get(1))
      await turn()
      open.open()
      const all = await Promise.all(calls)
      expect(load).toHaveBeenCalledTimes(1)
      expect(new Set(all).size).toBe(100)
      expect(get.info()).toMatchObject({ misses: 1, coalesced: 99, hits: 0, errors: 0 })
    })

    test('an error goes to all who waited, and is not kept', async () => {
      let fails = true
      const load = jest.fn(async () => {
        await turn()
        if (fails) throw new Error('down')
        return 1
      })
      const get = sluice.memo(load, { ttl: '1m', name: 'get' })
      const all = await Promise.allSettled([get(), get(), get()])
      expect(all.map((one) => one.status)).toEqual(['rejected', 'rejected', 'rejected'])
      expect([load.mock.calls.length, get.info().errors]).toEqual([1, 1])
      fails = false
      expect(await get()).toBe(1)
    })

    test('who waited longer than `timeout` runs the function itself, and later calls begin anew', async () => {
      const never = gate()
      let run = 0
      const load = jest.fn(async () => {
        run++
        if (run === 1) await never
        return run
      })
      const get = sluice.memo(load, { ttl: '1m', name: 'get', timeout: '2s' })
      const first = get()
      await turn()
      const second = get()
      await turn()
      await sluice.clock.advance(2_000)
      expect(await second).toBe(2)
      expect(await get()).toBe(3)
      never.open()
      // Too late to be kept.
      await first
      expect(await get()).toBe(3)
    })

    test('a function that throws at once rejects', async () => {
      const get = sluice.memo(
        (): number => {
          throw new Error('at once')
        },
        { ttl: '1m', name: 'get' },
      )
      await expect(get()).rejects.toThrow('at once')
    })
  })

  describe('stale values', () => {
    test('staleWhileRevalidate gives the old value out while one run fetches a new one', async () => {
      const load = counting()
      const get = sluice.memo(load, { ttl: '1m', staleWhileRevalidate: '1m', name: 'get' })
      await get(1)
      await sluice.clock.advance(60_000)
      expect([(await get(1)).run, (await get(1)).run]).toEqual([1, 1])
      for (let i = 0; i < 10; i++) await turn()
      expect([(await get(1)).run, load.mock.calls.length]).toEqual([2, 2])
      await sluice.clock.advance(120_000)
      expect((await get(1)).run).toBe(3)
    })

    test('a refresh that fails is reported, and the old value stays for its window', async () => {
      let fails = false
      const get = sluice.memo(
        async () => {
          if (fails) throw new Error('down')
          return 'old'
        },
        { ttl: '1m', staleWhileRevalidate: '1m', cacheErrors: '1h', name: 'get' },
      )
      await get()
      fails = true
      await sluice.clock.advance(60_000)
      expect(await get()).toBe('old')
      for (let i = 0; i < 10; i++) await turn()
      expect(await get()).toBe('old')
      expect(sluice.errors[0]?.message).toMatch(/failed to compute a value again.*down/)
      await sluice.clock.advance(60_000)
      await expect(get()).rejects.toThrow('down')
    })

    test('staleIfError stands in for an error, for its window', async () => {
      let fails = false
      const get = sluice.memo(
        async () => {
          if (fails) throw new Error('down')
          return 'old'
        },
        { ttl: '1m', staleIfError: '1m', name: 'get' },
      )
      await get()
      fails = true
      await sluice.clock.advance(60_000)
      expect(await Promise.all([get(), get()])).toEqual(['old', 'old'])
      await sluice.clock.advance(60_000)
      await expect(get()).rejects.toThrow('down')
    })

    test('cacheErrors keeps an error for its time, with its code', async () => {
      const load = jest.fn(async () => {
        throw Object.assign(new TypeError('none'), { code: 'ENONE', status: 404 })
      })
      const get = sluice.memo(load, { ttl: '1m', cacheErrors: '5s', name: 'get' })
      for (let i = 0; i < 3; i++) {
        await expect(get()).rejects.toMatchObject({ name: 'TypeError', message: 'none', code: 'ENONE', status: 404 })
      }
      expect(load).toHaveBeenCalledTimes(1)
      await sluice.clock.advance(5_000)
      await expect(get()).rejects.toThrow('none')
      expect(load).toHaveBeenCalledTimes(2)
    })
  })

  describe('invalidation', () => {
    test.each<[string, string[] | ((city: City, id: number) => string | string[])]>([
      ['a list', ['city:1', 'cities']],
      ['a function of value and arguments', (city, id) => [`city:${city.id}`, `id:${id}`]],
      ['a function that answers one', (city) => `city:${city.id}`],
    ])('sluice.purge({ tags }), tags as %s', async (_how, tags) => {
      const get = sluice.memo(counting(), { ttl: '1m', tags, name: 'get' })
      await get(1)
      await sluice.purge({ tags: ['city:2'] })
      expect((await get(1)).run).toBe(1)
      await sluice.purge({ tags: ['city:1'] })
      expect((await get(1)).run).toBe(2)
    })

    test('sluice.purge({ all: true })', async () => {
      const get = sluice.memo(counting(), { ttl: '1m', name: 'get' })
      await get(1)
      await sluice.purge({ all: true })
      expect((await get(1)).run).toBe(2)
    })

    test('sluice.expire({ tags }) leaves stale values their windows', async () => {
      const load = counting()
      const get = sluice.memo(load, { ttl: '1h', staleWhileRevalidate: '1m', tags: ['a'], name: 'get' })
      await get(1)
      await sluice.expire({ tags: ['a'] })
      expect((await get(1)).run).toBe(1)
      for (let i = 0; i < 10; i++) await turn()
      expect((await get(1)).run).toBe(2)
      await sluice.expire({ tags: ['a'] })
      await sluice.clock.advance(60_000)
      expect((await get(1)).run).toBe(3)
    })

    test.each<
      [
        string,
        (get: {
          delete(id: number): Promise<void>
          expire(id: number): Promise<void>
          clear(): Promise<void>
        }) => Promise<void>,
        number[],
      ]
    >([
      ['.delete(...args)', (get) => get.delete(1), [3, 2]],
      ['.expire(...args)', (get) => get.expire(1), [3, 2]],
      ['.clear()', (get) => get.clear(), [3, 4]],
    ])('%s', async (_what, act, expected) => {
      const get = sluice.memo(counting(), { ttl: '1m', name: 'get' })
      await get(1)
      await get(2)
      await act(get)
      expect([(await get(1)).run, (await get(2)).run]).toEqual(expected)
    })

    test('.fresh(...args) runs the function and keeps what it brings', async () => {
      const get = sluice.memo(counting(), { ttl: '1m', name: 'get' })
      await get(1)
      expect((await get.fresh(1)).run).toBe(2)
      expect((await get(1)).run).toBe(2)
    })

    test('an older run does not overwrite what .fresh brought', async () => {
      const gates = [gate(), gate()]
      let run = 0
      const get = sluice.memo(
        async () => {
          const mine = run++
          await gates[mine]
          return mine
        },
        { ttl: '1m', name: 'get' },
      )
      const older = get()
      for (let i = 0; i < 5; i++) await turn()
      const newer = get.fresh()
      for (let i = 0; i < 5; i++) await turn()
      gates[1]!.open()
      expect(await newer).toBe(1)
      gates[0]!.open()
      expect(await older).toBe(0)
      expect(await get()).toBe(1)
    })

    type Acts = { sluice: Instance; get: { delete(): Promise<void>; clear(): Promise<void> } }
    test.each<[string, (of: Acts) => Promise<void>]>([
      ['purge by tag', ({ sluice }) => sluice.purge({ tags: ['a'] })],
      ['expire by tag', ({ sluice }) => sluice.expire({ tags: ['a'] })],
      ['purge of everything', ({ sluice }) => sluice.purge({ all: true })],
      ['.delete()', ({ get }) => get.delete()],
      ['.clear()', ({ get }) => get.clear()],
    ])('%s during the computation keeps its value from being kept', async (_what, act) => {
      const gates = [gate(), gate(), gate()]
      let run = 0
      let data = 'old'
      const get = sluice.memo(
        async () => {
          const read = data
          await gates[run++]
          return read
        },
        { ttl: '1m', tags: ['a'], name: 'get' },
      )
      const before = get()
      for (let i = 0; i < 5; i++) await turn()
      data = 'new'
      await act({ sluice, get })
      // A call that begins after the purge must not be given what was read before it.
      const after = get()
      for (const one of gates) one.open()
      await before
      expect([await after, await get()]).toEqual(['new', 'new'])
    })

    test('nor does a call after the purge join a run that is not kept', async () => {
      const open = gate()
      let data = 'old'
      const get = sluice.memo(
        async () => {
          const read = data
          await open
          return read
        },
        { ttl: 0, name: 'get' },
      )
      const before = get()
      for (let i = 0; i < 5; i++) await turn()
      data = 'new'
      await sluice.purge({ tags: ['a'] })
      const after = get()
      open.open()
      expect([await before, await after]).toEqual(['old', 'new'])
    })

    test('tags that cannot be made keep the value from being kept, with a report', async () => {
      const load = counting()
      const get = sluice.memo(load, { ttl: '1m', name: 'get', tags: () => [''] })
      await get(1)
      await get(1)
      expect(load).toHaveBeenCalledTimes(2)
      expect(sluice.errors[0]?.message).toMatch(/could not make tags.*non-empty string/)
    })
  })

  test('info() counts hits, misses, coalesced calls and errors', async () => {
    const get = sluice.memo(
      async (id: number) => {
        if (id < 0) throw new Error('negative')
        return id
      },
      { ttl: '1m', name: 'get' },
    )
    await Promise.all([get(1), get(1)])
    await get(1)
    await get(-1).catch(() => {})
    expect(get.info()).toEqual({
      hits: 1,
      misses: 2,
      coalesced: 1,
      errors: 1,
      size: where === 'in memory' ? 1 : 0,
      bytes: where === 'in memory' ? expect.any(Number) : 0,
    })
  })

  test('it passes for the function: name, length, `this`', async () => {
    async function getCity(this: { prefix: string }, id: number, _also?: string) {
      return `${this.prefix}${id}`
    }
    const get = sluice.memo(getCity, { ttl: '1m', name: 'get' })
    expect([get.name, get.length]).toEqual(['getCity', 2])
    expect(await get.call({ prefix: 'c' }, 1)).toBe('c1')
  })
})

describe('memo, in memory', () => {
  test('a hit asks nobody: the promise is there in the same turn', async () => {
    const sluice = instance()
    const get = sluice.memo(() => 1, { ttl: '1m' })
    await get()
    let seen = 0
    void get().then((value) => {
      seen = value
    })
    await null
    expect(seen).toBe(1)
  })

  test('maxEntries drops the least recently used', async () => {
    const sluice = instance()
    const load = jest.fn((id: number) => id)
    const get = sluice.memo(load, { ttl: '1m', maxEntries: 2 })
    for (const id of [1, 2, 1, 3, 1, 2]) await get(id)
    expect(load.mock.calls.map(([id]) => id)).toEqual([1, 2, 3, 2])
    expect(get.info().size).toBe(2)
  })

  test('maxBytes holds when overfilled, keys and bookkeeping counted', async () => {
    const sluice = instance()
    const get = sluice.memo((id: number) => `${id}`.repeat(1000), { ttl: '1m', maxBytes: '64kb' })
    for (let id = 0; id < 500; id++) {
      await get(id)
      expect(get.info().bytes).toBeLessThanOrEqual(65_536)
    }
    expect(get.info().size).toBeGreaterThan(5)
  })

  test('a value larger than maxBytes is given out and not kept', async () => {
    const sluice = instance()
    const get = sluice.memo(() => 'x'.repeat(100_000), { ttl: '1m', maxBytes: '64kb' })
    expect((await get()).length).toBe(100_000)
    expect(get.info()).toMatchObject({ size: 0, bytes: 0 })
  })

  test('clone: false hands the same object to everybody', async () => {
    const sluice = instance()
    const get = sluice.memo(() => ({ act: () => 1 }), { ttl: '1m', clone: false })
    const [a, b] = await Promise.all([get(), get()])
    expect(a).toBe(b)
    expect(await get()).toBe(a)
  })

  test('two memos of one function share nothing', async () => {
    const sluice = instance()
    const load = jest.fn((id: number) => id)
    const [a, b] = [sluice.memo(load, { ttl: '1m' }), sluice.memo(load, { ttl: '1m' })]
    await a(1)
    await b(1)
    expect(load).toHaveBeenCalledTimes(2)
  })
})

describe('options', () => {
  const sluice = instance()
  test.each<[string, object, RegExp]>([
    ['no ttl', {}, /`memo\.ttl` must be given/],
    ['a ttl that is none', { ttl: 'soon' }, /`memo\.ttl` must be milliseconds or a duration such as '30s', '5m'/],
    ['an unknown one', { ttl: 1, tag: ['a'] }, /no option `memo\.tag`. Did you mean `tags`/],
    ['jitter', { ttl: 1, jitter: 2 }, /`memo\.jitter` must be a number from 0 to 1/],
    ['maxEntries', { ttl: 1, maxEntries: 0 }, /`memo\.maxEntries` must be a whole number above 0/],
    ['a half serializer', { ttl: 1, serializer: { serialize() {} } }, /`memo\.serializer` must be an object with/],
    [
      'clone beside a serializer',
      { ttl: 1, clone: false, serializer: { serialize() {}, deserialize() {} } },
      /`memo\.clone`/,
    ],
  ])('%s', (_what, options, message) => {
    expect(() => sluice.memo(() => 1, options as never)).toThrow(message)
  })

  test('no function', () => {
    expect(() => sluice.memo(5 as never, { ttl: 1 })).toThrow(/`memo\(fn\)` must be a function; received 5/)
  })
})
