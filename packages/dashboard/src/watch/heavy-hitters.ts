/** How many names are counted, and how many of them stay when there are more. */
const most = 1_024
const kept = 256

/**
 * Counts what comes most often out of any number of names, in bounded room: when there are too many, those that came least often
 * are forgotten. So a count is never too high, and of what comes often hardly too low.
 *
 * Of the last minutes: what `turn()` finds is kept until the next one, and then gone.
 */
export class HeavyHitters {
  #young = new Map<string, number>()
  #old: ReadonlyMap<string, number> = new Map()

  add(name: string, weight = 1): void {
    const count = this.#young.get(name)
    if (count === undefined && this.#young.size >= most) this.#prune()
    this.#young.set(name, (count ?? 0) + weight)
  }

  /** The next period begins. */
  turn(): void {
    this.#old = this.#young
    this.#young = new Map()
  }

  /** The most frequent first. */
  top(count: number): (readonly [name: string, count: number])[] {
    const sums = new Map(this.#old)
    for (const [name, own] of this.#young) sums.set(name, (sums.get(name) ?? 0) + own)
    return [...sums].sort((a, b) => b[1] - a[1]).slice(0, count)
  }

  #prune(): void {
    this.#young = new Map([...this.#young].sort((a, b) => b[1] - a[1]).slice(0, kept))
  }
}

/** The largest of the last minutes, by name, in bounded room. */
export class Largest {
  #young = new Map<string, number>()
  #old: ReadonlyMap<string, number> = new Map()

  note(name: string, value: number): void {
    const known = this.#young.get(name)
    if (known !== undefined && known >= value) return
    this.#young.set(name, value)
    if (this.#young.size > most) this.#young = new Map([...this.#young].sort((a, b) => b[1] - a[1]).slice(0, kept))
  }

  turn(): void {
    this.#old = this.#young
    this.#young = new Map()
  }

  top(count: number): (readonly [name: string, value: number])[] {
    const all = new Map(this.#old)
    for (const [name, value] of this.#young) all.set(name, Math.max(value, all.get(name) ?? 0))
    return [...all].sort((a, b) => b[1] - a[1]).slice(0, count)
  }
}
