/** How many names are counted, and how many of them stay when there are more. */
const most = 1_024
const kept = 256

/**
 * The highest values out of any number of names, in bounded room: when there are too many, those with the lowest are forgotten. Of the
 * last minutes: what `turn()` finds is kept until the next one, and then gone.
 */
export class Highest {
  readonly #joined: (a: number, b: number) => number
  #young = new Map<string, number>()
  #old: ReadonlyMap<string, number> = new Map()

  /** @param joined - what two values of a name come to */
  constructor(joined: (a: number, b: number) => number) {
    this.#joined = joined
  }

  add(name: string, value = 1): void {
    const known = this.#young.get(name)
    if (known === undefined && this.#young.size >= most) this.#young = new Map(highest(this.#young, kept))
    this.#young.set(name, known === undefined ? value : this.#joined(known, value))
  }

  /** The next period begins. */
  turn(): void {
    this.#old = this.#young
    this.#young = new Map()
  }

  /** The highest first. */
  top(count: number): (readonly [name: string, value: number])[] {
    const all = new Map(this.#old)
    for (const [name, value] of this.#young) {
      const before = all.get(name)
      all.set(name, before === undefined ? value : this.#joined(before, value))
    }
    return highest(all, count)
  }
}

const highest = (of: ReadonlyMap<string, number>, count: number): (readonly [string, number])[] =>
  [...of].sort((a, b) => b[1] - a[1]).slice(0, count)

/** What comes most often. A count is never too high, and of what comes often hardly too low. */
export const mostFrequent = (): Highest => new Highest((a, b) => a + b)

/** What is largest. */
export const largest = (): Highest => new Highest(Math.max)
