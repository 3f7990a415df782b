import { digest, joinParts } from '../../exchange/client/by.ts'
import type { TermSource, TermTexts } from '../terms/term-texts.ts'

/** The fields that clients send credentials in. */
export const credentialFields: readonly string[] = Object.freeze(['authorization', 'cookie', 'proxy-authorization'])

/**
 * Who asks, as far as the named fields tell: equal for equal credentials, and empty for a visitor without any. Hashed: it
 * is stored, and must not tell anybody's secrets.
 */
export function visitorOf(source: TermSource, texts: TermTexts, names: readonly string[]): string {
  let anybody = false
  for (const name of names) if (source.view.header(name) !== undefined) anybody = true
  if (!anybody) return ''
  const values = names.map((name) => texts.of(source, name))
  return values.every((text) => text === '-') ? '' : digest(joinParts(values))
}
