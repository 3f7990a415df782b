import type { VariantSpec } from '@sluice/core'

/** How a spec stands in Redis: empty where nothing varies. */
export function specText(spec: VariantSpec): string {
  return spec.fields.length + spec.codings.length === 0 ? '' : JSON.stringify([spec.fields, spec.codings])
}

export function parseSpec(text: string): VariantSpec {
  const [fields, codings] = text === '' ? [[], []] : (JSON.parse(text) as [string[], string[]])
  return { fields, codings }
}

/** The spec of a key after one more response: a name or coding once seen stays. */
export function joinSpecs(held: VariantSpec, added: VariantSpec): VariantSpec {
  return {
    fields: [...new Set([...held.fields, ...added.fields])].sort(),
    codings: [...new Set([...held.codings, ...added.codings])],
  }
}

/**
 * The specs this process met last, by key. Only a guess, which the script checks: a right one saves the second trip a
 * variant would need. Two generations, so that forgetting costs nothing.
 */
export class SpecHints {
  readonly #most: number
  #young = new Map<string, string>()
  #old = new Map<string, string>()
  #last = ''

  constructor(most = 10_000) {
    this.#most = most
  }

  /** What is known of that key or, failing that, what most likely holds: what held for the last key that varies. */
  get(id: string): string {
    return this.#young.get(id) ?? this.#old.get(id) ?? this.#last
  }

  note(id: string, spec: string): void {
    if (spec !== '') this.#last = spec
    else if (this.#last === '') return
    if (this.#young.get(id) === spec) return
    this.#young.set(id, spec)
    if (this.#young.size < this.#most) return
    this.#old = this.#young
    this.#young = new Map()
  }
}
