import type { Reply } from '../../exchange/exchange.ts'
import type { SentHead } from '../../exchange/request-view.ts'
import { Fields } from '../../http/fields/fields.ts'
import { splitList } from '../../http/fields/lists.ts'

/** Of the connection, or of the transport: whoever sends the answer sets them anew. */
const ofTransport: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'date',
])

/** What middleware in front has done to the head of an answer from the store. */
export type Added =
  | { readonly kind: 'added'; readonly fields: readonly string[]; readonly vary: readonly string[] }
  /** It cannot be done without it: why. */
  | { readonly kind: 'changed'; readonly why: string }

/**
 * Tells a head as it was sent from that of the stored answer: what was added, and which request fields that may depend on.
 *
 * @param by - names of fields that our own stages in front add afresh each time, in lower case, and what middleware has said in
 *   `Vary` before the answer was there
 */
export function addedTo(
  reply: Reply,
  head: SentHead,
  { own, vary: before }: { readonly own: ReadonlySet<string>; readonly vary: string | undefined },
): Added {
  if (head.status !== reply.status) return changed(`middleware makes its ${reply.status} a ${head.status}`)
  const stored = Fields.fromFlat(reply.fields)
  const sent = Fields.fromFlat(head.fields)
  if (sent.has('set-cookie')) return changed('middleware in front of it sets a cookie')
  for (const name of stored.names()) {
    if (ofTransport.has(name) || name === 'vary') continue
    if (sent.lines(name).join('\n') !== stored.lines(name).join('\n'))
      return changed(`middleware in front of it changes ${name}`)
  }
  const fields: string[] = []
  for (const name of sent.names()) {
    if (stored.has(name) || ofTransport.has(name) || own.has(name) || name === 'vary') continue
    if (name === 'content-encoding') return changed('middleware in front of it encodes the body')
    for (const line of sent.lines(name)) fields.push(displayOf(head.fields, name), line)
  }
  const vary = namesIn(sent.get('vary'))
  if (vary.includes('*')) return changed('middleware in front of it says Vary: *')
  const names = splitList(sent.get('vary') ?? '')
  const spelt = splitList(stored.get('vary') ?? '')
  // Middleware's spelling is what was sent, also of a name that the stored answer has.
  const added = names.filter((name) => !spelt.includes(name))
  if (added.length > 0) fields.push('Vary', added.join(', '))
  const known = namesIn(stored.get('vary'))
  const more = added.filter((name) => !known.includes(name.toLowerCase()))
  // What the stored answer itself depends on is told by its terms.
  const depends = new Set([...namesIn(before), ...more.map((name) => name.toLowerCase())])
  depends.delete('accept-encoding')
  return { kind: 'added', fields, vary: [...depends].sort() }
}

const changed = (why: string): Added => ({ kind: 'changed', why })

const namesIn = (list = ''): string[] => splitList(list).map((name) => name.toLowerCase())

/** The name as it was sent. */
function displayOf(fields: readonly string[], name: string): string {
  for (let i = 0; i < fields.length; i += 2) if (fields[i]!.toLowerCase() === name) return fields[i]!
  return name
}
