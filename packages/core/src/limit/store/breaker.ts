import type { Clock } from '../../base/clock.ts'

/** After how many failures in a row nobody is sent to the store any more. */
const tolerated = 5

/** How long until one request is sent to see whether the store is back: doubled each time, up to the second number. */
const pauseMs = [1_000, 10_000] as const

/** How long until a store that can be tried without a request is tried again. */
const probeMs = 100

/**
 * Keeps requests from waiting for a store that is out. Closed: everybody asks. Open: nobody does. Half open: when the
 * pause is over one request asks, and its answer decides for all. With a `probe` no request is made to: the breaker tries
 * by itself, again and again, and closes as soon as the store answers.
 */
export class Breaker {
  readonly #clock: Clock
  readonly #probe: (() => Promise<unknown>) | undefined
  #failures = 0
  #pauseMs: number = pauseMs[0]
  #openUntilMs: number | undefined
  #probing = false
  #closed = false

  /** @param probe - asks the store whether it answers; rejects while it does not */
  constructor(clock: Clock, probe?: () => Promise<unknown>) {
    this.#clock = clock
    this.#probe = probe
  }

  /** Whether this request may ask. Who was told so must report `succeeded` or `failed`. */
  admits(): boolean {
    if (this.#openUntilMs === undefined) return true
    if (this.#probe || this.#probing || this.#clock.now() < this.#openUntilMs) return false
    this.#probing = true
    return true
  }

  get open(): boolean {
    return this.#openUntilMs !== undefined
  }

  /** How long until the store is asked again. */
  get waitMs(): number {
    return Math.max(1, Math.ceil((this.#openUntilMs ?? 0) - this.#clock.now()))
  }

  succeeded(): void {
    this.#failures = 0
    this.#pauseMs = pauseMs[0]
    this.#openUntilMs = undefined
    this.#probing = false
  }

  failed(): void {
    this.#failures++
    // What was under way when it opened says nothing new.
    if (this.#openUntilMs !== undefined && (this.#probe || !this.#probing)) return
    if (this.#probing) this.#pauseMs = Math.min(this.#pauseMs * 2, pauseMs[1])
    else if (this.#failures < tolerated) return
    this.#probing = false
    this.#openUntilMs = this.#clock.now() + (this.#probe ? probeMs : this.#pauseMs)
    if (this.#probe) this.#later(this.#probe)
  }

  /** Nothing is tried any more. */
  close(): void {
    this.#closed = true
  }

  #later(probe: () => Promise<unknown>): void {
    const outage = this.#openUntilMs
    // Closed meanwhile, by an answer that was still under way, and perhaps opened again.
    const over = (): boolean => this.#closed || this.#openUntilMs === undefined || this.#openUntilMs !== outage
    this.#clock.after(probeMs, () => {
      if (over()) return
      probe().then(
        () => over() || this.succeeded(),
        () => over() || this.#later(probe),
      )
    })
  }
}
