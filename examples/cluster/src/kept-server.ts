import { fork, spawnSync } from 'node:child_process'
import { extname } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { endOf, type Running } from './running.ts'

export interface Server {
  readonly program: string
  readonly args: readonly string[]
  /** The signal that asks it to end in order. */
  readonly askWith: NodeJS.Signals
  /** What goes when it does. */
  readonly directory?: string
}

export interface KeptServer extends Running {
  readonly output: Readable
  /** When it has ended, asked or not. */
  readonly ended: Promise<void>
}

// Debian has nginx where only root's PATH leads.
const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin` }

// kept-server.js beside keeper.js in dist, and .ts beside .ts.
const keeper = fileURLToPath(new URL(`./keeper${extname(import.meta.url)}`, import.meta.url))

/** Whether a program is there to be started. */
export function isInstalled(program: string): boolean {
  return spawnSync(program, ['-v'], { env, stdio: 'ignore' }).error === undefined
}

/** Starts a server that ends when it is told to, and when this process ends in whatever way. */
export function keep(server: Server): KeptServer {
  const child = fork(keeper, [JSON.stringify(server)], {
    env,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    // A group of its own: Ctrl-C is for us.
    detached: true,
  })
  const ended = endOf(child)
  return {
    output: child.stdout!,
    ended,
    stop() {
      if (child.connected) child.disconnect()
      return ended
    },
  }
}
