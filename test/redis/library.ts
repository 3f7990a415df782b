import { type RedisClient, type RedisOptions, redis as redisOn } from '@sluice/redis'
import type { Cluster, Redis } from 'ioredis'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import type { ScriptClient } from '../../packages/redis/src/connection/client.ts'
import { adapt } from '../../packages/redis/src/connection/clients/adapt.ts'
import { kindOf } from '../../packages/redis/src/connection/target.ts'

/** Of which library the clients are that Sluice is given: `ioredis`, `node-redis` (5) or `node-redis-6`. */
export const library = process.env.SLUICE_TEST_CLIENT || 'ioredis'

type NodeRedis = Pick<typeof import('redis'), 'createClient' | 'createCluster' | 'createSentinel'>

const packages: Readonly<Record<string, string>> = { 'node-redis': 'redis', 'node-redis-6': 'redis-6' }

/** Loaded where it is used: processes that only count should start fast. */
export async function nodeRedis(name: string): Promise<NodeRedis> {
  const found = packages[name]
  if (!found) throw new Error(`SLUICE_TEST_CLIENT is ioredis, node-redis or node-redis-6, not ${name}`)
  return (await import(found)) as NodeRedis
}

const tested = library === 'ioredis' ? undefined : await nodeRedis(library)

/** Soon again, as test servers come back soon. */
const reconnectStrategy = (): number => 50

interface Ended {
  readonly isOpen: boolean
  on(event: string, listener: (...args: never[]) => void): unknown
  connect(): Promise<unknown>
  destroy(): unknown
}

const made = new WeakMap<object, unknown>()

/** The same connection in the library that is tested. Tests speak to servers by ioredis, and Sluice goes over this one. */
export function likewise(client: unknown): RedisClient {
  if (library === 'ioredis' || kindOf(client) !== 'ioredis') return client as RedisClient
  const known = made.get(client as object)
  if (known) return known as RedisClient
  const original = client as Redis | Cluster
  // Node-redis 5 has no prefixes.
  if (!(original as Cluster).isCluster && (original as Redis).options.keyPrefix && library === 'node-redis')
    return original as unknown as RedisClient
  const like = (original as Cluster).isCluster ? clusterLike(original as Cluster) : serverLike(original as Redis)
  made.set(original, like)
  const ended = like as unknown as Ended
  ended.on('error', () => {})
  original.on('end', () => {
    if (ended.isOpen) ended.destroy()
  })
  if (original.status !== 'wait') void ended.connect().catch(() => {})
  return like
}

function serverLike({ options }: Redis): RedisClient {
  const { host, port, path, tls, username, password, db, keyPrefix, sentinels, name } = options
  const login = { ...(username ? { username } : {}), ...(password ? { password } : {}) }
  const common = { ...login, ...(db ? { database: db } : {}) }
  const secured = tls ? { ...tls, tls: true } : {}
  if (sentinels) {
    return tested!.createSentinel({
      name: name!,
      sentinelRootNodes: sentinels.map((one) => ({ host: one.host ?? '127.0.0.1', port: one.port ?? 26379 })),
      nodeClientOptions: { ...common, socket: { reconnectStrategy } },
    }) as unknown as RedisClient
  }
  const address = path ? { path } : { host: host ?? '127.0.0.1', port: port ?? 6379 }
  return tested!.createClient({
    ...common,
    ...(keyPrefix ? { keyPrefix } : {}),
    socket: { ...address, ...secured, reconnectStrategy } as object,
  }) as unknown as RedisClient
}

function clusterLike(cluster: Cluster): RedisClient {
  const { username, password } = cluster.options.redisOptions ?? {}
  const login = { ...(username ? { username } : {}), ...(password ? { password } : {}) }
  return tested!.createCluster({
    rootNodes: startupNodes(cluster).map(({ host, port }) => ({ socket: { host, port } })),
    defaults: { ...login, disableClientInfo: true, socket: { reconnectStrategy } },
  }) as unknown as RedisClient
}

function startupNodes(cluster: Cluster): { host: string; port: number }[] {
  const { startupNodes: nodes } = cluster as unknown as { startupNodes: { host?: string; port?: number }[] }
  return nodes.map(({ host = '127.0.0.1', port = 6379 }) => ({ host, port }))
}

/** Tests wait for their own client to be connected; the other one takes a moment more. */
export const likewiseWaits = library === 'ioredis' ? {} : { clock: systemClock(), waitMs: 2_000 }

/** A client as Sluice asks it, of the library that is tested. */
export function wired(client: unknown): ScriptClient {
  const known = adapted.get(client as object)
  if (known) return known
  const made = adapt(likewise(client))
  adapted.set(client as object, made)
  return made
}

const adapted = new WeakMap<object, ScriptClient>()

/** `redis`, over a client of the library that is tested, also where tests name an address. It is closed with the backend. */
export function redis(target: string | RedisClient, options?: RedisOptions): ReturnType<typeof redisOn> {
  if (typeof target !== 'string') return redisOn(likewise(target), options)
  // What is no URL is Sluice's to refuse.
  if (library === 'ioredis' || !URL.canParse(target)) return redisOn(target, options)
  const socket = { reconnectStrategy, connectTimeout: 2_000 }
  const client = tested!.createClient({ url: target, disableClientInfo: true, socket })
  client.on('error', () => {})
  const backend = redisOn(client, options)
  return {
    ...backend,
    async close() {
      await backend.close?.()
      if (client.isReady) client.destroy()
      else for (const event of ['ready', 'error']) client.on(event, () => client.isOpen && client.destroy())
    },
  }
}
