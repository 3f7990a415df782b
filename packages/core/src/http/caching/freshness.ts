import type { Fields } from '../fields/fields.ts'
import { parseHttpDate } from '../fields/http-date.ts'
import { parseDictionary } from '../structured/parse.ts'
import type { SfMember } from '../structured/types.ts'
import { type CacheControl, cacheControlOf, type Directive, parseCacheControl } from './cache-control.ts'
import { withheldFields } from './unstored-fields.ts'

/** How long a response may be used, and what may be done with it after that. */
export interface Freshness {
  /**
   * Milliseconds from the response's `Date` (RFC 9111 §4.2.1). 0 where nothing says so, and 0 under `no-cache`: a response
   * that must be revalidated each time is never fresh.
   */
  readonly lifetimeMs: number
  /** Whether the response says how long itself, 0 included. False for a heuristic. */
  readonly explicit: boolean
  /** What decided: `s-maxage`, `max-age`, `expires`, `heuristic`, `none`, or the name of the targeted field. */
  readonly source: string
  /** The directives of the field that governs: the first valid targeted field, else `Cache-Control`. */
  readonly directives: CacheControl
  /** RFC 5861 §3. `undefined` where the response does not say. */
  readonly staleWhileRevalidateMs: number | undefined
  /** RFC 5861 §4. `undefined` where the response does not say. */
  readonly staleIfErrorMs: number | undefined
  /**
   * `must-revalidate`, `proxy-revalidate`, or `s-maxage`, which implies the latter (RFC 9111 §5.2.2.10). To ask whether it
   * may be served stale, ask `neverStale` and `neverStaleOnError`.
   */
  readonly mustRevalidate: boolean
  /** RFC 9111 §5.2.2.4. The qualified form speaks of fields only ({@link withheldFields}) and leaves the rest to be used. */
  readonly noCache: boolean
  /**
   * `must-revalidate`, `proxy-revalidate` or `no-cache`: never served stale, for whatever reason (RFC 9111 §4.2.4).
   * `s-maxage` is not among them, because `s-maxage=60, stale-while-revalidate=30` is how people write it for every CDN.
   */
  readonly neverStale: boolean
  /** `neverStale` or `s-maxage`: never served in place of an error (RFC 9111 §5.2.2.10, RFC 5861 §4). */
  readonly neverStaleOnError: boolean
}

export interface FreshnessOptions {
  /** Names of targeted fields, the most specific first (RFC 9213 §2.2). */
  readonly targets: readonly string[]
  /** Whether to guess where the response does not say (RFC 9111 §4.2.2). */
  readonly heuristic: boolean
  /** When the response was received: stands in for a missing `Date` (RFC 9110 §6.6.1). */
  readonly nowMs: number
}

/**
 * Statuses whose freshness may be guessed (RFC 9110 §15.1), but for 206. Of others it may be where the response says
 * `public` (RFC 9111 §4.2.2).
 */
export const heuristicStatuses: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])

/** The longest guess: a day. A document of ten years would otherwise be fresh for one. */
export const maxHeuristicMs: number = 86_400_000

/**
 * The freshness lifetime of a response as a shared cache sees it (RFC 9111 §4.2.1): the first valid targeted field
 * alone (RFC 9213 §2.2), else `s-maxage`, `max-age`, `Expires` − `Date`, else, where asked for, a heuristic.
 *
 * @example
 * ```ts
 * freshness({ status: 200, fields: Fields.from({ 'cache-control': 's-maxage=60' }) },
 *   { targets: [], heuristic: false, nowMs: 0 }).lifetimeMs // 60000
 * ```
 */
