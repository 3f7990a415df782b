import { isToken } from '../fields/lists.ts'

/**
 * What is written of structured fields (RFC 9651 §4.1): names, which come from users, and numbers.
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

/** A token where `text` is one, a string otherwise: for names (RFC 9211 §2, RFC 9209 §2). */
export function sfTokenOrString(text: string): string {
  return isSfToken(text) ? text : sfString(text)
}

/** Whether `text` can be written as a token (RFC 9651 §3.3.4): a token of HTTP that begins with a letter or `*`. */
function isSfToken(text: string): boolean {
  return /^[A-Za-z*]/.test(text) && isToken(text.replace(/[:/]/g, '!'))
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
