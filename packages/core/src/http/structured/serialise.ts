import { isToken } from '../fields/lists.ts'
import type { SfBareItem, SfInnerList, SfMember, SfParameters } from './types.ts'

/**
 * Structured fields, written (RFC 9651 §4.1). What cannot be written is a mistake of the program and throws a
 * TypeError; only {@link sfString} and {@link sfDisplayString} take any text, because names come from users.
 */

/**
 * A string (RFC 9651 §4.1.6). Strings are printable ASCII: any other character is replaced by its UTF-8 bytes in
 * percent-encoding (`é` by `%C3%A9`), so that different names stay different on sight and nothing can break the line.
 * A `%` stays as it is: this is for people to read, not to be decoded.
 */
export function sfString(text: string): string {
  const ascii = /^[\x20-\x7e]*$/.test(text) ? text : text.replace(/[^\x20-\x7e]+/g, percentEncode)
  return `"${ascii.replace(/["\\]/g, '\\$&')}"`
}

function percentEncode(text: string): string {
  // TextEncoder, because encodeURIComponent throws on a lone surrogate.
  return Array.from(new TextEncoder().encode(text), (byte) => `%${hex(byte).toUpperCase()}`).join('')
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}

/** Whether `text` can be written as a token (RFC 9651 §3.3.4): a token of HTTP that begins with a letter or `*`. */
export function isSfToken(text: string): boolean {
  return /^[A-Za-z*]/.test(text) && isToken(text.replace(/[:/]/g, '!'))
}

/**
 * A token (RFC 9651 §4.1.7).
 *
 * @throws TypeError where `text` is not one
 */
export function sfToken(text: string): string {
  if (!isSfToken(text)) throw new TypeError(`Not a structured-field token: ${JSON.stringify(text)}`)
  return text
}

/** A token where `text` is one, a string otherwise: for names (RFC 9211 §2, RFC 9209 §2). */
export function sfTokenOrString(text: string): string {
  return isSfToken(text) ? text : sfString(text)
}

/**
 * A key of a dictionary or parameter (RFC 9651 §4.1.1.3).
 *
 * @throws TypeError where `text` is not one
 */
export function sfKey(text: string): string {
  if (!/^[a-z*][a-z0-9_\-.*]*$/.test(text)) throw new TypeError(`Not a structured-field key: ${JSON.stringify(text)}`)
  return text
}

/**
 * An integer of at most 15 digits (RFC 9651 §4.1.4).
 *
 * @throws TypeError for fractions, infinities and longer numbers
 */
export function sfInteger(value: number): string {
  if (!Number.isInteger(value) || Math.abs(value) > 999_999_999_999_999) {
    throw new TypeError(`Not a structured-field integer: ${value}`)
  }
  return String(value || 0)
}

/**
 * A decimal: at most 12 digits before the point, rounded to 3 behind it, a tie to the even one (RFC 9651 §4.1.5).
 *
 * @throws TypeError for infinities and larger numbers
 */
export function sfDecimal(value: number): string {
  const scaled = value * 1000
  const floor = Math.floor(scaled)
  const tie = scaled - floor === 0.5
  const thousandths = tie ? floor + (floor % 2 === 0 ? 0 : 1) : Math.round(scaled)
  if (!(Math.abs(thousandths) < 1e15)) throw new TypeError(`Not a structured-field decimal: ${value}`)
  const digits = String(Math.abs(thousandths)).padStart(4, '0')
  const fraction = digits.slice(-3).replace(/0{1,2}$/, '')
  return `${thousandths < 0 ? '-' : ''}${digits.slice(0, -3)}.${fraction}`
}

/** A byte sequence (RFC 9651 §4.1.8). */
export function sfBinary(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return `:${btoa(binary)}:`
}

/** A display string: any text (RFC 9651 §4.1.11). A lone surrogate becomes U+FFFD. */
export function sfDisplayString(text: string): string {
  let out = ''
  for (const byte of new TextEncoder().encode(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x22 && byte !== 0x25
    out += plain ? String.fromCharCode(byte) : `%${hex(byte)}`
  }
  return `%"${out}"`
}

/** A bare item of any type (RFC 9651 §4.1.3.1). A string of other than printable ASCII throws here: it would not read back. */
export function sfBareItem(item: SfBareItem): string {
  switch (item.type) {
    case 'integer':
      return sfInteger(item.value)
    case 'decimal':
      return sfDecimal(item.value)
    case 'string':
      if (!/^[\x20-\x7e]*$/.test(item.value)) throw new TypeError('A structured-field string must be printable ASCII')
      return sfString(item.value)
    case 'token':
      return sfToken(item.value)
    case 'display-string':
      return sfDisplayString(item.value)
    case 'binary':
      return sfBinary(item.value)
    case 'boolean':
      return item.value ? '?1' : '?0'
    case 'date':
      return `@${sfInteger(item.value)}`
  }
}

/** Parameters, each behind a `;` (RFC 9651 §4.1.1.2). */
export function sfParameters(parameters: SfParameters): string {
  let out = ''
  for (const [key, item] of parameters) {
    const isTrue = item.type === 'boolean' && item.value
    out += `;${sfKey(key)}${isTrue ? '' : `=${sfBareItem(item)}`}`
  }
  return out
}

/** An item with its parameters, or an inner list (RFC 9651 §4.1.3, §4.1.1.1). */
export function sfItem(member: SfMember | SfBareItem): string {
  const parameters = 'parameters' in member ? sfParameters(member.parameters) : ''
  return (member.type === 'inner-list' ? innerList(member) : sfBareItem(member)) + parameters
}

function innerList(list: SfInnerList): string {
  return `(${list.items.map(sfItem).join(' ')})`
}

/** A list (RFC 9651 §4.1.1). `''` for an empty one: the field is then not sent. */
export function sfList(members: readonly (SfMember | SfBareItem)[]): string {
  return members.map(sfItem).join(', ')
}

/** A dictionary (RFC 9651 §4.1.2). `''` for an empty one: the field is then not sent. */
export function sfDictionary(members: ReadonlyMap<string, SfMember | SfBareItem>): string {
  return Array.from(members, ([key, member]) => {
    const isTrue = member.type === 'boolean' && member.value
    if (!isTrue) return `${sfKey(key)}=${sfItem(member)}`
    return sfKey(key) + ('parameters' in member ? sfParameters(member.parameters) : '')
  }).join(', ')
}
