import type { Cities, City } from '../data/cities.ts'

/** The largest city of each country, and what it cost to find out. */
export interface Largest {
  readonly queries: number
  readonly countries: readonly { readonly country: string; readonly largest: string | undefined }[]
}

/**
 * The loop that every API has somewhere: a list, and a look-up for each of its items. It is the same for both ways of
 * looking up; only how many queries that makes is not.
 */
export async function listLargest(
  cities: Cities,
  largestIn: (country: string) => Promise<City | undefined>,
): Promise<Largest> {
  const { result: countries, queries } = await cities.count(async () => {
    const codes = await cities.countryCodes()
    return Promise.all(codes.map(async (country) => ({ country, largest: (await largestIn(country))?.name })))
  })
  console.log(`GET /countries/largest: ${queries} queries for ${countries.length} countries`)
  return { queries, countries }
}

/** One look-up by itself: N countries are N queries. */
export async function lookUpAlone(cities: Cities, country: string): Promise<City | undefined> {
  const [city] = await cities.largestIn([country])
  return city
}
