/** What is longer is worked out each time: it would keep too much memory from its owner. */
const longest = 300

/** The results of a function for the texts it was asked about last. Forgets all of them when there are too many. */
export class Remembered<V> {
  readonly #most: number
  readonly #make: (text: string) => V
  readonly #results = new Map<string, V>()

  constructor(most: number, make: (text: string) => V) {
    this.#most = most
    this.#make = make
  }

  get(text: string): V {
    const known = this.#results.get(text)
    if (known !== undefined) return known
    const made = this.#make(text)
    if (text.length > longest) return made
    if (this.#results.size >= this.#most) this.#results.clear()
    this.#results.set(text, made)
    return made
  }
}
