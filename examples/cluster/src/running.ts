import type { ChildProcess } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Something that was started and will be stopped. */
export interface Running {
  stop(): Promise<void>
}

/** Resolves when a child has ended, or could not be started. Ask before it can have happened. */
export function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
}

/** How long a child may take to end in order. */
export const patienceMs = 8_000

/** Asks a child to end, and ends it where it does not. */
export async function stopChild(child: ChildProcess, ended: Promise<void>, ask = () => child.kill('SIGTERM')) {
  const impatient = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  if (child.exitCode === null && child.signalCode === null) ask()
  await ended
  clearTimeout(impatient)
}

/** A port of this machine that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
