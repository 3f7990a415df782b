import type { PaginateOptions } from '@sluice/core'
import type { City } from '../data/cities.ts'

/**
 * How a search is paged: by cursors, so that a city that grows past another while somebody reads makes none appear twice
 * or go missing, and the last page costs what the first does. The id tells cities of one size apart.
 */
export const cityPages = {
  style: 'cursor',
  sort: ['-population', 'id'],
  defaultLimit: 20,
  maxLimit: 100,
  envelope: (cities: readonly City[], { total, links }) => ({ total, cities, links }),
} satisfies PaginateOptions

/** What clients may select from: `?fields=id,name` picks members of each city. */
export const cityFields = { at: 'cities' } as const
