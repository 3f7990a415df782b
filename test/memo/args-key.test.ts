import vm from 'node:vm'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { argsKey } from '../../packages/core/src/memo/args-key.ts'

class City {
  readonly id: number
  constructor(id: number) {
    this.id = id
  }
}
class Keyed extends City {
  cacheKey() {
    return this.id
  }
}
class OtherKeyed extends Keyed {}

const sparse = [1, undefined, 3]
delete sparse[1]
const sticky = /a/y
sticky.lastIndex = 1

/** No two of these are equal. */
const distinct: [string, unknown[]][] = [
  ['no arguments', []],
  ['undefined', [undefined]],
  ['two undefined', [undefined, undefined]],
  ['null', [null]],
  ['NaN', [Number.NaN]],
  ['0', [0]],
  ['-0', [-0]],
  ['1', [1]],
  ['1n', [1n]],
  ["'1'", ['1']],
  ['true', [true]],
  ['false', [false]],
  ['Infinity', [Number.POSITIVE_INFINITY]],
  ['the empty string', ['']],
  ["'undefined'", ['undefined']],
  ["'null'", ['null']],
  ["'NaN'", ['NaN']],
  ["'a', 'b'", ['a', 'b']],
  ["'ab'", ['ab']],
  ["'a,b'", ['a,b']],
  ["['a', 'b']", [['a', 'b']]],
  ["[['a'], 'b']", [[['a'], 'b']]],
  ["['a', ['b']]", [['a', ['b']]]],
  ['[]', [[]]],
  ['{}', [{}]],
  ['{ a: undefined }', [{ a: undefined }]],
  ['{ a: 1 }', [{ a: 1 }]],
  ["{ a: '1' }", [{ a: '1' }]],
  ["{ '0': 'a', length: 1 }", [{ 0: 'a', length: 1 }]],
  ['a Date', [new Date(1)]],
  ['a later Date', [new Date(2)]],
  ['an invalid Date', [new Date(Number.NaN)]],
  ['its number', [1.5]],
  ['its text', [new Date(1).toISOString()]],
  ['Map {}', [new Map()]],
  ['Map { a → 1 }', [new Map([['a', 1]])]],
  ["Map { 'a' → '1' }", [new Map([['a', '1']])]],
  [
    'Map in another order',
    [
      new Map([
        ['b', 1],
        ['a', 1],
      ]),
    ],
  ],
  [
    'Map in one order',
    [
      new Map([
        ['a', 1],
        ['b', 1],
      ]),
    ],
  ],
  ['Set {}', [new Set()]],
  ['Set { a }', [new Set(['a'])]],
  ['Set { [a] }', [new Set([['a']])]],
  ['/a/', [/a/]],
  ['/a/g', [/a/g]],
  ['/a/y from 1', [sticky]],
  ["'/a/'", ['/a/']],
  ['a URL', [new URL('http://a/')]],
  ['its text', ['http://a/']],
  ['Uint8Array [1]', [new Uint8Array([1])]],
  ['Int8Array [1]', [new Int8Array([1])]],
  ['Uint16Array [1]', [new Uint16Array([1])]],
  ['Float64Array [1]', [new Float64Array([1])]],
  ['BigInt64Array [1]', [new BigInt64Array([1n])]],
  ['Buffer [1]', [Buffer.from([1])]],
  ['ArrayBuffer [1]', [new Uint8Array([1]).buffer]],
  ['DataView [1]', [new DataView(new Uint8Array([1]).buffer)]],
  ['a sparse list', [sparse]],
  ['the same, with undefined', [[1, undefined, 3]]],
  ['a list with a name', [Object.assign([1, 2], { name: 'a' })]],
  ['[1, 2]', [[1, 2]]],
  ['a keyed object', [new Keyed(1)]],
  ['another one', [new Keyed(2)]],
  ['the same key of another class', [new OtherKeyed(1)]],
  ['a text as long as a digest', ['x'.repeat(500)]],
  ['another one', [`${'x'.repeat(499)}y`]],
]

