import type { RequestView } from '../../exchange/request-view.ts'
import { parseCacheControl } from '../../http/caching/cache-control.ts'
import type { CacheRecord } from '../entry/record.ts'

/** What a request asks of caches (RFC 9111 §5.2.1). Advisory: read only where the route says `honourRequest`. */
export interface RequestDirectives {
  readonly noStore: boolean
  readonly onlyIfCached: boolean
  /** A fresh record does not satisfy it. */
  refuses(record: CacheRecord, now: number): boolean
  /** A stale record does (`max-stale`). */
  accepts(record: CacheRecord, now: number): boolean
}

export function requestDirectives(view: RequestView): RequestDirectives {
  const field = view.header('cache-control')
  const control = parseCacheControl(field)
  // RFC 9111 §5.4: Pragma counts only where there is no Cache-Control.
  const noCache = control.has('no-cache') || (field === undefined && /\bno-cache\b/i.test(view.header('pragma') ?? ''))
  const maxAge = control.seconds('max-age')
  const minFresh = control.seconds('min-fresh')
  const maxStale = control.has('max-stale') ? (control.seconds('max-stale') ?? Number.POSITIVE_INFINITY) : undefined
  const ageOf = (record: CacheRecord, now: number) => (record.initialAgeMs + now - record.storedAt) / 1000
  return {
    noStore: control.has('no-store'),
    onlyIfCached: control.has('only-if-cached'),
    refuses: (record, now) =>
      noCache ||
      (maxAge !== undefined && ageOf(record, now) > maxAge) ||
      (minFresh !== undefined && (record.staleAt - now) / 1000 < minFresh),
    accepts: (record, now) =>
      !noCache &&
      !record.mustRevalidate &&
      maxStale !== undefined &&
      (maxAge === undefined || ageOf(record, now) <= maxAge) &&
      (now - record.staleAt) / 1000 <= maxStale,
  }
}
