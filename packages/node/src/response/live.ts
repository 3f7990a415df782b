import type { ServerResponse } from 'node:http'

/** Bodies whose reader wants the head at once, and that are news when they come: none of them is ever stored. */
const liveTypes: ReadonlySet<string> = new Set([
  'text/event-stream',
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/json-seq',
  'multipart/x-mixed-replace',
])

/** Whether nothing is gained by holding the head of this response until its body begins. */
export function isLive(response: Pick<ServerResponse, 'getHeader'>): boolean {
  const type = String(response.getHeader('content-type') ?? '')
    .split(';', 1)[0]!
    .trim()
    .toLowerCase()
  if (liveTypes.has(type)) return true
  return /(?:^|[\s,;])no-store(?:$|[\s,;])/i.test(String(response.getHeader('cache-control') ?? ''))
}
