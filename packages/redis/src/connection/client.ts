/**
 * A client that an application made: a `Redis` or `Cluster` of ioredis 5 or 6, or what `createClient`, `createCluster` or
 * `createSentinel` of the package `redis` (node-redis) 5 or 6 made. Shapes and not classes, so that it may be of any of these
 * versions, or of the application's own copy, and so that nobody needs the types of a package that he does not use.
 */
export type RedisClient = IoredisClient | NodeRedisClient

/** What tells a client of ioredis. */
export interface IoredisClient {
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

/** What tells a client of node-redis, and only those that can be used: a pool has none of the last three. */
export type NodeRedisClient = {
  readonly isOpen: boolean
  // biome-ignore lint/suspicious/noExplicitAny: its result depends on modules and scripts.
  connect(): Promise<any>
  // biome-ignore lint/suspicious/noExplicitAny: its arguments differ between clients, clusters and sentinels.
  sendCommand(...args: any[]): Promise<any>
  // biome-ignore lint/suspicious/noExplicitAny: its mapping is a type of node-redis.
  withTypeMapping(...args: any[]): unknown
  // biome-ignore lint/suspicious/noExplicitAny: as of every emitter.
  on(event: string, listener: (...args: any[]) => void): unknown
} & (
  | { readonly isReady: boolean; readonly socketEpoch: number }
  | { readonly masters: readonly unknown[] }
  | { getMasterNode(): unknown }
)

/** What a client tells of: */
export type ClientEvent =
  /** Commands go out at once, or those for some other keys do too. */
  | 'ready'
  /** The connection, or one of a Cluster's, is gone. Another one is made, unless it has ended. */
  | 'lost'
  /** It was closed. */
  | 'end'
  /** What a connection failed of. */
  | 'error'
  /** A Cluster has other nodes, or they have other tasks. */
  | 'servers'

// biome-ignore lint/suspicious/noExplicitAny: what an event carries differs.
export type ClientListener = (...args: any[]) => void

export type Argument = string | Buffer | number

/** What Sluice asks of a client, whatever library it is of. Text in replies comes as buffers, numbers as numbers. */
export interface ScriptClient {
  /** Whether keys are spread over several servers. */
  readonly isCluster: boolean
  /** `idle`: nobody has connected it so far. `ended`: it was closed, or has given up. */
  readonly state: 'idle' | 'connecting' | 'ready' | 'ended'
  /** What the client puts before keys. Known when it is ready. */
  readonly keyPrefix: string
  /** Known when it is ready. */
  readonly database: number
  /** Another value for each connection, of a client of one server. */
  readonly session: unknown
  /** How much has arrived so far, as far as the library tells. Bytes. */
  readonly receivedBytes: number
  /** Whether commands about that key go out at once; without a key, whether any do. */
  readyFor(key?: string): boolean
  /** Sees to it that a connection is made, where nobody else does. What comes of it is told by events. */
  connect(): void
  /** A client for each server: this one, or one for each master of a Cluster, the same ones as long as these are there. */
  servers(): readonly ScriptClient[]
  /** The address of the master of a slot; empty where it is not known. */
  nodeOf(slot: number): string
  evalsha(sha: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown>
  eval(source: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown>
  mget(keys: readonly string[]): Promise<(Buffer | null)[]>
  publish(channel: string, message: string): Promise<unknown>
  /** Again after each loss. What is heard goes to the last listener given. */
  subscribe(channels: readonly string[], heard: (channel: string, message: string) => void): Promise<unknown>
  info(section: string): Promise<string>
  load(source: string): Promise<unknown>
  wait(replicas: number, timeoutMs: number): Promise<number>
  /** The next cursor, and keys with the prefix that the client puts before them. */
  scan(cursor: string, glob: string, count: number): Promise<[string, string[]]>
  /** A connection like this one that is Sluice's own: it queues nothing, and is made again when it is lost. */
  another(): ScriptClient
  /** The same, for nothing but listening: one that falls silent is made again too. In a Cluster, to any of its nodes. */
  listener(): ScriptClient
  on(event: ClientEvent, listener: ClientListener): unknown
  off(event: ClientEvent, listener: ClientListener): unknown
  /** Ends a connection that is Sluice's own. An application's client goes on, without Sluice listening to it. */
  close(): void
}

/** What channels carry of a client. */
export type ChannelOwner = Pick<ScriptClient, 'keyPrefix' | 'database'>

/**
 * The name of a channel for this client. Channels belong to a server: neither its databases nor the prefix that a client
 * puts before keys keep them apart.
 */
export function channelOf(name: string, client?: ChannelOwner): string {
  const { keyPrefix = '', database = 0 } = client ?? {}
  return `${keyPrefix}${name}${database === 0 ? '' : `@${database}`}`
}

/** Quickly again at first, then four times a second, not all processes at once: back soon after Redis is. */
export function retryMs(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 5), 250) * (0.75 + Math.random() / 2)
}
