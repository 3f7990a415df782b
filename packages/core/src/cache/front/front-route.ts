/** How many heads of a route are compared before anything of them is taken for the same on each. */
const leastSamples = 3
/** How many values of the fields that heads depend on are compared, each by itself. */
const mostSamples = 100

/** What is known of the heads that middleware in front of one route makes. */
export class FrontRoute {
  /** Why it is not answered in front; `undefined` while it is. */
  refused: string | undefined
  /** Names of fields that are not the same on each answer. */
  readonly varying = new Set<string>()
  readonly #samples = new Map<string, ReadonlyMap<string, string>>()
  #seen = 0

  /** Enough was seen to tell what is the same on each answer. */
  get isKnown(): boolean {
    return this.#seen >= leastSamples
  }

  /**
   * One more head.
   *
   * @param under - the values of the request fields that it may depend on
   * @returns the names of those that turn out now to be not the same on each
   */
  sample(under: string, fields: readonly string[]): string[] {
    this.#seen++
    const now = valuesOf(fields)
    const before = this.#samples.get(under)
    if (!before) {
      if (this.#samples.size < mostSamples) this.#samples.set(under, now)
      return []
    }
    const names = new Set([...before.keys(), ...now.keys()])
    const found = [...names].filter((name) => !this.varying.has(name) && before.get(name) !== now.get(name))
    for (const name of found) this.varying.add(name)
    return found
  }

  /** What of them is the same on each answer. */
  constant(fields: readonly string[]): readonly string[] {
    if (this.varying.size === 0) return fields
    const kept: string[] = []
    for (let i = 0; i < fields.length; i += 2) {
      if (!this.varying.has(fields[i]!.toLowerCase())) kept.push(fields[i]!, fields[i + 1]!)
    }
    return kept
  }
}

function valuesOf(fields: readonly string[]): Map<string, string> {
  const values = new Map<string, string>()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    const there = values.get(name)
    values.set(name, there === undefined ? fields[i + 1]! : `${there}\n${fields[i + 1]}`)
  }
  return values
}
