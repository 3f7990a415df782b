import { describe, expect, jest, test } from '@jest/globals'
import { testClock } from '../hosts/harness/clock.ts'
import { gate, turn } from '../hosts/harness/host.ts'
import { instance, sharedBackend } from './stores.ts'

/** Two processes on one store. */
function pair() {
  const held = {} as Parameters<typeof sharedBackend>[0] & object
  const clock = testClock()
  const [a, b] = [instance({ backend: sharedBackend(held) }, clock), instance({ backend: sharedBackend(held) }, clock)]
  return { a, b, held, clock }
}

describe('memos of two processes on one store', () => {
  test('the second finds what the first has kept', async () => {
    const { a, b } = pair()
    const [here, there] = [jest.fn((id: number) => ({ id })), jest.fn((id: number) => ({ id }))]
    await a.memo(here, { ttl: '1m', name: 'city' })(1)
    expect(await b.memo(there, { ttl: '1m', name: 'city' })(1)).toEqual({ id: 1 })
    expect(there).not.toHaveBeenCalled()
  })

  test.each([
    ['purge by tag', (_a: unknown, sluice: { purge(of: object): Promise<void> }) => sluice.purge({ tags: ['t'] })],
    ['.delete(...args)', (memo: { delete(id: number): Promise<void> }) => memo.delete(1)],
    ['.expire(...args)', (memo: { expire(id: number): Promise<void> }) => memo.expire(1)],
    ['.clear()', (memo: { clear(): Promise<void> }) => memo.clear()],
  ])('%s in one is seen by the other, during a computation too', async (_what, act) => {
    const { a, b } = pair()
    let data = 'old'
    const open = gate()
    const mine = a.memo(async (_id: number) => data, { ttl: '1m', tags: ['t'], name: 'city' })
    const theirs = b.memo(
      async (_id: number) => {
        const read = data
        await open
        return read
      },
      { ttl: '1m', tags: ['t'], name: 'city' },
    )
    const begun = theirs(1)
    for (let i = 0; i < 10; i++) await turn()
    data = 'new'
    await act(mine as never, a as never)
    open.open()
    expect(await begun).toBe('old')
    expect(await theirs(1)).toBe('new')
    expect(await mine(1)).toBe('new')
    await act(theirs as never, b as never)
    data = 'newest'
    expect(await mine(1)).toBe('newest')
  })

  test('different names share nothing, whatever the names and keys are', async () => {
    const { a } = pair()
    const [x, y] = [
      a.memo((_k: string) => 'x', { ttl: 1000, name: 'a' }),
      a.memo((_k: string) => 'y', { ttl: 1000, name: 'as' }),
    ]
    expect([await x('s1:b'), await y('b'), await x('b'), await y('s1:b')]).toEqual(['x', 'y', 'x', 'y'])
  })
})

describe('a memo on a shared store', () => {
  test('needs a name, and one of its own', () => {
    const { a } = pair()
    expect(() => a.memo(() => 1, { ttl: 1 })).toThrow(/`memo\.name` must be given where the store is shared/)
    a.memo(() => 1, { ttl: 1, name: 'one' })
    expect(() => a.memo(() => 1, { ttl: 1, name: 'one' })).toThrow(/`memo\.name` must be of one memo only/)
  })

  test('runs the function where the store is out, and says so', async () => {
    const { a, held } = pair()
    const load = jest.fn((id: number) => id)
    const get = a.memo(load, { ttl: '1m', name: 'get' })
    held.failing = true
    expect([await get(1), await get(1)]).toEqual([1, 1])
    expect(load).toHaveBeenCalledTimes(2)
    expect(a.errors[0]).toMatchObject({ code: 'ERR_SLUICE_STORE' })
    // Whoever asks for an invalidation must know that there was none.
    await expect(get.delete(1)).rejects.toThrow('the store is out')
  })

  test('its values are not found by a URL', async () => {
    const { a } = pair()
    const load = jest.fn((id: number) => id)
    const get = a.memo(load, { ttl: '1m', name: '/cities' })
    await get(1)
    await a.purge({ url: '/cities' })
    await a.purge({ route: '/cities' })
    await get(1)
    expect(load).toHaveBeenCalledTimes(1)
  })
})
