import type { BackendOperation, SluiceEvents } from '../base/events.ts'
import { Histogram, type HistogramFigures, type TraceContext } from './histogram.ts'
import type { BoundedNames } from './labels.ts'

/** What handlers took and brought, of one route. */
export interface FillFigures {
  readonly route: string
  /** Refreshes that no client waited for. */
  readonly background: boolean
  readonly durations: HistogramFigures
  /** Of bodies, as far as their length was known. */
  readonly bytes: number
}

/** How long it took to find answers in the store, of one route. By a sample: counts are estimates where there are many. */
export interface LookupFigures {
  readonly route: string
  readonly durations: HistogramFigures
}

export interface BackendFigures {
  readonly operation: BackendOperation
  readonly ok: boolean
  readonly durations: HistogramFigures
}

export interface CompressionFigures {
  readonly coding: string
  readonly bodies: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface InvalidationFigures {
  readonly mode: 'purge' | 'expire'
  readonly count: number
  /** All tags of them together; a URL is one or two. */
  readonly tags: number
}

type FillTally = { [part in 'client' | 'background']?: { readonly durations: Histogram; bytes: number } }

/** Counts how long handlers take, by route. */
export class FillTallies {
  readonly #routes = new Map<string, FillTally>()
  readonly #names: BoundedNames

  constructor(names: BoundedNames) {
    this.#names = names
  }

  add({ route, ms, bytes, background }: SluiceEvents['fill'], trace?: TraceContext): void {
    const name = this.#names.admit(route)
    let tally = this.#routes.get(name)
    if (!tally) {
      tally = {}
      this.#routes.set(name, tally)
    }
    const part = background ? 'background' : 'client'
    tally[part] ??= { durations: new Histogram(), bytes: 0 }
    const own = tally[part]
    own.durations.observe(ms, trace)
    own.bytes += bytes ?? 0
  }

  read(): FillFigures[] {
    return [...this.#routes].flatMap(([route, tally]) =>
      (['client', 'background'] as const).flatMap((part) => {
        const own = tally[part]
        if (!own) return []
        return { route, background: part === 'background', durations: own.durations.read(), bytes: own.bytes }
      }),
    )
  }
}

/** Counts how long answers from the store take to find, by route. */
export class LookupTallies {
  readonly #routes = new Map<string, Histogram>()
  readonly #names: BoundedNames

  constructor(names: BoundedNames) {
    this.#names = names
  }

  add({ route, result, ms, weight }: SluiceEvents['lookup']): void {
    // Who waited for another request's handler has waited for that, and not for the store.
    if (result === 'collapsed') return
    const name = this.#names.admit(route)
    let durations = this.#routes.get(name)
    if (!durations) {
      durations = new Histogram()
      this.#routes.set(name, durations)
    }
    durations.observe(ms, undefined, weight)
  }

  read(): LookupFigures[] {
    return [...this.#routes].map(([route, durations]) => ({ route, durations: durations.read() }))
  }
}

/** Counts how long a backend takes, by what it was asked. */
export class BackendTallies {
  readonly #ok = new Map<BackendOperation, Histogram>()
  readonly #failed = new Map<BackendOperation, Histogram>()

  add({ operation, ms, ok }: SluiceEvents['backend'], trace?: TraceContext): void {
    const tallies = ok ? this.#ok : this.#failed
    let durations = tallies.get(operation)
    if (!durations) {
      durations = new Histogram()
      tallies.set(operation, durations)
    }
    durations.observe(ms, trace)
  }

  read(): BackendFigures[] {
    const of = (tallies: ReadonlyMap<BackendOperation, Histogram>, ok: boolean): BackendFigures[] =>
      [...tallies].map(([operation, durations]) => ({ operation, ok, durations: durations.read() }))
    return [...of(this.#ok, true), ...of(this.#failed, false)]
  }
}

/** Counts what compression saves, by coding. */
export class CompressionTallies {
  readonly #codings = new Map<string, { bodies: number; bytesIn: number; bytesOut: number }>()

  add({ coding, bytesIn, bytesOut }: SluiceEvents['compressed']): void {
    let tally = this.#codings.get(coding)
    if (!tally) {
      tally = { bodies: 0, bytesIn: 0, bytesOut: 0 }
      this.#codings.set(coding, tally)
    }
    tally.bodies++
    tally.bytesIn += bytesIn
    tally.bytesOut += bytesOut
  }

  read(): CompressionFigures[] {
    return [...this.#codings].map(([coding, tally]) => ({ coding, ...tally }))
  }
}

/** Counts what was invalidated, in this process. */
export class InvalidationTallies {
  readonly #modes = { purge: { count: 0, tags: 0 }, expire: { count: 0, tags: 0 } }

  add({ tags, mode }: SluiceEvents['invalidated']): void {
    this.#modes[mode].count++
    this.#modes[mode].tags += tags.length
  }

  read(): InvalidationFigures[] {
    return (['purge', 'expire'] as const).map((mode) => ({ mode, ...this.#modes[mode] }))
  }
}
