import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Recent } from '../../packages/core/src/base/recent.ts'

test('has what was used last, as a plain list that is put in order on each use has it', () => {
  const key = fc.integer({ min: 0, max: 7 })
  const step = fc.oneof(
    fc.record({ does: fc.constant('get' as const), key }),
    fc.record({ does: fc.constant('set' as const), key, value: fc.integer() }),
    fc.record({ does: fc.constant('delete' as const), key }),
    { arbitrary: fc.record({ does: fc.constant('clear' as const) }), weight: 1 },
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60 }), (most, steps) => {
      const recent = new Recent<number, number>(most)
      let list: [key: number, value: number][] = []
      for (const taken of steps) {
        if (taken.does === 'clear') {
          recent.clear()
          list = []
        } else {
          const known = list.find(([at]) => at === taken.key)
          const others = list.filter(([at]) => at !== taken.key)
          if (taken.does === 'get') {
            expect(recent.get(taken.key)).toBe(known?.[1])
            if (known) list = [...others, known]
          } else if (taken.does === 'set') {
            recent.set(taken.key, taken.value)
            list = [...others, [taken.key, taken.value] satisfies [number, number]].slice(-most)
          } else {
            recent.delete(taken.key)
            list = others
          }
        }
        expect(recent.size).toBe(list.length)
      }
      // Read from the oldest on, so that the order of those that are left stays as it is.
      for (const [at, value] of list) expect(recent.get(at)).toBe(value)
    }),
  )
})

test('lets the one go that was not used for longest', () => {
  const recent = new Recent<string, number>(2)
  recent.set('a', 1)
  recent.set('b', 2)
  recent.get('a')
  recent.set('c', 3)
  expect([recent.get('a'), recent.get('b'), recent.get('c')]).toEqual([1, undefined, 3])
})
