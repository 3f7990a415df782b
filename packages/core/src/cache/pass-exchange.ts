import type { BodyPlan, Exchange, ResponseHead } from '../exchange/exchange.ts'

/** A response the cache leaves alone, but for saying so in `Cache-Status`. */
export class PassExchange implements Exchange {
  readonly #statusLine: string

  constructor(statusLine: string) {
    this.#statusLine = statusLine
  }

  onHead(head: ResponseHead): BodyPlan {
    head.fields.append('cache-status', this.#statusLine)
    return { mode: 'pass' }
  }

  onClose(): void {}
}
