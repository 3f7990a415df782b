import { createHash } from 'node:crypto'

/** Joins parts so that no two lists of parts give the same text: each is preceded by its length. */
export function joinParts(parts: readonly (string | undefined)[]): string {
  let joined = ''
  for (const part of parts) joined += part === undefined ? '-;' : `${part.length}:${part};`
  return joined
}

/**
 * 256 bits of SHA-256, as base64url: short, of fixed length, and it does not show what it was made of. Of the text's
 * code units, and not of its UTF-8: there every half of a surrogate pair is the same replacement character.
 */
export function digest(text: string): string {
  return createHash('sha256').update(text, 'utf16le').digest('base64url')
}
