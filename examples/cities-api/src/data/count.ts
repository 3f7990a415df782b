import { AsyncLocalStorage } from 'node:async_hooks'
import type { Database } from './database.ts'

/** Counts the statements that a piece of work sends to the database, whatever else runs beside it. */
export interface QueryCounter {
  readonly database: Database
  count<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly queries: number }>
}

export function countQueries(database: Database): QueryCounter {
  const tallies = new AsyncLocalStorage<{ queries: number }>()
  return {
    database: {
      ...database,
      query(sql, params) {
        const tally = tallies.getStore()
        if (tally) tally.queries++
        return database.query(sql, params)
      },
    },
    async count(work) {
      const tally = { queries: 0 }
      const result = await tallies.run(tally, work)
      return { result, queries: tally.queries }
    },
  }
}
