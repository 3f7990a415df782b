import type { AnswerResult } from '../base/events.ts'

/**
 * What a cache has done since it was made. Plain counters; `sluice.stats().cache` is a copy. Each request that passes a cache is
 * one of `hits`, `misses`, `stale`, `coalesced` and `bypassed`.
 */
export interface CacheCounters {
  /** Answered from the store, fresh. */
  hits: number
  /** Nothing usable was stored: answered by the handler, or told so where the client wanted nothing else. */
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

/** Where each answer is counted. */
export const counterOf: Readonly<Record<AnswerResult, 'hits' | 'stale' | 'misses' | 'coalesced' | 'bypassed'>> =
  Object.freeze({ hit: 'hits', stale: 'stale', miss: 'misses', collapsed: 'coalesced', bypass: 'bypassed' })

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
