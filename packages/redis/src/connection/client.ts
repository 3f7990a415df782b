import { optionError } from '@sluice/core'

/**
 * A client that an application made: a `Redis` or `Cluster` of ioredis 5 or 6. A shape and not a class, so that it may be
 * of either version, or of the application's own copy.
 */
export interface RedisClient {
  /** `ready` when commands go out at once. */
  readonly status: string
  // biome-ignore lint/suspicious/noExplicitAny: the overloads of ioredis differ between 5 and 6.
  evalsha(...args: any[]): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: its arguments differ between Redis and Cluster.
  duplicate(...options: any[]): unknown
  // biome-ignore lint/suspicious/noExplicitAny: ioredis overloads this per event.
  on(event: string, listener: (...args: any[]) => void): unknown
  disconnect(): void
}

/** The same with what Sluice uses of it, some of which the types of ioredis do not tell of. */
export interface ScriptClient extends RedisClient {
  readonly isCluster?: boolean
  readonly stream?: { readonly bytesRead?: number } | undefined
  readonly options?: { readonly keyPrefix?: string | undefined; readonly db?: number | undefined }
  evalshaBuffer(sha: string, keyCount: number, ...rest: (string | Buffer | number)[]): Promise<unknown>
  evalBuffer(source: string, keyCount: number, ...rest: (string | Buffer | number)[]): Promise<unknown>
  mgetBuffer(...keys: string[]): Promise<(Buffer | null)[]>
  subscribe(...channels: string[]): Promise<unknown>
  publish(channel: string, message: string): Promise<unknown>
  connect(): Promise<unknown>
  info(section: string): Promise<unknown>
  script(subcommand: 'LOAD', source: string): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: ioredis overloads this per event.
  off(event: string, listener: (...args: any[]) => void): unknown
}

/**
 * The name of a channel for this client. Channels belong to a server: neither its databases nor the prefix that a client
 * puts before keys keep them apart.
 */
export function channelOf(name: string, client?: Pick<ScriptClient, 'options'>): string {
  const { keyPrefix = '', db = 0 } = client?.options ?? {}
  return `${keyPrefix}${name}${db === 0 ? '' : `@${db}`}`
}

/** @throws SluiceError for what is neither a URL nor a client. No password is in it. */
export function checkTarget(target: unknown): asserts target is string | RedisClient {
  if (typeof target === 'string' ? isUrl(target) : isClient(target)) return
  const shown = typeof target === 'string' ? withoutCredentials(target) : target
  throw optionError('redis(url)', "must be a URL such as 'redis://localhost:6379', or a client of ioredis", shown)
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

function isClient(value: unknown): value is RedisClient {
  const client = value as Partial<ScriptClient> | null
  return (
    typeof client === 'object' &&
    client !== null &&
    typeof client.evalshaBuffer === 'function' &&
    typeof client.duplicate === 'function' &&
    typeof client.status === 'string'
  )
}
