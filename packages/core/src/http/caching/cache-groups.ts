import { parseList } from '../structured/parse.ts'

/**
 * The groups `Cache-Groups` or `Cache-Group-Invalidation` names (RFC 9875 §2, §3): a list of strings, each once, without
 * an upper bound of number or length (the RFC asks for 32 of 32 characters at least). Parameters are ignored, as are
 * members that are not strings.
 *
 * A line that cannot be read does not take the others with it: a group that is overlooked is a stale answer later.
 */
export function parseGroups(lines: readonly string[]): readonly string[] {
  // RFC 9651 §4.2: the lines of a field are one list.
  const whole = parseList(lines.join(', '))
  const members = whole ?? lines.flatMap((line) => parseList(line) ?? [])
  const groups = new Set<string>()
  for (const member of members) if (member.type === 'string') groups.add(member.value)
  return [...groups]
}
