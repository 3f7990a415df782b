import type { Settings } from '../settings.ts'
import { openEmbedded } from './embedded.ts'
import { openPostgres } from './postgres.ts'

/** Runs one statement of SQL, with `$1`, `$2`, … for the parameters, and answers its rows. */
export interface Queryable {
  query<Row = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<Row[]>
}

/** All that this program wants of a database. PGlite and PostgreSQL understand the same SQL, so nothing else differs. */
export interface Database extends Queryable {
  /** How it is called in messages. */
  readonly name: string
  /** Commits what `work` did, or nothing of it if `work` fails. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** PostgreSQL where `DATABASE_URL` names one, the embedded database otherwise. */
export function openDatabase(settings: Settings, say: (message: string) => void): Promise<Database> {
  return settings.databaseUrl ? openPostgres(settings.databaseUrl) : openEmbedded(settings.dataDirectory, say)
}
