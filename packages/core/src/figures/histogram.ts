/** Upper bounds of the buckets of durations. Milliseconds. */
export const durationBoundsMs: readonly number[] = Object.freeze([
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
])

/** The trace in which something was done: what OpenTelemetry's `span.spanContext()` answers. */
export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  /** Where bit 0 is not set, nobody keeps the trace (W3C Trace Context §3.2.2.5), and it is no example. */
  readonly traceFlags?: number | undefined
}

/** One duration of a bucket, by its trace: the latest. */
export interface ExemplarFigures {
  readonly traceId: string
  readonly spanId: string
  readonly ms: number
  readonly at: Date
}

/** Durations, as they are told. */
export interface HistogramFigures {
  /** How many fell into each bucket (not those below it too), and at the end those above all bounds. */
  readonly counts: readonly number[]
  /** How many there were. */
  readonly count: number
  /** Milliseconds. */
  readonly sumMs: number
  /** One for each of `counts`, where there is a trace to show; `undefined` where no bucket has any. */
  readonly exemplars?: readonly (ExemplarFigures | undefined)[] | undefined
}

/** Counts durations into buckets whose bounds never change. */
export class Histogram {
  readonly #counts = new Array<number>(durationBoundsMs.length + 1).fill(0)
  #count = 0
  #sumMs = 0
  #exemplars: (ExemplarFigures | undefined)[] | undefined

  /** @param weight - for how many it stands. Default 1 */
  observe(ms: number, trace?: TraceContext, weight = 1): void {
    let i = 0
    while (i < durationBoundsMs.length && ms > durationBoundsMs[i]!) i++
    this.#counts[i]! += weight
    this.#count += weight
    this.#sumMs += ms * weight
    if (!trace) return
    this.#exemplars ??= new Array<undefined>(this.#counts.length).fill(undefined)
    this.#exemplars[i] = { traceId: trace.traceId, spanId: trace.spanId, ms, at: new Date() }
  }

  read(): HistogramFigures {
    const exemplars = this.#exemplars && [...this.#exemplars]
    return { counts: [...this.#counts], count: this.#count, sumMs: this.#sumMs, ...(exemplars && { exemplars }) }
  }
}
