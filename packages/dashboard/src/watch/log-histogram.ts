/** Two buckets for each doubling, from a microsecond on: quantiles that are off by a fifth at the most. */
const perDoubling = 2
/** What takes longer is counted in the last: half an hour. */
const buckets = 64

/** Durations as `[bucket, count, bucket, count, …]`: short, and to be added up. */
export type SparseCounts = readonly number[]

/** Counts durations so finely that quantiles can be told, from microseconds to minutes. */
export class LogHistogram {
  #counts = new Float64Array(buckets)

  add(ms: number, weight = 1): void {
    this.#counts[bucketOf(ms)]! += weight
  }

  /** What was counted since this was last asked. */
  take(): SparseCounts {
    const sparse: number[] = []
    for (let i = 0; i < buckets; i++) if (this.#counts[i]! > 0) sparse.push(i, this.#counts[i]!)
    if (sparse.length > 0) this.#counts = new Float64Array(buckets)
    return sparse
  }
}

function bucketOf(ms: number): number {
  const us = ms * 1_000
  return us > 1 ? Math.min(buckets - 1, Math.floor(Math.log2(us) * perDoubling)) : 0
}

/** The middle of a bucket. Milliseconds. */
const middleOf = (bucket: number): number => 2 ** ((bucket + 0.5) / perDoubling) / 1_000

/** @returns p50, p95 and p99 in milliseconds; `null` where nothing was counted */
export function quantilesOf(all: readonly SparseCounts[]): { p50: number; p95: number; p99: number } | null {
  const counts = new Float64Array(buckets)
  let total = 0
  for (const sparse of all) {
    for (let i = 0; i + 1 < sparse.length; i += 2) {
      const [bucket, count] = [sparse[i]!, sparse[i + 1]!]
      if (!(bucket >= 0 && bucket < buckets && count > 0)) continue
      counts[Math.floor(bucket)]! += count
      total += count
    }
  }
  if (total === 0) return null
  const at = (share: number): number => {
    let left = total * share
    for (let i = 0; i < buckets; i++) {
      left -= counts[i]!
      if (left <= 0) return middleOf(i)
    }
    return middleOf(buckets - 1)
  }
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}
