import { Recent } from '../../base/recent.ts'
import { digest } from '../../exchange/client/by.ts'

/** How many keys of a route must have been confirmed before its other keys are believed without. */
const enough = 8

/** How many routes are kept in mind. Of one more, the one that was asked about longest ago starts again. */
const rememberedRoutes = 10_000

interface Known {
  /** The keys that were confirmed, until they are enough. */
  readonly confirmed: Set<string>
  contradicted: boolean
}

/** Which routes have shown that they answer all visitors alike. */
export class Trust {
  readonly #routes = new Recent<string, Known>(rememberedRoutes)

  confirmed(route: string, key: string): void {
    const { confirmed } = this.#of(route)
    if (confirmed.size < enough) confirmed.add(digest(key))
  }

  /** @returns whether it is the first contradiction of the route */
  contradicted(route: string): boolean {
    const known = this.#of(route)
    const first = !known.contradicted
    known.contradicted = true
    return first
  }

  trusts(route: string): boolean {
    const known = this.#routes.get(route)
    return known !== undefined && !known.contradicted && known.confirmed.size >= enough
  }

  #of(route: string): Known {
    let known = this.#routes.get(route)
    if (!known) {
      known = { confirmed: new Set(), contradicted: false }
      this.#routes.set(route, known)
    }
    return known
  }
}

/** The tag of what is everybody's on the word of its route alone. A NUL is in no tag of an application's. */
export const trustTag = (route: string): string => `\0trust:${route}`
