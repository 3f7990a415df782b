import type { ServerResponse } from 'node:http'
import type { SentHead } from '@sluice/core'

/** The head of a response as it went out: node keeps the text of it, of HTTP/2 the fields. */
export function sentHead(response: ServerResponse): SentHead {
  const { statusCode: status } = response
  const { stream } = response as { stream?: { sentHeaders?: Record<string, string | string[] | undefined> } }
  if (stream?.sentHeaders) return { status, fields: fieldsOver2(stream.sentHeaders) }
  const { _header: text } = response as unknown as { _header?: string | null }
  const fields: string[] = []
  for (const line of (text ?? '').split('\r\n').slice(1)) {
    const at = line.indexOf(':')
    // Behind the one space that node writes it is the value, whatever bytes it ends with.
    if (at > 0) fields.push(line.slice(0, at), line.slice(at + 2))
  }
  return { status, fields }
}

function fieldsOver2(sent: Record<string, string | string[] | undefined>): string[] {
  const fields: string[] = []
  for (const [name, value] of Object.entries(sent)) {
    if (name.startsWith(':') || value === undefined) continue
    for (const line of Array.isArray(value) ? value : [value]) fields.push(name, String(line))
  }
  return fields
}
