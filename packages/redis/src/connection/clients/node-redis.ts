import { EventEmitter } from 'node:events'
import type { Argument, ClientEvent, ClientListener, ScriptClient } from '../client.ts'
import type { CommandOptions } from './node-redis-shapes.ts'

/** Text of every kind as buffers: bulk (`$`), simple (`+`) and verbatim (`=`) strings, by their first bytes. */
const typeMapping = { 36: Buffer, 43: Buffer, 61: Buffer }

/**
 * For commands of one connection. They carry a signal that is given when it is lost: what had not been written by then is
 * refused, and not written to the next one, long after whoever asked has gone.
 */
export function optionsFor(connection: AbortController): CommandOptions {
  // Deadlines are kept by those who ask.
  return { typeMapping, abortSignal: connection.signal, timeout: undefined }
}

export function prefixOf(prefix: string | Buffer | undefined): string {
  return prefix === undefined ? '' : String(prefix)
}

/** What clients of node-redis have in common: commands as they go over the wire. */
export abstract class NodeRedis implements ScriptClient {
  protected readonly events = new EventEmitter()
  #receivedBytes = 0

  constructor() {
    this.events.setMaxListeners(0)
  }

  abstract readonly isCluster: boolean
  abstract readonly state: ScriptClient['state']
  abstract readonly keyPrefix: string
  abstract readonly database: number
  abstract readonly session: unknown
  abstract readyFor(key?: string): boolean
  abstract connect(): void
  abstract servers(): readonly ScriptClient[]
  abstract nodeOf(slot: number): string
  abstract another(): ScriptClient
  abstract listener(): ScriptClient
  abstract subscribe(channels: readonly string[], heard: (channel: string, message: string) => void): Promise<unknown>
  abstract close(): void

  /** @param key - that decides which node of a Cluster is asked; without one, any is */
  protected abstract send(args: readonly (string | Buffer)[], key?: string): Promise<unknown>
  /** Begins or ceases to listen for errors of an application's client, which reports them to whom it likes. */
  protected abstract listenForErrors(how: 'on' | 'off'): void

  /** In whole replies, as sockets are not shown. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  evalsha(sha: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#run('EVALSHA', sha, keys, args)
  }

  eval(source: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#run('EVAL', source, keys, args)
  }

  async mget(keys: readonly string[]): Promise<(Buffer | null)[]> {
    const { keyPrefix } = this
    const args = ['MGET']
    for (const key of keys) args.push(keyPrefix + key)
    const values = (await this.send(args, args[1])) as (Buffer | null)[]
    for (const value of values) this.#receivedBytes += value?.length ?? 0
    return values
  }

  publish(channel: string, message: string): Promise<unknown> {
    return this.send(['PUBLISH', channel, message])
  }

  async info(section: string): Promise<string> {
    return String(await this.send(['INFO', section]))
  }

  load(source: string): Promise<unknown> {
    return this.send(['SCRIPT', 'LOAD', source])
  }

  async wait(replicas: number, timeoutMs: number): Promise<number> {
    return Number(await this.send(['WAIT', String(replicas), String(timeoutMs)]))
  }

  async scan(cursor: string, glob: string, count: number): Promise<[string, string[]]> {
    const [next, keys] = (await this.send(['SCAN', cursor, 'MATCH', glob, 'COUNT', String(count)])) as [
      Buffer,
      Buffer[],
    ]
    return [String(next), keys.map(String)]
  }

  on(event: ClientEvent, listener: ClientListener): void {
    if (event === 'error' && this.events.listenerCount('error') === 0) this.listenForErrors('on')
    this.events.on(event, listener)
  }

  off(event: ClientEvent, listener: ClientListener): void {
    this.events.off(event, listener)
    if (event === 'error' && this.events.listenerCount('error') === 0) this.listenForErrors('off')
  }

  /** An emitter throws errors that nobody listens for. */
  protected failed(error: unknown): void {
    if (this.events.listenerCount('error') > 0) this.events.emit('error', error)
  }

  #run(command: string, script: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const { keyPrefix } = this
    const all: (string | Buffer)[] = [command, script, String(keys.length)]
    for (const key of keys) all.push(keyPrefix + key)
    for (const arg of args) all.push(typeof arg === 'number' ? String(arg) : arg)
    return this.send(all, keys.length > 0 ? (all[3] as string) : undefined)
  }
}
