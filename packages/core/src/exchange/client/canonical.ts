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

/** Nobody nests deeper but those who want to see what happens. */
const deepest = 256

/**
 * Text that only an equal value gives, whatever there is in it; `undefined` for what has none: instances, functions,
 * symbols, what contains itself, and what is nested more than 256 deep.
 */
export function canonicalText(value: unknown, options: CanonicalOptions = {}): string | undefined {
  const text = new Writer(options).write(value, 0)
  return text === none ? undefined : text
}

/** Written in place of text that there is not: no text ends without a mark of its end. */
const none = ''

class Writer {
  readonly #options: CanonicalOptions
  #left: number

  constructor(options: CanonicalOptions) {
    this.#options = options
    this.#left = options.maxValues ?? 1_000_000
  }

  /** Each text says where it ends, so that they may stand side by side. */
  write(value: unknown, depth: number): string {
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
        return value === null ? 'null;' : this.#object(value, depth)
      default:
        return none
    }
  }

  #object(value: object, depth: number): string {
    if (Array.isArray(value)) return this.#members('[', value, depth)
    // Not by `instanceof`: values of other realms (a vm context, Jest) are values all the same.
    if (types.isUint8Array(value)) {
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
      return `b${bytes.length}:${bytes.toString('latin1')}`
    }
    if (isPlainObject(value)) return this.#members('{', membersOf(value, this.#options.ordered === true), depth)
    const text = this.#options.instance?.(value)
    return text === undefined ? none : `i${text.length}:${text}`
  }

  #members(open: string, members: readonly unknown[], depth: number): string {
    this.#left -= members.length
    if (this.#left < 0 || depth > deepest) return none
    let text = `${open}${members.length}:`
    for (const member of members) {
      const part = this.write(member, depth + 1)
      if (part === none) return none
      text += part
    }
    return text
  }
}

/** Names and values in turns. */
function membersOf(value: object, ordered: boolean): readonly unknown[] {
  const members: unknown[] = []
  const names = Object.keys(value)
  for (const name of ordered ? names : names.sort()) members.push(name, (value as Record<string, unknown>)[name])
  return members
}

/**
 * Plain objects, whatever realm they are of, and what parsers of queries make: those have a prototype with nothing on it
 * (`node:querystring`, fast-querystring). An instance of a class is none.
 */
export function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== null) {
    if (Object.getPrototypeOf(prototype) !== null) return false
    if (!Object.hasOwn(prototype, 'isPrototypeOf') && Object.getOwnPropertyNames(prototype).length > 0) return false
  }
  return Object.prototype.toString.call(value) === '[object Object]'
}
