import type { AnyAlgorithm } from '../algorithms/algorithm-for.ts'
import { concurrent } from '../algorithms/concurrent.ts'
import { fixedWindow } from '../algorithms/fixed-window.ts'
import { slidingLog } from '../algorithms/sliding-log.ts'
import { slidingWindow } from '../algorithms/sliding-window.ts'
import { tokenBucket } from '../algorithms/token-bucket.ts'

/** The same algorithm at `share` of its limit, and never less than one unit. */
export function scaled(algorithm: AnyAlgorithm, share: number): AnyAlgorithm {
  if (share === 1) return algorithm
  const part = (units: number): number => Math.max(1, Math.floor(units * share))
  const [a, b, c] = algorithm.params as [number, number, number]
  switch (algorithm.kind) {
    case 'sliding-window':
      return slidingWindow(part(a), b) as unknown as AnyAlgorithm
    case 'sliding-log':
      return slidingLog(part(a), b) as unknown as AnyAlgorithm
    case 'fixed-window':
      return fixedWindow(part(a), b) as unknown as AnyAlgorithm
    case 'token-bucket':
      // c units flow in b ms; a thousandfold of both, so that a small c can be cut.
      return tokenBucket(part(c * 1_000), b * 1_000, part(a)) as unknown as AnyAlgorithm
    case 'concurrent':
      return concurrent(part(a), b) as unknown as AnyAlgorithm
  }
}
