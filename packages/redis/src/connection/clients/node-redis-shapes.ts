import type { ClientListener } from '../client.ts'

/** What is used of node-redis 5 and 6. Internal members of theirs are marked. */
export interface RawEmitter {
  on(event: string, listener: ClientListener): unknown
  off(event: string, listener: ClientListener): unknown
  listenerCount(event: string): number
}

export interface CommandOptions {
  readonly typeMapping: Readonly<Record<number, unknown>>
  readonly abortSignal: AbortSignal
  readonly timeout: undefined
}

export interface ClientOptions {
  readonly socket?: object
  readonly database?: number
  readonly keyPrefix?: string | Buffer
}

export interface RawClient extends RawEmitter {
  readonly isOpen: boolean
  readonly isReady: boolean
  /** How many connections it has had. */
  readonly socketEpoch: number
  readonly options?: ClientOptions
  connect(): Promise<unknown>
  sendCommand(args: readonly (string | Buffer)[], options: CommandOptions): Promise<unknown>
  subscribe(channels: string[], heard: (message: string, channel: string) => void): Promise<unknown>
  duplicate(overrides: object): RawClient
  destroy(): void
}

export interface RawMaster {
  readonly address: string
  /** None where connections are made when they are needed (`minimizeConnections`). */
  readonly client?: RawClient
}

export interface RawCluster extends RawEmitter {
  readonly isOpen: boolean
  /** Another array whenever the Cluster was looked at again. */
  readonly masters: readonly RawMaster[]
  readonly slots: readonly ({ readonly master: RawMaster } | undefined)[]
  /** Internal. */
  readonly _options?: ClientOptions & { readonly defaults?: ClientOptions }
  /** Internal. Asks the node of that client, and then others, who has which slots. */
  readonly _slots?: { rediscover?(from: RawClient): Promise<unknown> }
  connect(): Promise<unknown>
  nodeClient(node: RawMaster): Promise<unknown>
  sendCommand(
    key: string,
    isReadonly: boolean,
    args: readonly (string | Buffer)[],
    options: CommandOptions,
  ): Promise<unknown>
  duplicate(overrides: object): RawCluster
  destroy(): void
}

export interface RawSentinel extends RawEmitter {
  readonly isOpen: boolean
  readonly isReady: boolean
  /** Internal. */
  readonly _keyPrefix?: string | Buffer
  connect(): Promise<unknown>
  /** Internal: what its own commands go through. Hands over the connection to the master that there is now. */
  _execute<T>(isReadonly: boolean, use: (master: RawClient) => Promise<T>): Promise<T>
}

const anchored = 'sluice'
const nothing = (): void => {}

/**
 * Keeps one listener on a client for ever. Clients of node-redis are proxies that share a table of listeners: the emitter
 * gives up that table for a new one when it has taken away the last listener that it knows of, and nobody would hear what is
 * registered through the proxy afterwards, the application's `error` listener among them.
 */
export function anchor(emitter: RawEmitter): void {
  if (emitter.listenerCount(anchored) === 0) emitter.on(anchored, nothing)
}
