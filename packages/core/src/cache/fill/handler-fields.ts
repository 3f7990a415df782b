import type { ResponseHead } from '../../exchange/exchange.ts'
import { mergedFields } from '../../exchange/merge-fields.ts'
import { Fields } from '../../http/fields/fields.ts'
import { splitList } from '../../http/fields/lists.ts'

/**
 * What the handler itself put on the response, without what earlier middleware had put there (CORS, request ids,
 * cookies): that is another request's, and is applied afresh on every hit. A field the handler wrote is its own, also
 * where it wrote what was there already: for the next request earlier middleware may say something else. Of list fields
 * that both write, only the members it added.
 */
export function ownFields(head: ResponseHead): Fields {
  const own = Fields.from()
  for (const name of head.fields.names()) {
    const now = head.fields.lines(name)
    const before = head.before.lines(name)
    if (before.length === 0) own.set(name, now)
    else if (mergedFields.has(name)) addNew(own, name, splitList(now.join(', ')), splitList(before.join(', ')))
    else if (name === 'set-cookie') addNew(own, name, now, before)
    else if (head.written?.has(name) || !sameLines(now, before)) own.set(name, now)
  }
  return own
}

/** The fields of earlier middleware that the handler took away, in lower case: a hit is without them too. */
export function removedFields(head: ResponseHead): string[] {
  return [...head.before.names()].filter((name) => !head.fields.has(name))
}

function sameLines(now: readonly string[], before: readonly string[]): boolean {
  return now.length === before.length && now.every((line, i) => line === before[i])
}

function addNew(own: Fields, name: string, now: readonly string[], before: readonly string[]): void {
  const known = new Set(before.map((member) => member.toLowerCase()))
  for (const member of now) if (!known.has(member.toLowerCase())) own.append(name, member)
}
