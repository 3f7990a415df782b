import type { MaybePromise } from '../base/maybe-promise.ts'
import { notesFor, notesOn } from './request-state.ts'
import type { RequestView } from './request-view.ts'

/** Makes the encoded forms of bodies: what a compressor lets stages behind it use, without their knowing it. */
export interface Recipe {
  /** The body under a content coding, at a fast level. `undefined` where it cannot be made or would not be smaller. */
  encode(body: Uint8Array, coding: string): MaybePromise<Uint8Array | undefined>
  /** The same at the best level, slowly and off the event loop. `undefined` where it cannot be made. */
  improve(body: Uint8Array, coding: string): Promise<Uint8Array | undefined>
  /** How often a stored answer is sent encoded before it deserves `improve`. `Infinity`: never. */
  readonly hotAfter: number
  /** How many bodies are improved at a time. */
  readonly concurrency: number
  /** Whether one of the fields depends on the coding, so that `Vary` must name Accept-Encoding. */
  varies(contentType: string | undefined): boolean
}

/**
 * What will be done to the body of one request on its way out. A compressor in front leaves it here, so that a cache
 * behind it can store the encoded forms and send them as they are.
 */
export interface Encoder {
  /** The content coding this client gets where the response is one to encode; `identity` for none. */
  readonly coding: string
  readonly recipe: Recipe
  /** Whether the client accepts this coding. */
  accepts(coding: string): boolean
  /**
   * Whether this response is one to encode.
   *
   * @param field - a response field by its name in lower case
   */
  wants(status: number, field: (name: string) => string | undefined, length: number | undefined): boolean
  /** Whether the answer of `wants` may be another for the next request of the same response. */
  readonly fickle: boolean
}

const key = Symbol.for('sluice.encoder')

/** The encoder in front of this request's stages. */
export function encoderOf(view: RequestView): Encoder | undefined {
  return notesOn(view.native)?.[key] as Encoder | undefined
}

export function setEncoder(view: RequestView, encoder: Encoder): void {
  notesFor(view.native)[key] = encoder
}