describe('different arguments have different keys', () => {
  test.each(distinct)('%s', (_name, args) => {
    const same = distinct.filter(([, others]) => argsKey(others) === argsKey(args))
    expect(same).toHaveLength(1)
  })

  // Whatever is built of these: equal keys mean equal values.
  const scalar = fc.oneof(
    fc.string({ maxLength: 4, unit: fc.constantFrom('s', 'd', '1', ':', ';', 'a', 'u', 'n', '-', '0', 'A', 'O') }),
    fc.constantFrom<unknown>(undefined, null, Number.NaN, 0, -0, true, false),
    fc.integer({ min: -3, max: 12 }),
    fc.bigInt({ min: -3n, max: 12n }),
    fc.integer({ min: 0, max: 3 }).map((ms) => new Date(ms)),
    fc.uint8Array({ maxLength: 2 }),
  )
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      scalar,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', 'b', '1:a', 's'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
      fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 2 }).map((pairs) => new Map(pairs)),
      fc.array(tie('value'), { maxLength: 2 }).map((items) => new Set(items)),
    ),
  }))

  test('for any two lists of arguments (property)', () => {
    const args = fc.array(value, { maxLength: 3 })
    fc.assert(
      fc.property(args, args, (a, b) => {
        if (argsKey(a) === argsKey(b)) expect(inOrder(a)).toStrictEqual(inOrder(b))
      }),
      { numRuns: 3000 },
    )
  })

  test('and a change anywhere inside changes the key (property)', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 3 }), fc.string(), (args, added) => {
        expect(argsKey([...args, added])).not.toBe(argsKey(args))
        expect(argsKey([[args, added]])).not.toBe(argsKey([[args, `${added}.`]]))
      }),
    )
  })

  test('equal values have equal keys (property)', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 3 }), (args) => argsKey(args) === argsKey(structuredClone(args))),
    )
  })
})

/** Jest compares maps and sets without their order. */
function inOrder(of: unknown): unknown {
  if (of instanceof Map) return { map: [...of].map(inOrder) }
  if (of instanceof Set) return { set: [...of].map(inOrder) }
  if (Array.isArray(of)) return of.map(inOrder)
  if (typeof of === 'object' && of !== null && Object.getPrototypeOf(of) === Object.prototype) {
    return Object.fromEntries(Object.entries(of).map(([key, item]) => [key, inOrder(item)]))
  }
  return of
}

describe('equal arguments have equal keys', () => {
  test.each<[string, unknown, unknown]>([
    ['whatever the order of the keys', { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
    ['with and without a prototype', { a: 1 }, Object.assign(Object.create(null), { a: 1 })],
    [
      'objects of another realm',
      { a: [new Date(5), new Map([[1, 2]])] },
      vm.runInNewContext('({ a: [new Date(5), new Map([[1, 2]])] })'),
    ],
    ['views of different buffers', new Uint8Array([0, 1, 2]).subarray(1), new Uint8Array([1, 2])],
    ['the same object twice, or two equal ones', Array(2).fill({ a: 1 }), [{ a: 1 }, { a: 1 }]],
    ['keyed objects', new Keyed(1), new Keyed(1)],
  ])('%s', (_name, a, b) => {
    expect(argsKey([a])).toBe(argsKey([b]))
  })
})

describe('what has no key is refused, with the argument and a way out', () => {
  const ring: Record<string, unknown> = {}
  ring.self = ring
  let deep: unknown = 1
  for (let i = 0; i < 100; i++) deep = [deep]

  test.each<[string, unknown, RegExp]>([
    ['a function', () => 1, /argument 2: it is a function/],
    ['a symbol', Symbol('a'), /it is a symbol/],
    ['a function deep inside', { a: [() => 1] }, /it is a function/],
    ['an instance of a class', new City(1), /it is an instance of City\. Give the class a `cacheKey\(\)`/],
    ['one deep inside', [{ a: new City(1) }], /an instance of City/],
    ['a promise', Promise.resolve(), /an instance of Promise/],
    ['an error', new Error('a'), /an instance of Error/],
    ['a class derived from Map', new (class Special extends Map {})(), /an instance of Special/],
    ['a class derived from Array', new (class Special extends Array {})(), /an instance of Special/],
    ['a class derived from Date', new (class Special extends Date {})(), /an instance of Special/],
    ['a class derived from Uint8Array', new (class Special extends Uint8Array {})(), /an instance of Special/],
    ['a boxed string', new String('a'), /an instance of String/],
    ['a WeakMap', new WeakMap(), /an instance of WeakMap/],
    ['an object over another', Object.create({ inherited: 1 }), /an instance of Object/],
    ['an object with symbols for keys', { [Symbol('a')]: 1 }, /symbols for keys/],
    ['an object that contains itself', ring, /contains itself/],
    ['a very deep one', deep, /nested more than 64 deep/],
  ])('%s', (_name, value, message) => {
    expect(() => argsKey([1, value])).toThrow(message)
    expect(() => argsKey([1, value])).toThrow(expect.objectContaining({ code: 'ERR_SLUICE_INPUT' }))
  })
})

test('a key is short, however long the arguments are', () => {
  expect(argsKey([{ text: 'x'.repeat(1_000_000) }]).length).toBeLessThan(60)
  expect(argsKey(Array(5).fill(new Uint8Array(10_000))).length).toBeLessThan(60)
})
