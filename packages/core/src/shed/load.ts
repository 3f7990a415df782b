import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Clock } from '../base/clock.ts'

/** How busy this process is. */
export interface Load {
  /** How much later than asked timers fire: the time a request waits before anything is done about it. Milliseconds. */
  readonly delayMs: number
  /** The part of the time the event loop was not waiting, 0 to 1. */
  readonly utilisation: number
}

/** Measures the load since it was last asked. */
export interface LoadSampler {
  sample(): Load
  close(): void
}

const resolutionMs = 10

/** What Node measures itself: the 90th percentile of the event loop's delay, and its utilisation. */
export function nodeSampler(): LoadSampler {
  const histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs })
  histogram.enable()
  let last = performance.eventLoopUtilization()
  return {
    sample() {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, last)
      last = now
      // It measures the distance of two timers, of which one resolution is not delay.
      const delayMs = histogram.count === 0 ? 0 : Math.max(0, histogram.percentile(90) / 1e6 - resolutionMs)
      histogram.reset()
      return { delayMs, utilisation: Number.isFinite(utilization) ? utilization : 0 }
    },
    close: () => void histogram.disable(),
  }
}

/** How often the load is looked at, at most. */
const everyMs = 250

/** The load as of lately. Looked at when requests come, and by no timer: without requests nobody needs to know. */
export class LoadMonitor {
  readonly #clock: Clock
  readonly #make: () => LoadSampler
  #sampler: LoadSampler | undefined
  #load: Load = { delayMs: 0, utilisation: 0 }
  #dueMs = 0
  /** Grows with every look. */
  serial = 0

  constructor(clock: Clock, make: () => LoadSampler = nodeSampler) {
    this.#clock = clock
    this.#make = make
  }

  read(): Load {
    const now = this.#clock.now()
    if (now >= this.#dueMs) {
      this.#sampler ??= this.#make()
      this.#load = this.#sampler.sample()
      this.#dueMs = now + everyMs
      this.serial++
    }
    return this.#load
  }

  close(): void {
    this.#sampler?.close()
    this.#sampler = undefined
    this.#dueMs = Number.POSITIVE_INFINITY
    this.#load = { delayMs: 0, utilisation: 0 }
  }
}
