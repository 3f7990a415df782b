import type { Fields } from '../fields/fields.ts'
import { type CacheControl, parseCacheControl } from './cache-control.ts'
import { withheldFields } from './unstored-fields.ts'
import { parseVary } from './vary.ts'

/** Why a response is not stored. Stable: it appears in `Cache-Status`, in events and in `stats()`. */
export type NotStorable =
  | 'method'
  | 'status'
  | 'partial'
  | 'range'
  | 'precondition'
  | 'must-understand'
  | 'no-store'
  | 'private'
  | 'vary-star'
  | 'set-cookie'
  | 'authorization'
  | 'event-stream'
  | 'not-fresh'

export interface StorableRules {
  /** The response says itself how long it is fresh ({@link Freshness.explicit}). */
  readonly explicit: boolean
  /** It does not, but a heuristic finds it fresh (RFC 9111 §4.2.2). */
  readonly guessed?: boolean | undefined
  /** It is one part of which the cache knows where it belongs (RFC 9111 §3.3); only where it is explicitly fresh. */
  readonly part?: boolean | undefined
  /** The route gives it a time to live. */
  readonly ttlRoute: boolean
  /** The route gives 404 and 410 one too. */
  readonly negativeTtl: boolean
  /** The key covers the user, or the route is declared public: `Authorization` does no harm. */
  readonly authorizationCovered: boolean
  /** Of the field that governs ({@link Freshness.directives}). */
  readonly directives: CacheControl
  /** Methods that are cached besides GET and QUERY. A HEAD response has no content to store and is never one of them. */
  readonly methods?: readonly string[] | undefined
}

/** The statuses a route's TTL applies to. Temporary redirects and errors are about one moment, not about the resource. */
export const defaultTtlStatuses: ReadonlySet<number> = new Set([200, 203, 301, 308])

/** The statuses `negativeTtl` applies to. */
export const negativeTtlStatuses: ReadonlySet<number> = new Set([404, 410])

/** Final statuses that RFC 9110 §15 defines and that are cached here: what `must-understand` asks about. */
const understoodStatuses: ReadonlySet<number> = new Set([
  200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409,
  410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 500, 501, 502, 503, 504, 505,
])

/**
 * Whether a shared cache may store this response (RFC 9111 §3): `undefined` where it may, else why not.
 *
 * Whether it is complete is not asked here: that is known only when it has ended.
 *
 * @example
 * ```ts
 * notStorable(request, { status: 200, fields: Fields.from({ 'set-cookie': 'a=1' }) }, rules) // 'set-cookie'
 * ```
 */
export function notStorable(
  request: { readonly method: string; header(name: string): string | undefined },
  response: { readonly status: number; readonly fields: Fields },
  rules: StorableRules,
): NotStorable | undefined {
  return (
    refusedMethod(request.method, rules) ??
    refusedStatus(request, response.status, rules) ??
    refusedDirective(response, rules) ??
    refusedFields(request, response, rules) ??
    refusedFreshness(response, rules)
  )
}

type RequestLike = Parameters<typeof notStorable>[0]
type ResponseLike = Parameters<typeof notStorable>[1]

/** RFC 9111 §3: "the request method is understood by the cache". Methods are case-sensitive (RFC 9110 §9.1). */
function refusedMethod(method: string, rules: StorableRules): NotStorable | undefined {
  if (method === 'GET' || method === 'QUERY') return undefined
  // RFC 9110 §9.3.2: a HEAD response lacks the content, and must not become a GET entry.
  return method !== 'HEAD' && rules.methods?.includes(method) ? undefined : 'method'
}

function refusedStatus(request: RequestLike, status: number, rules: StorableRules): NotStorable | undefined {
  // RFC 9111 §3.3: incomplete responses are kept only as what they are.
  if (status === 206) return rules.part && rules.explicit ? undefined : 'partial'
  // RFC 9111 §3: "the response status code is final". 304 updates an entry and is none; RFC 6585 §4: 429 is never stored.
  if (!(status >= 200 && status <= 599) || status === 304 || status === 429) return 'status'
  // These two answer a field of the request that the key does not cover: the next request may not have it.
  if (status === 416 && request.header('range') !== undefined) return 'range'
  if (status === 412 && preconditions.some((name) => request.header(name) !== undefined)) return 'precondition'
  if (!rules.ttlRoute) return undefined
  return defaultTtlStatuses.has(status) || (rules.negativeTtl && negativeTtlStatuses.has(status)) ? undefined : 'status'
}

