import { parseHttpDate } from '../fields/http-date.ts'
import { parseEntityTags, strongMatch, weakMatch } from './etag.ts'

/** `send` the whole response, answer 304 (`not-modified`), or answer 412 (`failed`). */
export type ConditionalOutcome = 'send' | 'not-modified' | 'failed'

/** The representation a precondition is evaluated against. */
export interface Selected {
  /** Entity tags of the representation, one per content coding it is held in. Any of them stands for it. */
  readonly etags: readonly string[]
  readonly lastModified: string | undefined
  /** Its `Date`, milliseconds since the epoch: stands in for `Last-Modified` in a cache (RFC 9111 §4.3.2). */
  readonly dateMs: number
}

type Header = (name: string) => string | undefined

/**
 * What a 304 repeats of the fields the 200 would have had (RFC 9110 §15.4.5), and what a cache adds to every response.
 * `Last-Modified` and the rest of the metadata are left out: the client has them.
 */
const named304: ReadonlySet<string> = new Set([
  'content-location',
  'date',
  'etag',
  'vary',
  'cache-control',
  'expires',
  // RFC 9111 §5.1, RFC 9211 §2, RFC 9213 §3
  'age',
  'cache-status',
  'cdn-cache-control',
])

/**
 * Whether a 304 has a field that the 200 has: those of RFC 9110 §15.4.5, and what browsers ask of every answer before
 * they show it to a script, that of a confirmation included.
 */
export function isField304(name: string): boolean {
  const lower = name.toLowerCase()
  return named304.has(lower) || lower.startsWith('access-control-') || lower.startsWith('cross-origin-')
}

/**
 * How a cache answers from a stored response (RFC 9111 §4.3.2): `If-None-Match`, else `If-Modified-Since`. `If-Match` and
 * `If-Unmodified-Since` are for origin servers only. Never `failed`.
 *
 * Ask only for a stored 2xx response (RFC 9110 §13.2.1). For GET, HEAD and QUERY (RFC 10008 §2); other methods get
 * `send`.
 */
export function evaluateConditional(method: string, header: Header, selected: Selected): ConditionalOutcome {
  if (!retrieves(method)) return 'send'
  const noneMatch = header('if-none-match')
  // RFC 9110 §13.1.3: with If-None-Match, be it malformed, If-Modified-Since is ignored.
  if (noneMatch !== undefined) return matchesWeakly(noneMatch, selected) ? 'not-modified' : 'send'
  const since = header('if-modified-since')
  if (since === undefined) return 'send'
  const modifiedMs = parseHttpDate(selected.lastModified, selected.dateMs) ?? selected.dateMs
  return notModifiedSince(since, modifiedMs, selected.dateMs) ? 'not-modified' : 'send'
}

/**
 * All preconditions, in the order of RFC 9110 §13.2.2, as the origin server evaluates them before it acts.
 *
 * @param selected - the current representation; `undefined` where there is none
 */
export function evaluatePreconditions(
  method: string,
  header: Header,
  selected: Selected | undefined,
): ConditionalOutcome {
  const nowMs = selected?.dateMs ?? 0
  const modifiedMs = parseHttpDate(selected?.lastModified, nowMs)

  // Steps 1 and 2
  const match = header('if-match')
  if (match !== undefined) {
    if (!matchesStrongly(match, selected)) return 'failed'
  } else {
    // §13.1.4: ignored if it is not a date, or if the representation has no date of modification.
    const sinceMs = parseHttpDate(header('if-unmodified-since'), nowMs)
    if (sinceMs !== undefined && modifiedMs !== undefined && modifiedMs > sinceMs) return 'failed'
  }

  // Steps 3 and 4
  const noneMatch = header('if-none-match')
  if (noneMatch !== undefined) {
    if (!matchesWeakly(noneMatch, selected)) return 'send'
    return retrieves(method) ? 'not-modified' : 'failed'
  }
  const since = header('if-modified-since')
  if (since === undefined || modifiedMs === undefined || !retrieves(method)) return 'send'
  return notModifiedSince(since, modifiedMs, nowMs) ? 'not-modified' : 'send'
}

/** QUERY is conditional as GET is: its result is what is selected (RFC 10008). */
function retrieves(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'QUERY'
}

/** RFC 9110 §13.1.2: `*` matches any current representation; tags compare weakly. */
function matchesWeakly(value: string, selected: Selected | undefined): boolean {
  if (selected === undefined) return false
  const tags = parseEntityTags(value)
  return tags === '*' || tags.some((tag) => selected.etags.some((etag) => weakMatch(tag, etag)))
}

/** RFC 9110 §13.1.1: `*` matches any current representation; tags compare strongly. */
function matchesStrongly(value: string, selected: Selected | undefined): boolean {
  if (selected === undefined) return false
  const tags = parseEntityTags(value)
  return tags === '*' || tags.some((tag) => selected.etags.some((etag) => strongMatch(tag, etag)))
}

/** RFC 9110 §13.1.3: what is not a date is ignored. */
function notModifiedSince(since: string, modifiedMs: number, nowMs: number): boolean {
  const sinceMs = parseHttpDate(since, nowMs)
  // Dates of HTTP have no fractions of a second.
  return sinceMs !== undefined && Math.floor(modifiedMs / 1000) * 1000 <= sinceMs
}
