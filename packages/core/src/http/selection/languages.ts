import { isToken, splitList, splitParameters } from '../fields/lists.ts'
import { isWeight, weightOf } from '../fields/weight.ts'

/**
 * The members of a list of preferences with their weights, in lower case (RFC 9110 §12.5.2, §12.5.4). `undefined` where one
 * cannot be read, or two contradict each other.
 */
export function readPreferences(value: string): ReadonlyMap<string, number> | undefined {
  const weights = new Map<string, number>()
  for (const member of splitList(value)) {
    const [name = '', ...parameters] = splitParameters(member)
    const weight = parameters.length === 0 ? 1 : weightOf(parameters[0]!)
    const isReadable = isToken(name) && parameters.length <= 1 && parameters.every(isWeight) && !Number.isNaN(weight)
    const range = name.toLowerCase()
    if (!isReadable || (weights.get(range) ?? weight) !== weight) return undefined
    weights.set(range, weight)
  }
  return weights
}

/**
 * The one of the languages that an `Accept-Language` prefers to every other there may be: it is named as it is, nothing
 * has a greater weight, none of the others has the same, and nothing is said of its dialects, for which an answer might
 * have been made. `undefined` where there is no such language.
 *
 * @param available - languages in lower case
 * @example
 * ```ts
 * preferredLanguage('fr;q=0.5, de', ['de', 'en']) // 'de'
 * preferredLanguage('de-CH, de;q=0.9', ['de']) // undefined
 * ```
 */
export function preferredLanguage(header: string | undefined, available: readonly string[]): string | undefined {
  const weights = header === undefined ? undefined : readPreferences(header)
  if (!weights || weights.has('*')) return undefined
  const most = Math.max(...weights.values())
  const [best, ...others] = available.filter((language) => most > 0 && weights.get(language) === most)
  if (best === undefined || others.length > 0) return undefined
  const relatives = [...weights.keys()].filter((range) => primary(range) === primary(best))
  return relatives.length === 1 ? best : undefined
}

const primary = (tag: string): string => tag.split('-', 1)[0]!
