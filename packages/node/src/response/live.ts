import type { ServerResponse } from 'node:http'

/** Bodies whose reader takes piece after piece while they are written, and wants to know at once that they have begun. */
const liveTypes: ReadonlySet<string> = new Set([
  'text/event-stream',
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
  'application/stream+json',
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
