import pg from 'pg'
import { StartError } from '../start-error.ts'
import type { Database } from './database.ts'

/** A pool of connections to a PostgreSQL server. @throws StartError where the server cannot be reached */
export async function openPostgres(url: string): Promise<Database> {
  const pool = connectionPool(url)
  // A connection that breaks while nobody uses it; without a listener the process would end. The next query gets a new one.
  pool.on('error', (error) => console.error(`PostgreSQL: an idle connection was lost: ${error.message}`))

  try {
    await pool.query('select 1')
  } catch (error) {
    await pool.end()
    throw unreachable(url, error)
  }

  return {
    name: `PostgreSQL at ${withoutPassword(url)}`,
    async query<Row>(sql: string, params: readonly unknown[] = []) {
      const result = await pool.query(sql, [...params])
      return result.rows as Row[]
    },
    async transaction(work) {
      // Begin, work and commit belong on one connection; `pool.query` may use a different one for each.
      const client = await pool.connect()
      try {
        await client.query('begin')
        const result = await work({
          query: async <Row>(sql: string, params: readonly unknown[] = []) =>
            (await client.query(sql, [...params])).rows as Row[],
        })
        await client.query('commit')
        client.release()
        return result
      } catch (error) {
        // Closing the connection rolls back, even where it is the connection that failed.
        client.release(true)
        throw error
      }
    },
    close: () => pool.end(),
  }
}

function connectionPool(url: string): pg.Pool {
  try {
    const { protocol } = new URL(url)
    if (protocol !== 'postgres:' && protocol !== 'postgresql:') throw new Error(`"${protocol}" is another protocol`)
    return new pg.Pool({ connectionString: url, max: 10, connectionTimeoutMillis: 10_000 })
  } catch (error) {
    // The text itself is left out: it may hold a password, and where it does not parse nobody knows where.
    throw new StartError('DATABASE_URL must look like postgres://user:password@host:5432/database.', { cause: error })
  }
}

function unreachable(url: string, error: unknown): StartError {
  // A host with several addresses fails with all their errors at once, and without a message.
  const reasons = error instanceof AggregateError ? error.errors : [error]
  const reason = reasons.map((one) => (one instanceof Error ? one.message : String(one))).join('; ')
  return new StartError(
    `Cannot use the database of DATABASE_URL, ${withoutPassword(url)} (${reason}): correct it, or unset it to use the embedded one.`,
    { cause: error },
  )
}

function withoutPassword(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}
