import type { Fields } from '../fields/fields.ts'
import { splitList } from '../fields/lists.ts'

/** About one connection and not about the response (RFC 9110 §7.6.1, RFC 9111 §3.1). */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** About one answer and not about the representation; a hit gets its own. */
const perResponse: readonly string[] = [
  // Stamped or computed for each hit: RFC 9111 §5.1, RFC 9110 §6.6.1, §8.6, RFC 9211.
  'age',
  'cache-status',
  'content-length',
  'date',
  // Obsolete, and said of one transfer (RFC 9111 §5.5).
  'warning',
  // Somebody's. A response that has one is not stored; this is the second lock on that door.
  'set-cookie',
  'set-cookie2',
]

/** `RateLimit`, `RateLimit-Policy` and their legacy kin: each hit has its own quota. */
const quota = /^(?:x-)?rate-?limit(?:-|$)/

/**
 * Names (lower case) of the fields of this response that are not stored with it (RFC 9111 §3.1).
 *
 * `Retry-After` is not among them: a stored 503 says when it was made (`Date`, `Age`), and its delay counts from there.
 */
export function unstoredFields(fields: Fields): ReadonlySet<string> {
  const names = new Set([...hopByHop, ...perResponse])
  for (const name of splitList(fields.get('connection') ?? '')) names.add(name.toLowerCase())
  for (const name of fields.names()) if (quota.test(name)) names.add(name)
  return names
}
