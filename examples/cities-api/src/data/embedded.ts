import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite, type Transaction } from '@electric-sql/pglite'
import { StartError } from '../start-error.ts'
import type { Database, Queryable } from './database.ts'
import { lockDirectory } from './lock.ts'

/** PostgreSQL inside this process (PGlite, WebAssembly), with its files in a directory that outlives the process. */
export async function openEmbedded(dataDirectory: string, say: (message: string) => void): Promise<Database> {
  await mkdir(dataDirectory, { recursive: true }).catch((error: Error) => {
    throw new StartError(`Cannot keep data in ${dataDirectory} (${error.message}): choose another place with DATA_DIR.`)
  })
  const unlock = await lockDirectory(dataDirectory)
  if (!unlock) {
    say('Another cities-api uses the stored data: this one works on a copy in memory, which takes a few seconds.')
    return database(await PGlite.create(), 'PGlite in memory', async () => {})
  }
  return database(await openFiles(join(dataDirectory, 'cities-api-pglite'), say), 'PGlite', unlock)
}

async function openFiles(directory: string, say: (message: string) => void): Promise<PGlite> {
  const isNew = !existsSync(directory)
  if (isNew) say('Creating the embedded database. This happens once and takes a few seconds …')
  try {
    return await PGlite.create(directory)
  } catch (error) {
    if (isNew) throw error
    // A process that was killed while it created the database, or a PGlite of another time. All of it can be made again.
    say('The stored database cannot be opened: creating it anew …')
    await rm(directory, { recursive: true, force: true })
    return await PGlite.create(directory)
  }
}

function database(pglite: PGlite, name: string, unlock: () => Promise<void>): Database {
  return {
    name,
    ...queryable(pglite),
    transaction: async (work) => await pglite.transaction((tx) => work(queryable(tx))),
    async close() {
      await pglite.close()
      await unlock()
    },
  }
}

function queryable(source: PGlite | Transaction): Queryable {
  return {
    query: async <Row>(sql: string, params: readonly unknown[] = []) =>
      (await source.query<Row>(sql, [...params])).rows,
  }
}
