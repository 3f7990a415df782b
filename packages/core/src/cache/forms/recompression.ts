import type { Clock } from '../../base/clock.ts'
import type { Recipe } from '../../exchange/encoder.ts'
import type { CacheRecord } from '../entry/record.ts'
import type { VariantSelector } from '../store/store.ts'

/** A form that is worth the best level. */
export interface Recompression {
  readonly key: string
  /** Key and variant, as one text. */
  readonly variantKey: string
  readonly select: VariantSelector
  readonly record: CacheRecord
  readonly recipe: Recipe
  readonly coding: string
}

/** How many may wait: what is beyond that is not hot enough to wait for. */
const longestQueue = 100

/**
 * Does what takes long off the request path: a bounded number at a time on threads of node's pool, and after each a
 * pause as long as it took, so that no more than half of those threads' time goes into it.
 */
export class Recompressions {
  readonly #clock: Clock
  readonly #run: (job: Recompression) => Promise<void>
  readonly #queue: Recompression[] = []
  #running = 0
  #closed = false

  constructor(clock: Clock, run: (job: Recompression) => Promise<void>) {
    this.#clock = clock
    this.#run = run
  }

  /** `false`: too many wait already. */
  add(job: Recompression): boolean {
    if (this.#closed || this.#queue.length >= longestQueue) return false
    this.#queue.push(job)
    // Not within the request that proved it hot.
    setImmediate(() => this.#next())
    return true
  }

  close(): void {
    this.#closed = true
    this.#queue.length = 0
  }

  #next(): void {
    const job = this.#queue[0]
    if (!job || this.#running >= job.recipe.concurrency) return
    this.#queue.shift()
    this.#running++
    const startedAt = this.#clock.now()
    void this.#run(job).finally(() => {
      const rest = (): void => {
        this.#running--
        this.#next()
      }
      const tookMs = this.#clock.now() - startedAt
      if (tookMs < 1) rest()
      else this.#clock.after(tookMs, rest)
    })
  }
}
