import { randomBytes } from 'node:crypto'
import { Redis, type RedisOptions } from 'ioredis'
import { type RedisServer, startRedis } from './redis-server.ts'

/**
 * A server that is there already, of any kind and anywhere, by the URL in `SLUICE_TEST_REDIS`: `rediss://…` for TLS, with a
 * password, a database. It may be somebody's, so tests leave alone there what is not their own: all that they write has a
 * name with `ownMark` in it.
 */
export const outside = process.env.SLUICE_TEST_REDIS || undefined

/** In the name of everything that the tests of this process write. */
export const ownMark = `t${process.pid}x${randomBytes(3).toString('hex')}`

/** The server of a file: one of its own, or the one that was named. */
export async function serverOfTests(): Promise<RedisServer> {
  return outside ? visit(outside) : startRedis()
}

/** A client of that server. */
export function visitor(url: string, options: RedisOptions = {}): Redis {
  const client = new Redis(url, { ...options } as never)
  const keys = client.keys.bind(client)
  const unlinkAll = async (): Promise<'OK'> => {
    for (const key of await ownKeys('*')) await client.unlink(key)
    return 'OK'
  }
  const ownKeys = async (pattern: string): Promise<string[]> =>
    (await keys(pattern)).filter((key) => key.includes(ownMark))
  // What tests do with all there is they do there with their own.
  return Object.assign(client, { keys: ownKeys, flushall: unlinkAll, config: async () => 'OK' }) as Redis
}

async function visit(url: string): Promise<RedisServer> {
  const client = visitor(url)
  const { host, port } = client.options
  const counts = async (): Promise<Record<string, number>> => {
    const lines = (await client.info('commandstats')).split('\n')
    return Object.fromEntries(
      lines.flatMap((line) => {
        const match = /^cmdstat_([^:]+):calls=(\d+)/.exec(line)
        return match ? [[match[1]!, Number(match[2])]] : []
      }),
    )
  }
  let before: Readonly<Record<string, number>> = {}
  const never = (): never => {
    throw new Error(`This test would stop the server at ${host}:${port}, which is not its own.`)
  }
  return {
    port: port ?? 6379,
    url,
    cli: async (command = '', ...args) => String(await client.call(command, ...args)),
    async calls() {
      const now = Object.entries(await counts()).map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
      return Object.fromEntries(now.filter(([, count]) => count > 0))
    },
    async resetStats() {
      before = await counts()
    },
    freeze: never,
    thaw: () => {},
    kill: never,
    restart: never,
    async stop() {
      await client.flushall()
      client.disconnect()
    },
  }
}
