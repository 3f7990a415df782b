import { sameOriginTarget } from './locate.ts'

/**
 * A reference as it may stand in `Location` (RFC 9110 §10.2.2: a URI-reference, relative ones too): what no URI has in it is
 * percent-encoded, as UTF-8. A backslash too, which browsers take for a slash: `/\evil.example` would be another host.
 *
 * @returns `undefined` for what is no reference: empty, or with control characters, with which a field could be ended and
 *   another begun
 */
export function locationValue(reference: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that are looked for
  if (reference === '' || /[\u0000-\u001f\u007f]/.test(reference)) return undefined
  // Half a surrogate pair becomes U+FFFD.
  return reference.replaceAll(/[^\x21-\x7e]|["<>\\^`{|}]|%(?![0-9a-f]{2})/giu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

/**
 * Whether who follows the reference asks for the same path again. Whatever the scheme: behind a proxy that is not trusted it
 * is not known.
 */
export function leadsBack(base: { readonly authority: string; readonly path: string }, reference: string): boolean {
  return ['http', 'https'].some(
    (scheme) => sameOriginTarget({ ...base, scheme }, reference)?.path === pathOf(base.path),
  )
}

/** As a URL has it: dots resolved. */
function pathOf(path: string): string {
  return sameOriginTarget({ scheme: 'http', authority: '', path: '/' }, path)?.path ?? path
}
