import type { BodyPlan, Exchange, ResponseControl, ResponseHead } from '../../exchange/exchange.ts'

/** For handlers whose response is not stored anyway: what they say of it is heard and has no effect. */
export const idleControl: ResponseControl = Object.freeze({ ttl() {}, tag() {}, skip() {} })

/** A response the cache leaves alone, but for saying so in `Cache-Status`. */
export class PassExchange implements Exchange {
  readonly control: ResponseControl = idleControl
  readonly #statusLine: string | undefined

  constructor(statusLine: string | undefined) {
    this.#statusLine = statusLine
  }

  onHead(head: ResponseHead): BodyPlan {
    if (this.#statusLine !== undefined) head.fields.append('cache-status', this.#statusLine)
    return { mode: 'pass' }
  }

  onClose(): void {}
}
