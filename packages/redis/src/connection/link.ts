import { afterWaiting, type Clock, isSluiceError, SluiceError } from '@sluice/core'
import type { Argument, ScriptClient } from './client.ts'
import { withDeadline } from './deadline.ts'
import type { Script } from './script.ts'

/** A script, the keys it touches (of one slot), and its arguments. */
export interface Call {
  readonly script: Script
  readonly keys: readonly string[]
  readonly args: readonly Argument[]
  /** How long it may wait for a connection. Default: as the link has it. Milliseconds. */
  readonly waitMs?: number | undefined
}

export interface LinkOptions {
  readonly clock: Clock
  /** How long calls wait for a connection that is being made, the first one or the next. Milliseconds; 0: not at all. */
  readonly waitMs: number
  /** Told of every error that Redis answered with, and of every probe that failed. */
  readonly failed?: ((error: unknown) => void) | undefined
}

/** When the answer to a probe is taken for lost. */
const lostMs = 2_000

/**
 * Runs scripts, soon or not at all: what is called while a connection is being made goes out with the first bytes over it,
 * or answers with an error when its time is up, whatever the client was told to queue. Text in replies comes as buffers,
 * numbers as numbers.
 */
export class Link {
  readonly client: ScriptClient
  readonly #options: Partial<LinkOptions>
  /** Those who wait for a connection, in their order. */
  readonly #waiting = new Set<(connected: boolean) => void>()
  #expectedBytes = 0
  readonly #ready = (): void => this.#tell(true)
  readonly #end = (): void => this.#tell(false)

  constructor(client: ScriptClient, options: Partial<LinkOptions> = {}) {
    this.client = client
    this.#options = options
  }

  get ready(): boolean {
    return this.client.readyFor()
  }

  /** How much has arrived so far over the connections there are. Bytes. */
  get receivedBytes(): number {
    return this.client.receivedBytes
  }

  /** How much more will arrive that is known of. Bytes. */
  get expectedBytes(): number {
    return this.#expectedBytes
  }

  /** So much will arrive, until what this answers with is called. */
  expect(bytes: number): () => void {
    this.#expectedBytes += bytes
    return () => {
      this.#expectedBytes -= bytes
    }
  }

  /** What stands under these keys, which must share a slot. */
  async read(keys: readonly string[], waitMs?: number): Promise<(Buffer | null)[]> {
    if (!this.client.readyFor(keys[0])) await this.connected(waitMs, keys[0])
    return this.client.mget(keys)
  }

  async run({ script, keys, args, waitMs }: Call): Promise<unknown> {
    try {
      if (!this.client.readyFor(keys[0])) await this.connected(waitMs, keys[0])
      return await this.#evaluate(script, keys, args)
    } catch (error) {
      // That there is no connection at this moment may mean nothing.
      if (!isSluiceError(error)) this.#options.failed?.(error)
      throw error
    }
  }

  /**
   * Runs what shows whether Redis is there. An answer that is lost is not waited for; a frozen Redis gives it when it thaws.
   *
   * @throws what is the matter
   */
  async probe(calls: readonly Promise<unknown>[]): Promise<void> {
    const { clock, failed } = this.#options
    const answers = Promise.all(calls)
    try {
      await (clock ? withDeadline(clock, lostMs, 'answer', answers) : answers)
    } catch (error) {
      failed?.(error)
      throw error
    }
  }

  async #evaluate({ sha, source }: Script, keys: Call['keys'], args: Call['args']): Promise<unknown> {
    try {
      return await this.client.evalsha(sha, keys, args)
    } catch (error) {
      // Redis was restarted, its scripts were flushed, or this node has not seen this one yet. The source runs it as well.
      if (!isReply(error, 'NOSCRIPT')) throw error
      return this.client.eval(source, keys, args)
    }
  }

  /**
   * Resolves when the client is connected. A client that waits to be connected is.
   *
   * @param key - that there are commands about: in a Cluster there may be a connection for some and not for others
   * @throws SluiceError where it is not in time, or never will be
   */
  connected(waitMs = this.#options.waitMs ?? 0, key?: string): Promise<void> {
    const { client } = this
    const { clock } = this.#options
    if (client.readyFor(key)) return Promise.resolve()
    client.connect()
    if (!clock || waitMs <= 0 || client.state === 'ended') return Promise.reject(this.#notConnected())
    return new Promise((resolve, reject) => {
      const over = (connected: boolean, last = !connected): void => {
        // One of a Cluster's nodes, and another is waited for.
        if (!last && !client.readyFor(key)) return
        cancel()
        this.#waiting.delete(over)
        if (this.#waiting.size === 0) this.#listen('off')
        if (connected) resolve()
        else reject(this.#notConnected())
      }
      const cancel = afterWaiting(clock, waitMs, () => over(client.readyFor(key), true))
      if (this.#waiting.size === 0) this.#listen('on')
      this.#waiting.add(over)
    })
  }

  /** Only while somebody waits: the client may be an application's, and outlive this link. */
  #listen(how: 'on' | 'off'): void {
    this.client[how]('ready', this.#ready)
    this.client[how]('end', this.#end)
  }

  #tell(connected: boolean): void {
    for (const waiting of [...this.#waiting]) waiting(connected)
  }

  #notConnected(): SluiceError {
    return new SluiceError(
      'ERR_SLUICE_STORE',
      `There is no connection to Redis (the client is "${this.client.state}"). Sluice goes on without it and uses it as soon as it is back.`,
    )
  }
}

/** Whether Redis itself answered with that error. */
export function isReply(error: unknown, code: string): boolean {
  return error instanceof Error && error.message.startsWith(code)
}
