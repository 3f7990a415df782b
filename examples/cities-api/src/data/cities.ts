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
  /** From 1. */
  readonly page: number
}

export interface Page {
  readonly total: number
  readonly page: number
  readonly pages: number
  readonly cities: readonly City[]
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
  search(search: Search): Promise<Page>
  find(id: number): Promise<City | undefined>
  countries(): Promise<Country[]>
  nearby(id: number): Promise<Neighbourhood | undefined>
  /** The city as it is now; `undefined` where there is none. */
  change(id: number, change: CityChange): Promise<City | undefined>
}

const pageSize = 20
const columns = 'id, name, country, population, latitude, longitude'

export function createCities(database: Database): Cities {
  async function find(id: number): Promise<City | undefined> {
    const [city] = await database.query<City>(`select ${columns} from cities_api.cities where id = $1`, [id])
    return city
  }

  return {
    find,

    async search({ country, q, page }) {
      const filter = [country ?? null, q === undefined ? null : `%${escapeLike(q)}%`]
      const where = '($1::text is null or country = $1) and ($2::text is null or lower(name) like lower($2))'
      const [counted, cities] = await Promise.all([
        database.query<{ total: number }>(
          `select count(*)::integer as total from cities_api.cities where ${where}`,
          filter,
        ),
        database.query<City>(
          `select ${columns} from cities_api.cities where ${where} order by population desc, id limit $3 offset $4`,
          [...filter, pageSize, (page - 1) * pageSize],
        ),
      ])
      const total = counted[0]?.total ?? 0
      return { total, page, pages: Math.ceil(total / pageSize), cities }
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

/** `%` and `_` mean themselves in what a person types. */
function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, '\\$&')
}
