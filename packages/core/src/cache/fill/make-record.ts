import type { RequestView } from '../../exchange/request-view.ts'
import { parseAge } from '../../http/caching/age.ts'
import { type CacheControl, parseCacheControl } from '../../http/caching/cache-control.ts'
import { freshness } from '../../http/caching/freshness.ts'
import { unstoredFields } from '../../http/caching/unstored-fields.ts'
import { displayName } from '../../http/fields/field-case.ts'
import type { Fields } from '../../http/fields/fields.ts'
import { parseHttpDate } from '../../http/fields/http-date.ts'
import { trimOws } from '../../http/fields/lists.ts'
import { splitAuthority } from '../../http/locate.ts'
import { isNegotiated } from '../../http/selection/codings.ts'
import { isEntityTag, strongTag } from '../../http/selection/etag.ts'
import type { CacheRecord, RecordTarget } from '../entry/record.ts'
import { type RouteParams, serializeParams } from '../entry/record-tags.ts'
import { recordWith } from '../entry/record-with.ts'
import type { CachePolicy } from '../policy/options.ts'

/** From when until when a response may be used: everything a record says about time. */
export type Lifetime = Pick<
  CacheRecord,
  | 'storedAt'
  | 'dateMs'
  | 'initialAgeMs'
  | 'staleAt'
  | 'whileRevalidateUntil'
  | 'ifErrorUntil'
  | 'deleteAt'
  | 'mustRevalidate'
>

export interface Times {
  /** `Clock.now()` when the request went to the handler, and when its answer came. */
  readonly startedAt: number
  readonly now: number
  /** The calendar now, for `Date`. */
  readonly wall: number
}

/** What one response says of itself, read once per fill. */
export interface ResponseTerms {
  readonly lifetimeMs: number
  readonly explicit: boolean
  readonly mustRevalidate: boolean
  /** The field that governs, for the other rules. */
  readonly directives: CacheControl
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
}

/** How long a record with a validator outlives its freshness, to be confirmed with a 304 instead of sent anew. */
const confirmableMs = 3_600_000

/**
 * How long a response is fresh, and what may be done with it after that. On a route with a TTL the route says how long;
 * what the response forbids (`no-cache`, `must-revalidate`) it still forbids.
 *
 * @param given.overrideMs - what the handler asked for with `.ttl()`
 */
export function responseTerms(
  response: { readonly status: number; readonly fields: Fields },
  policy: CachePolicy,
  { overrideMs, wall }: { readonly overrideMs: number | undefined; readonly wall: number },
): ResponseTerms {
  const said = freshness(response, { targets: policy.targets, heuristic: policy.heuristic, nowMs: wall })
  const negative = policy.mode === 'route' && (response.status === 404 || response.status === 410)
  const routeMs = policy.mode === 'route' ? (negative ? policy.negativeTtlMs : policy.ttlMs) : undefined
  const lifetimeMs = overrideMs ?? routeMs ?? said.lifetimeMs
  // Under a route's TTL a `no-cache` that names fields forbids as one that does not: what goes out of such a route is
  // advertised anew, and further caches would keep what this one leaves out.
  const noCache = policy.mode === 'route' ? said.directives.has('no-cache') : said.noCache
  const forbidden = said.neverStale || noCache
  const whileRevalidate = policy.staleWhileRevalidateMs ?? said.staleWhileRevalidateMs ?? 0
  const ifError = policy.staleIfErrorMs ?? said.staleIfErrorMs ?? 0
  return {
    lifetimeMs: noCache ? 0 : lifetimeMs,
    explicit: overrideMs !== undefined || routeMs !== undefined || said.explicit,
    mustRevalidate: forbidden,
    directives: said.directives,
    staleWhileRevalidateMs: forbidden ? 0 : whileRevalidate,
    staleIfErrorMs: forbidden || said.neverStaleOnError ? 0 : ifError,
  }
}

/** What the moments of a record are made of. */
interface LifetimeSource {
  readonly fields: Fields
  readonly terms: ResponseTerms
  readonly policy: CachePolicy
  readonly times: Times
}

/** Turns terms into moments. `jitter` takes a random share off the lifetime. */
export function lifetimeOf({ fields, terms, policy, times }: LifetimeSource, hasValidator: boolean): Lifetime {
  const { now, wall, startedAt } = times
  const date = parseHttpDate(fields.lines('date')[0], wall) ?? wall
  // RFC 9111 §4.2.3. On a route with a TTL the clock starts here; otherwise the age it came with counts.
  const apparentMs = Math.max(0, wall - date)
  const receivedMs = parseAge(fields.get('age')) * 1000 + (fields.has('age') ? now - startedAt : 0)
  const initialAgeMs = policy.mode === 'route' ? 0 : Math.max(apparentMs, receivedMs)
  const jittered = terms.lifetimeMs * (1 - policy.jitter * Math.random())
  const staleAt = now + Math.max(0, Math.floor(jittered - initialAgeMs))
  const whileRevalidateUntil = staleAt + terms.staleWhileRevalidateMs
  const ifErrorUntil = staleAt + terms.staleIfErrorMs
  const confirmableUntil = hasValidator ? staleAt + confirmableMs : staleAt
  return {
    storedAt: now,
    dateMs: Math.min(date, wall),
    initialAgeMs,
    staleAt,
    whileRevalidateUntil,
    ifErrorUntil,
    deleteAt: Math.max(whileRevalidateUntil, ifErrorUntil, confirmableUntil),
    mustRevalidate: terms.mustRevalidate,
  }
}

