import type { BodyPlan, Exchange, ResponseControl, ResponseHead } from '../../exchange/exchange.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import type { CacheCore } from '../cache-core.ts'
import { type KnownHead, lengthOf } from './known-head.ts'

/** For handlers whose response is not stored anyway: what they say of it is heard and has no effect. */
export const idleControl: ResponseControl = Object.freeze({ ttl() {}, tag() {}, skip() {} })

/** Tells of the answer to a request that the cache leaves alone, once its status is known. */
export class BypassTeller {
  readonly #core: CacheCore
  readonly #view: RequestView
  readonly #reason: string
  #told = false

  constructor(core: CacheCore, view: RequestView, reason: string) {
    this.#core = core
    this.#view = view
    this.#reason = reason
  }

  /** Counts one, and answers who is to be told of its end, where anybody wants to know. */
  static of(core: CacheCore, view: RequestView, reason: string): BypassTeller | undefined {
    if (view.ticket !== undefined) return undefined
    core.counters.bypassed++
    return core.events.wants('answer') ? new BypassTeller(core, view, reason) : undefined
  }

  /** @param head - `undefined`: there was none */
  tell(head: KnownHead | undefined): void {
    if (this.#told) return
    this.#told = true
    const bytes = head && lengthOf(head)
    this.#core.tellAnswer(this.#view, 'bypass', { reason: this.#reason, status: head?.status, bytes })
  }
}

/** A response the cache leaves alone, but for saying so in `Cache-Status`. */
export class PassExchange implements Exchange {
  readonly control: ResponseControl = idleControl
  readonly #statusLine: string | undefined
  readonly #teller: BypassTeller | undefined

  constructor(statusLine: string | undefined, teller?: BypassTeller) {
    this.#statusLine = statusLine
    this.#teller = teller
  }

  onHead(head: ResponseHead): BodyPlan {
    if (this.#statusLine !== undefined) head.fields.append('cache-status', this.#statusLine)
    this.#teller?.tell(head)
    return { mode: 'pass' }
  }

  onClose(): void {
    this.#teller?.tell(undefined)
  }
}
