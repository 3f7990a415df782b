import { isToken, splitList, trimOws } from '../fields/lists.ts'
import { readPreferences } from '../selection/languages.ts'

/**
 * The request fields a response depends on (RFC 9110 §12.5.5): lower-cased, sorted, each once. Without
 * `accept-encoding`: the encodings of one response live together in one entry.
 *
 * `*` anywhere in the list wins. So does a member that is not a field name, because nobody can tell what it meant.
 */
export function parseVary(value: string | undefined): '*' | readonly string[] {
  if (value === undefined) return []
  const names = new Set<string>()
  for (const member of splitList(value)) {
    if (member === '*' || !isToken(member)) return '*'
    names.add(member.toLowerCase())
  }
  names.delete('accept-encoding')
  return [...names].sort()
}

/**
 * A request field's value as part of a secondary key (RFC 9111 §4.1). Whitespace around commas and at the ends does not
 * count and nothing else is touched; an absent field differs from a present but empty one.
 *
 * A value with quotes keeps its whitespace: inside of them it is content. Of a list of preferences, `Accept-Language` above
 * all, the order and the case do not count either: what is preferred is what the weights say (RFC 9110 §12.5.4).
 *
 * @param name - of the field, in lower case
 * @example
 * ```ts
 * normaliseFieldValue('EN, de;q=0.50', 'accept-language') // '+de;q=0.5,en'
 * ```
 */
export function normaliseFieldValue(value: string | undefined, name = ''): string {
  if (value === undefined) return '-'
  const trimmed = trimOws(value)
  const preferences = preferenceFields.has(name) ? normalisePreferences(trimmed) : undefined
  if (preferences !== undefined) return `+${preferences}`
  if (!trimmed.includes(',') || trimmed.includes('"')) return `+${trimmed}`
  return `+${trimmed.split(',').map(trimOws).join(',')}`
}

/** Lists of tokens with weights and nothing else, whose case means nothing (RFC 9110 §12.5.2, §12.5.4). */
const preferenceFields: ReadonlySet<string> = new Set(['accept-language', 'accept-charset'])

/** The members in the order of the alphabet. `undefined` where one cannot be read, or two contradict each other. */
function normalisePreferences(value: string): string | undefined {
  const weights = readPreferences(value)
  if (!weights?.size) return undefined
  const members = Array.from(weights, ([range, weight]) => (weight === 1 ? range : `${range};q=${weight}`))
  return members.sort().join(',')
}
