import { keysetSql, type Page } from '@sluice/core'
import { countQueries, type QueryCounter } from './count.ts'
import type { Database } from './database.ts'

export interface City {
  readonly id: number
  readonly name: string
  /** ISO 3166-1, two letters. */
  readonly country: string
  readonly population: number
  readonly latitude: number
  readonly longitude: number
}

export interface Search {
  readonly country: string | undefined
  /** A part of the name. */
  readonly q: string | undefined
}

export interface Country {
  readonly country: string
  readonly cities: number
  readonly population: number
  readonly largest: string
}

export interface NearbyCity extends City {
  readonly km: number
}

export interface Neighbourhood {
  readonly city: City
  /** The nearest first. */
  readonly nearby: readonly NearbyCity[]
}

/** What may be changed about a city. */
export interface CityChange {
  readonly name?: string
  readonly population?: number
}

/** The questions this API asks the database. The three servers differ in all but these. */
export interface Cities {
  /** Those of one page, and one more where there are more. */
  search(search: Search, page: Page): Promise<City[]>
  /** How many there are on all pages. */
  total(search: Search): Promise<number>
  find(id: number): Promise<City | undefined>
  countries(): Promise<Country[]>
  countryCodes(): Promise<string[]>
  /** The largest city of each of these countries, in any order. */
  largestIn(countries: readonly string[]): Promise<City[]>
  nearby(id: number): Promise<Neighbourhood | undefined>
  /** The city as it is now; `undefined` where there is none. */
  change(id: number, change: CityChange): Promise<City | undefined>
  /** How many queries some work with these cities makes. */
  count: QueryCounter['count']
}

const columns = 'id, name, country, population, latitude, longitude'
const matches = '($1::text is null or country = $1) and ($2::text is null or lower(name) like lower($2))'

export function createCities(given: Database): Cities {
  const { database, count } = countQueries(given)

  async function find(id: number): Promise<City | undefined> {
    const [city] = await database.query<City>(`select ${columns} from cities_api.cities where id = $1`, [id])
    return city
  }

  return {
    count,
    find,

    search(search, page) {
      // What comes behind the place that the cursor stands for: no page reads those before it.
      const { where, orderBy, limit, params } = keysetSql(page, { params: filterOf(search) })
      return database.query<City>(
        `select ${columns} from cities_api.cities where ${matches} and ${where} order by ${orderBy} limit ${limit}`,
        params,
      )
    },

    async total(search) {
      const [counted] = await database.query<{ total: number }>(
        `select count(*)::integer as total from cities_api.cities where ${matches}`,
        filterOf(search),
      )
      return counted?.total ?? 0
    },

    countries() {
      return database.query<Country>(
        `select country,
                count(*)::integer as cities,
                sum(population)::float8 as population,
                (array_agg(name order by population desc, id))[1] as largest
         from cities_api.cities group by country order by country`,
      )
    },

    async countryCodes() {
      const rows = await database.query<{ country: string }>(
        'select distinct country from cities_api.cities order by country',
      )
      return rows.map(({ country }) => country)
    },

    largestIn(countries) {
      return database.query<City>(
        `select distinct on (country) ${columns} from cities_api.cities
         where country = any($1) order by country, population desc, id`,
        [countries],
      )
    },

    async nearby(id) {
      const city = await find(id)
      if (!city) return undefined
      // The haversine formula over every row: a bounding box would be faster, and wrong at the poles and the date line.
      const nearby = await database.query<NearbyCity>(
        `select ${columns}, 12742 * asin(least(1, sqrt(
           sin(radians(latitude - $2) / 2) ^ 2
           + cos(radians(latitude)) * cos(radians($2)) * sin(radians(longitude - $3) / 2) ^ 2
         ))) as km
         from cities_api.cities where id <> $1 order by km, id limit 10`,
        [id, city.latitude, city.longitude],
      )
      return { city, nearby: nearby.map((other) => ({ ...other, km: Math.round(other.km * 10) / 10 })) }
    },

    async change(id, { name, population }) {
      const [city] = await database.query<City>(
        `update cities_api.cities
         set name = coalesce($2::text, name), population = coalesce($3::integer, population)
         where id = $1 returning ${columns}`,
        [id, name ?? null, population ?? null],
      )
      return city
    },
  }
}

/** The parameters of `matches`. */
function filterOf({ country, q }: Search): (string | null)[] {
  return [country ?? null, q === undefined ? null : `%${escapeLike(q)}%`]
}

/** `%` and `_` mean themselves in what a person types. */
function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, '\\$&')
}
