import type { Quota } from '../store/store.ts'

type Algorithm = Quota['algorithm']

/**
 * Units that are waited for one after the other come in rounds of at most a whole quota. A store can say how long the wait is
 * for so many as fit into one.
 */
export function lastRound({ limit }: Algorithm, units: number): number {
  return ((units - 1) % limit) + 1
}

/**
 * And how long all rounds before the last one take: each until what was charged in it does not matter any more, which is the
 * same as until the quota is there again. Of a concurrency it is the lease, which says nothing of that.
 */
export function roundsMs(algorithm: Algorithm, units: number): number {
  const rounds = (units - lastRound(algorithm, units)) / algorithm.limit
  return algorithm.kind === 'concurrent' ? 0 : rounds * algorithm.stateTtlMs
}
