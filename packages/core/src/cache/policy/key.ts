import { SluiceError, show } from '../../base/errors.ts'
import { chain, isPromise, type MaybePromise } from '../../base/maybe-promise.ts'
import type { KeyFunction } from '../../exchange/client/by.ts'
import { canonicalText } from '../../exchange/client/canonical.ts'
import type { Identity } from '../../exchange/client/identity.ts'
import { digest, joinParts } from '../../exchange/client/parts.ts'
import { isSomebody } from '../../exchange/client/user-name.ts'
import { type KeyRefusal, RequestContext } from '../../exchange/context.ts'
import { isAmbiguous, isOfParameter, QueryParams, rawPairs } from '../../exchange/reads/query-params.ts'
import { hiddenQuery } from '../../exchange/reads/query-watch.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { splitTarget } from '../../http/locate.ts'
import type { NoKeyReason } from '../reasons.ts'
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
  readonly reason: NoKeyReason
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
  const content = contentOf(view)
  if (content === 'unread') return { key: undefined, reason: 'body-unread' }
  // The route is not asked for: nothing of it is in the key.
  if (plain && method === 'GET' && content === 'none') {
    const key = targetKey(view, policy)
    return key === undefined ? queryUnread : { key, covered: undefined, route: undefined }
  }

  const route = known ?? view.route
  const reads = new Set<string>(policy.varyFields)
  const parts: MaybePromise<KeyPart>[] = policy.varyFields.map((field) => ({
    text: valueText(view.header(field))!,
    reads: [],
  }))
  const ask = (option: string, fn: KeyFunction): void => {
    const part = askFor(option, fn, { view, identity: policy.identity, route })
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
    const body = method === 'GET' && content === 'none' ? '' : bodyKey(view)
    if (body === undefined) return { key: undefined, reason: 'body-unread' }
    if (body !== '') reads.add('@body')
    const target = policy.key
      ? `${policy.keyPrefix}${joinParts([view.scheme, keyedAuthority(view), route ?? view.path])}${absoluteKey(view)}`
      : targetKey(view, policy)
    if (target === undefined) return queryUnread
    return { key: `${target}${joinParts([method])}${text}${body}`, covered: reads, route }
  })
}

/** What one function adds to the key, and what that covers. */
interface KeyPart {
  readonly text: string
  readonly reads: Iterable<string>
  /** It cannot be told exactly: why. */
  readonly refusal?: KeyRefusal | undefined
}

/** The request that a function is asked about. */
interface AskedOf {
  readonly view: RequestView
  readonly identity: Identity | undefined
  readonly route: string | undefined
}

/** Asks one function. What it read is kept apart from what others read: only what came of it is covered by it. */
function askFor(option: string, fn: KeyFunction, { view, identity, route }: AskedOf): MaybePromise<KeyPart> {
  const reads = new Set<string>()
  const context = new RequestContext(view, reads, identity)
  return chain(fn(context), (value: unknown): KeyPart => {
    const text = valueText(value)
    if (text === undefined) throw nonsense(option, value, route ?? view.path)
    // Somebody is there, and it found nothing of him: that is not what the handler would find.
    if (text === absent) for (const name of ['user', 'session'] as const) uncover(name, reads, view)
    return { text, reads, refusal: context.refusal }
  })
}

