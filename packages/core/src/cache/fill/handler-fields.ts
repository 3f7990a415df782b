import type { ResponseHead } from '../../exchange/exchange.ts'
import { mergedFields } from '../../exchange/merge-fields.ts'
import { Fields } from '../../http/fields/fields.ts'
import { splitList } from '../../http/fields/lists.ts'

/**
 * What the handler itself put on the response, without what earlier middleware had put there (CORS, request ids,
 * cookies): that is another request's, and is applied afresh on every hit. A field the handler changed is its own; of
 * list fields that both write, only the members it added.
 */
export function ownFields(head: ResponseHead): Fields {
  const own = Fields.from()
  for (const name of head.fields.names()) {
    const now = head.fields.lines(name)
    const before = head.before.lines(name)
    if (before.length === 0) own.set(name, now)
    else if (mergedFields.has(name)) addNew(own, name, splitList(now.join(', ')), splitList(before.join(', ')))
    else if (name === 'set-cookie') addNew(own, name, now, before)
    else if (now.length !== before.length || now.some((line, i) => line !== before[i])) own.set(name, now)
  }
  return own
}

function addNew(own: Fields, name: string, now: readonly string[], before: readonly string[]): void {
  const known = new Set(before.map((member) => member.toLowerCase()))
  for (const member of now) if (!known.has(member.toLowerCase())) own.append(name, member)
}
