import { type ChildProcess, fork } from 'node:child_process'
import cluster from 'node:cluster'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Queryable } from '@sluice-examples/cities-api/data/database'
import { StartError } from '@sluice-examples/cities-api/start-error'
import { endOf, type Running, stopChild } from './running.ts'
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
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { count, args, env, sharePort, database, say } = options
  if (sharePort) cluster.setupPrimary({ exec: file, args: [...args] })
  let stopping = false
  const workers = Array.from({ length: count }, () => {
    const child = sharePort ? cluster.fork(env).process : fork(file, args, { env: { ...process.env, ...env } })
    answerQuestions(child, database)
    const ended = endOf(child)
    ended.then(() => {
      if (!stopping) say(`Process ${child.pid} has ended. The others go on.`)
    })
    return { child, ended }
  })
  const stop = async () => {
    stopping = true
    await Promise.all(workers.map(({ child, ended }) => stopChild(child, ended, () => child.send('stop', () => {}))))
  }
  try {
    return { ports: await Promise.all(workers.map(({ child, ended }) => listening(child, ended))), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function listening(child: ChildProcess, ended: Promise<void>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: { readonly listens?: number }) => {
      if (message.listens !== undefined) resolve(message.listens)
    })
    ended.then(() => reject(new StartError('One of the processes ended before it listened. It says why above.')))
  })
}
