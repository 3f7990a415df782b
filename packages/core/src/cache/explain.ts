import { showTerm } from '../exchange/reads/term.ts'
import type { OutcomeName, Outcomes } from './outcomes.ts'
import { explainReason, type Reason } from './reasons.ts'

/** What became of the answers of a route, and why. */
export interface Explanation extends Partial<Reason> {
  /** Method and pattern, or path where no route is known. */
  readonly route: string
  /** `undefined`: none of its answers has come to a cache yet. */
  readonly stored: boolean | undefined
  /** The word of `Cache-Status; detail=`. */
  readonly reason?: string | undefined
  /** What of the request its answers are told apart by. */
  readonly terms: readonly string[]
}

/** Explains the last answer of the route of a request. */
export function explain(view: OutcomeName, outcomes: Outcomes): Explanation {
  const last = outcomes.of(view)
  const route = last?.route ?? `${view.method} ${view.route ?? view.path}`
  if (!last) return { route, stored: undefined, terms: [] }
  const terms = last.terms.map(showTerm)
  const { reason } = last
  return reason === undefined
    ? { route, stored: true, terms }
    : { route, stored: false, reason, ...explainReason(reason), terms }
}
