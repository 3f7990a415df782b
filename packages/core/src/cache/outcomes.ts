import { Recent } from '../base/recent.ts'
import type { Term } from '../exchange/reads/term.ts'
import type { RequestView } from '../exchange/request-view.ts'
import type { CachePolicy } from './policy/options.ts'

/** What became of the last answer of a route. */
export interface Outcome {
  readonly stored: boolean
  /** Method and pattern of the route, or the path where none is known. */
  readonly route: string
  /** Why it was not stored: the word of `Cache-Status`. */
  readonly reason?: string | undefined
  /** What it is told apart by. */
  readonly terms: readonly Term[]
  /** What its key is made by, where it was stored. */
  readonly policy?: CachePolicy | undefined
}

/** What an outcome is found by. */
export type OutcomeName = Pick<RequestView, 'method' | 'path' | 'route'>

const rememberedRoutes = 1_000

/** What became of the last answer of each route, for `explain`. */
export class Outcomes {
  readonly #last = new Recent<string, Outcome>(rememberedRoutes)

  stored(view: RequestView, terms: readonly Term[], policy: CachePolicy): void {
    this.#note(view, { stored: true, route: nameOf(view), terms, policy })
  }

  refused(view: RequestView, reason: string): void {
    this.#note(view, { stored: false, route: nameOf(view), reason, terms: [] })
  }

  of(view: OutcomeName): Outcome | undefined {
    return this.#last.get(nameOf(view)) ?? this.#last.get(pathOf(view))
  }

  #note(view: RequestView, outcome: Outcome): void {
    this.#last.set(nameOf(view), outcome)
    this.#last.set(pathOf(view), outcome)
  }
}

/** Middleware in front of the router does not know the route yet: it asks by the path. */
const nameOf = (view: OutcomeName): string => `${view.method} ${view.route ?? view.path}`
const pathOf = (view: OutcomeName): string => `${view.method} ${view.path}`
