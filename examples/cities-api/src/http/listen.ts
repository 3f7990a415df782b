import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ExpressSluice, warm } from '@sluice/express'
import { StartError } from '../start-error.ts'

/** One of the three servers, as `main.ts` sees it. */
export interface Api {
  /** @throws the error of `server.listen`, such as EADDRINUSE */
  listen(port: number, host: string): Promise<{ readonly port: number }>
  /** Fills the cache by asking as clients do. */
  readonly warm: typeof warm
  /** Stops accepting, lets running requests finish, and ends. */
  close(): Promise<void>
}

// How long a running request may take after the server was told to stop.
const patienceMs = 5_000

/** An Express or Koa application on a server of `node:http`. */
export function httpApi(listener: RequestListener, sluice: Pick<ExpressSluice, 'warm' | 'ready' | 'close'>): Api {
  const server = createServer(listener)
  return {
    async listen(port, host) {
      // A Redis that does not answer is better known now: requests would be served without it.
      await sluice.ready({ timeout: '5s' })
      return listen(server, port, host)
    },
    warm: sluice.warm,
    async close() {
      const impatient = setTimeout(() => server.closeAllConnections(), patienceMs)
      await new Promise<void>((resolve) => server.close(() => resolve()))
      clearTimeout(impatient)
      await sluice.close()
    },
  }
}

function listen(server: Server, port: number, host: string): Promise<{ port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve({ port: portOf(server) })
    })
  })
}

/** The port a server listens on: PORT=0 lets the system choose. */
export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

/**
 * Finds out whether the port can be had, before the first start spends seconds on data.
 *
 * @throws StartError where it cannot
 */
export async function checkPort(port: number, host: string): Promise<void> {
  const server = createServer()
  try {
    await listen(server, port, host)
  } catch (error) {
    throw cannotListen(port, host, error)
  }
  await new Promise((resolve) => server.close(resolve))
}

/** Says in one sentence why a server does not listen. */
export function cannotListen(port: number, host: string, error: unknown): unknown {
  const advice: Record<string, string> = {
    EADDRINUSE: `Port ${port} on ${host} is in use: stop the other program, or choose another port with PORT=${port + 1}.`,
    EACCES: `Port ${port} on ${host} may not be used by this account: choose one above 1023 with PORT=3000.`,
    EADDRNOTAVAIL: `This machine does not have the address ${host}: choose another with HOST=localhost.`,
    ENOTFOUND: `The name ${host} is not known: choose another with HOST=localhost.`,
  }
  const message = advice[(error as NodeJS.ErrnoException).code ?? '']
  return message ? new StartError(message, { cause: error }) : error
}
