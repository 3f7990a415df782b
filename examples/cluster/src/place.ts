import type { ChildProcess } from 'node:child_process'
import { StartError } from '@sluice-examples/cities-api/start-error'
import { endOf, type Running, stopChild } from './running.ts'

/** What one process does, and whoever comes after it. */
export interface Place extends Running {
  /** Where the first one listens. @throws StartError where it does not */
  readonly port: Promise<number>
}

// Between an end and the next start. A process that ends again and again must not keep the machine busy with it.
const shortestMs = 100
const longestMs = 10_000

/**
 * Fills a place with a process, and with another one whenever that ends.
 *
 * @param fork starts one: on the port of the first one, where there was one
 */
export function fillPlace(fork: (port?: number) => ChildProcess, say: (message: string) => void): Place {
  let delayMs = shortestMs
  let port: number | undefined
  let stopping = false
  let waiting: NodeJS.Timeout | undefined
  let current: { readonly child: ChildProcess; readonly ended: Promise<void> }

  async function start(): Promise<number> {
    const child = fork(port)
    const ended = endOf(child)
    current = { child, ended }
    const startedMs = performance.now()
    ended.then(() => {
      // Where the first one never listened, nobody else will.
      if (stopping || port === undefined) return
      if (performance.now() - startedMs >= longestMs) delayMs = shortestMs
      say(`Process ${child.pid} has ended (${reason(child)}). Another one starts in ${delayMs / 1000} s.`)
      waiting = setTimeout(() => follow(child.pid), delayMs)
      delayMs = Math.min(2 * delayMs, longestMs)
    })
    port = await listening(child, ended)
    return port
  }

  async function follow(predecessor: number | undefined): Promise<void> {
    try {
      await start()
      say(`Process ${current.child.pid} has taken the place of ${predecessor}.`)
    } catch {
      // It has ended: said, and tried again, where ends are.
    }
  }

  return {
    port: start(),
    async stop() {
      stopping = true
      clearTimeout(waiting)
      const { child, ended } = current
      await stopChild(child, ended, () => child.send('stop', () => {}))
    },
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

function reason({ signalCode, exitCode }: ChildProcess): string {
  return signalCode ?? `exit code ${exitCode}`
}
