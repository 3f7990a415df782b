import { setMaxListeners } from 'node:events'
// Of the module, and not the global one, which fake timers take away.
import { setImmediate } from 'node:timers'
import { retryMs, type ScriptClient } from '../client.ts'
import { NodeRedis, optionsFor, prefixOf } from './node-redis.ts'
import { anchor, type ClientOptions, type CommandOptions, type RawClient } from './node-redis-shapes.ts'

/** What of an application's options is not for connections of our own. */
export const ours = {
  // What is called while there is no connection fails: nothing waits in a queue.
  disableOfflineQueue: true,
  // Says what client it is, by a command that older servers do not know and users may not be allowed.
  disableClientInfo: true,
  maintNotifications: 'disabled',
  pingInterval: undefined,
  commandsQueueMaxLength: undefined,
  clientSideCache: undefined,
  emitInvalidate: undefined,
  commandOptions: undefined,
} as const

const ourSocket = { connectTimeout: 2_000, reconnectStrategy: retryMs } as const
/** A server that is gone without a word: only a new connection finds it again. A listener hears itself every second. */
const silentMs = 5_000

export function socketLike(options: ClientOptions | undefined): object {
  return { ...options?.socket, ...ourSocket, socketTimeout: undefined }
}

/** A client of one server: an application's, or one of our own. */
export class NodeRedisServer extends NodeRedis {
  readonly isCluster = false
  #client: RawClient | undefined
  /** Of the connection there is. */
  #session = new AbortController()
  #options: CommandOptions
  #waking = false
  readonly #heard = (message: string, channel: string): void => this.#hear?.(channel, message)
  #hear: ((channel: string, message: string) => void) | undefined
  readonly #listeners = {
    connect: () => this.#renew(true),
    ready: () => void this.events.emit('ready'),
    reconnecting: () => this.lost(),
    end: () => this.ended(),
  }
  readonly #failed = (error: unknown): void => this.failed(error)

  constructor(client: RawClient | undefined) {
    super()
    setMaxListeners(0, this.#session.signal)
    this.#options = optionsFor(this.#session)
    if (client) this.use(client)
  }

  /** As node-redis has it. */
  get raw(): RawClient {
    return this.#client!
  }

  protected get client(): RawClient | undefined {
    return this.#client
  }

  /** Of commands of the connection there is. */
  get options(): CommandOptions {
    return this.#options
  }

  get state(): ScriptClient['state'] {
    const { client } = this
    if (!client || client.isReady) return client ? 'ready' : 'connecting'
    if (client.isOpen) return 'connecting'
    return client.socketEpoch > 0 ? 'ended' : 'idle'
  }

  /** Commands that are sent as they are do not get it from node-redis 6, and node-redis 5 has none. */
  get keyPrefix(): string {
    return prefixOf(this.#client?.options?.keyPrefix)
  }

  get database(): number {
    return this.#client?.options?.database ?? 0
  }

  get session(): unknown {
    return this.#session
  }

  readyFor(): boolean {
    return this.#client?.isReady === true
  }

  /** Not before this turn is over: its owner may be about to do so, and node-redis takes a second time for a mistake. */
  connect(): void {
    const client = this.#client
    if (!client || client.isOpen || this.state !== 'idle' || this.#waking) return
    this.#waking = true
    setImmediate(() => {
      this.#waking = false
      // What comes of it is told by events.
      if (!client.isOpen) client.connect().catch(() => {})
    })
  }

  servers(): readonly NodeRedisServer[] {
    return [this]
  }

  nodeOf(): string {
    return ''
  }

  subscribe(channels: readonly string[], heard: (channel: string, message: string) => void): Promise<unknown> {
    this.#hear = heard
    // It subscribes by itself again, before it is ready, and takes the same listener once.
    return this.#client ? this.#client.subscribe([...channels], this.#heard) : notConnected()
  }

  another(): NodeRedisServer {
    return new OwnServer(new Following(this, () => this.client), false)
  }

  listener(): NodeRedisServer {
    return new OwnServer(new Following(this, () => this.client), true)
  }

  close(): void {
    this.leave()
  }

  protected send(args: readonly (string | Buffer)[]): Promise<unknown> {
    return this.#client ? this.#client.sendCommand(args, this.#options) : notConnected()
  }

  /** From now on this one is meant. */
  protected use(client: RawClient): void {
    this.leave()
    this.#client = client
    anchor(client)
    for (const [event, listener] of Object.entries(this.#listeners)) client.on(event, listener)
    if (this.events.listenerCount('error') > 0) client.on('error', this.#failed)
    this.#renew(false)
  }

  /** Takes the listeners off the client. */
  protected leave(): void {
    const client = this.#client
    if (!client) return
    this.#client = undefined
    for (const [event, listener] of Object.entries(this.#listeners)) client.off(event, listener)
    client.off('error', this.#failed)
  }

  protected lost(): void {
    this.#renew(true)
    this.events.emit('lost')
  }

  /** What was to be written has been refused by then, or is on its way to another node of its Cluster. */
  protected ended(): void {
    this.#renew(false)
    this.events.emit('lost')
    this.events.emit('end')
  }

  protected listenForErrors(how: 'on' | 'off'): void {
    this.#client?.[how]('error', this.#failed)
  }

  #renew(refuse: boolean): void {
    const before = this.#session
    this.#session = new AbortController()
    // As many as there are commands under way.
    setMaxListeners(0, this.#session.signal)
    this.#options = optionsFor(this.#session)
    if (refuse) before.abort()
  }
}

const notConnected = (): Promise<never> => Promise.reject(new Error('The client is not connected'))

/** Whose like connections of our own are. It may be another client later: a failover. */
export class Following {
  readonly #client: Pick<ScriptClient, 'on' | 'off'>
  /** The client to be like now. */
  readonly current: () => RawClient | undefined

  constructor(client: Pick<ScriptClient, 'on' | 'off'>, current: () => RawClient | undefined) {
    this.#client = client
    this.current = current
  }

  each(how: 'on' | 'off', changed: () => void): void {
    for (const event of ['ready', 'lost', 'servers'] as const) this.#client[how](event, changed)
  }
}

/** A connection of our own, like an application's client, and like the one that takes its place. */
export class OwnServer extends NodeRedisServer {
  readonly #following: Following
  readonly #listens: boolean
  readonly #follow = (): void => this.#be()
  #like: RawClient | undefined
  #closed = false

  constructor(following: Following, listens: boolean) {
    super(undefined)
    this.#following = following
    this.#listens = listens
    following.each('on', this.#follow)
    this.#be()
  }

  override get state(): ScriptClient['state'] {
    if (this.#closed) return 'ended'
    return this.readyFor() ? 'ready' : 'connecting'
  }

  override connect(): void {}

  override close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#following.each('off', this.#follow)
    const { client } = this
    super.close()
    if (client) end(client)
    this.ended()
  }

  /** It ends by our hand alone. */
  protected override ended(): void {
    if (this.#closed) super.ended()
    else this.lost()
  }

  protected override lost(): void {
    super.lost()
    if (!this.#closed) this.#be()
  }

  #be(): void {
    const like = this.#following.current()
    if (this.#closed || !like || like === this.#like) return
    this.#like = like
    const before = this.client
    const socket = { ...socketLike(like.options), ...(this.#listens ? { socketTimeout: silentMs } : {}) }
    const client = like.duplicate({ ...ours, readonly: false, socket })
    // It throws errors that nobody listens for.
    client.on('error', () => {})
    this.use(client)
    if (before) {
      end(before)
      super.lost()
    }
    client.connect().catch(() => {})
  }
}

/** Ends a client for good: one that is just connecting can only be ended when it has done so, or has failed to. */
export function end(client: RawClient): void {
  const destroy = (): void => {
    if (client.isOpen) client.destroy()
  }
  if (client.isReady) destroy()
  else for (const event of ['ready', 'error']) client.on(event, destroy)
}
