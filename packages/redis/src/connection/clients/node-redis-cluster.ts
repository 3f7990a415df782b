// Of the module, and not the global ones, which fake timers take away.
import { setImmediate, setTimeout } from 'node:timers'
import { retryMs, type ScriptClient } from '../client.ts'
import { slotOfKey } from '../slots.ts'
import { NodeRedis, optionsFor, prefixOf } from './node-redis.ts'
import { end, Following, NodeRedisServer, OwnServer, ours, socketLike } from './node-redis-server.ts'
import { anchor, type RawClient, type RawCluster, type RawMaster } from './node-redis-shapes.ts'

/** How often the others are asked who has the slots of a node that is lost, at most. */
const againMs = 1_000

/** What it tells when there may be other nodes, or other connections to them. */
const changes = ['connect', 'disconnect', 'node-connect', 'node-ready', 'node-disconnect'] as const

/** A Cluster, where each command goes to the node that has its key. */
export class NodeRedisCluster extends NodeRedis {
  readonly isCluster = true
  readonly #cluster: RawCluster
  readonly #own: boolean
  /** The array of masters that was looked at last. */
  #masters: readonly RawMaster[] | undefined
  readonly #servers = new Map<RawClient, NodeRedisServer>()
  readonly #attend = (): void => this.#look()
  readonly #failed = (error: unknown): void => this.failed(error)
  /** For a node that there is no connection to so far. */
  readonly #unconnected = optionsFor(new AbortController())
  #opening = false
  #wasOpen: boolean
  #askedAtMs = Number.NEGATIVE_INFINITY
  #closed = false

