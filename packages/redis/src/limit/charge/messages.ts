import type { Clock } from '@sluice/core'
import type { ScriptClient } from '../../connection/client.ts'
import { Listener } from '../../connection/listener.ts'
import { nameLength } from '../store/keys.ts'

export interface ReleaseMessagesOptions {
  readonly clock: Clock
  readonly client: ScriptClient
  readonly channel: () => string
  /** Opens a connection to that server: the client's only one, or one of a Cluster. */
  readonly open: (server: ScriptClient) => ScriptClient
  /** Something of the key with that name was given back. */
  readonly released: (name: string) => void
  /** From here on something may be missed. */
  readonly lost: () => void
}

/**
 * How long what was heard last is relied on. A message that is lost in silence is not noticed any earlier. Longer than a
 * beat and its deadline.
 */
const reliedOnMs = 2_000

interface Server {
  readonly listener: Listener
  readonly connection: ScriptClient
  provedMs: number
}

/**
 * What was given back in any process: of which keys the refusals do not hold any longer.
 *
 * Messages are heard from each master of a Cluster itself, where its scripts publish them, and not only over the links
 * between its nodes, on which they can be lost without a trace.
 *
 * Nothing is opened before it is asked for: who never refuses for long needs to hear nothing.
 */
export class ReleaseMessages {
  readonly #options: ReleaseMessagesOptions
  readonly #servers = new Map<ScriptClient, Server>()
  readonly #changed = (): void => this.#attend()
  #wanted = false
  #closed = false
  #live = false
  #sinceMs = Number.POSITIVE_INFINITY
  #reliableUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: ReleaseMessagesOptions) {
    this.#options = options
  }

  /** From when on everything has been heard; `Infinity` while that cannot be said. */
  get sinceMs(): number {
    return this.#sinceMs
  }

  /** Until when what was heard so far is relied on, where nothing else is heard. */
  get reliableUntilMs(): number {
    return this.#reliableUntilMs
  }

  /** Begins to listen, once. */
  listen(): void {
    if (this.#wanted || this.#closed) return
    this.#wanted = true
    const { client } = this.#options
    client.on('servers', this.#changed)
    this.#attend()
  }

  close(): void {
    this.#closed = true
    this.#options.client.off('servers', this.#changed)
    for (const server of this.#servers.keys()) this.#leave(server)
  }

  /** Listens to all servers there are now, and to no others. */
  #attend(): void {
    if (this.#closed) return
    const servers = this.#options.client.servers()
    for (const server of this.#servers.keys()) if (!servers.includes(server)) this.#leave(server)
    for (const server of servers) if (!this.#servers.has(server)) this.#join(server)
    this.#update()
  }

  #join(server: ScriptClient): void {
    const { clock, channel, open, released } = this.#options
    const connection = open(server)
    const listener = new Listener({
      clock,
      client: server,
      connection,
      channel,
      heard: (text) => {
        for (let at = 0; at < text.length; at += nameLength) released(text.slice(at, at + nameLength))
      },
      changed: () => this.#update(),
      proved: (atMs) => {
        joined.provedMs = atMs
        this.#update()
      },
    })
    const joined: Server = { listener, connection, provedMs: Number.NEGATIVE_INFINITY }
    this.#servers.set(server, joined)
  }

  #leave(server: ScriptClient): void {
    const { listener, connection } = this.#servers.get(server)!
    this.#servers.delete(server)
    listener.close()
    connection.close()
  }

  #update(): void {
    const all = [...this.#servers.values()]
    const live = all.length > 0 && all.every(({ listener }) => listener.live)
    const proved = Math.min(...all.map(({ provedMs }) => provedMs))
    if (live) this.#reliableUntilMs = proved + reliedOnMs
    if (live === this.#live) return
    this.#live = live
    this.#sinceMs = live ? this.#options.clock.now() : Number.POSITIVE_INFINITY
    if (!live) this.#options.lost()
  }
}
