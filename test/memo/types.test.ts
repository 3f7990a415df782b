import { expect, test } from '@jest/globals'
import { instance } from './stores.ts'

/** Checked by the compiler (`npm run types`); run only so that it is seen to be right. */
test('a memo has the types of its function', async () => {
  const sluice = instance()
  const load = async (id: number, name?: string) => ({ id, name: name ?? 'none' })
  const get = sluice.memo(load, {
    ttl: '1m',
    tags: (city, id, name) => [`city:${city.id + id}`, city.name.trim(), name?.trim() ?? 'x'],
    key: (id, name) => [id, name],
    storeIf: (city, id) => city.id === id,
  })
  const city: { id: number; name: string } = await get(1, 'Oslo')
  expect(city.name).toBe('Oslo')
  await get.fresh(1)
  // @ts-expect-error an argument of another type
  await get('1')
  // @ts-expect-error one too many
  await get(1, 'a', 2)
  // @ts-expect-error likewise for its members
  await get.delete('1')
  // @ts-expect-error it is a promise
  expect(get(1).name).toBeUndefined()

  const sync = sluice.memo((n: number) => n * 2, { ttl: 1000 })
  const doubled: Promise<number> = sync(2)
  expect(await doubled).toBe(4)
  // @ts-expect-error there is no such option
  expect(() => sluice.memo(load, { ttl: 1, tagz: [] })).toThrow('tagz')
  // @ts-expect-error a TTL is needed
  expect(() => sluice.memo(load, {})).toThrow('ttl')
  // @ts-expect-error tags are texts
  sluice.memo(load, { ttl: 1, tags: () => [1] })

  class Service {
    readonly factor = 2
    @sluice.memoized('1m') async twice(n: number): Promise<number> {
      return n * this.factor
    }
    // @ts-expect-error a method that answers no promise would answer one
    @sluice.memoized('1m') once(n: number): number {
      return n
    }
  }
  const twice: number = await new Service().twice(2)
  expect(twice).toBe(4)
})
