import { optionError } from '@sluice/core'

/**
 * What Sluice needs of a client: a `Redis` or `Cluster` of ioredis 5 or 6. A shape and not a class, so that an
 * application may bring either version, or its own copy.
 */
export interface RedisClient {
  /** `ready` when commands go out at once. */
  readonly status: string
  readonly isCluster?: boolean
  readonly options?: { readonly keyPrefix?: string | undefined }
  evalshaBuffer(sha: string, keyCount: number, ...rest: (string | Buffer | number)[]): Promise<unknown>
  evalBuffer(source: string, keyCount: number, ...rest: (string | Buffer | number)[]): Promise<unknown>
  subscribe(...channels: string[]): Promise<unknown>
  publish(channel: string, message: string): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: its arguments differ between Redis and Cluster, and we know which it is.
  duplicate(...options: any[]): RedisClient
  // biome-ignore lint/suspicious/noExplicitAny: ioredis overloads this per event, and 5 and 6 differ in it.
  on(event: string, listener: (...args: any[]) => void): unknown
  disconnect(): void
}

/** @throws SluiceError for what is neither a URL nor a client */
export function checkTarget(target: unknown): asserts target is string | RedisClient {
  if (typeof target === 'string' ? /^(rediss?|unix):\/\/|^\//.test(target) : isClient(target)) return
  throw optionError('redis(url)', "must be a URL such as 'redis://localhost:6379', or a client of ioredis", target)
}

function isClient(value: unknown): value is RedisClient {
  const client = value as Partial<RedisClient> | null
  return (
    typeof client === 'object' &&
    client !== null &&
    typeof client.evalshaBuffer === 'function' &&
    typeof client.duplicate === 'function' &&
    typeof client.status === 'string'
  )
}
