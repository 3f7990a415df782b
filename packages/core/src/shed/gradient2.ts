/** The bounds of an adaptive limit. */
export interface Gradient2Options {
  /** Default 20. */
  readonly initial?: number | undefined
  /** Default 10. */
  readonly min?: number | undefined
  /** Default 1,000. */
  readonly max?: number | undefined
  /** How much slower than usual responses may become before the limit sinks. Default 1.5. */
  readonly tolerance?: number | undefined
}

/** How far each update goes towards what it finds. */
const smoothing = 0.2

/** How many requests may queue without that being a reason to admit fewer: what lets the limit grow. */
const queue = 4

/** Over how many updates the usual time is averaged, and how many of the first are averaged evenly. */
const longWindow = 600
const warmUp = 10

/** An update takes that many responses and that long, whichever is later: single ones say little. */
const minSamples = 10
const minWindowMs = 100

/**
 * How many requests this process can work on at a time, found out by watching how long they take: the idea of TCP Vegas,
 * in the form of Gradient2 of Netflix's concurrency-limits. The usual response time (a long average) over the present one
 * is the gradient. While it is 1 the limit grows by a small queue; when responses slow down beyond the tolerance it sinks in
 * proportion, by half at most.
 */
export class Gradient2 {
  readonly #min: number
  readonly #max: number
  readonly #tolerance: number
  #estimate: number
  #longMs = 0
  #updates = 0
  #shortMs = 0
  // The window under way.
  #sumMs = 0
  #samples = 0
  #most = 0
  #sinceMs: number | undefined

  constructor(options: Gradient2Options = {}) {
    this.#min = options.min ?? 10
    this.#max = options.max ?? 1_000
    this.#tolerance = options.tolerance ?? 1.5
    this.#estimate = Math.min(this.#max, Math.max(this.#min, options.initial ?? 20))
  }

  /** Requests at a time. */
  get limit(): number {
    return Math.floor(this.#estimate)
  }

  /** The usual response time and the present one, in milliseconds. */
  get times(): { readonly usualMs: number; readonly presentMs: number } {
    return { usualMs: this.#longMs, presentMs: this.#shortMs }
  }

  /** A response took `tookMs`; `inFlight` were worked on when it began. */
  sample(tookMs: number, inFlight: number, nowMs: number): void {
    this.#sinceMs ??= nowMs
    this.#sumMs += tookMs
    this.#samples++
    this.#most = Math.max(this.#most, inFlight)
    if (this.#samples < minSamples || nowMs - this.#sinceMs < minWindowMs) return
    // Below a tenth of a millisecond a clock's grain would be taken for a change.
    this.#update(Math.max(0.1, this.#sumMs / this.#samples), this.#most)
    this.#sumMs = 0
    this.#samples = 0
    this.#most = 0
    this.#sinceMs = nowMs
  }

  #update(shortMs: number, inFlight: number): void {
    this.#updates++
    this.#shortMs = shortMs
    const weight = this.#updates <= warmUp ? 1 / this.#updates : 2 / (longWindow + 1)
    this.#longMs += (shortMs - this.#longMs) * weight
    // After a slow spell the average would take long to come down, and let latency grow meanwhile.
    if (this.#longMs / shortMs > 2) this.#longMs *= 0.95
    // Nobody has asked for more: nothing is learnt about the limit.
    if (inFlight < this.#estimate / 2) return
    const gradient = Math.max(0.5, Math.min(1, (this.#tolerance * this.#longMs) / shortMs))
    const found = this.#estimate * gradient + queue
    this.#estimate = Math.min(this.#max, Math.max(this.#min, this.#estimate * (1 - smoothing) + found * smoothing))
  }
}
