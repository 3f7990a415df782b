/**
 * What quotas are called in answers and events: by their policy, and where that has several rates with a number behind it,
 * `search`, `search-2`. No two are called alike: where there is a policy `search-2` too, the second rate of `search` is
 * `search-2.2`.
 */
export class Labels {
  readonly #labels = new Map<string, string>()
  readonly #taken: Set<string>

  /** @param policies - the names that are configured: theirs are not given to others */
  constructor(policies: Iterable<string>) {
    this.#taken = new Set(policies)
    for (const policy of this.#taken) this.#labels.set(keyOf(policy, 0), policy)
  }

  /** @param rate - which of the policy's rates, from 0 */
  of(policy: string, rate: number): string {
    const key = keyOf(policy, rate)
    let label = this.#labels.get(key)
    if (label === undefined) {
      label = this.#free(rate === 0 ? policy : `${policy}-${rate + 1}`)
      this.#labels.set(key, label)
      this.#taken.add(label)
    }
    return label
  }

  #free(wanted: string): string {
    let label = wanted
    for (let i = 2; this.#taken.has(label); i++) label = `${wanted}.${i}`
    return label
  }
}

function keyOf(policy: string, rate: number): string {
  return `${rate}:${policy}`
}
