import type { Duplex } from 'node:stream'
import type { Events, SluiceEvents } from '../base/events.ts'
import { chain, type MaybePromise } from '../base/maybe-promise.ts'
import type { Recipe } from '../exchange/encoder.ts'
import type { CompressPolicy } from './options.ts'
import { type Coding, makerOf } from './zlib-codings.ts'

/** Up to this size a body is encoded at once: handing it to a thread and back takes longer. Bytes. */
const syncBytes = 64 * 1024
/** The same at levels that take milliseconds for a few kilobytes. */
const slowSyncBytes = 2 * 1024

/** Encodes bodies the way the options say. */
export class BodyEncoder implements Recipe {
  readonly hotAfter: number
  readonly concurrency: number
  readonly #policy: CompressPolicy
  readonly #events: Events<SluiceEvents>

  constructor(policy: CompressPolicy, events: Events<SluiceEvents>) {
    this.#policy = policy
    this.#events = events
    this.hotAfter = policy.best.hits
    this.concurrency = policy.best.concurrency
  }

  varies(contentType: string | undefined): boolean {
    return this.#policy.compressible(contentType)
  }

  encode(body: Uint8Array, coding: string): MaybePromise<Uint8Array | undefined> {
    const made = this.#encoded(body, coding)
    return this.#events.wants('compressed') ? chain(made, (one) => this.#told(body, one, coding)) : made
  }

  #told(body: Uint8Array, made: Uint8Array | undefined, coding: string): Uint8Array | undefined {
    if (made) this.#events.emit('compressed', { coding, bytesIn: body.byteLength, bytesOut: made.byteLength })
    return made
  }

  #encoded(body: Uint8Array, coding: string): MaybePromise<Uint8Array | undefined> {
    const { level, zlib } = this.#policy
    const maker = makerOf(coding)
    if (!maker) return undefined
    const chosen = level[coding as Coding]
    const options = maker.options(chosen, body.byteLength, zlib[coding as Coding])
    if (body.byteLength > (chosen > maker.quick ? slowSyncBytes : syncBytes)) return once(body, coding, options)
    try {
      return smaller(maker.sync(body, options), body)
    } catch {
      // Out of memory, or an option of the application's that zlib does not take: the body goes as it is.
      return undefined
    }
  }

  async improve(body: Uint8Array, coding: string): Promise<Uint8Array | undefined> {
    const { best, zlib } = this.#policy
    const maker = makerOf(coding)
    if (!maker || body.byteLength > best.maxBytes) return undefined
    const options = maker.options(best.level[coding as Coding], body.byteLength, zlib[coding as Coding])
    return this.#told(body, await once(body, coding, options), coding)
  }

  /** @param eager - each piece is to arrive when it is written */
  stream(coding: string, eager: boolean): Duplex {
    const { level, zlib } = this.#policy
    const maker = makerOf(coding)!
    const options = maker.options(level[coding as Coding], undefined, zlib[coding as Coding])
    const stream = maker.stream(eager ? { ...options, flush: maker.eager } : options)
    if (this.#events.wants('compressed')) this.#tellEnd(stream, coding)
    return stream
  }

  /** Of what comes in the stream counts itself; what it gives out is counted on its way to whoever reads it. */
  #tellEnd(stream: Duplex & { bytesWritten?: number }, coding: string): void {
    let bytesOut = 0
    const push = stream.push.bind(stream)
    stream.push = (piece, encoding) => {
      bytesOut += (piece as Uint8Array | null)?.byteLength ?? 0
      return push(piece, encoding)
    }
    stream.once('close', () => {
      this.#events.emit('compressed', { coding, bytesIn: stream.bytesWritten ?? 0, bytesOut })
    })
  }
}

function once(body: Uint8Array, coding: string, options: object): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    try {
      makerOf(coding)!.once(body, options, (error, result) => resolve(error ? undefined : smaller(result, body)))
    } catch {
      resolve(undefined)
    }
  })
}

/** Random bytes and what is compressed already grow: then there is nothing to gain. */
function smaller(encoded: Uint8Array, body: Uint8Array): Uint8Array | undefined {
  return encoded.byteLength < body.byteLength ? encoded : undefined
}
