import { randomBytes } from 'node:crypto'

interface Met {
  readonly id: number
  /** The fill that met it first, and the credentials of its request. */
  readonly fill: object
  readonly credentials: string
  /** It was met by visitors who have nothing in common. */
  shared: boolean
}

/**
 * Which objects this process has met on requests before. One that stands on several requests (`req.db`) is told from one
 * made for a single request (`req.account`) by its identity, which is exact: an answer is found again by those requests
 * alone on which the same object stands. The texts say nothing to other processes, and must not.
 */
export class Identities {
  readonly #process = randomBytes(6).toString('base64url')
  readonly #met = new WeakMap<object, Met>()
  #count = 0

  /** As part of a secondary key. Of an object that no fill has met, what no key has. */
  text(object: object): string {
    const met = this.#met.get(object)
    return met ? `o${this.#process}${met.id}` : unmatched
  }

  /**
   * A fill meets an object.
   *
   * @returns `new`: nobody has met it before; `known`; `shared`: visitors who have nothing in common have it
   */
  meet(object: object, fill: object, credentials: string): 'new' | 'known' | 'shared' {
    const met = this.#met.get(object)
    if (!met) {
      this.#met.set(object, { id: ++this.#count, fill, credentials, shared: false })
      return 'new'
    }
    if (met.fill === fill) return 'new'
    if (credentials === '' || met.credentials !== credentials) met.shared = true
    return met.shared ? 'shared' : 'known'
  }
}

/** The text of what no look-up finds again. */
export const unmatched = '!'
