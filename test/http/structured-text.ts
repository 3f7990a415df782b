import { sfInteger, sfString } from '../../packages/core/src/http/structured/serialise.ts'
import type { SfBareItem, SfInnerList, SfMember, SfParameters } from '../../packages/core/src/http/structured/types.ts'

/** Structured fields of any kind, written (RFC 9651 §4.1): what a parser's answers are compared by. */

/** A decimal: rounded to 3 digits behind the point, of which one stays. */
function sfDecimal(value: number): string {
  return value.toFixed(3).replace(/0{1,2}$/, '')
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
      return item.value
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
    out += `;${key}${isTrue ? '' : `=${sfBareItem(item)}`}`
  }
  return out
}

/** An item with its parameters, or an inner list (RFC 9651 §4.1.3, §4.1.1.1). */
export function sfItem(member: SfMember | SfBareItem): string {
  const parameters = 'parameters' in member ? sfParameters(member.parameters) : ''
  return (member.type === 'inner-list' ? innerList(member) : sfBareItem(member)) + parameters
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0')

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
    if (!isTrue) return `${key}=${sfItem(member)}`
    return key + ('parameters' in member ? sfParameters(member.parameters) : '')
  }).join(', ')
}
