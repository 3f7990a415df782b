import { spawn } from 'node:child_process'
import { StartError } from '@sluice-examples/cities-api/start-error'
import { endOf, freePort, type Running, stopChild } from './running.ts'

/** A Redis of our own, which keeps nothing: an empty cache is never wrong. @throws StartError where it cannot be started */
export async function startRedis(say: (message: string) => void): Promise<Running & { readonly url: string }> {
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  // A group of its own: Ctrl-C is for us, and Redis goes last.
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  const ended = endOf(child)
  await new Promise<void>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'ENOENT' ? 'redis-server is not installed' : error.message
      reject(
        new StartError(
          `Cannot start Redis (${reason}): install it (Debian: apt install redis-server), or name one with REDIS_URL.`,
        ),
      )
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (/Ready to accept connections/.test(output)) resolve()
    })
    ended.then(() => reject(new StartError(`redis-server ended while it started:\n${output}`)))
  })
  // From here on nobody needs what it says, but it must be able to say it.
  child.stdout.removeAllListeners('data').resume()
  let stopping = false
  ended.then(() => {
    if (!stopping) say('Redis is gone. The processes go on without it: requests go to the database.')
  })
  return {
    url: `redis://127.0.0.1:${port}`,
    stop() {
      stopping = true
      return stopChild(child, ended)
    },
  }
}
