import { Recent } from '../../base/recent.ts'

/** Something that several records hold together, and what it takes in memory as long as one of them is kept. */
export interface Shared<T> {
  readonly value: T
  readonly bytes: number
  users: number
}

/** How many are known, so that a record can be given one: so few, and so short, that they need no place in a cap. */
const known = 64
const longestName = 1_000

/**
 * Things that are equal, held once. What nobody uses any more is forgotten in its turn; what is used is counted by whoever
 * keeps its users, for as long as there are any.
 */
export class Sharing<T> {
  readonly #known = new Recent<string, Shared<T>>(known)

  /** @param name - equal for equal things, and for no others */
  of(name: string, make: () => { readonly value: T; readonly bytes: number }): Shared<T> {
    const found = this.#known.get(name)
    if (found !== undefined) return found
    const { value, bytes } = make()
    const shared: Shared<T> = { value, bytes, users: 0 }
    if (name.length <= longestName) this.#known.set(name, shared)
    return shared
  }
}
