/** Parts of field names that are not written with one capital, as the registries have them. */
const parts: ReadonlyMap<string, string> = new Map(
  [
    'CDN',
    'CH',
    'DNS',
    'DNT',
    'DPoP',
    'ETag',
    'GPC',
    'HTTP2',
    'IM',
    'IP',
    'MD5',
    'MIME',
    'NEL',
    'RateLimit',
    'SourceMap',
    'SOAPAction',
    'TE',
    'UA',
    'URI',
    'WebSocket',
    'WWW',
    'XSS',
  ].map((part) => [part.toLowerCase(), part]),
)

/**
 * A field name as people write it: `etag` → `ETag`, `www-authenticate` → `WWW-Authenticate`. Names are case-insensitive
 * (RFC 9110 §5.1); this is for the eye.
 */
export function displayName(lower: string): string {
  return lower
    .split('-')
    .map((part) => parts.get(part) ?? part.charAt(0).toUpperCase() + part.slice(1))
    .join('-')
}
