import { parameters } from '../algorithms/parameters.ts'
import type { Quota } from '../store/store.ts'

type Algorithm = Quota['algorithm']

/**
 * Units that are waited for one after the other come in rounds of at most a whole quota. A store can say how long the wait is
 * for so many as fit into one.
 */
export function lastRound({ limit }: Algorithm, units: number): number {
  return ((units - 1) % limit) + 1
}

/** And how long all rounds before the last one take: by the rate, for that is how a quota comes back. */
export function roundsMs(algorithm: Algorithm, units: number): number {
  const rounds = (units - lastRound(algorithm, units)) / algorithm.limit
  return rounds === 0 ? 0 : rounds * roundMs(algorithm)
}

/** How long a quota that is used up at once takes to be there again, whole. */
function roundMs({ kind, limit, params }: Algorithm): number {
  switch (kind) {
    case 'token-bucket':
      return Math.ceil((limit * of(params, kind, 'perToken')) / of(params, kind, 'perMs'))
    case 'fixed-window':
      return of(params, kind, 'windowMs')
    case 'concurrent':
      return 0
    default:
      // A bucket counts in full until all of it has left.
      return of(params, kind, 'windowMs') + of(params, kind, 'bucketMs')
  }
}

function of<Kind extends Algorithm['kind']>(
  params: readonly number[],
  kind: Kind,
  name: (typeof parameters)[Kind][number],
): number {
  return params[(parameters[kind] as readonly string[]).indexOf(name)]!
}
