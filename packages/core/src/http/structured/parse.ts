import type { SfBareItem, SfInnerList, SfItem, SfMember, SfParameters } from './types.ts'

/**
 * Structured fields, read strictly (RFC 9651 §4.2): one malformed character makes the whole field invalid, and an
 * invalid field is as good as absent.
 */

/** Reads a dictionary (RFC 9651 §4.2.2). A key given twice keeps its last value. `undefined` where it is invalid. */
export function parseDictionary(value: string): ReadonlyMap<string, SfMember> | undefined {
  return parse(value, (reader) => {
    const members = new Map<string, SfMember>()
    for (let more = !reader.ended(); more; more = nextMember(reader)) {
      const key = readKey(reader)
      // A key alone stands for true, and may have parameters all the same.
      const member: SfMember = reader.take('=')
        ? readMember(reader)
        : { type: 'boolean', value: true, parameters: readParameters(reader) }
      members.set(key, member)
    }
    return members
  })
}

/** Reads a list (RFC 9651 §4.2.1). `undefined` where it is invalid. */
export function parseList(value: string): readonly SfMember[] | undefined {
  return parse(value, (reader) => {
    const members: SfMember[] = []
    for (let more = !reader.ended(); more; more = nextMember(reader)) members.push(readMember(reader))
    return members
  })
}

const malformed: unique symbol = Symbol('malformed structured field')

/** Thrown and caught in this file only; a symbol, because an Error would collect a stack for each bad field. */
function fail(): never {
  throw malformed
}

function parse<T>(value: string, read: (reader: Reader) => T): T | undefined {
  const reader = readerOf(value)
  try {
    reader.match(/ */y)
    const result = read(reader)
    reader.match(/ */y)
    return reader.ended() ? result : undefined
  } catch (thrown) {
    if (thrown === malformed) return undefined
    throw thrown
  }
}

interface Reader {
  ended(): boolean
  /** The character in hand; `''` at the end. */
  peek(): string
  /** Steps over `text` if it is next. */
  take(text: string): boolean
  /** What a sticky pattern finds here, stepped over; `''` where it finds nothing. */
  match(pattern: RegExp): string
}

function readerOf(text: string): Reader {
  let at = 0
  return {
    ended: () => at >= text.length,
    peek: () => text.charAt(at),
    take(wanted) {
      if (!text.startsWith(wanted, at)) return false
      at += wanted.length
      return true
    },
    match(pattern) {
      pattern.lastIndex = at
      const found = pattern.exec(text)?.[0] ?? ''
      at += found.length
      return found
    },
  }
}

/**
 * Steps to the next member of a list or dictionary; false at the end. Behind a comma there is one, or reading it fails:
 * a trailing comma is malformed.
 */
function nextMember(reader: Reader): boolean {
  const before = reader.match(/[ \t]*/y)
  // §4.2 step 6: only spaces may trail; a tab is whitespace between members and nowhere else.
  if (reader.ended()) return before.includes('\t') ? fail() : false
  if (!reader.take(',')) fail()
  reader.match(/[ \t]*/y)
  return true
}

function readMember(reader: Reader): SfMember {
  return reader.peek() === '(' ? readInnerList(reader) : readItem(reader)
}

/** §4.2.1.2 */
function readInnerList(reader: Reader): SfInnerList {
  reader.take('(')
  const items: SfItem[] = []
  for (;;) {
    reader.match(/ */y)
    if (reader.take(')')) return { type: 'inner-list', items, parameters: readParameters(reader) }
    items.push(readItem(reader))
    if (reader.peek() !== ' ' && reader.peek() !== ')') fail()
  }
}

/** §4.2.3 */
function readItem(reader: Reader): SfItem {
  const bare = readBareItem(reader)
  return { ...bare, parameters: readParameters(reader) }
}

const noParameters: SfParameters = new Map()

/** §4.2.3.2 */
function readParameters(reader: Reader): SfParameters {
  if (reader.peek() !== ';') return noParameters
  const parameters = new Map<string, SfBareItem>()
  while (reader.take(';')) {
    reader.match(/ */y)
    const key = readKey(reader)
    parameters.set(key, reader.take('=') ? readBareItem(reader) : { type: 'boolean', value: true })
  }
  return parameters
}

/** §4.2.3.3 */
function readKey(reader: Reader): string {
  return reader.match(/[a-z*][a-z0-9_\-.*]*/y) || fail()
}

/** §4.2.3.1: the first character tells the type. */
function readBareItem(reader: Reader): SfBareItem {
  const first = reader.peek()
  if (first === '"') return readString(reader)
  if (first === ':') return readBinary(reader)
  if (first === '?') return readBoolean(reader)
  if (first === '@') return readDate(reader)
  if (first === '%') return readDisplayString(reader)
  if (/^[-0-9]/.test(first)) return readNumber(reader)
  const token = reader.match(/[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y)
  return token === '' ? fail() : { type: 'token', value: token }
}

/** §4.2.4: at most 15 digits, or 12 before the point and 1 to 3 behind it. */
function readNumber(reader: Reader): SfBareItem & { type: 'integer' | 'decimal' } {
  const text = reader.match(/-?[0-9]+(?:\.[0-9]*)?/y)
  const [whole, fraction] = text.replace('-', '').split('.')
  if (whole === undefined || whole === '') fail()
  // -0 is 0, so that two equal fields give equal values.
  const value = Number(text) || 0
  if (fraction === undefined) return whole.length > 15 ? fail() : { type: 'integer', value }
  if (whole.length > 12 || fraction.length < 1 || fraction.length > 3) fail()
  return { type: 'decimal', value }
}

/** §4.2.5: printable ASCII, with `\"` and `\\` as the only escapes. */
function readString(reader: Reader): SfBareItem {
  const text = reader.match(/"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/y) || fail()
  return { type: 'string', value: text.slice(1, -1).replace(/\\(.)/g, '$1') }
}

/** §4.2.7: base64, its padding optional. */
function readBinary(reader: Reader): SfBareItem {
  const text = reader.match(/:[A-Za-z0-9+/]*={0,2}:/y) || fail()
  const digits = text.slice(1, -1).replace(/=+$/, '')
  if (digits.length % 4 === 1) fail()
  return { type: 'binary', value: Uint8Array.from(atob(digits), (char) => char.charCodeAt(0)) }
}

/** §4.2.8 */
function readBoolean(reader: Reader): SfBareItem {
  if (reader.take('?1')) return { type: 'boolean', value: true }
  return reader.take('?0') ? { type: 'boolean', value: false } : fail()
}

/** §4.2.9: an integer behind `@`. */
function readDate(reader: Reader): SfBareItem {
  reader.take('@')
  const number = /^[-0-9]/.test(reader.peek()) ? readNumber(reader) : fail()
  return number.type === 'integer' ? { type: 'date', value: number.value } : fail()
}

/** §4.2.10: UTF-8 in percent-encoding with lower-case digits, between `%"` and `"`. */
function readDisplayString(reader: Reader): SfBareItem {
  const text = reader.match(/%"(?:[\x20-\x21\x23-\x24\x26-\x7e]|%[0-9a-f]{2})*"/y) || fail()
  const bytes = new Uint8Array(text.length)
  let length = 0
  for (let at = 2; at < text.length - 1; at++) {
    const code = text.charCodeAt(at)
    bytes[length++] = code === 0x25 ? Number.parseInt(text.slice(at + 1, at + 3), 16) : code
    if (code === 0x25) at += 2
  }
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    return { type: 'display-string', value: decoder.decode(bytes.subarray(0, length)) }
  } catch {
    return fail()
  }
}
