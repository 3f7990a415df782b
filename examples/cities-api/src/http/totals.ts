import type { MemoOptions } from '@sluice/core'
import type { Search } from '../data/cities.ts'

/**
 * How many cities a search finds is the same on each of its pages, and to count them costs more than to read one: it is
 * counted for the first page that is asked for. Purged with the pages, by the tag they have too.
 */
export const totals: MemoOptions<[search: Search], number> = { ttl: '5m', tags: ['cities'], name: 'cities.total' }
