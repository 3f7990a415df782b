import { Recent } from '../../base/recent.ts'
import { normaliseFieldValue } from '../../http/caching/vary.ts'
import { type Preferences, preferenceFields, readPreferences } from '../../http/selection/languages.ts'

/** How many texts are remembered: a kilobyte each at the most. */
const remembered = 1_000

/** Longer ones are read each time: who sends them must not decide how much memory this takes. */
const longest = 200

/** Values of request fields as secondary keys have them. Lists of preferences are read once: it takes as long as a hit. */
export class FieldValues {
  readonly #read = new Recent<string, Preferences>(remembered)

  /** As it stands in a key. `name` in lower case. */
  normalise(name: string, value: string | undefined): string {
    const preferences = preferenceFields.has(name) ? this.preferences(value) : undefined
    return preferences ? `+${preferences.text}` : normaliseFieldValue(value)
  }

  /** What a list of preferences says; `undefined` where it cannot be read, or says nothing. */
  preferences(value: string | undefined): Preferences | undefined {
    if (value === undefined) return undefined
    const known = this.#read.get(value)
    if (known !== undefined) return known
    const made = readPreferences(value)
    if (made && value.length <= longest) this.#read.set(value, made)
    return made
  }
}
