/**
 * Fields that a cache answers itself, whatever the handler does with them: conditions and codings select how an answer
 * is delivered, not what it says. The pseudo-fields of HTTP/2 are in the key.
 */
export const deliveryFields: ReadonlySet<string> = new Set([
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'accept-encoding',
  ':method',
  ':path',
  ':scheme',
])

/** Where a client names the host it wants; HTTP/2 has a field of its own. */
export const hostFields: readonly string[] = ['host', ':authority']

/** Fields that carry credentials, or that proxies put a user or an address into. */
const identityFields: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'from',
  'forwarded',
  'x-forwarded-for',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'x-forwarded-user',
  'x-forwarded-email',
  'x-remote-user',
  'remote-user',
])

/** Words of field names that hold somebody's secret or name: `x-api-key`, `x-auth-token`, `x-user-id`. */
const identityWords =
  /(?:^|-)(?:token|key|apikey|auth|secret|session|sessionid|user|userid|username|email|account|identity|jwt|credentials?|signature)(?:-|$)/

/** Names that have such a word and nobody's identity. */
const nobodys: ReadonlySet<string> = new Set(['user-agent', 'idempotency-key', 'surrogate-key', 'sec-websocket-key'])

/** Whether a field that is there says who asks. */
export function identifies(name: string): boolean {
  return identityFields.has(name) || (identityWords.test(name) && !nobodys.has(name) && !name.startsWith('sec-ch-'))
}
