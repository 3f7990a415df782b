import { optionError } from '../../base/errors.ts'
import { checkOptions, rule, type Schema } from '../../base/options.ts'
import { type ByteSize, byteSize, type Duration, durationMs } from '../../base/units.ts'
import { joinParts, type KeyFunction } from '../../exchange/client/by.ts'
import type { Identity } from '../../exchange/client/identity.ts'
import type { RequestContext, ResponseContext } from '../../exchange/context.ts'

/**
 * What a route says about its responses. Every option can also be given in `createSluice({ cache })` as the default. Times
 * are milliseconds or texts such as `'5m'`, sizes bytes or texts such as `'1mb'`. What is wrong throws a SluiceError when
 * the application starts.
 *
 * @example
 * ```ts
 * sluice.cache('5m', { tags: ['cities'], query: ['q', 'page'], staleIfError: '1d' })
 * ```
 */
export interface CacheOptions {
  /**
   * How long a response is fresh on this server. With it the route decides (and the handler's `no-store`, `private` and
   * `no-cache` still win); without it the handler's own Cache-Control does (RFC 9111). Whoever changes what is behind it
   * purges, or it is old for so long. Default: none.
   */
  ttl?: Duration | undefined
  /**
   * How long browsers may use a success without asking (`max-age`); never longer than it is fresh here. Needs a `ttl`.
   * **A purge does not reach them before that.** Default `0`: they ask each time.
   */
  clientTtl?: Duration | undefined
  /**
   * How long a CDN may use a success without asking (`CDN-Cache-Control`, RFC 9213); never longer than it is fresh here,
   * and nothing of what is `private`. Needs a `ttl`. **A purge here does not reach it before that.** Default: it is told
   * nothing.
   */
  cdnTtl?: Duration | undefined
  /**
   * How long past its freshness a response may be served while it is refreshed behind it, for GET (RFC 5861 §3). Visitors
   * see what is so much older. Default: what the response itself says, else `0`.
   */
  staleWhileRevalidate?: Duration | undefined
  /**
   * How long past its freshness it may be served in place of an error: a throw, a 5xx, a timeout (RFC 5861 §4). It hides
   * errors from visitors, not from the `stale-served` event. Default: what the response itself says, else `0`.
   */
  staleIfError?: Duration | undefined
  /**
   * How long a 404 or 410 is stored. Needs a `ttl`. What is made meanwhile is not found until then, or a purge. Default:
   * not at all.
   */
  negativeTtl?: Duration | undefined
  /**
   * Takes up to this share off each TTL, at random, so that entries filled together do not expire together: `0` to `1`.
   * Needs a `ttl`. Default `0`.
   */
  jitter?: number | undefined
  /**
   * Refreshes a hot entry in the background before it expires, the more likely the nearer its end and the dearer its
   * handler (XFetch, Vattani et al. 2015). The number is the paper's beta, `0` to below `1000`; `1` suits most. Default
   * `0`: off.
   */
  earlyRefresh?: number | undefined
  /**
   * Names under which `purge` and `expire` find it, or a function of the response that answers them. One that throws
   * keeps it from being stored. Default: none.
   */
  tags?: readonly string[] | ((r: ResponseContext) => readonly string[]) | undefined
  /**
   * The query parameters that shape the answer; all others are left out of the key. **A handler must not read them**:
   * only reads of `paginate` and `fields` are noticed. Their values are those of the application's own parser. Order
   * between names does not matter. Default: the whole query as it was sent.
   */
  query?: readonly string[] | undefined
  /**
   * What else the answer depends on: field names, or functions such as `by.user`. Each value gets its own entry, and the
   * handler may read what they read. Default: nothing.
   */
  varyBy?: string | KeyFunction | readonly (string | KeyFunction)[] | undefined
  /**
   * A key of your own in place of path and query. The route's pattern stays part of it. **Requests it gives the same text
   * get the same answer.** Nothing is stored where it answers `undefined`. Default: none.
   */
  key?: KeyFunction | undefined
  /**
   * The answer is the same for everybody: may be stored for, and served to, requests with credentials, and no second
   * visitor has to confirm it. **Unsafe** where the handler looks at who asks. Default `false`.
   */
  public?: boolean | undefined
  /** Requests the cache is to leave alone; one that throws counts as `true`. Default: none. */
  unless?: ((c: RequestContext) => boolean) | undefined
  /** Responses that may be stored; asked after every other rule. One that throws counts as `false`. Default: all. */
  storeIf?: ((r: ResponseContext) => boolean) | undefined
  /**
   * Methods that are looked up and stored. `QUERY` and `POST` take the parsed body into the key. Default `['GET',
   * 'HEAD']`.
   */
  methods?: readonly ('GET' | 'HEAD' | 'QUERY' | 'POST')[] | undefined
  /**
   * Bodies above this go through and are not stored. One that comes in pieces is held so far in memory. Default `'1mb'`.
   */
  maxEntryBytes?: ByteSize | undefined
  /**
   * How long others wait for one fill; where it is given, also how long a handler may take before a stale response stands
   * in. Default `'10s'`.
   */
  timeout?: Duration | undefined
  /**
   * Obey the request's own Cache-Control (`no-cache`, `max-age`, `only-if-cached`, …). **Unsafe** on the open internet:
   * any client can then send every request to the handler. Default `false`.
   */
  honourRequest?: boolean | undefined
  /**
   * Guess a freshness of 10 % of the time since Last-Modified where the handler says none (RFC 9111 §4.2.2). Default
   * `false`.
   */
  heuristic?: boolean | undefined
  /**
   * What the handler reads of the request is part of what its answer is found again by; where it is somebody's
   * (credentials, a user, an address) or cannot be told, the answer is not stored (`true`). `{ ignore }`: fields, or
   * places such as `req.t`, that do not shape it. `'warn'`, `'off'` (`false`): **unsafe**, one user's answer may go to
   * another. Default: `true` with a `ttl`, `'off'` without.
   */
  guard?: boolean | 'warn' | 'off' | { readonly ignore: readonly string[] } | undefined
  /**
   * What this route's handler answers is given to visitors with other credentials only when two of them were given the
   * same: one more run of the handler per key. `false`: as soon as it is stored. **Unsafe** where something the watch
   * cannot see shapes the answer (AsyncLocalStorage, a closure). Not asked where `public` or the handler's own
   * Cache-Control say that it is everybody's. Default `true`.
   */
  witness?: boolean | undefined
  /**
   * How many answers of one key are kept, told apart by what the handler read of the request: 1 or more. Of more, none is
   * stored, and the advice tells how to have fewer. Each takes memory. Default `16`.
   */
  maxVariants?: number | undefined
  /**
   * The cookies that can shape an answer. The handler sees these and no others, so that a visitor with cookies of an
   * analytics script is no different from one without, nor a second witness of what was made for himself. **Behind the
   * cache the others do not exist**, while it stores: name those of sessions and CSRF tokens too. Default: all.
   */
  cookies?: readonly string[] | undefined
  /**
   * The entity tag of answers whose handler gave none: `true`: a hash of the body; `false`: none; or a function of the
   * bytes that answers an opaque tag, without quotes. Without a tag clients are sent the whole each time; from a function
   * that gives two bodies one tag they keep the wrong one. Default `true`.
   */
  etag?: boolean | ((body: Uint8Array) => string) | undefined
  /**
   * What stands in front of this route in the application (logging, authentication, limits, headers) need not run for a hit:
   * `sluice.front(app)` then answers it before the framework has seen the request. **Unsafe** where something in front decides
   * who may see the answer. Limits of this instance and the fields of middleware are kept: see docs/guide/front.md. Default
   * `false`.
   */
  front?: boolean | undefined
  /** The name `Cache-Status` and `stats()` use for this cache. Default `'Sluice'`. */
  name?: string | undefined
  /** Put the key into `Cache-Status`. **Unsafe** in public: it shows what the key is made of. Default `false`. */
  showKey?: boolean | undefined
  /**
   * Targeted fields that overrule Cache-Control, in order (RFC 9213). Default `['Sluice-Cache-Control',
   * 'CDN-Cache-Control']`.
   */
  targets?: readonly string[] | undefined
}

