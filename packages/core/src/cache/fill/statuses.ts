import type { Fields } from '../../http/fields/fields.ts'
import type { NotStored } from '../reasons.ts'

/** Why a response was not stored that says nothing about what is stored: the request was another, or the moment was. */
const ofTheRequest: ReadonlySet<string> = new Set<NotStored>([
  'head',
  'range',
  'partial',
  'precondition',
  'follower',
  'contradicted',
  'unconfirmed',
  'purged',
  'incomplete',
  'too-large',
  'store-refused',
  'key-changed',
  'callback',
  'behind-paginate',
  'nested',
  'variants',
])

/**
 * Whether an answer that is not stored ends the one that was: a final one does (404, 410, a 200 that is `private` now,
 * 401 and 403). Errors and what is only about this moment (408, 425, 429) do not (RFC 5861 §4).
 */
export function endsStale(reason: string, status: number): boolean {
  if (status >= 500 || status === 408 || status === 425 || status === 429) return false
  return !ofTheRequest.has(reason) && !reason.startsWith('unkeyed-') && reason !== 'unwatchable'
}

/** Formats whose reader takes line after line while they are written: nobody waits for their end. */
const lineByLine =
  /^[ \t]*(?:application\/(?:x-ndjson|ndjson|jsonl|x-jsonlines|json-seq|stream\+json)|multipart\/x-mixed-replace)[ \t]*(?:;|$)/i

export function isLineByLine(fields: Fields): boolean {
  return lineByLine.test(fields.get('content-type') ?? '')
}
