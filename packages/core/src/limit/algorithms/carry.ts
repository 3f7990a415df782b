import type { AnyAlgorithm, LimitState } from './algorithm-for.ts'
import { parameters } from './parameters.ts'

/** Whether states of the one can be carried over to the other as they are. */
export function alike(a: AnyAlgorithm, b: AnyAlgorithm): boolean {
  return parameters[a.kind] === parameters[b.kind]
}

/**
 * A state that was counted by another rate, or in another way, until now: a client at 80 of 100 is at 80 of 200. What was
 * used by another kind of counting is taken for used just now. The given state stays as it is.
 */
export function carried(state: LimitState, from: AnyAlgorithm, { to, nowMs }: { to: AnyAlgorithm; nowMs: number }) {
  if (from.signature === to.signature) return state
  if (alike(from, to)) return to.carry(state, from.params, nowMs)
  const next = to.fresh()
  to.charge(next, from.limit - from.remaining(state, nowMs), nowMs)
  return next
}