/** Options of the store itself, beside the defaults for routes. */
export interface CacheSettings extends CacheOptions {
  /**
   * How much memory the in-memory store may take: bodies, heads, keys and bookkeeping. Beyond it, what is asked for least
   * leaves, what took long to make and takes little room last (W-TinyLFU, Einziger et al., ACM TOS 2017).
   * Default `'64mb'`.
   */
  maxBytes?: ByteSize | undefined
}

/** A route's options, resolved once. Frozen; the hot path reads only this. */
export interface CachePolicy {
  /** Who decides on freshness: the route's TTL, or the handler's fields. */
  readonly mode: 'route' | 'handler'
  readonly ttlMs: number
  readonly clientTtlMs: number
  readonly cdnTtlMs: number | undefined
  readonly staleWhileRevalidateMs: number | undefined
  readonly staleIfErrorMs: number | undefined
  readonly negativeTtlMs: number | undefined
  readonly jitter: number
  readonly earlyRefresh: number
  readonly tags: readonly string[] | ((r: ResponseContext) => readonly string[])
  readonly query: readonly string[] | undefined
  readonly varyFields: readonly string[]
  readonly varyFunctions: readonly KeyFunction[]
  readonly key: KeyFunction | undefined
  readonly public: boolean
  readonly unless: ((c: RequestContext) => boolean) | undefined
  readonly storeIf: ((r: ResponseContext) => boolean) | undefined
  readonly methods: readonly string[]
  readonly maxEntryBytes: number
  readonly timeoutMs: number
  /** Whether `timeout` was given: only then does a slow handler count as an error. */
  readonly timeoutGiven: boolean
  readonly honourRequest: boolean
  readonly heuristic: boolean
  readonly guard: 'on' | 'warn' | 'off'
  readonly ignored: ReadonlySet<string>
  readonly witness: boolean
  readonly maxVariants: number
  readonly cookies: readonly string[] | undefined
  readonly etag: boolean | ((body: Uint8Array) => string)
  readonly front: boolean
  readonly name: string
  readonly showKey: boolean
  readonly targets: readonly string[]
  /** How the instance names signed-in users. */
  readonly identity?: Identity | undefined
  /**
   * Leads every key: two caches that decide differently about one URL never share an entry. The same in every process.
   */
  readonly keyPrefix: string
}

