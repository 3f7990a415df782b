/** One member: a token, and a weight if any (RFC 9110 §12.4.2), with the comma behind it or the end. */
const member =
  /[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?)?(,|$)/y

/** A list of preferences, read. */
export interface Preferences {
  /** The weight of each member, in lower case. */
  readonly weights: ReadonlyMap<string, number>
  /**
   * What says the same is the same text: in lower case, in the order of the alphabet, without weights of 1. For what is
   * preferred is what the weights say, in whatever order (RFC 9110 §12.5.4).
   */
  readonly text: string
}

/** The fields that are read so: tokens with weights and nothing else, whose case means nothing (RFC 9110 §12.5.2, §12.5.4). */
export const preferenceFields: ReadonlySet<string> = new Set(['accept-language', 'accept-charset'])

/**
 * Reads `Accept-Language` or `Accept-Charset`. `undefined` where a member cannot be read, two contradict each other, or
 * there is none.
 *
 * @example
 * ```ts
 * readPreferences('EN, de;q=0.50')?.text // 'de;q=0.5,en'
 * ```
 */
export function readPreferences(value: string): Preferences | undefined {
  const weights = new Map<string, number>()
  for (member.lastIndex = 0; ; ) {
    const found = member.exec(value)
    if (!found) return undefined
    const [, name, q, end] = found
    if (name !== undefined) {
      const range = name.toLowerCase()
      const weight = q === undefined ? 1 : Number(q)
      if ((weights.get(range) ?? weight) !== weight) return undefined
      weights.set(range, weight)
    }
    if (end === '') break
  }
  if (weights.size === 0) return undefined
  const members = Array.from(weights, ([range, weight]) => (weight === 1 ? range : `${range};q=${weight}`))
  return { weights, text: members.sort().join(',') }
}

/**
 * The one of the languages that an `Accept-Language` prefers to every other there may be: it is named as it is, nothing
 * has a greater weight, none of the others has the same, and nothing is said of its dialects, for which an answer might
 * have been made. `undefined` where there is no such language.
 *
 * @param available - languages in lower case
 * @example
 * ```ts
 * preferredLanguage(readPreferences('fr;q=0.5, de'), ['de', 'en']) // 'de'
 * preferredLanguage(readPreferences('de-CH, de;q=0.9'), ['de']) // undefined
 * ```
 */
export function preferredLanguage(
  preferences: Preferences | undefined,
  available: readonly string[],
): string | undefined {
  const weights = preferences?.weights
  if (!weights || weights.has('*')) return undefined
  const most = Math.max(...weights.values())
  const [best, ...others] = available.filter((language) => most > 0 && weights.get(language) === most)
  if (best === undefined || others.length > 0) return undefined
  const relatives = [...weights.keys()].filter((range) => primary(range) === primary(best))
  return relatives.length === 1 ? best : undefined
}

const primary = (tag: string): string => tag.split('-', 1)[0]!
