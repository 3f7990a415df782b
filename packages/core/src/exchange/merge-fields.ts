import { splitList } from '../http/lists.ts'

/** List fields that a reply adds to, where earlier middleware has set them, and does not replace. In lower case. */
export const mergedFields: ReadonlySet<string> = new Set(['vary', 'cache-status'])

/** Members of `added` that `there` lacks, behind it: `Origin` and `Accept, origin` give `Origin, Accept`. */
export function mergeLists(there: string, added: string): string {
  const known = new Set(splitList(there).map((member) => member.toLowerCase()))
  const fresh = splitList(added).filter((member) => !known.has(member.toLowerCase()))
  return fresh.length ? [there, ...fresh].join(', ') : there
}
