import { pipeline, Readable, Transform, type TransformCallback } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { FastifyReply } from 'fastify'

/** What an `onSend` hook is given, sorted by how its body comes. */
export type Payload =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | { readonly kind: 'pieces'; readonly stream: NodeJS.ReadableStream | ReadableStream }

/** Whether Fastify can send it. A stream that somebody else reads already is none. */
export function isPayload(payload: unknown): boolean {
  if (payload === undefined || payload === null || typeof payload === 'string') return true
  if (typeof payload !== 'object') return false
  const { pipe, getReader, locked } = payload as { pipe?: unknown; getReader?: unknown; locked?: unknown }
  if (typeof getReader === 'function') return locked !== true
  return payload instanceof Uint8Array || typeof pipe === 'function'
}

export function readPayload(payload: unknown): Payload {
  if (payload === undefined || payload === null) return { kind: 'whole', bytes: empty }
  if (typeof payload === 'string') return { kind: 'whole', bytes: Buffer.from(payload) }
  if (payload instanceof Uint8Array) return { kind: 'whole', bytes: payload }
  return { kind: 'pieces', stream: payload as NodeJS.ReadableStream }
}

/**
 * A fetch `Response` given to `reply.send`: its status and fields go to the reply, its body is what is left. Fastify does
 * this after the hooks; the exchange has to know them before.
 */
export function unwrapResponse(reply: FastifyReply, payload: unknown): unknown {
  if (Object.prototype.toString.call(payload) !== '[object Response]') return payload
  const response = payload as Response
  // Fastify has an error of its own for this.
  if (response.bodyUsed) return payload
  reply.code(response.status)
  for (const [name, value] of response.headers) reply.header(name, value)
  return response.body ?? empty
}

/** A body as Fastify sends it. */
export function toPayload(body: Uint8Array): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

/** Lets go of a body that will not be sent. */
export function discard(payload: unknown): void {
  if (typeof payload !== 'object' || payload === null || payload instanceof Uint8Array) return
  const { destroy, cancel } = payload as { destroy?: () => void; cancel?: () => Promise<void> }
  if (typeof destroy === 'function') {
    // What it has to say about being destroyed concerns nobody any more.
    ;(payload as Readable).on('error', () => {})
    destroy.call(payload)
  } else if (typeof cancel === 'function') cancel.call(payload).catch(() => {})
}

/** What a tee has to tell. */
export interface TeeListener {
  /** The body came to its end, within the limit. */
  whole(bytes: Uint8Array): void
  /** The body broke off. */
  broken(): void
}

/**
 * The body as it comes, and a copy of it beside, up to `limit` bytes. Who reads slowly slows the source down; an error of
 * the source is an error of the answer; a reader that goes away ends the source.
 */
export function tee(stream: NodeJS.ReadableStream | ReadableStream, limit: number, listener: TeeListener): Readable {
  const source = nodeStream(stream)
  source.once('error', () => listener.broken())
  return pipeline(source, new Copy(limit, (bytes) => listener.whole(bytes)), () => {})
}

export function nodeStream(stream: NodeJS.ReadableStream | ReadableStream): NodeJS.ReadableStream {
  return 'getReader' in stream ? Readable.fromWeb(stream) : stream
}

class Copy extends Transform {
  #kept: Buffer[] | undefined = []
  #size = 0
  readonly #limit: number
  readonly #done: (bytes: Uint8Array) => void

  constructor(limit: number, done: (bytes: Uint8Array) => void) {
    // `Readable.from(['a', 'b'])` brings its pieces as values, not as bytes.
    super({ writableObjectMode: true, decodeStrings: false })
    this.#limit = limit
    this.#done = done
  }

  override _transform(chunk: unknown, encoding: BufferEncoding, next: TransformCallback): void {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
      next(new TypeError(`A response body is made of strings and bytes; this stream brought ${typeof chunk}.`))
      return
    }
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
    this.#size += bytes.byteLength
    if (this.#size > this.#limit) this.#kept = undefined
    // A copy, for the source may use its buffer again.
    else this.#kept?.push(Buffer.from(bytes))
    next(null, bytes)
  }

  override _flush(next: TransformCallback): void {
    if (this.#kept) this.#done(Buffer.concat(this.#kept))
    next()
  }
}

const empty: Buffer = Buffer.alloc(0)
