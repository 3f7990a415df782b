import type { Events, SluiceEvents } from '../base/events.ts'
import type { Term } from '../exchange/reads/term.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { adviceFor, adviceForVariants, eventName, shownRead } from './terms/advice.ts'
import type { Refused } from './terms/judge-reads.ts'
import type { Difference } from './witness/difference.ts'

/** How many routes are told of, once each. */
const mostRoutes = 1_000

/** Tells developers why a route's answers are not stored: an event each time, and in development a line once per route. */
export class Reports {
  readonly #events: Events<SluiceEvents>
  readonly #printed = new Set<string>()

  constructor(events: Events<SluiceEvents>) {
    this.#events = events
  }

  /** The handler read what is somebody's, or what cannot be told. */
  unkeyed(view: RequestView, refused: readonly Refused[]): void {
    const fields = [...new Set(refused.map(eventName))]
    const what = `its handler read ${refused.map(shownRead).join(', ')}, which the key does not cover`
    this.#tell(view, { fields, what: `was not stored: ${what}`, advice: adviceFor(refused) })
  }

  /** There are more variants of its answers than may be kept. */
  variants(view: RequestView, terms: readonly Term[]): void {
    const what = 'was not stored: it has as many variants as `maxVariants` allows'
    this.#tell(view, { fields: terms, what, advice: adviceForVariants(terms) })
  }

  /** Two visitors were given different answers. */
  contradiction(view: RequestView, { what, at }: Difference): void {
    const where = at === undefined ? what : `${what}, from byte ${at} on`
    this.#tell(view, {
      fields: [what],
      what: `gave two visitors different answers (${where}), so they are not shared`,
      advice:
        'Write `varyBy: by.user` if they are to differ, or `public: true` if the difference is no secret (a timestamp).',
    })
  }

  #tell(view: RequestView, { fields, what, advice }: Told): void {
    const route = view.route ?? view.path
    this.#events.emit('guard', { route, fields, advice })
    const mode = process.env.NODE_ENV
    if ((mode !== undefined && mode !== 'development') || this.#printed.has(route)) return
    if (this.#printed.size >= mostRoutes) return
    this.#printed.add(route)
    console.warn(`sluice: ${route} ${what}. ${advice}`)
  }
}

interface Told {
  readonly fields: readonly string[]
  readonly what: string
  readonly advice: string
}
