import type { Reply } from '../../exchange/exchange.ts'
import type { SentHead } from '../../exchange/request-view.ts'

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
  const stored = linesOf(reply.fields)
  const sent = linesOf(head.fields)
  if (sent.has('set-cookie')) return changed('middleware in front of it sets a cookie')
  for (const [name, lines] of stored) {
    if (ofTransport.has(name) || name === 'vary') continue
    if (sent.get(name)?.join('\n') !== lines.join('\n')) return changed(`middleware in front of it changes ${name}`)
  }
  const fields: string[] = []
  for (const [name, lines] of sent) {
    if (stored.has(name) || ofTransport.has(name) || own.has(name) || name === 'vary') continue
    if (name === 'content-encoding') return changed('middleware in front of it encodes the body')
    for (const line of lines) fields.push(displayOf(head.fields, name), line)
  }
  const vary = namesIn(sent.get('vary'))
  if (vary.includes('*')) return changed('middleware in front of it says Vary: *')
  const known = namesIn(stored.get('vary'))
  const more = vary.filter((name) => !known.includes(name))
  if (more.length > 0) fields.push('Vary', more.map((name) => displayVary(head.fields, name)).join(', '))
  // What the stored answer itself depends on is told by its terms.
  const depends = new Set([...namesIn(before === undefined ? undefined : [before]), ...more])
  depends.delete('accept-encoding')
  return { kind: 'added', fields, vary: [...depends].sort() }
}

const changed = (why: string): Added => ({ kind: 'changed', why })

function linesOf(fields: readonly string[]): Map<string, string[]> {
  const lines = new Map<string, string[]>()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    const there = lines.get(name)
    if (there) there.push(fields[i + 1]!)
    else lines.set(name, [fields[i + 1]!])
  }
  return lines
}

const namesIn = (lines: readonly string[] | undefined): string[] =>
  (lines ?? [])
    .flatMap((line) => line.split(','))
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')

/** The name as it was sent. */
function displayOf(fields: readonly string[], name: string): string {
  for (let i = 0; i < fields.length; i += 2) if (fields[i]!.toLowerCase() === name) return fields[i]!
  return name
}

/** A member of Vary as it was sent. */
function displayVary(fields: readonly string[], name: string): string {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.toLowerCase() !== 'vary') continue
    const found = fields[i + 1]!.split(',').find((one) => one.trim().toLowerCase() === name)
    if (found) return found.trim()
  }
  return name
}
