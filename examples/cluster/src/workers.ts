import { fork } from 'node:child_process'
import cluster from 'node:cluster'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Queryable } from '@sluice-examples/cities-api/data/database'
import { fillPlace } from './place.ts'
import type { Running } from './running.ts'
import { answerQuestions } from './shared-database.ts'

export interface Workers extends Running {
  /** Where each of them listens: all the same where Node shares one port among them. */
  readonly ports: readonly number[]
}

export interface WorkersOptions {
  readonly count: number
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** One port for all, by Node's cluster module, or one each. */
  readonly sharePort: boolean
  readonly database: Queryable
  readonly say: (message: string) => void
}

// main.js beside worker.js in dist, and .ts beside .ts.
const file = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url))

/** Starts the processes, and waits until all of them listen. @throws StartError where one of them does not */
export async function startWorkers({ count, args, env, sharePort, database, say }: WorkersOptions): Promise<Workers> {
  if (sharePort) cluster.setupPrimary({ exec: file, args: [...args] })
  const start = (port?: number) => {
    // nginx knows the ports of those it was started with.
    const own = port === undefined ? env : { ...env, PORT: String(port) }
    const child = sharePort ? cluster.fork(own).process : fork(file, args, { env: { ...process.env, ...own } })
    answerQuestions(child, database)
    return child
  }
  const places = Array.from({ length: count }, () => fillPlace(start, say))
  const stop = async () => {
    await Promise.all(places.map((place) => place.stop()))
  }
  try {
    return { ports: await Promise.all(places.map(({ port }) => port)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}
