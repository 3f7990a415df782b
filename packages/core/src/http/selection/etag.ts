import { createHash } from 'node:crypto'
import { splitTags, trimOws } from '../fields/lists.ts'

/** Whether `text` is an entity tag (RFC 9110 §8.8.3), weak or strong. */
export function isEntityTag(text: string): boolean {
  return /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/.test(text)
}

/**
 * The entity tags of `If-Match` or `If-None-Match`, or `*` (RFC 9110 §13.1.1, §13.1.2). Tolerant: a lower-case `w/` is
 * taken for `W/`, spaces within quotes are kept, and what is not a tag is left out. A `*` among tags is no tag.
 */
export function parseEntityTags(value: string | undefined): '*' | readonly string[] {
  if (value === undefined) return []
  if (trimOws(value) === '*') return '*'
  const tags: string[] = []
  for (const member of splitTags(value)) {
    if (/^(?:W\/)?"[^"]*"$/i.test(member)) tags.push(member.startsWith('w') ? `W${member.slice(1)}` : member)
  }
  return tags
}

function opaque(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag
}

/** Weak comparison (RFC 9110 §8.8.3.2): the opaque parts are equal, weak or not. */
export function weakMatch(a: string, b: string): boolean {
  return opaque(a) === opaque(b)
}

/** Strong comparison (RFC 9110 §8.8.3.2): equal, and neither is weak. */
export function strongMatch(a: string, b: string): boolean {
  return a === b && !a.startsWith('W/')
}

/** A strong entity tag made of the bytes: 144 bits of SHA-256, quoted. Equal bytes give equal tags everywhere. */
export function strongTag(body: Uint8Array): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 24)}"`
}

/**
 * The entity tag of the same representation under a content coding. Other bytes need another strong tag (RFC 9110
 * §8.8.3.3): `"abc"` becomes `"abc;br"`. A weak tag holds for every coding and stays as it is, as do `identity` and what
 * is not an entity tag.
 */
export function codedTag(tag: string, coding: string): string {
  if (coding === '' || coding.toLowerCase() === 'identity' || !tag.startsWith('"') || !tag.endsWith('"')) return tag
  return `${tag.slice(0, -1)};${coding.toLowerCase()}"`
}
