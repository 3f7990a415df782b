import { Cluster, Redis } from 'ioredis'
import {
  type Argument,
  type ClientEvent,
  type ClientListener,
  type IoredisClient,
  retryMs,
  type ScriptClient,
} from '../client.ts'

/** For connections of our own: nothing waits in a queue, and what was under way when one broke has failed. */
const ours = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  connectTimeout: 2_000,
  // What Redis says of how long it will still load its snapshot is a crude guess.
  maxLoadingRetryTime: 250,
  // A server that is gone without a word: only a new connection finds it again.
  socketTimeout: 5_000,
  retryStrategy: retryMs,
  // Says what client it is, by a command that older servers do not know and users may not be allowed.
  disableClientInfo: true,
  // A replica answers after a failover: the address leads to the new master on the next attempt.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} as const

/** What is used of ioredis, some of which its types do not tell of in all versions. */
interface Raw extends IoredisClient {
  readonly isCluster?: boolean
  /** Of a Cluster: for each slot the addresses of its nodes, the master's first. */
  readonly slots?: readonly (readonly string[] | undefined)[]
  readonly stream?: { readonly bytesRead?: number } | undefined
  readonly options?: { readonly keyPrefix?: string | undefined; readonly db?: number | undefined }
  nodes(role: 'master'): Raw[]
  evalshaBuffer(sha: string, keyCount: number, ...rest: Argument[]): Promise<unknown>
  evalBuffer(source: string, keyCount: number, ...rest: Argument[]): Promise<unknown>
  mgetBuffer(...keys: string[]): Promise<(Buffer | null)[]>
  subscribe(...channels: string[]): Promise<unknown>
  publish(channel: string, message: string): Promise<unknown>
  connect(): Promise<unknown>
  info(section: string): Promise<unknown>
  script(subcommand: 'LOAD', source: string): Promise<unknown>
  wait(replicas: number, timeoutMs: number): Promise<unknown>
  scan(cursor: string, ...args: string[]): Promise<[string, string[]]>
  off(event: string, listener: ClientListener): unknown
}

const events: Readonly<Record<ClientEvent, readonly string[]>> = {
  ready: ['ready'],
  lost: ['close', 'end'],
  end: ['end'],
  error: ['error'],
  servers: ['+node', '-node', 'refresh'],
}

/**
 * It does not gather commands by itself: what several requests ask is gathered where it is known what it is.
 *
 * @param url - as ioredis takes them
 */
export function openIoredis(url: string): ScriptClient {
  return new Ioredis(new Redis(url, ours), true)
}

/**
 * The same to a Cluster of which one node is known.
 *
 * @param url - of that node; its credentials and TLS are those of all of them
 */
export function openIoredisCluster(url: string): ScriptClient {
  const { hostname, port, username, password, protocol } = new URL(url)
  const { retryStrategy: _, ...each } = ours
  const cluster = new Cluster([{ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) }], {
    enableOfflineQueue: false,
    clusterRetryStrategy: retryMs,
    redisOptions: {
      ...each,
      ...(username ? { username: decodeURIComponent(username) } : {}),
      ...(password ? { password: decodeURIComponent(password) } : {}),
      ...(protocol === 'rediss:' ? { tls: {} } : {}),
    },
  })
  return new Ioredis(cluster, true)
}

/** A `Redis` or a `Cluster` of ioredis, which is asked what it is asked as it stands. */
export class Ioredis implements ScriptClient {
  readonly isCluster: boolean
  readonly #client: Raw
  readonly #own: boolean
  /** Of a Cluster. */
  readonly #servers = new WeakMap<Raw, Ioredis>()
  #heard: ((channel: string, message: string) => void) | undefined

  /** @param own - whether it is Sluice's own to close */
  constructor(client: IoredisClient, own = false) {
    this.#client = client as Raw
    this.#own = own
    this.isCluster = this.#client.isCluster === true
  }

  /** As ioredis has it. */
  get raw(): IoredisClient {
    return this.#client
  }

  get state(): ScriptClient['state'] {
    const { status } = this.#client
    if (status === 'ready') return 'ready'
    return status === 'end' ? 'ended' : status === 'wait' ? 'idle' : 'connecting'
  }

  get keyPrefix(): string {
    return this.#client.options?.keyPrefix ?? ''
  }

  get database(): number {
    return this.#client.options?.db ?? 0
  }

  get session(): unknown {
    return this.#client.stream
  }

  get receivedBytes(): number {
    if (!this.isCluster) return this.#client.stream?.bytesRead ?? 0
    let bytes = 0
    for (const { stream } of this.#client.nodes('master')) bytes += stream?.bytesRead ?? 0
    return bytes
  }

  readyFor(): boolean {
    return this.#client.status === 'ready'
  }

  connect(): void {
    // Of a client made with `lazyConnect`.
    if (this.#client.status === 'wait') this.#client.connect().catch(() => {})
  }

  servers(): readonly Ioredis[] {
    return this.isCluster ? this.#client.nodes('master').map((node) => this.#serverOf(node)) : [this]
  }

  nodeOf(slot: number): string {
    return this.#client.slots?.[slot]?.[0] ?? ''
  }

  evalsha(sha: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#client.evalshaBuffer(sha, keys.length, ...keys, ...args)
  }

  eval(source: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#client.evalBuffer(source, keys.length, ...keys, ...args)
  }

  mget(keys: readonly string[]): Promise<(Buffer | null)[]> {
    return this.#client.mgetBuffer(...keys)
  }

  publish(channel: string, message: string): Promise<unknown> {
    return this.#client.publish(channel, message)
  }

  subscribe(channels: readonly string[], heard: (channel: string, message: string) => void): Promise<unknown> {
    if (!this.#heard) this.#client.on('message', (channel: string, message: string) => this.#heard!(channel, message))
    this.#heard = heard
    return this.#client.subscribe(...channels)
  }

  async info(section: string): Promise<string> {
    return String(await this.#client.info(section))
  }

  load(source: string): Promise<unknown> {
    return this.#client.script('LOAD', source)
  }

  async wait(replicas: number, timeoutMs: number): Promise<number> {
    return Number(await this.#client.wait(replicas, timeoutMs))
  }

  scan(cursor: string, glob: string, count: number): Promise<[string, string[]]> {
    return this.#client.scan(cursor, 'MATCH', glob, 'COUNT', String(count))
  }

  another(): Ioredis {
    const override = { ...ours, lazyConnect: false, enableAutoPipelining: false }
    const { retryStrategy: _, ...rest } = override
    const made = this.isCluster
      ? this.#client.duplicate([], { lazyConnect: false, enableOfflineQueue: false, redisOptions: rest })
      : this.#client.duplicate(override)
    return new Ioredis(made as IoredisClient, true)
  }

  listener(): Ioredis {
    return this.another()
  }

  on(event: ClientEvent, listener: ClientListener): void {
    for (const name of events[event]) this.#client.on(name, listener)
  }

  off(event: ClientEvent, listener: ClientListener): void {
    for (const name of events[event]) this.#client.off(name, listener)
  }

  close(): void {
    if (this.#own) this.#client.disconnect()
  }

  #serverOf(node: Raw): Ioredis {
    const known = this.#servers.get(node)
    if (known) return known
    const server = new Ioredis(node)
    this.#servers.set(node, server)
    return server
  }
}
