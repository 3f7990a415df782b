import { types } from 'node:util'

/** What {@link canonicalText} is to do beside its own. */
export interface CanonicalOptions {
  /** The text of an object that is neither plain nor a list nor bytes; `undefined` where it has none. Default: none has. */
  readonly instance?: ((value: object) => string | undefined) | undefined
  /** Whether the order of an object's members counts. Default `false`: RFC 8259 §4 has none. */
  readonly ordered?: boolean | undefined
  /** How many values may be in it; above that there is no text. Default 1,000,000. */
  readonly maxValues?: number | undefined
}

/**
 * Text that only an equal value gives, whatever there is in it; `undefined` for what has none (instances, functions,
 * symbols, what contains itself).
 *
 * Without recursion, and each value is looked at once: what clients send may be nested as deep as it is long.
 */
export function canonicalText(value: unknown, options?: CanonicalOptions): string | undefined {
  const waiting: unknown[] = [value]
  let left = options?.maxValues ?? 1_000_000
  let text = ''
  while (waiting.length > 0) {
    const next = waiting.pop()
    const scalar = scalarText(next)
    if (scalar !== undefined) {
      text += scalar
      continue
    }
    if (typeof next !== 'object' || next === null) return undefined
    const members = membersOf(next, options?.ordered === true)
    if (members === undefined) {
      const own = options?.instance?.(next)
      if (own === undefined) return undefined
      text += `i${own.length}:${own}`
      continue
    }
    left -= members.length
    if (left < 0) return undefined
    text += `${Array.isArray(next) ? '[' : '{'}${members.length}:`
    for (let i = members.length - 1; i >= 0; i--) waiting.push(members[i])
  }
  return text
}

/** What has nothing in it. Each says where it ends, so that they may stand side by side. */
function scalarText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return `${value.length}"${value}`
    case 'number':
    case 'boolean':
      return `${value};`
    case 'bigint':
      return `${value}n;`
    case 'undefined':
      return 'u;'
    case 'object':
      if (value === null) return 'null;'
      // Not by `instanceof`: values of other realms (a vm context, Jest) are values all the same.
      return types.isUint8Array(value) ? bytesText(value) : undefined
    default:
      return undefined
  }
}

const bytesText = (bytes: Uint8Array): string =>
  `b${bytes.length}:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')}`

/** The items of a list, or names and values of a plain object in turns; `undefined` of anything else. */
function membersOf(value: object, ordered: boolean): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value
  const prototype = Object.getPrototypeOf(value)
  // By its shape, and not by its identity, for the same reason.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return undefined
  if (prototype !== null && !Object.hasOwn(prototype, 'isPrototypeOf')) return undefined
  if (Object.prototype.toString.call(value) !== '[object Object]') return undefined
  const members: unknown[] = []
  const names = Object.keys(value)
  for (const name of ordered ? names : names.sort()) members.push(name, (value as Record<string, unknown>)[name])
  return members
}