export function freshness(head: { status: number; fields: Fields }, options: FreshnessOptions): Freshness {
  const { field, directives } = governing(head.fields, options.targets)
  const { lifetimeMs, source, explicit } = lifetime(head, directives, options)
  const revalidate = directives.has('must-revalidate') || directives.has('proxy-revalidate')
  const shared = directives.has('s-maxage')
  const noCache = directives.has('no-cache') && withheldFields(directives, 'no-cache') === undefined
  const ms = (directive: string): number | undefined => {
    const seconds = directives.seconds(directive)
    return seconds === undefined ? undefined : seconds * 1000
  }
  return {
    lifetimeMs: noCache ? 0 : lifetimeMs,
    explicit,
    source: directives.targeted && explicit ? field : source,
    directives,
    staleWhileRevalidateMs: ms('stale-while-revalidate'),
    staleIfErrorMs: ms('stale-if-error'),
    mustRevalidate: revalidate || shared,
    noCache,
    neverStale: revalidate || noCache,
    neverStaleOnError: revalidate || noCache || shared,
  }
}

/**
 * The field whose directives count: the first of `targets` that is present, valid and not empty, else `Cache-Control`
 * (RFC 9213 §2.2).
 */
export function governing(fields: Fields, targets: readonly string[]): { field: string; directives: CacheControl } {
  for (const target of targets) {
    const value = fields.get(target)
    const dictionary = value === undefined ? undefined : parseDictionary(value)
    if (dictionary && dictionary.size > 0) {
      return { field: target.toLowerCase(), directives: cacheControlOf(directivesOf(dictionary), true) }
    }
  }
  return { field: 'cache-control', directives: parseCacheControl(fields.get('cache-control')) }
}

/** RFC 9213 §2.1: a number must be an Integer and field names a String; a value of another type is unreadable. */
function directivesOf(dictionary: ReadonlyMap<string, SfMember>): Directive[] {
  const list: Directive[] = []
  for (const [name, member] of dictionary) {
    if (member.type === 'boolean') {
      // `?0` says in so many words that the directive does not hold.
      if (member.value) list.push({ name, argument: undefined })
    } else if (member.type === 'integer') list.push({ name, argument: String(member.value) })
    // A String of digits is not an Integer: quoting seconds is a mistake here, other than in Cache-Control.
    else if (member.type === 'string' && !/^[0-9]*$/.test(member.value)) list.push({ name, argument: member.value })
    else list.push({ name, argument: null })
  }
  return list
}

type Lifetime = Pick<Freshness, 'lifetimeMs' | 'source' | 'explicit'>

function lifetime(
  { status, fields }: { status: number; fields: Fields },
  directives: CacheControl,
  { heuristic, nowMs }: FreshnessOptions,
): Lifetime {
  // RFC 9111 §5.2.2.10: in a shared cache s-maxage overrides max-age and Expires.
  for (const source of ['s-maxage', 'max-age']) {
    const seconds = directives.seconds(source)
    if (seconds !== undefined) return { lifetimeMs: seconds * 1000, source, explicit: true }
  }
  const dateMs = parseHttpDate(fields.lines('date')[0], nowMs) ?? nowMs
  // RFC 9213 §2.2: under a targeted field Expires is ignored like Cache-Control.
  if (!directives.targeted && fields.has('expires')) {
    return { lifetimeMs: untilExpiry(fields.lines('expires'), dateMs, nowMs), source: 'expires', explicit: true }
  }
  // RFC 9111 §4.2.2: a status that is cacheable by default, or what is marked as cacheable.
  const guessable = heuristicStatuses.has(status) || directives.has('public')
  const guessMs = heuristic && guessable ? guess(fields, dateMs, nowMs) : 0
  return { lifetimeMs: guessMs, source: guessMs > 0 ? 'heuristic' : 'none', explicit: false }
}

/** RFC 9111 §5.3: an invalid date, `0` above all, is one in the past. Of several the earliest (§4.2.1). */
function untilExpiry(lines: readonly string[], dateMs: number, nowMs: number): number {
  const times = lines.map((line) => parseHttpDate(line, nowMs) ?? Number.NEGATIVE_INFINITY)
  return Math.max(0, Math.min(...times) - dateMs)
}

/** RFC 9111 §4.2.2: a tenth of the time since the last modification. */
function guess(fields: Fields, dateMs: number, nowMs: number): number {
  const modifiedMs = parseHttpDate(fields.lines('last-modified')[0], nowMs)
  if (modifiedMs === undefined || modifiedMs >= dateMs) return 0
  return Math.min(Math.floor((dateMs - modifiedMs) / 10), maxHeuristicMs)
}
