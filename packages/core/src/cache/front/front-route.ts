import { Fields } from '../../http/fields/fields.ts'

/** How many heads of a route are compared before anything of them is taken for the same on each. */
const leastSamples = 3
/** How many of them have the same values of the fields that heads depend on. */
const leastAlike = 2
/** How many values of those fields are compared, each by itself; of more the oldest are forgotten. */
const mostSamples = 100

/** The first head under one value of the fields that heads depend on. */
export interface Sample {
  /** Another one was compared with it. */
  readonly isCompared: boolean
}

/** What is known of the heads that middleware in front of one route makes. */
export class FrontRoute {
  /** Why it is not answered in front; `undefined` while it is. */
  refused: string | undefined
  /** Names of fields that are not the same on each answer. */
  readonly varying = new Set<string>()
  readonly #samples = new Map<string, SampleOf>()
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
  sample(under: string, fields: readonly string[]): { readonly found: string[]; readonly sample: Sample } {
    this.#seen++
    const now = Fields.fromFlat(fields)
    const sample = this.#samples.get(under)
    if (!sample) {
      const first = new SampleOf(now)
      if (this.#samples.size >= mostSamples) this.#samples.delete(this.#samples.keys().next().value!)
      this.#samples.set(under, first)
      return { found: [], sample: first }
    }
    sample.seen++
    const before = sample.fields
    const names = new Set([...before.names(), ...now.names()])
    const found = [...names].filter((name) => !this.varying.has(name) && linesIn(before, name) !== linesIn(now, name))
    for (const name of found) this.varying.add(name)
    return { found, sample }
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

class SampleOf implements Sample {
  readonly fields: Fields
  seen = 1

  constructor(fields: Fields) {
    this.fields = fields
  }

  get isCompared(): boolean {
    return this.seen >= leastAlike
  }
}
