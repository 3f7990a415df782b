import { randomBytes } from 'node:crypto'
import type { BusFigures, Cancel, Clock } from '@sluice/core'
import type { ScriptClient } from './client.ts'
import { withDeadline } from './deadline.ts'

export interface ListenerOptions {
  readonly clock: Clock
  /** Over which messages are sent to try it out. */
  readonly client: ScriptClient
  /** A connection that does nothing else. */
  readonly connection: ScriptClient
  /** Asked when there is a connection: its name carries what is known of a client by then. */
  readonly channel: () => string
  readonly heard: (text: string) => void
  /** It has gone down, or come back. */
  readonly changed: (live: boolean, cause: unknown) => void
  /** Everything that was published before that moment has been heard. */
  readonly proved?: ((atMs: number) => void) | undefined
  readonly beatMs?: number | undefined
  readonly deadlineMs?: number | undefined
}

/** How long after it went down until it is tried again. */
const againMs = 200

/**
 * Hears what is published on a channel, and knows whether it does. A connection may be only half there, so at every beat
 * it is sent a message of its own, and what does not come in time means that others may have been lost as well.
 *
 * While it is not live, nobody can rely on having heard everything.
 */
export class Listener {
  readonly #options: ListenerOptions
  readonly #beatMs: number
  readonly #deadlineMs: number
  #echoChannel = ''
  /** When the last message to itself was sent that came back; before the first, when it began to listen. */
  #provedMs: number
  #delayMs: number | undefined
  #live = false
  #closed = false
  #subscribed = false
  #running = false
  #timer: Cancel | undefined
  readonly #name = randomBytes(9).toString('base64url')
  readonly #message = (channel: string, text: string): void => {
    if (this.#closed) return
    if (channel !== this.#echoChannel) this.#options.heard(text)
    else if (this.#echo?.text === text) this.#echo.came()
  }
  #echo: { readonly text: string; readonly came: () => void } | undefined

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#beatMs = options.beatMs ?? 1_000
    this.#deadlineMs = options.deadlineMs ?? 500
    this.#provedMs = options.clock.now()
    const { connection } = options
    connection.on('lost', () => this.#lost(new Error('the connection was closed')))
    connection.on('ready', () => void this.#turn())
    void this.#turn()
  }

  get live(): boolean {
    return this.#live
  }

  /** By one clock, that of this process: no two have to agree. */
  figures(): BusFigures {
    return { behindMs: Math.max(0, this.#options.clock.now() - this.#provedMs), delayMs: this.#delayMs }
  }

  /** The connection is not its own to close. */
  close(): void {
    this.#closed = true
    this.#live = false
    this.#timer?.()
  }

  #lost(cause: unknown): void {
    this.#subscribed = false
    this.#down(cause)
  }

  #down(cause: unknown): void {
    if (!this.#live) return
    this.#live = false
    this.#options.changed(false, cause)
  }

  /** Subscribes or tries the connection out, and sees to the next time. */
  async #turn(): Promise<void> {
    if (this.#running || this.#closed) return
    this.#running = true
    this.#timer?.()
    try {
      if (this.#live) await this.#beat()
      else await this.#begin()
    } catch (error) {
      // Subscribing twice does no harm; not being subscribed would.
      this.#lost(error)
    }
    this.#running = false
    if (this.#closed) return
    this.#timer = this.#options.clock.after(this.#live ? this.#beatMs : againMs, () => void this.#turn())
  }

  async #begin(): Promise<void> {
    const { connection, client } = this.#options
    if (!this.#subscribed) {
      // A client that waits to be connected is not connected for this: its owner may be about to do so.
      if (!connection.readyFor() || client.state === 'idle') return
      const channel = this.#options.channel()
      this.#echoChannel ||= `${channel}:${this.#name}`
      await this.#within('subscribe', connection.subscribe([channel, this.#echoChannel], this.#message))
      this.#subscribed = true
    }
    // From here on every message comes.
    const provedMs = await this.#hear()
    if (!this.#subscribed || this.#closed) return
    this.#live = true
    this.#options.changed(true, undefined)
    this.#options.proved?.(provedMs)
  }

  async #beat(): Promise<void> {
    const provedMs = await this.#hear()
    if (this.#live) this.#options.proved?.(provedMs)
  }

  /** Sends a message over the channel to this process itself, and waits for it. Answers with when it was sent. */
  async #hear(): Promise<number> {
    const sentMs = this.#options.clock.now()
    const text = randomBytes(6).toString('base64url')
    const came = new Promise<void>((resolve) => {
      this.#echo = { text, came: resolve }
    })
    const sent = this.#options.client.publish(this.#echoChannel, text)
    await this.#within('pass a message on', Promise.all([sent, came]))
    this.#provedMs = sentMs
    this.#delayMs = Math.max(0, this.#options.clock.now() - sentMs)
    return sentMs
  }

  /** The answer, no later than a try may take. */
  #within<T>(what: string, answer: Promise<T>): Promise<T> {
    return withDeadline(this.#options.clock, this.#deadlineMs, what, answer)
  }
}
