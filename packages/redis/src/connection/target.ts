import { optionError, SluiceError } from '@sluice/core'
import type { RedisClient } from './client.ts'

/** Of which library a client is, and what it is there. */
export type ClientKind = 'ioredis' | 'client' | 'cluster' | 'sentinel'

/** Clients that are known and cannot be used, with what to give instead. */
const unusable = {
  pool: 'is a pool of node-redis: one connection carries all commands of Sluice. Give it a client: createClient(…)',
  old: 'is a client of node-redis 4 or older. Sluice takes those of node-redis 5 and 6, and of ioredis 5 and 6',
} as const

/** @throws SluiceError for what is neither a URL nor a client. No password is in it. */
export function checkTarget(target: unknown): asserts target is string | RedisClient {
  const kind = typeof target === 'string' ? undefined : kindOf(target)
  if (kind === 'pool' || kind === 'old') {
    throw new SluiceError('ERR_SLUICE_OPTION', `What redis(client) was given ${unusable[kind]}.`)
  }
  if (typeof target === 'string' ? isUrl(target) : kind) return
  const shown = typeof target === 'string' ? withoutCredentials(target) : target
  throw optionError(
    'redis(url)',
    "must be a URL such as 'redis://localhost:6379', or a client of ioredis or node-redis",
    shown,
  )
}

/** @throws SluiceError for what is no URL of a node of a Cluster */
export function checkClusterTarget(target: string | RedisClient): void {
  const mustBe = (what: string): SluiceError => optionError('redis.cluster', what, true)
  if (typeof target !== 'string') throw mustBe('must be left out beside a client, which says itself what it is of')
  if (!/^rediss?:\/\//.test(target)) throw mustBe('is for URLs: a socket leads to one server')
  if (!/^\/?0?$/.test(new URL(target).pathname))
    throw mustBe('must be left out where a database is named: a Cluster has one, 0')
}

/** By its shape: the class may be of another copy of the library. */
export function kindOf(value: unknown): ClientKind | keyof typeof unusable | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const client = value as Record<string, unknown>
  const can = (name: string): boolean => typeof client[name] === 'function'
  if (can('evalshaBuffer') && can('duplicate') && typeof client.status === 'string') return 'ioredis'
  if (!can('sendCommand')) return undefined
  if (!can('withTypeMapping')) return can('duplicate') || can('executeIsolated') ? 'old' : undefined
  if (Array.isArray(client.masters) && can('nodeClient') && can('duplicate')) return 'cluster'
  if (can('getMasterNode') && can('_execute')) return 'sentinel'
  if (typeof client.totalClients === 'number') return 'pool'
  return typeof client.isReady === 'boolean' && can('duplicate') ? 'client' : undefined
}

/** Whether ioredis makes of it what it says: it throws for some, with all that is in them, and misreads others. */
function isUrl(target: string): boolean {
  if (target.startsWith('/')) return true
  if (!/^(rediss?|unix):\/\//.test(target)) return false
  try {
    const { username, password, pathname } = new URL(target)
    decodeURIComponent(username + password)
    return target.startsWith('unix:') || /^\/?\d*$/.test(pathname)
  } catch {
    return false
  }
}

/** What may stand in a log of a URL, also of one that is none: credentials are in front of the last `@` or in the query. */
function withoutCredentials(target: string): string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z\d+.-]*:\/*)?(.*)$/is.exec(target)!
  const address = rest.includes('@') ? `…@${rest.slice(rest.lastIndexOf('@') + 1)}` : rest
  return `${scheme}${address}`.replace(/[?#].*$/s, '?…')
}
