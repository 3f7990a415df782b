/** Upper bounds of the buckets of durations. Milliseconds. */
export const durationBoundsMs: readonly number[] = Object.freeze([
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
])

/** Durations, as they are told. */
export interface HistogramFigures {
  /** How many fell into each bucket (not those below it too), and at the end those above all bounds. */
  readonly counts: readonly number[]
  /** How many there were. */
  readonly count: number
  /** Milliseconds. */
  readonly sumMs: number
}

/** Counts durations into buckets whose bounds never change. */
export class Histogram {
  readonly #counts = new Array<number>(durationBoundsMs.length + 1).fill(0)
  #count = 0
  #sumMs = 0

  observe(ms: number): void {
    let i = 0
    while (i < durationBoundsMs.length && ms > durationBoundsMs[i]!) i++
    this.#counts[i]!++
    this.#count++
    this.#sumMs += ms
  }

  read(): HistogramFigures {
    return { counts: [...this.#counts], count: this.#count, sumMs: this.#sumMs }
  }
}
