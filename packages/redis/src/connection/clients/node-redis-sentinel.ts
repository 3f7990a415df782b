// Of the module, and not the global one, which fake timers take away.
import { setImmediate } from 'node:timers'
import type { ScriptClient } from '../client.ts'
import { prefixOf } from './node-redis.ts'
import { NodeRedisServer } from './node-redis-server.ts'
import { anchor, type RawSentinel } from './node-redis-shapes.ts'

/** How often it is asked for the master while there is no connection to one, at most. */
const againMs = 1_000

/**
 * The master that Sentinels name, whichever it is. Commands go over the connection that the application's client has to
 * it, and not through that client: it would send one after the other, and hold them back without end while there is no
 * master.
 */
export class NodeRedisSentinel extends NodeRedisServer {
  readonly #sentinel: RawSentinel
  readonly #moved = (change: { readonly type?: string } | undefined): void => {
    if (change?.type === 'MASTER_CHANGE') this.#look()
  }
  readonly #failing = (error: unknown): void =>
    // Some are texts.
    this.failed(error instanceof Error ? error : new Error(String(error)))
  readonly #clientFailing = (event: { readonly error?: unknown } | undefined): void => this.failed(event?.error)
  #opening = false
  #looking = false
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #again = false
  #closed = false

  constructor(sentinel: RawSentinel) {
    super(undefined)
    this.#sentinel = sentinel
    anchor(sentinel)
    sentinel.on('topology-change', this.#moved)
    if (sentinel.isReady) this.#look()
  }

  override get state(): ScriptClient['state'] {
    if (this.#sentinel.isOpen) return this.readyFor() ? 'ready' : 'connecting'
    return this.client ? 'ended' : 'idle'
  }

  override get keyPrefix(): string {
    return prefixOf(this.#sentinel._keyPrefix)
  }

  override connect(): void {
    const sentinel = this.#sentinel
    if (sentinel.isOpen) {
      // What it was told of may be over.
      if (sentinel.isReady && performance.now() - this.#lookedAtMs > againMs) this.#look()
      return
    }
    if (this.state !== 'idle' || this.#opening) return
    this.#opening = true
    setImmediate(() => {
      this.#opening = false
      if (!sentinel.isOpen) sentinel.connect().catch(() => {})
    })
  }

  override close(): void {
    this.#closed = true
    this.#sentinel.off('topology-change', this.#moved)
    super.close()
  }

  /** Its client to a master that is none any more. */
  protected override ended(): void {
    if (this.#sentinel.isOpen) this.lost()
    else super.ended()
  }

  protected override listenForErrors(how: 'on' | 'off'): void {
    super.listenForErrors(how)
    this.#sentinel[how]('error', this.#failing)
    this.#sentinel[how]('client-error', this.#clientFailing)
  }

  /** Takes the connection to the master there is, as soon as there is one. */
  #look(): void {
    if (this.#looking) {
      this.#again = true
      return
    }
    this.#looking = true
    this.#again = false
    this.#lookedAtMs = performance.now()
    this.#sentinel
      ._execute(false, async (master) => {
        if (this.#closed || master === this.client) return
        this.use(master)
        this.lost()
        if (master.isReady) this.events.emit('ready')
      })
      // It is asked again when somebody needs it.
      .catch(() => {})
      .finally(() => {
        this.#looking = false
        if (this.#again && !this.#closed) this.#look()
      })
  }
}
