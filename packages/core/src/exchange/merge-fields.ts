import type { Fields } from '../http/fields/fields.ts'
import { splitList } from '../http/fields/lists.ts'

/** List fields that a reply adds to, where earlier middleware has set them, and does not replace. In lower case. */
export const mergedFields: ReadonlySet<string> = new Set(['vary', 'cache-status'])

/** Members of `added` that `there` lacks, behind it: `Origin` and `Accept, origin` give `Origin, Accept`. */
export function mergeLists(there: string, added: string): string {
  const known = new Set(splitList(there).map((member) => member.toLowerCase()))
  const fresh = splitList(added).filter((member) => !known.has(member.toLowerCase()))
  return fresh.length ? [there, ...fresh].join(', ') : there
}

/** Makes `Vary` name a request field, once, and leaves it alone where it says `*`. */
export function addVary(fields: Fields, name: string): void {
  const there = fields.get('vary')
  if (there === undefined || there.trim() === '') fields.set('vary', name)
  else if (!splitList(there).includes('*')) {
    const merged = mergeLists(there, name)
    if (merged !== there) fields.set('vary', merged)
  }
}
