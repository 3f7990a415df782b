import type { ServerResponse } from 'node:http'
import { pipeline, Readable, Transform, type TransformCallback } from 'node:stream'
import type { BodyPlan } from '@sluice/core'

/** How much of a body is copied, in bytes, and who is told once there is more. */
type CopyPlan = Pick<Extract<BodyPlan, { mode: 'tee' }>, 'limit' | 'dropped'>

/** Copies of the pieces of a body that goes on elsewhere, up to a limit; past that there is no copy. */
export class BodyCopy {
  readonly #plan: CopyPlan
  #pieces: Buffer[] | undefined = []
  #size = 0

  constructor(plan: CopyPlan) {
    this.#plan = plan
  }

  add(piece: Uint8Array): void {
    this.#size += piece.byteLength
    if (!this.#pieces) return
    if (this.#size > this.#plan.limit) {
      this.#pieces = undefined
      this.#plan.dropped?.()
    }
    // Copied, and not kept: whoever produced it may use its memory again.
    else this.#pieces.push(Buffer.from(piece))
  }

  /** What was copied; `undefined` where it was more than the limit. */
  get bytes(): Buffer | undefined {
    return this.#pieces && Buffer.concat(this.#pieces)
  }
}

/** What {@link copyBeside} has to tell; one of the two, and only the first where the copy is whole. */
export interface CopyListener {
  /** The body came to its end, within the limit. */
  whole(bytes: Buffer): void
  /** The source failed, or was destroyed because nobody takes it any more. */
  broken(): void
}

/**
 * A stream of the same bytes at the pace they are taken, and a copy of them beside: past the plan's limit the stream goes
 * on without. An error of the source is an error of the stream; who goes away ends the source.
 */
export function copyBeside(source: NodeJS.ReadableStream, plan: CopyPlan, listener: CopyListener): Readable {
  const copy = new BodyCopy(plan)
  const passing = new Transform({
    // `Readable.from(['a', 'b'])` brings its pieces as values, not as bytes.
    writableObjectMode: true,
    decodeStrings: false,
    transform(piece: unknown, encoding: BufferEncoding, next: TransformCallback) {
      if (typeof piece !== 'string' && !(piece instanceof Uint8Array)) {
        next(new TypeError(`A response body is made of strings and bytes; this stream brought ${typeof piece}.`))
        return
      }
      const bytes = typeof piece === 'string' ? Buffer.from(piece, encoding) : piece
      copy.add(bytes)
      next(null, bytes)
    },
    flush(next: TransformCallback) {
      const { bytes } = copy
      if (bytes) listener.whole(bytes)
      next()
    },
  })
  // It may break before anybody else listens.
  passing.on('error', () => {})
  return pipeline(source, passing, (error) => {
    if (error) listener.broken()
  })
}

/** A body as node streams it. */
export function nodeStream(
  stream: NodeJS.ReadableStream | import('node:stream/web').ReadableStream,
): NodeJS.ReadableStream {
  return 'getReader' in stream ? Readable.fromWeb(stream) : stream
}

/**
 * Resolves when the first piece of a stream is there, when it has ended without one, however it did, or when the response
 * it is for is over; nothing is taken out. `undefined` where that is so already, and for streams of old that cannot be
 * looked into.
 */
export function firstPiece(stream: NodeJS.ReadableStream, response: ServerResponse): Promise<void> | undefined {
  const readable = stream as Readable
  const { readableLength, readableEnded, destroyed } = readable
  if (readableLength === undefined || readableLength > 0 || readableEnded || destroyed) return undefined
  // Somebody has it flow already: what comes is his, and looking would stop it.
  if (readable.readableFlowing || response.destroyed) return undefined
  return new Promise((resolve) => {
    const there = (): void => {
      for (const name of events) readable.off(name, there)
      response.off('close', there)
      resolve()
    }
    for (const name of events) readable.on(name, there)
    response.on('close', there)
  })
}

const events = ['readable', 'end', 'error', 'close'] as const
