import type { City } from '../data/cities.ts'

/*
 * The names under which answers are stored, and under which PATCH finds those that its change makes wrong:
 *   cities      every search, because a name or a population decides who is on which page
 *   countries   the aggregate
 *   city:42     what shows the city 42, be it by itself or as somebody's neighbour
 */

/** The tag of one city. Its id as a number, so that `/cities/042` and `/cities/42` are the same. */
export function cityTag(id: string | number): string {
  return `city:${Number(id)}`
}

/** The tags of an answer that lists cities. */
export function cityTags(cities: readonly City[]): string[] {
  return cities.map((city) => cityTag(city.id))
}
