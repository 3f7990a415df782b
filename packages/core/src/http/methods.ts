/** The safe methods of the IANA registry (RFC 9110 §16.1.1). `PRI` is reserved and never reaches an application. */
const safe: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  // RFC 10008
  'QUERY',
  // WebDAV: RFC 4918, RFC 3253, RFC 5323
  'PROPFIND',
  'REPORT',
  'SEARCH',
])

/**
 * Whether a method is known to be safe (RFC 9110 §9.2.1). Case-sensitive, as methods are (§9.1): `get` is an unknown
 * method, and what is unknown may change anything (RFC 9111 §4.4).
 */
export function isSafeMethod(method: string): boolean {
  return safe.has(method)
}
