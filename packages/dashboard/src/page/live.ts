import { Readable } from 'node:stream'
import type { DoorAnswer, Passage } from '@sluice/admin'
import type { Figures } from './figures.ts'

/** What is not read by then is not added to: a client that sleeps gets the newest when it wakes. Bytes. */
const mostBehind = 256 * 1024
/** Who comes later polls. */
const mostListeners = 100

const fields = [
  'Content-Type',
  'text/event-stream; charset=utf-8',
  // Neither is to be kept, nor gathered until there is enough of it to be compressed.
  'Cache-Control',
  'no-store, no-transform',
  'X-Accel-Buffering',
  'no',
  'X-Content-Type-Options',
  'nosniff',
] as const

/** Sends who listens what is new, after each slot (server-sent events, HTML §9.2). */
export class Live {
  readonly #figures: Figures
  readonly #listeners = new Set<Listener>()
  #closed = false

  constructor(figures: Figures) {
    this.#figures = figures
  }

  async open({ request }: Passage): Promise<DoorAnswer> {
    if (request.raw.method === 'HEAD') return { status: 200, fields, body: undefined }
    if (this.#closed || this.#listeners.size >= mostListeners) {
      return { status: 503, fields: ['Cache-Control', 'no-store', 'Content-Length', '0'], body: undefined }
    }
    const { server } = request.raw.socket as { server?: { readonly listening?: boolean } }
    const listener = new Listener(this.#figures, () => server?.listening === false)
    this.#listeners.add(listener)
    listener.stream.once('close', () => this.#listeners.delete(listener))
    await listener.send()
    // A server that closes would otherwise wait for the connection when nothing comes over it any more. HTTP/2 has no such field.
    const ownConnection = request.raw.httpVersionMajor < 2 ? ['Connection', 'close'] : []
    return { status: 200, fields: [...fields, ...ownConnection], stream: listener.stream }
  }

  tick(): void {
    for (const listener of this.#listeners) void listener.send()
  }

  close(): void {
    this.#closed = true
    for (const listener of this.#listeners) listener.end()
    this.#listeners.clear()
  }
}

class Listener {
  readonly stream = new Readable({ read() {} })
  readonly #figures: Figures
  readonly #isLast: () => boolean
  #since = 0
  #eventId = 0
  #sending = false
  #hasEnded = false

  /** @param isLast - whether the server waits for its last requests: this one would hold it up for ever */
  constructor(figures: Figures, isLast: () => boolean) {
    this.#figures = figures
    this.#isLast = isLast
    this.stream.push('retry: 2000\n\n')
  }

  /** Nothing is sent any more, neither what is being made. */
  end(): void {
    this.#hasEnded = true
    this.stream.push(null)
  }

  async send(): Promise<void> {
    if (this.#isLast()) this.end()
    if (this.#hasEnded || this.#sending || this.stream.readableLength > mostBehind) return
    this.#sending = true
    try {
      const frame = await this.#figures.since(this.#since, this.#eventId)
      if (this.#hasEnded || this.stream.destroyed) return
      this.#since = frame.samples.at(-1)?.at ?? this.#since
      this.#eventId = frame.events.at(-1)?.id ?? this.#eventId
      this.stream.push(`event: frame\ndata: ${JSON.stringify(frame)}\n\n`)
    } finally {
      this.#sending = false
    }
  }
}
