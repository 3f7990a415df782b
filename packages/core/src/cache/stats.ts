/** What a cache has done since it was made. Plain counters; `sluice.stats().cache` is a copy. */
export interface CacheCounters {
  /** Answered from the store, fresh. */
  hits: number
  /** Went to the handler because nothing usable was stored. */
  misses: number
  /** Answered from the store though no longer fresh (stale-while-revalidate, stale-if-error). */
  stale: number
  /** Answered with what another request's handler brought. */
  coalesced: number
  /** Confirmed by the handler with a 304. */
  revalidated: number
  /** Answered 304 or 206 out of those above. */
  notModified: number
  /** Left alone: `unless`, method, `Authorization`, no key. */
  bypassed: number
  stored: number
  /** Not stored, by reason: the words `Cache-Status` uses as `detail`. */
  refused: Record<string, number>
  /** Background refreshes begun. */
  refreshes: number
}

export function newCounters(): CacheCounters {
  return {
    hits: 0,
    misses: 0,
    stale: 0,
    coalesced: 0,
    revalidated: 0,
    notModified: 0,
    bypassed: 0,
    stored: 0,
    refused: Object.create(null) as Record<string, number>,
    refreshes: 0,
  }
}
