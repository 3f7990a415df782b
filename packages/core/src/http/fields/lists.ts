/**
 * The one tokenizer of header values. Everything in `http/` that reads a list goes through it, so that a quoted comma
 * or a stray quote means the same everywhere.
 */

const comma = 0x2c
const quote = 0x22
const backslash = 0x5c

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Whether `text` is a token (RFC 9110 §5.6.2): what names of fields, directives and methods are made of. */
export function isToken(text: string): boolean {
  return token.test(text)
}

/** `text` without the optional whitespace around it: spaces and tabs only (RFC 9110 §5.6.3), which `trim()` exceeds. */
export function trimOws(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isOws(text.charCodeAt(start))) start++
  while (end > start && isOws(text.charCodeAt(end - 1))) end--
  return start === 0 && end === text.length ? text : text.slice(start, end)
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/**
 * The members of a `#rule` list (RFC 9110 §5.6.1): split at commas outside of quoted-strings, trimmed, empty members
 * dropped.
 *
 * A quote that is never closed is taken as an ordinary character, so that it cannot swallow the members behind it:
 * `max-age=60, x="oops, no-store` still says `no-store`.
 *
 * @example
 * ```ts
 * splitList('no-cache="a, b", max-age=5,') // ['no-cache="a, b"', 'max-age=5']
 * ```
 */
export function splitList(value: string): string[] {
  return split(value, comma, true)
}

/**
 * As {@link splitList}, for entity tags: quotes without escapes, because a backslash is an ordinary character of an
 * entity tag (RFC 9110 §8.8.3).
 */
export function splitTags(value: string): string[] {
  return split(value, comma, false)
}

/** As {@link splitList}, at semicolons: the parameters of a member. */
export function splitParameters(value: string): string[] {
  return split(value, 0x3b, true)
}

function split(value: string, delimiter: number, escapes: boolean): string[] {
  const members: string[] = []
  let start = 0
  let quoting = true
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code === delimiter) {
      push(members, value, start, at)
      start = at + 1
    } else if (code === quote && quoting) {
      const close = closingQuote(value, at, escapes)
      // Once one is open to the end, all that follow are ordinary too: looking again for each would be quadratic.
      if (close === undefined) quoting = false
      else at = close
    }
  }
  push(members, value, start, value.length)
  return members
}

function push(members: string[], value: string, start: number, end: number): void {
  const member = trimOws(value.slice(start, end))
  if (member !== '') members.push(member)
}

function closingQuote(value: string, open: number, escapes: boolean): number | undefined {
  for (let at = open + 1; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code === quote) return at
    if (escapes && code === backslash) at++
  }
  return undefined
}

/**
 * What a token or quoted-string says (RFC 9110 §5.6.4): quotes and escapes removed. `undefined` where a quoted-string
 * is malformed.
 */
export function unquote(text: string): string | undefined {
  if (!text.startsWith('"')) return text
  if (closingQuote(text, 0, true) !== text.length - 1) return undefined
  const inner = text.slice(1, -1)
  return inner.includes('\\') ? inner.replace(/\\(.)/gs, '$1') : inner
}