  /** @param own - whether it is Sluice's own: it is connected, and to be closed */
  constructor(cluster: RawCluster, own = false) {
    super()
    this.#cluster = cluster
    this.#own = own
    this.#wasOpen = cluster.isOpen
    anchor(cluster)
    for (const event of changes) cluster.on(event, this.#attend)
    if (own) {
      // It throws errors that nobody listens for.
      for (const event of ['error', 'node-error']) cluster.on(event, () => {})
      void this.#open(0)
    }
    this.#look()
  }

  get state(): ScriptClient['state'] {
    if (this.#closed) return 'ended'
    if (this.#cluster.isOpen) return this.readyFor() ? 'ready' : 'connecting'
    return this.#own ? 'connecting' : this.#wasOpen ? 'ended' : 'idle'
  }

  get keyPrefix(): string {
    return prefixOf(this.#cluster._options?.keyPrefix)
  }

  /** A Cluster has one. */
  get database(): number {
    return 0
  }

  get session(): unknown {
    return undefined
  }

  readyFor(key?: string): boolean {
    if (!this.#cluster.isOpen) return false
    if (this.#cluster.masters !== this.#masters) this.#look()
    if (key === undefined) return this.#any() !== undefined
    const master = this.#masterOf(this.keyPrefix + key)
    // A connection that is made when it is needed.
    return master !== undefined && (master.client === undefined || master.client.isReady)
  }

  connect(): void {
    const cluster = this.#cluster
    if (this.#own || this.#closed) return
    if (cluster.isOpen) this.#rediscover()
    if (cluster.isOpen || this.#wasOpen || this.#opening) return
    // Not before this turn is over: its owner may be about to do so, and node-redis takes a second time for a mistake.
    this.#opening = true
    setImmediate(() => {
      this.#opening = false
      // What comes of it is told by events.
      if (!cluster.isOpen) cluster.connect().catch(() => {})
    })
  }

  servers(): readonly NodeRedisServer[] {
    if (this.#cluster.masters !== this.#masters) this.#look()
    for (const master of this.#cluster.masters) {
      if (!master.client) this.#cluster.nodeClient(master).catch(() => {})
    }
    return [...this.#servers.values()]
  }

  nodeOf(slot: number): string {
    return this.#cluster.slots[slot]?.master.address ?? ''
  }

  /** Messages reach all nodes of a Cluster, so any connection will do. */
  override publish(channel: string, message: string): Promise<unknown> {
    const server = this.#any()
    return server ? server.publish(channel, message) : notConnected()
  }

  subscribe(): Promise<unknown> {
    return Promise.reject(new Error('A connection that listens is of one server.'))
  }

  another(): NodeRedisCluster {
    const defaults = this.#cluster._options?.defaults
    const overrides = { ...defaults, ...ours, socket: socketLike(defaults) }
    return new NodeRedisCluster(
      this.#cluster.duplicate({ ...ours, minimizeConnections: false, useReplicas: false, defaults: overrides }),
      true,
    )
  }

  /** To one node, and to another when that is lost. */
  listener(): NodeRedisServer {
    let node: RawClient | undefined
    const current = (): RawClient | undefined => {
      if (!node?.isReady || !this.#servers.has(node)) node = this.#any()?.raw ?? node
      return node
    }
    return new OwnServer(new Following(this, current), true)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const event of changes) this.#cluster.off(event, this.#attend)
    for (const [client, server] of this.#servers) {
      server.close()
      if (this.#own) end(client)
    }
    this.#servers.clear()
    if (this.#own) this.#destroy()
    this.events.emit('lost')
    this.events.emit('end')
  }

  protected send(args: readonly (string | Buffer)[], key?: string): Promise<unknown> {
    if (key === undefined) return notConnected()
    const client = this.#masterOf(key)?.client
    const server = client && this.#servers.get(client)
    // The signal of that node's connection; redirections go through the application's client.
    return this.#cluster.sendCommand(key, false, args, server?.options ?? this.#unconnected)
  }

  protected listenForErrors(how: 'on' | 'off'): void {
    for (const event of ['error', 'node-error']) this.#cluster[how](event, this.#failed)
  }

  #masterOf(key: string): RawMaster | undefined {
    return this.#cluster.slots[slotOfKey(key)]?.master
  }

  /** A server whose connection is there. */
  #any(): NodeRedisServer | undefined {
    for (const server of this.#servers.values()) if (server.readyFor()) return server
    return undefined
  }

  /** Listens to the connections there are now, and to no others. */
  #look(): void {
    if (this.#closed) return
    const { masters, isOpen } = this.#cluster
    if (isOpen) this.#wasOpen = true
    this.#masters = masters
    const clients = new Set(masters.flatMap(({ client }) => client ?? []))
    let changed = false
    for (const [client, server] of this.#servers) {
      if (clients.has(client)) continue
      this.#servers.delete(client)
      server.close()
      changed = true
    }
    for (const client of clients) if (!this.#servers.has(client)) changed = this.#join(client)
    if (changed) this.events.emit('servers')
  }

  #join(client: RawClient): true {
    const server = new NodeRedisServer(client)
    this.#servers.set(client, server)
    server.on('ready', () => this.events.emit('ready'))
    server.on('lost', () => this.events.emit('lost'))
    if (client.isReady) this.events.emit('ready')
    return true
  }

  /** Node-redis 5 does not ask by itself who has taken the place of a node that is lost. */
  #rediscover(): void {
    const from = this.#any()
    if (!from || performance.now() - this.#askedAtMs < againMs) return
    this.#askedAtMs = performance.now()
    this.#cluster._slots?.rediscover?.(from.raw).then(this.#attend, () => {})
  }

  /** Of our own: until it is connected, or closed. */
  async #open(times: number): Promise<void> {
    try {
      await this.#cluster.connect()
      this.#look()
    } catch {
      if (!this.#closed) setTimeout(() => void this.#open(times + 1), retryMs(times)).unref()
    }
    if (this.#closed) this.#destroy()
  }

  #destroy(): void {
    try {
      this.#cluster.destroy()
    } catch {
      // One of its clients was closed before.
    }
  }
}

const notConnected = (): Promise<never> => Promise.reject(new Error('The client is not connected'))