/** What a record is made of, when the whole body is there. */
export interface RecordSource {
  readonly view: RequestView
  readonly policy: CachePolicy
  readonly status: number
  /** The reason phrase, where the handler gave one of its own. */
  readonly reason?: string | undefined
  /** Fields of earlier middleware that it took away. */
  readonly without?: readonly string[] | undefined
  /** The handler's own fields, as they are to be stored. */
  readonly fields: Fields
  readonly body: Uint8Array
  readonly terms: ResponseTerms
  readonly times: Times
  readonly tags: readonly string[]
  readonly shared: boolean
}

export function makeRecord(source: RecordSource): CacheRecord {
  const { fields, body, policy, times } = source
  const given = fields.get('etag')
  const tag = given !== undefined && isEntityTag(given) ? given : undefined
  // A tag made of a part's bytes would be the tag of something else.
  const etag = tag ?? (source.status === 206 ? undefined : madeTag(body, policy.etag))
  const hasValidator = source.status === 200 && (tag !== undefined || fields.has('last-modified'))
  return {
    kind: 'record',
    status: source.status,
    fields: storedFields(fields, source.terms.directives),
    forms: [{ coding: codingOf(fields), body, etag }],
    ownTag: tag === undefined,
    fillMs: times.now - times.startedAt,
    shared: source.shared,
    tags: source.tags,
    target: targetOf(source.view, policy),
    reason: source.reason,
    without: source.without?.length ? source.without : undefined,
    ...lifetimeOf(source, hasValidator),
  }
}

/** @param how - the route's `etag` */
function madeTag(body: Uint8Array, how: CachePolicy['etag']): string | undefined {
  if (typeof how === 'boolean') return how ? strongTag(body) : undefined
  const tag = `"${how(body)}"`
  if (!isEntityTag(tag))
    throw new TypeError(`\`etag\` must answer text without quotes, spaces and controls, not ${tag}`)
  return tag
}

/**
 * The record a 304 leaves behind (RFC 9111 §4.3.4): the stored response under the fields the 304 brought, but for
 * Content-Length and what describes the body, fresh again.
 */
export function confirmRecord(stale: CacheRecord, confirmation: LifetimeSource): CacheRecord {
  const { fields, terms, times } = confirmation
  const update = storedFields(fields, terms.directives)
  const replaced = new Set(update.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()))
  const kept: string[] = []
  for (let i = 0; i < stale.fields.length; i += 2) {
    if (!replaced.has(stale.fields[i]!.toLowerCase())) kept.push(stale.fields[i]!, stale.fields[i + 1]!)
  }
  return recordWith(stale, {
    fields: [...kept, ...update],
    // The forms are shared between the two records, their remembered heads must not be.
    forms: stale.forms.map(({ coding, body, etag, best }) => ({ coding, body, etag, best })),
    fillMs: times.now - times.startedAt,
    ...lifetimeOf(confirmation, true),
  })
}

/**
 * The content codings of the body as the handler left it, in lower case. `identity` also for one that nobody negotiates:
 * that is a field like any other.
 */
export function codingOf(fields: Fields): string {
  const given = fields.get('content-encoding')
  return given !== undefined && isNegotiated(given) ? trimOws(given).toLowerCase() : 'identity'
}

/** A flat list, with the fields left out that a hit computes, or that were one connection's or one client's. */
function storedFields(fields: Fields, governing: CacheControl): string[] {
  const left = unstoredFields(fields, governing)
  const flat: string[] = []
  for (const [name, value] of fields) {
    if (!left.has(name) && !isOfForm(name, value)) flat.push(displayName(name), value)
  }
  return flat
}

/** Whether a field belongs to the form and not to the response: each coding has its own. */
function isOfForm(name: string, value: string): boolean {
  return name === 'etag' || name === 'content-length' || (name === 'content-encoding' && isNegotiated(value))
}

/** What a response to this request answers. */
export function targetOf(view: RequestView, policy: CachePolicy): RecordTarget {
  const params = view.property('params')
  return {
    scheme: view.scheme,
    // Whatever the port: an invalidation that names another one must not miss it.
    authority: splitAuthority(view.authority).host,
    path: view.path,
    query: policy.query || policy.key ? undefined : view.query,
    route: view.route,
    params: typeof params === 'object' && params !== null ? serializeParams(params as RouteParams) : undefined,
  }
}

/** Whether the response allows itself to be shared between clients who sent credentials (RFC 9111 §3.5). */
export function allowsAuthorization(fields: Fields): boolean {
  const control = parseCacheControl(fields.get('cache-control'))
  return control.has('public') || control.has('s-maxage') || control.has('must-revalidate')
}