function uncover(name: 'user' | 'session', reads: Set<string>, view: RequestView): void {
  if (reads.has(`@${name}`) && isSomebody(view.property(name))) reads.delete(`@${name}`)
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

const queryUnread: NoKey = Object.freeze({ key: undefined, reason: 'query-unread' })

/** The key of a GET that nothing but its URL tells apart. `undefined` where it cannot be told what the application makes of the query. */
export function targetKey(view: RequestView, policy: CachePolicy): string | undefined {
  const { scheme, path } = view
  const authority = keyedAuthority(view)
  const query = keyedQuery(view, policy)
  if (query === undefined) return undefined
  const key = `${policy.keyPrefix}${scheme}:${authority.length}:${authority}${path.length}:${path}${query.length}:${query};`
  if (view.rewritten === undefined && view.absolute === undefined) return key
  const rewritten = view.rewritten === undefined ? absent : rewrittenKey(view.rewritten, view, policy)
  return `${key}${rewritten}${absoluteKey(view)}`
}

/** Handlers may look at the target in absolute form, or at the field that it overrules. */
function absoluteKey(view: RequestView): string {
  return view.absolute === undefined ? '' : joinParts([view.absolute, view.header('host')])
}

/** Middleware in front may have rewritten the URL by what the key does not have: a language, a method override. */
function rewrittenKey(rewritten: string, view: RequestView, policy: CachePolicy): string {
  const { path, query } = splitTarget(rewritten)
  // Of a list of parameters the key has what was parsed, whatever it was parsed from.
  if (policy.query) return joinParts([path, view.queryParsed === false ? query : undefined])
  const hidden = hiddenQuery(view)
  return joinParts([path, hidden ? withoutParameters(query, hidden) : query])
}

/** What of the query stands in the key. What a stage in front sees to (`fields`) shapes the answer only behind us. */
function keyedQuery(view: RequestView, policy: CachePolicy): string | undefined {
  const hidden = hiddenQuery(view)
  const { query } = view
  if (!policy.query) return hidden && query !== '' ? withoutParameters(query, hidden) : query
  const params = QueryParams.of(view)
  const parsed = params === 'raw' ? '' : params?.text(policy.query, hidden)
  if (params !== 'raw' && view.queryParsed !== 'validated') return parsed
  // A schema may have taken away what stages of ours still read: both count.
  if (parsed === undefined || (params === 'raw' && isAmbiguous(query))) return undefined
  const sent = selectQuery(hidden ? withoutParameters(query, hidden) : query, policy.query)
  return params === 'raw' ? sent : joinParts([parsed, sent])
}

function withoutParameters(query: string, names: readonly string[]): string {
  if (query === '') return ''
  return rawPairs(query)
    .filter(({ name }) => !names.includes(name))
    .map(({ pair }) => pair)
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
 * The parameters of an allow-list where nobody has parsed the query: as they were sent, sorted by parameter, those of
 * one in their order. `filter[a]` and `filter.a` belong to `filter`: query parsers make one object of them.
 */
export function selectQuery(query: string, names: readonly string[]): string {
  if (query === '') return ''
  const kept: { readonly of: string; readonly pair: string }[] = []
  for (const { name, pair } of rawPairs(query)) {
    const of = names.find((one) => isOfParameter(name.trim(), one))
    if (of !== undefined) kept.push({ of, pair })
  }
  return kept
    .sort((a, b) => (a.of < b.of ? -1 : a.of > b.of ? 1 : 0))
    .map(({ pair }) => pair)
    .join('&')
}

/** Whether there is a body, and whether what there is of it in `property('body')` was made of it. */
function contentOf(view: RequestView): 'none' | 'read' | 'unread' {
  if (view.content !== undefined) return view.content
  const empty = !view.header('transfer-encoding') && (view.header('content-length') ?? '0') === '0'
  return empty ? 'none' : view.property('body') === undefined ? 'unread' : 'read'
}

/** The content of a request with its type (RFC 10008): parsed bodies in a canonical form, hashed. */
function bodyKey(view: RequestView): string | undefined {
  const body = view.property('body')
  const type = view.header('content-type')
  // Parsers of forms in parts keep files elsewhere.
  if (type !== undefined && /^\s*multipart\//i.test(type)) return undefined
  const text = body === undefined ? (contentOf(view) === 'none' ? '' : undefined) : canonicalText(body)
  if (text === undefined) return undefined
  return `${digest(`${joinParts([type, view.header('content-encoding')])}${text}`)};`
}