const preconditions = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']

/**
 * `no-store` and `private` (RFC 9111 §5.2.2.5, §5.2.2.7). Beside `must-understand`, `no-store` is for caches that do not
 * know the status (§5.2.2.3), and a `private` that names fields forbids to store those. Neither exception holds under a
 * route's TTL, which the handler may not know of: there both forbid.
 *
 * Where a targeted field governs, `Cache-Control` speaks to other caches and is ignored (RFC 9213 §2.2; its §3.1 pairs
 * `CDN-Cache-Control: max-age=600` with `Cache-Control: no-store`). Not so if the targeted field leaves the lifetime
 * to the route: then either of them can forbid storing.
 */
export function refusedDirective(response: ResponseLike, rules: DirectiveRules): NotStorable | undefined {
  const fields = speaking(response, rules)
  const understood = understoodStatuses.has(response.status)
  for (const field of fields) {
    const excepted = !rules.ttlRoute && understood && field.has('must-understand')
    if (field.has('no-store') && !excepted) return 'no-store'
  }
  if (fields.some((field) => field.has('private') && (rules.ttlRoute || !withheldFields(field, 'private')))) {
    return 'private'
  }
  // RFC 9111 §5.2.2.3: stored only by a cache that knows what the status asks of it.
  return !understood && fields.some((field) => field.has('must-understand')) ? 'must-understand' : undefined
}

type DirectiveRules = Pick<StorableRules, 'directives' | 'explicit' | 'ttlRoute'>

/** The directives that have a say: those that govern, and unless they are alone, those of `Cache-Control`. */
function speaking(response: ResponseLike, { directives, explicit, ttlRoute }: DirectiveRules): CacheControl[] {
  if (directives.targeted && explicit && !ttlRoute) return [directives]
  return [directives, parseCacheControl(response.fields.get('cache-control'))]
}

function refusedFields(request: RequestLike, response: ResponseLike, rules: StorableRules): NotStorable | undefined {
  const { fields } = response
  // RFC 9111 §4.1: `*` never matches any request.
  if (parseVary(fields.get('vary')) === '*') return 'vary-star'
  if (fields.has('set-cookie') && !withheld(response, rules, 'set-cookie')) return 'set-cookie'
  // No user agent has obeyed this one since RFC 6265 (2011). Where the handler says that its answer is fresh, it is a field
  // like any other; what only the route's TTL stores might still be somebody's.
  if (fields.has('set-cookie2') && rules.ttlRoute) return 'set-cookie'
  if (request.header('authorization') !== undefined && !mayShareAuthorized(rules)) return 'authorization'
  return isEventStream(fields) ? 'event-stream' : undefined
}

/**
 * Whether the response itself keeps a field out of what is stored of it (RFC 9111 §5.2.2.7). RFC 9111 §7.3 leaves it to
 * the server to forbid the storing of cookies; one given to everybody is never what was meant.
 */
function withheld(response: ResponseLike, rules: StorableRules, name: string): boolean {
  if (rules.ttlRoute) return false
  return speaking(response, rules).some((field) =>
    (['private', 'no-cache'] as const).some((directive) => withheldFields(field, directive)?.includes(name)),
  )
}

/** RFC 9111 §3.5 */
function mayShareAuthorized({ authorizationCovered, directives }: StorableRules): boolean {
  return authorizationCovered || ['public', 's-maxage', 'must-revalidate'].some((name) => directives.has(name))
}

/** Server-sent events: a stream of what happens now, with no end. */
function isEventStream(fields: Fields): boolean {
  return /^[ \t]*text\/event-stream[ \t]*(?:[;,]|$)/i.test(fields.get('content-type') ?? '')
}

/**
 * Only what is fresh or can be revalidated (RFC 9111 §3, last item). Of what is not a 200 no 304 can say that it is still
 * right (RFC 9110 §13.2.1).
 */
function refusedFreshness({ status, fields }: ResponseLike, rules: StorableRules): NotStorable | undefined {
  if (rules.explicit || rules.guessed || rules.ttlRoute) return undefined
  const hasValidator = fields.has('etag') || fields.has('last-modified')
  return hasValidator && status === 200 ? undefined : 'not-fresh'
}
