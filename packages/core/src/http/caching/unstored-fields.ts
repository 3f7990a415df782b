import type { Fields } from '../fields/fields.ts'
import { splitList } from '../fields/lists.ts'
import { type CacheControl, parseCacheControl } from './cache-control.ts'

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
  // Somebody's. A response that has one is stored only where it says to leave this out; this is the second lock.
  'set-cookie',
]

/** `RateLimit`, `RateLimit-Policy` and their legacy kin: each hit has its own quota. */
const quota = /^(?:x-)?rate-?limit(?:-|$)/

/** Without these a response says something else: a directive that names one of them speaks of the whole. */
const essential: readonly string[] = [
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'etag',
  'vary',
]

/**
 * The fields that a qualified `private` or `no-cache` keeps out of a shared store, while the rest of the response may be
 * stored and used (RFC 9111 §5.2.2.7, §5.2.2.4). In lower case; `undefined` where the directive is absent or speaks of
 * the whole response.
 *
 * @example
 * ```ts
 * withheldFields(parseCacheControl('max-age=60, private="X-User"'), 'private') // ['x-user']
 * ```
 */
export function withheldFields(
  control: CacheControl,
  directive: 'private' | 'no-cache',
): readonly string[] | undefined {
  const names = control.fieldNames(directive)
  return names?.some((name) => essential.includes(name)) ? undefined : names
}

/**
 * Names (lower case) of the fields of this response that are not stored with it (RFC 9111 §3.1), those that its
 * `private` and `no-cache` name among them.
 *
 * `Retry-After` is not among them: a stored 503 says when it was made (`Date`, `Age`), and its delay counts from there.
 *
 * @param governing - the directives that decide, where those are not of `Cache-Control`
 */
export function unstoredFields(fields: Fields, governing?: CacheControl): ReadonlySet<string> {
  const names = new Set([...hopByHop, ...perResponse])
  for (const name of splitList(fields.get('connection') ?? '')) names.add(name.toLowerCase())
  for (const name of fields.names()) if (quota.test(name)) names.add(name)
  for (const control of [parseCacheControl(fields.get('cache-control')), ...(governing ? [governing] : [])]) {
    for (const directive of ['private', 'no-cache'] as const) {
      for (const name of withheldFields(control, directive) ?? []) names.add(name)
    }
  }
  return names
}
