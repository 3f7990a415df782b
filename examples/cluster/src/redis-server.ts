import { StartError } from '@sluice-examples/cities-api/start-error'
import { isInstalled, keep } from './kept-server.ts'
import { freePort, type Running } from './running.ts'

/** A Redis of our own, which keeps nothing: an empty cache is never wrong. @throws StartError where it cannot be started */
export async function startRedis(say: (message: string) => void): Promise<Running & { readonly url: string }> {
  const program = ['redis-server', 'valkey-server'].find(isInstalled)
  if (!program) {
    throw new StartError(
      'Cannot start Redis (redis-server is not installed): install it (Debian: apt install redis-server), or name one with REDIS_URL.',
    )
  }
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const server = keep({ program, args, askWith: 'SIGTERM' })
  await new Promise<void>((resolve, reject) => {
    let said = ''
    server.output.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (/Ready to accept connections/.test(said)) resolve()
    })
    server.ended.then(() => reject(new StartError(`${program} ended while it started:\n${said}`)))
  })
  // From here on nobody needs what it says, but it must be able to say it.
  server.output.removeAllListeners('data').resume()
  let stopping = false
  server.ended.then(() => {
    if (!stopping) say('Redis is gone. The processes go on without it: requests go to the database.')
  })
  return {
    url: `redis://127.0.0.1:${port}`,
    stop() {
      stopping = true
      return server.stop()
    },
  }
}
