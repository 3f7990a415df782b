import { Fields } from '../../http/fields/fields.ts'

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
  readonly #samples = new Map<string, Fields>()
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
    const now = Fields.fromFlat(fields)
    const before = this.#samples.get(under)
    if (!before) {
      if (this.#samples.size < mostSamples) this.#samples.set(under, now)
      return []
    }
    const names = new Set([...before.names(), ...now.names()])
    const found = [...names].filter((name) => !this.varying.has(name) && linesIn(before, name) !== linesIn(now, name))
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

const linesIn = (fields: Fields, name: string): string => fields.lines(name).join('\n')
