import { isSluiceError, SluiceError } from '../base/errors.ts'
import type { Events, SluiceEvents } from '../base/events.ts'
import { setEncoder } from '../exchange/encoder.ts'
import type { AtFront, Opening, Pipeline } from '../exchange/exchange.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { bestCoding } from '../http/selection/codings.ts'
import { CompressExchange, type Compressor } from './compress-exchange.ts'
import { BodyEncoder } from './encode.ts'
import { type CompressOptions, type CompressPolicy, resolveCompressPolicy } from './options.ts'

/** How many values of Accept-Encoding are remembered, and how long they may be: browsers send a handful. */
const rememberedFields = 100
const longestField = 200

/** One `sluice.compress(...)`. */
export class CompressPipeline implements Pipeline, Compressor {
  readonly name = 'compress'
  readonly policy: CompressPolicy
  readonly atFront: AtFront
  readonly recipe: BodyEncoder
  readonly #events: Events<SluiceEvents>
  readonly #negotiated = new Map<string, string>()

  /** @throws SluiceError when an option is wrong */
  constructor(options: CompressOptions | undefined, events: Events<SluiceEvents>) {
    this.policy = resolveCompressPolicy(options)
    this.recipe = new BodyEncoder(this.policy, events)
    const asks = typeof options?.filter === 'function' || typeof options?.skip === 'function'
    this.atFront = asks ? { reason: "a `compress` in front of it asks a function of the application's" } : 'runs'
    this.#events = events
  }

  open(view: RequestView): Opening {
    const exchange = new CompressExchange(this, view)
    setEncoder(view, exchange)
    return { kind: 'proceed', exchange }
  }

  negotiate(acceptEncoding: string | undefined): string {
    const { available, fallback } = this.policy
    if (acceptEncoding === undefined) return fallback
    const known = this.#negotiated.get(acceptEncoding)
    if (known !== undefined) return known
    // Where the client accepts nothing there is, RFC 9110 §12.5.3 has the body go as it is.
    const chosen = bestCoding(acceptEncoding, available) ?? 'identity'
    if (this.#negotiated.size < rememberedFields && acceptEncoding.length <= longestField) {
      this.#negotiated.set(acceptEncoding, chosen)
    }
    return chosen
  }

  accepts(acceptEncoding: string | undefined, coding: string): boolean {
    return bestCoding(acceptEncoding, [coding, 'identity']) === coding
  }

  attempt<T>(option: string, fn: () => T): T | undefined {
    try {
      return fn()
    } catch (cause) {
      const message = `The function given as \`${option}\` threw: ${cause instanceof Error ? cause.message : String(cause)}.`
      const error = isSluiceError(cause) ? cause : new SluiceError('ERR_SLUICE_CALLBACK', message, { cause })
      this.#events.emit('error', { error })
      return undefined
    }
  }
}
