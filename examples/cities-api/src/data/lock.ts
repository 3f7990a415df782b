import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Takes a directory for this process, and answers how to give it back, or `undefined` where another process has it.
 *
 * Two processes that open one embedded database damage it, and it does not notice by itself. The lock is the name of a
 * local socket, because the operating system frees that however the process ends; a file with a process id would stay.
 */
export async function lockDirectory(directory: string): Promise<(() => Promise<void>) | undefined> {
  const address = socketFor(realpathSync(directory))
  let server = await listen(address)
  if (!server && process.platform !== 'linux' && process.platform !== 'win32' && !(await answers(address))) {
    // Only here the name is a file, which the last process leaves behind if it is killed.
    await rm(address, { force: true })
    server = await listen(address)
  }
  return server && (() => new Promise((resolve) => server.close(() => resolve())))
}

function socketFor(directory: string): string {
  const name = `cities-api-${createHash('sha256').update(directory).digest('hex').slice(0, 32)}`
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`
  return process.platform === 'linux' ? `\0${name}` : join(tmpdir(), `${name}.sock`)
}

function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy()).unref()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(address, () => resolve(server))
  })
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address, () => resolve(true)).once('error', () => resolve(false))
    socket.once('close', () => socket.destroy())
  })
}