const duration = rule.readableBy(durationMs)
const token = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i

const fieldNames = (value: unknown): string | undefined =>
  Array.isArray(value) && value.every((v) => typeof v === 'string' && token.test(v))
    ? undefined
    : 'must be an array of field names'

/** Field names, and places such as `req.t` or `res.locals.title`. */
const ignorable = (value: unknown): string | undefined =>
  Array.isArray(value) && value.every((v) => typeof v === 'string' && /^[^\s,;]+$/.test(v))
    ? undefined
    : 'must be an array of field names'

const varyRule = (value: unknown): string | undefined => {
  const parts = Array.isArray(value) ? value : [value]
  return parts.every((p) => typeof p === 'function' || (typeof p === 'string' && token.test(p)))
    ? undefined
    : 'must be a field name, a function such as by.user, or an array of these'
}

const guardRule = (value: unknown): string | undefined => {
  if (typeof value === 'boolean' || value === 'warn' || value === 'off') return undefined
  const isObject = typeof value === 'object' && value !== null && Object.keys(value).every((k) => k === 'ignore')
  return isObject && ignorable((value as { ignore?: unknown }).ignore) === undefined
    ? undefined
    : "must be true, false, 'warn', 'off' or { ignore: [field names] }"
}

const routeSchema: Schema<CacheOptions> = {
  ttl: duration,
  clientTtl: duration,
  cdnTtl: duration,
  staleWhileRevalidate: duration,
  staleIfError: duration,
  negativeTtl: duration,
  jitter: rule.fraction,
  earlyRefresh: (v) => (typeof v === 'number' && v >= 0 && v < 1000 ? undefined : 'must be a number of 0 or more'),
  tags: rule.either(rule.strings, rule.function),
  query: rule.strings,
  varyBy: varyRule,
  key: rule.function,
  public: rule.boolean,
  unless: rule.function,
  storeIf: rule.function,
  methods: (v) =>
    Array.isArray(v) && v.length > 0 && v.every((m) => ['GET', 'HEAD', 'QUERY', 'POST'].includes(m))
      ? undefined
      : "must be an array of 'GET', 'HEAD', 'QUERY' and 'POST'",
  maxEntryBytes: rule.readableBy(byteSize),
  timeout: duration,
  honourRequest: rule.boolean,
  heuristic: rule.boolean,
  guard: guardRule,
  witness: rule.boolean,
  maxVariants: rule.positiveInteger,
  cookies: (v) =>
    Array.isArray(v) && v.every((name) => typeof name === 'string' && token.test(name))
      ? undefined
      : 'must be an array of cookie names',
  etag: rule.either(rule.boolean, rule.function),
  front: rule.boolean,
  name: (v) =>
    typeof v === 'string' && /^[\x20-\x7e]+$/.test(v) ? undefined : 'must be a non-empty string of printable ASCII',
  showKey: rule.boolean,
  targets: fieldNames,
}

