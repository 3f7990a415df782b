import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { transformSync } from '@swc/core'
import { argsClass } from './fixtures/tenants.ts'
import { instance, sharedBackend } from './stores.ts'

function legacyClass(): typeof argsClass {
  const filename = fileURLToPath(new URL('./fixtures/tenants.ts', import.meta.url))
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    swcrc: false,
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true },
    },
    module: { type: 'commonjs' },
  })
  const exports = {} as { argsClass: typeof argsClass }
  new Function('exports', code)(exports)
  return exports.argsClass
}

describe.each([
  ['TC39', argsClass],
  ['experimentalDecorators', legacyClass()],
] as const)('memoized, %s', (_kind, make) => {
  test('each object has values of its own', async () => {
    const { Tenant } = make(instance())
    const [a, b] = [new Tenant('a'), new Tenant('b')]
    expect([await a.find(1), await b.find(1), await a.find(1)]).toEqual(['a1', 'b1', 'a1'])
    expect([a.runs, b.runs]).toEqual([1, 1])
  })

  test('objects with a cacheKey() share by that', async () => {
    const { Keyed } = make(instance())
    const [a, same, b] = [new Keyed('a'), new Keyed('a'), new Keyed('b')]
    expect([await a.find(1), await same.find(1), await b.find(1)]).toEqual(['a1', 'a1', 'b1'])
    expect([a.runs, same.runs, b.runs]).toEqual([1, 0, 1])
  })

  test('ignoreThis shares between all', async () => {
    const { Tenant } = make(instance())
    const [a, b] = [new Tenant('a'), new Tenant('b')]
    expect([await a.sum(1, 2), await b.sum(1, 2), a.runs, b.runs]).toEqual([3, 3, 1, 0])
  })

  test('static methods, names, lengths, and .delete for one object', async () => {
    const { Tenant } = make(instance())
    expect([await Tenant.all(), await Tenant.all()]).toEqual([1, 1])
    expect([Tenant.prototype.find.name, Tenant.prototype.find.length]).toEqual(['find', 1])
    const [a, b] = [new Tenant('a'), new Tenant('b')]
    await a.find(1)
    await b.find(1)
    await (a.find as unknown as { delete(id: number): Promise<void> }).delete.call(a, 1)
    await Promise.all([a.find(1), b.find(1)])
    expect([a.runs, b.runs]).toEqual([2, 1])
  })

  test('on a shared store an object must say who it is', async () => {
    const { Tenant, Keyed } = make(instance({ backend: sharedBackend() }))
    await expect(new Tenant('a').find(1)).rejects.toThrow(/Give its class a `cacheKey\(\)`, or set `ignoreThis`/)
    expect(await new Keyed('a').find(1)).toBe('a1')
    expect(await new Tenant('a').sum(1, 2)).toBe(3)
  })
})

test('as a wrapper, and with a field', async () => {
  const sluice = instance()
  let runs = 0
  const find = sluice.memoized('1m')(async (id: number) => id + ++runs)
  expect([await find(1), await find(1)]).toEqual([2, 2])
  class Fields {
    @sluice.memoized({ ttl: '1m' }) find = async (id: number) => id + ++runs
  }
  const fields = new Fields()
  expect([await fields.find(1), await fields.find(1)]).toEqual([3, 3])
})

test('wrong options are reported where the decorator stands', () => {
  expect(() => instance().memoized({ tags: ['a'] } as never)).toThrow(/`memo\.ttl` must be given/)
})
