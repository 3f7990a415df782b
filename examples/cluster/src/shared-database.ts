import type { ChildProcess } from 'node:child_process'
import type { Database, Queryable } from '@sluice-examples/cities-api/data/database'

/*
 * The embedded database lives in one process only. The others send their statements to it, so that all of them see what
 * one of them changed, as they would with a PostgreSQL server.
 */

interface Question {
  readonly ask: number
  readonly sql: string
  readonly params: readonly unknown[]
}

interface Answer {
  readonly answer: number
  readonly rows?: Record<string, unknown>[]
  readonly error?: string
}

/** Answers the questions of a process. */
export function answerQuestions(child: ChildProcess, database: Queryable): void {
  child.on('message', async (message: Partial<Question>) => {
    const { ask, sql, params } = message
    if (ask === undefined || sql === undefined) return
    const reply: Answer = await database.query(sql, params).then(
      (rows) => ({ answer: ask, rows }),
      (error: Error) => ({ answer: ask, error: error.message }),
    )
    // It may have ended meanwhile.
    if (child.connected) child.send(reply, () => {})
  })
}

/** The database as the other processes see it. */
export function askedDatabase(name: string): Database {
  const waiting = new Map<number, (answer: Answer) => void>()
  let asked = 0
  process.on('message', (message: Partial<Answer>) => {
    if (message.answer === undefined) return
    waiting.get(message.answer)?.(message as Answer)
    waiting.delete(message.answer)
  })
  return {
    name,
    query<Row>(sql: string, params: readonly unknown[] = []) {
      return new Promise<Row[]>((resolve, reject) => {
        const question: Question = { ask: asked++, sql, params }
        waiting.set(question.ask, ({ rows, error }) => {
          if (rows) resolve(rows as Row[])
          else reject(new Error(error))
        })
        process.send?.(question)
      })
    },
    transaction: () => Promise.reject(new Error('Only the process that holds the database has transactions.')),
    close: () => Promise.resolve(),
  }
}
