import { createHash } from 'node:crypto'
import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import { joinParts } from '../../exchange/client/by.ts'
import { RequestContext } from '../../exchange/context.ts'
import { hiddenQuery, isOfParameter } from '../../exchange/reads/query-watch.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { splitTarget } from '../../http/locate.ts'
import type { CachePolicy } from './options.ts'

/** What a request is stored under, and what that covers of the request. */
export interface CacheKey {
  readonly key: string
  /** What the key functions read of the request: a handler may read it too. `@identity` where `by.user` found a user. */
  readonly covered: ReadonlySet<string> | undefined
  /** The route as it was known when the key was made; `undefined` also where it is not in the key. */
  readonly route: string | undefined
}

/** The request has no usable key: it is not looked up and not stored. The reason for `Cache-Status`. */
export interface NoKey {
  readonly key: undefined
  readonly reason: string
}

/**
 * The primary key (RFC 9111 §2): method, scheme, authority, path, query, then what the route adds. Every part stands
 * behind its length, so that no two different requests can give the same key. GET and HEAD share one.
 *
 * @param known - the route to use, where a key is made a second time: on some hosts the pattern is known only later
 */
export function cacheKey(view: RequestView, policy: CachePolicy, known?: string): MaybePromise<CacheKey | NoKey> {
  const plain = policy.varyFields.length === 0 && policy.varyFunctions.length === 0 && !policy.key
  const method = view.method === 'HEAD' ? 'GET' : view.method
  // The route is not asked for: nothing of it is in the key.
  if (plain && method === 'GET') return { key: targetKey(view, policy), covered: undefined, route: undefined }

  const route = known ?? view.route
  const reads = new Set<string>(policy.varyFields)
  const context = new RequestContext(view, reads)
  const parts: MaybePromise<string | undefined>[] = policy.varyFields.map((field) => view.header(field))
  for (const fn of policy.varyFunctions) parts.push(fn(context))
  if (policy.key) parts.push(policy.key(context))
  if (method !== 'GET') {
    const body = bodyKey(view)
    if (body === undefined) return { key: undefined, reason: 'body-unread' }
    parts.push(body)
  }
  return chain(parts.some(isPromise) ? Promise.all(parts) : (parts as (string | undefined)[]), (values) => {
    if (policy.key && typeof values[policy.varyFields.length + policy.varyFunctions.length] !== 'string') {
      return { key: undefined, reason: 'no-key' }
    }
    const target = policy.key
      ? `${policy.keyPrefix}${joinParts([view.scheme, keyedAuthority(view), route ?? view.path])}`
      : targetKey(view, policy)
    return { key: `${target}${joinParts([method, ...values.map(text)])}`, covered: reads, route }
  })
}

const text = (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : typeof value === 'string' ? value : `${typeof value}:${value}`

/** The key of a GET that nothing but its URL tells apart. */
export function targetKey(view: RequestView, policy: CachePolicy): string {
  const { scheme, path } = view
  const authority = keyedAuthority(view)
  const hidden = hiddenQuery(view)
  const query = keyedQuery(view.query, policy, hidden)
  const key = `${policy.keyPrefix}${scheme}:${authority.length}:${authority}${path.length}:${path}${query.length}:${query};`
  return view.rewritten === undefined ? key : `${key}${rewrittenKey(view.rewritten, policy, hidden)}`
}

/** Middleware in front may have rewritten the URL by what the key does not have: a language, a method override. */
function rewrittenKey(rewritten: string, policy: CachePolicy, hidden: readonly string[] | undefined): string {
  const { path, query } = splitTarget(rewritten)
  return joinParts([path, keyedQuery(query, policy, hidden)])
}

/** What of the query stands in the key. What a stage in front sees to (`fields`) shapes the answer only behind us. */
function keyedQuery(query: string, policy: CachePolicy, hidden: readonly string[] | undefined): string {
  const seen = hidden && query !== '' ? withoutParameters(query, hidden) : query
  return policy.query ? selectQuery(seen, policy.query) : seen
}

function withoutParameters(query: string, names: readonly string[]): string {
  return query
    .split('&')
    .filter((pair) => !names.includes(nameOf(pair)))
    .join('&')
}

/**
 * The host, and the port unless it is the one this server listens on. A client may write any port into its Host field,
 * so another one makes another key (unkeyed ports have poisoned caches); our own says nothing that the server does not
 * know. A handler that reads the field, port and all, makes its answer a variant by it.
 */
function keyedAuthority(view: RequestView): string {
  const { authority, localPort } = view
  const own = localPort === undefined ? '' : `:${localPort}`
  const bare = own !== '' && authority.endsWith(own) ? authority.slice(0, -own.length) : authority
  return bare.toLowerCase()
}

/**
 * The parameters of an allow-list, sorted by name, duplicates in the order they were sent. `filter[a]` and `filter.a`
 * belong to `filter`: query parsers make one object of them, and a handler that reads `filter` sees them.
 */
export function selectQuery(query: string, names: readonly string[]): string {
  if (query === '') return ''
  const kept: { name: string; pair: string }[] = []
  for (const pair of query.split('&')) {
    const name = nameOf(pair)
    if (names.some((n) => isOfParameter(name, n))) kept.push({ name, pair })
  }
  return kept
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ pair }) => pair)
    .join('&')
}

function nameOf(pair: string): string {
  const equals = pair.indexOf('=')
  const raw = equals < 0 ? pair : pair.slice(0, equals)
  const spaced = raw.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced).trim()
  } catch {
    return spaced.trim()
  }
}

/** The content of a QUERY or POST with its type (RFC 10008): parsed bodies in a canonical form, hashed. */
function bodyKey(view: RequestView): string | undefined {
  const body = view.property('body')
  const empty = !view.header('transfer-encoding') && (view.header('content-length') ?? '0') === '0'
  const canonical = body === undefined ? (empty ? '' : undefined) : canonicalText(body)
  if (canonical === undefined) return undefined
  const type = joinParts([view.header('content-type'), view.header('content-encoding')])
  return createHash('sha256').update(type).update(canonical).digest('base64url')
}

/** Text that only an equal value gives; `undefined` for what has none (instances, functions). Object keys are sorted. */
export function canonicalText(value: unknown): string | undefined {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return `${value};`
  if (typeof value === 'string') return `${value.length}"${value}`
  if (typeof value === 'undefined') return 'u;'
  if (value instanceof Uint8Array) return `b${value.length}:${Buffer.from(value).toString('latin1')}`
  if (Array.isArray(value)) return group('[', value.map(canonicalText))
  if (typeof value !== 'object') return undefined
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) return undefined
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return group(
    '{',
    entries.flatMap(([name, v]) => [canonicalText(name), canonicalText(v)]),
  )
}

function group(open: string, members: readonly (string | undefined)[]): string | undefined {
  return members.includes(undefined) ? undefined : `${open}${members.length}:${members.join('')}`
}
