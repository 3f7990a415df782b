import { SluiceError, show } from '../../base/errors.ts'
import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import type { KeyFunction } from '../../exchange/client/by.ts'
import { canonicalText } from '../../exchange/client/canonical.ts'
import type { Identity } from '../../exchange/client/identity.ts'
import { digest, joinParts } from '../../exchange/client/parts.ts'
import { isSomebody } from '../../exchange/client/user-name.ts'
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
  const parts: MaybePromise<KeyPart>[] = policy.varyFields.map((field) => ({
    text: valueText(view.header(field))!,
    reads: [],
  }))
  const ask = (option: string, fn: KeyFunction): void => {
    const part = askFor(option, fn, view, policy.identity, route)
    // Another function may throw before anybody waits for this one.
    if (isPromise(part)) part.then(undefined, () => {})
    parts.push(part)
  }
  for (const fn of policy.varyFunctions) ask('cache.varyBy', fn)
  if (policy.key) ask('cache.key', policy.key)
  return chain(parts.some(isPromise) ? Promise.all(parts) : (parts as KeyPart[]), (made): CacheKey | NoKey => {
    let text = ''
    for (const part of made) {
      if (part.refusal !== undefined) return { key: undefined, reason: part.refusal }
      text += part.text
      for (const read of part.reads) reads.add(read)
    }
    if (policy.key && made.at(-1)!.text === absent) return { key: undefined, reason: 'no-key' }
    const body = method === 'GET' ? '' : bodyKey(view)
    if (body === undefined) return { key: undefined, reason: 'body-unread' }
    const target = policy.key
      ? `${policy.keyPrefix}${joinParts([view.scheme, keyedAuthority(view), route ?? view.path])}`
      : targetKey(view, policy)
    return { key: `${target}${joinParts([method])}${text}${body}`, covered: reads, route }
  })
}

/** What one function adds to the key, and what that covers. */
interface KeyPart {
  readonly text: string
  readonly reads: Iterable<string>
  /** It cannot be told exactly: why. */
  readonly refusal?: string | undefined
}

/** Asks one function. What it read is kept apart from what others read: only what came of it is covered by it. */
function askFor(
  option: string,
  fn: KeyFunction,
  view: RequestView,
  identity: Identity | undefined,
  route: string | undefined,
): MaybePromise<KeyPart> {
  const reads = new Set<string>()
  const context = new RequestContext(view, reads, identity)
  return chain(fn(context), (value: unknown): KeyPart => {
    const text = valueText(value)
    if (text === undefined) throw nonsense(option, value, route ?? view.path)
    // Somebody is signed in, and it found nothing of him: that is not what the handler would find.
    if (text === absent && reads.has('@user') && isSomebody(view.property('user'))) reads.delete('@user')
    return { text, reads, refusal: context.refusal }
  })
}

const absent = '-;'

/**
 * The text of what a function answered: absent, text, and numbers and truth values that are not the text that looks like
 * them. `undefined` for what has no value that could be compared.
 */
function valueText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'undefined':
      return absent
    case 'string':
      return `${value.length}:${value};`
    case 'number':
      return Number.isNaN(value) ? undefined : `n${value};`
    case 'boolean':
    case 'bigint':
      return `${typeof value === 'bigint' ? 'i' : 'b'}${value};`
    default:
      return value === null ? absent : undefined
  }
}

function nonsense(option: string, received: unknown, route: string): SluiceError {
  const what = `A function given as \`${option}\` answered ${show(received)} for ${route.slice(0, 200)}`
  return new SluiceError(
    'ERR_SLUICE_CALLBACK',
    `${what}, which cannot be part of a key: nothing is stored. Answer text, a number or undefined; by.hash(path) takes objects.`,
  )
}

function targetKey(view: RequestView, policy: CachePolicy): string {
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
  const text = body === undefined ? (empty ? '' : undefined) : canonicalText(body)
  if (text === undefined) return undefined
  return `${digest(`${joinParts([view.header('content-type'), view.header('content-encoding')])}${text}`)};`
}
