import { SluiceError } from '../base/errors.ts'
import { digest } from '../exchange/client/by.ts'

/** A text longer than this is replaced by its digest: what a caller passes must not decide how large keys are. */
const longest = 160

/** How deep arguments may be nested. Deeper ones are nearly always something that was not meant to be a key. */
const deepest = 64

/**
 * The key of a call: different for different arguments, the same for equal ones, in every process.
 *
 * `undefined`, `null`, `NaN`, `0`, `-0`, `1n`, `'1'`, dates, maps, sets, patterns and bytes are all told apart. The order
 * of an object's keys does not matter; that of a list, a map or a set does, for a function may look at it. Objects of a
 * class need a `cacheKey()`; functions and symbols have no value to compare and are refused.
 *
 * @throws SluiceError `ERR_SLUICE_INPUT` for what has no key, naming the argument
 */
export function argsKey(args: readonly unknown[]): string {
  let text = ''
  for (let i = 0; i < args.length; i++) text += part(args[i], `argument ${i + 1}`, [])
  return text.length > longest ? `#${digest(text)}` : text
}

/** One value, in a notation that says where it ends: parts may stand side by side and cannot be mistaken. */
function part(value: unknown, where: string, inside: object[]): string {
  switch (typeof value) {
    case 'string':
      return sized('s', value)
    case 'number':
      return Object.is(value, -0) ? 'd-0;' : `d${value};`
    case 'undefined':
      return 'u'
    case 'boolean':
      return value ? 't' : 'f'
    case 'bigint':
      return `i${value};`
    case 'object':
      return value === null ? 'n' : objectPart(value, where, inside)
    default:
      throw keyless(where, `a ${typeof value}`, 'It has no value that could be compared. Give the memo a `key`.')
  }
}

function objectPart(value: object, where: string, inside: object[]): string {
  if (inside.includes(value)) throw keyless(where, 'an object that contains itself', 'Give the memo a `key`.')
  if (inside.length >= deepest) throw keyless(where, `nested more than ${deepest} deep`, 'Give the memo a `key`.')
  inside.push(value)
  const text = ownKey(value, where, inside) ?? builtin(value, where, inside)
  inside.pop()
  return text
}

/** What an object says of itself. */
function ownKey(value: object, where: string, inside: object[]): string | undefined {
  const { cacheKey } = value as { cacheKey?: unknown }
  if (typeof cacheKey !== 'function') return undefined
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name
  return `C${sized('s', String(name ?? ''))}${part(cacheKey.call(value), `the cacheKey() of ${where}`, inside)}`
}

function builtin(value: object, where: string, inside: object[]): string {
  const kind = kindOf(value)
  const item = (of: unknown): string => part(of, where, inside)
  switch (kind) {
    case 'Object':
      return properties('O', value, where, inside, Object.keys(value))
    case 'Array':
      return list(value as unknown[], where, inside)
    case 'Date':
      return `D${(value as Date).getTime()};`
    case 'RegExp': {
      const { source, flags, lastIndex } = value as RegExp
      return `R${sized('s', source)}${sized('s', flags)}${lastIndex};`
    }
    case 'Map': {
      let text = `M${(value as Map<unknown, unknown>).size};`
      for (const [k, v] of value as Map<unknown, unknown>) text += item(k) + item(v)
      return text
    }
    case 'Set': {
      let text = `S${(value as Set<unknown>).size};`
      for (const v of value as Set<unknown>) text += item(v)
      return text
    }
    case 'URL':
      return sized('L', String(value))
    case 'bytes':
      return bytes(value as ArrayBufferView)
    case 'ArrayBuffer':
      return sized('B', Buffer.from(value as ArrayBuffer).toString('latin1'))
    default:
      throw keyless(where, `an instance of ${nameOf(value)}`, 'Give the class a `cacheKey()`, or the memo a `key`.')
  }
}

/**
 * Which of the platform's own types an object is of; a class derived from one is itself. Not by `instanceof`: values of
 * other realms (a vm context, Jest) are values all the same.
 */
function kindOf(value: object): string | undefined {
  // Nearly every argument is one of these; the rest is for those of other realms, and rare ones.
  const prototype = Object.getPrototypeOf(value)
  if (prototype === Object.prototype) return 'Object'
  if (prototype === Array.prototype) return 'Array'
  const depth = depthOf(value)
  const tag = tagOf(value)
  if (depth <= 1) return tag === 'Object' ? tag : undefined
  if (ArrayBuffer.isView(value)) {
    const own = tag === 'DataView' ? 2 : Buffer.isBuffer(value) ? 4 : 3
    return depth === own ? 'bytes' : undefined
  }
  return depth === 2 && builtins.has(tag) && nameOf(value) === tag ? tag : undefined
}

const builtins: ReadonlySet<string> = new Set(['Array', 'Date', 'RegExp', 'Map', 'Set', 'ArrayBuffer', 'URL'])

const tagOf = (value: object): string => Object.prototype.toString.call(value).slice(8, -1)

const nameOf = (value: object): string =>
  String((value as { constructor?: { name?: unknown } }).constructor?.name || 'an unnamed class')

/** How many prototypes an object has: a plain one has one, or none. */
function depthOf(value: object): number {
  let depth = 0
  for (let p = Object.getPrototypeOf(value) as object | null; p; p = Object.getPrototypeOf(p) as object | null) depth++
  return depth
}

function properties(mark: string, value: object, where: string, inside: object[], keys: string[]): string {
  const symbols = Object.getOwnPropertySymbols(value)
  if (symbols.length > 0 && symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol))) {
    throw keyless(where, 'an object with symbols for keys', 'Give the memo a `key`.')
  }
  let text = `${mark}${keys.length};`
  for (const key of keys.sort()) text += sized('s', key) + part((value as Record<string, unknown>)[key], where, inside)
  return text
}

/** A hole is not `undefined`; and what was put on the list beside its items counts. */
function list(value: readonly unknown[], where: string, inside: object[]): string {
  let text = `A${value.length};`
  const keys = Object.keys(value)
  if (keys.length === value.length) {
    for (const item of value) text += part(item, where, inside)
    return text
  }
  // Of a sparse list only what is there: its length may be 2³² - 1.
  return properties(`${text}x`, value, where, inside, keys)
}

/** The type is part of it: a Buffer and a Uint8Array of the same bytes behave differently. */
function bytes(value: ArrayBufferView): string {
  const type = Buffer.isBuffer(value) ? 'Buffer' : tagOf(value)
  const text = Buffer.from(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength).toString('latin1')
  return `T${sized('s', type)}${sized('s', text)}`
}

function sized(mark: string, text: string): string {
  return `${mark}${text.length}:${text}`
}

function keyless(where: string, what: string, advice: string): SluiceError {
  return new SluiceError('ERR_SLUICE_INPUT', `A memo cannot make a key of ${where}: it is ${what}. ${advice}`)
}