const settingsSchema: Schema<CacheSettings> = {
  ...routeSchema,
  maxBytes: rule.readableBy(byteSize),
}

/** Checks `createSluice({ cache })`. @throws SluiceError */
export function checkCacheSettings(settings: CacheSettings): void {
  checkOptions('cache', settings, settingsSchema)
}

/**
 * Resolves a route's options over the defaults of the instance.
 *
 * @throws SluiceError `ERR_SLUICE_OPTION` or `ERR_SLUICE_UNIT`, naming option, rule and value
 */
export function resolveCachePolicy(options: CacheOptions, defaults: CacheSettings = {}): CachePolicy {
  checkOptions('cache', options, routeSchema)
  const o = merge(defaults, options)
  const ms = (name: keyof CacheOptions): number | undefined =>
    o[name] === undefined ? undefined : durationMs(`cache.${name}`, o[name] as Duration)
  const ttlMs = ms('ttl')
  const mode = ttlMs === undefined ? 'handler' : 'route'
  const vary = o.varyBy === undefined ? [] : Array.isArray(o.varyBy) ? o.varyBy : [o.varyBy as string | KeyFunction]
  const methods = new Set<string>(o.methods ?? ['GET', 'HEAD'])
  if (methods.has('GET')) methods.add('HEAD')
  if (mode === 'handler') {
    for (const name of ['clientTtl', 'cdnTtl', 'negativeTtl', 'jitter'] as const) {
      if (options[name] !== undefined) throw optionError(`cache.${name}`, 'needs a `ttl` beside it', options[name])
    }
  }
  const guard = guardMode(o.guard, mode)
  return Object.freeze({
    keyPrefix: keyPrefix(o, mode, guard),
    mode,
    ttlMs: ttlMs ?? 0,
    clientTtlMs: ms('clientTtl') ?? 0,
    cdnTtlMs: ms('cdnTtl'),
    staleWhileRevalidateMs: ms('staleWhileRevalidate'),
    staleIfErrorMs: ms('staleIfError'),
    negativeTtlMs: ms('negativeTtl'),
    jitter: o.jitter ?? 0,
    earlyRefresh: o.earlyRefresh ?? 0,
    tags: Array.isArray(o.tags) ? [...o.tags] : (o.tags ?? []),
    query: o.query && [...o.query],
    varyFields: vary.filter((v): v is string => typeof v === 'string').map((v) => v.toLowerCase()),
    varyFunctions: vary.filter((v): v is KeyFunction => typeof v === 'function'),
    key: o.key,
    public: o.public ?? false,
    unless: o.unless,
    storeIf: o.storeIf,
    methods: [...methods],
    maxEntryBytes: byteSize('cache.maxEntryBytes', o.maxEntryBytes ?? '1mb'),
    timeoutMs: ms('timeout') ?? 10_000,
    timeoutGiven: o.timeout !== undefined,
    honourRequest: o.honourRequest ?? false,
    heuristic: o.heuristic ?? false,
    guard,
    ignored: new Set(typeof o.guard === 'object' ? o.guard.ignore.map((f) => f.toLowerCase()) : []),
    witness: o.witness ?? true,
    maxVariants: o.maxVariants ?? 16,
    cookies: o.cookies && [...o.cookies],
    etag: o.etag ?? true,
    front: o.front ?? false,
    name: o.name ?? 'Sluice',
    showKey: o.showKey ?? false,
    targets: (o.targets ?? ['sluice-cache-control', 'cdn-cache-control']).map((t) => t.toLowerCase()),
  })
}

function guardMode(guard: CacheOptions['guard'], mode: CachePolicy['mode']): CachePolicy['guard'] {
  if (guard === undefined) return mode === 'route' ? 'on' : 'off'
  if (guard === 'warn') return 'warn'
  return guard === false || guard === 'off' ? 'off' : 'on'
}

/** What two caches that decide differently about one URL differ in. */
function keyPrefix(o: CacheOptions, mode: CachePolicy['mode'], guard: CachePolicy['guard']): string {
  const unsafe = `${o.public ? 'public' : ''}${o.witness === false ? 'alone' : ''}`
  const cookies = o.cookies ? joinParts([...o.cookies].sort()) : undefined
  return joinParts([o.name, mode, guard, unsafe === '' ? undefined : unsafe, cookies, ...(o.query ?? [])])
}

/** `undefined` in the upper object does not hide a default. */
function merge(defaults: CacheOptions, options: CacheOptions): CacheOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return { ...defaults, ...Object.fromEntries(given) }
}
