import { isToken, splitList, trimOws } from '../fields/lists.ts'

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
 * A value with quotes keeps its whitespace: inside of them it is content.
 */
export function normaliseFieldValue(value: string | undefined): string {
  if (value === undefined) return '-'
  const trimmed = trimOws(value)
  if (!trimmed.includes(',') || trimmed.includes('"')) return `+${trimmed}`
  return `+${trimmed.split(',').map(trimOws).join(',')}`
}
