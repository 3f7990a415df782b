import { createHash } from 'node:crypto'
import { Recent } from '../../base/recent.ts'
import { joinParts } from '../../exchange/client/by.ts'
import { cookiePairs } from '../../exchange/client/cookies.ts'
import { isField, keyOf, type Place, personalName, placeOf, type Term } from '../../exchange/reads/term.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { onlyCookies } from '../../http/fields/cookies.ts'
import { FieldValues } from './field-values.ts'
import { deliveryFields } from './fields.ts'
import { type Identities, unmatched } from './identities.ts'

/** What a term is read from. */
export interface TermSource {
  readonly view: RequestView
  /** The route's `cookies`: others do not exist for it. */
  readonly policy: { readonly cookies: readonly string[] | undefined }
}

/** How many terms are remembered taken apart: an application has some dozens. */
const rememberedPlaces = 1_000

/** The values of terms as texts: parts of a secondary key. Equal texts mean that a handler reads the same. */
export class TermTexts {
  readonly #places = new Recent<Term, Place>(rememberedPlaces)
  readonly identities: Identities
  readonly fieldValues = new FieldValues()

  constructor(identities: Identities) {
    this.identities = identities
  }

  /** What the request in hand has at a term. */
  of(source: TermSource, term: Term): string {
    return isField(term) ? this.#fieldText(source, term) : this.#inputText(source, this.#place(term))
  }

  /** A value by itself. Objects that hold somebody's values count by being there: what is in them has terms of its own. */
  value(value: unknown, place: Pick<Place, 'path'>): string {
    switch (typeof value) {
      case 'undefined':
        return '-'
      case 'string':
        return `"${value}`
      case 'number':
        return `#${Object.is(value, -0) ? '-0' : value}`
      case 'bigint':
        return `i${value}`
      case 'boolean':
        return value ? 't' : 'f'
      case 'symbol':
        return unmatched
      default:
        if (value === null) return 'n'
        return personalName(place) === undefined ? this.identities.text(value as object) : 'o'
    }
  }

  /** What stands at the end of a path that begins at `from`; where it breaks off is told apart from what is absent there. */
  walk(from: unknown, place: Place, start = 0): string {
    let value = from
    for (let i = start; i < place.path.length; i++) {
      if (value === undefined || value === null) return `~${i}${value === null ? 'n' : ''}`
      value = valueAt(value, place.path[i]!)
    }
    return place.names ? namesText(value) : this.value(value, place)
  }

  #inputText({ view, policy }: TermSource, place: Place): string {
    if (place.root === 'cookie') {
      const name = place.path[0]!
      const known = policy.cookies === undefined || policy.cookies.includes(name)
      const pairs = known ? cookiePairs(view.header('cookie'), name) : []
      return pairs.length ? joinParts(pairs) : '-'
    }
    try {
      return this.walk(view.root?.(place.root), place)
    } catch {
      // A getter that throws: for the handler it would too, and what it then answers is not for others.
      return unmatched
    }
  }

  #fieldText({ view, policy }: TermSource, name: string): string {
    if (name === '*') return allFields(view)
    const value =
      name === 'cookie' && policy.cookies ? onlyCookies(view.header('cookie'), policy.cookies) : view.header(name)
    // A range of bytes is cut out of what is stored; of any other unit the handler may have made something.
    if (name === 'range' && value !== undefined && /^[ \t]*bytes[ \t]*=/i.test(value)) return '-'
    return this.fieldValues.normalise(name, value)
  }

  #place(term: Term): Place {
    let place = this.#places.get(term)
    if (!place) {
      place = placeOf(term)
      this.#places.set(term, place)
    }
    return place
  }
}

function valueAt(object: unknown, segment: string): unknown {
  if (object === undefined || object === null) return undefined
  return (object as Record<string | symbol, unknown>)[keyOf(object as object, segment)]
}

/**
 * In the order in which they are listed.
 *
 * @param counts - leaves out what a look-up does not find
 */
export function namesText(value: unknown, counts: (name: string) => boolean = () => true): string {
  return typeof value === 'object' && value !== null ? `k${joinParts(Object.keys(value).filter(counts))}` : '-'
}

/** Of all fields but those that say how the answer is delivered. Hashed: it may be long, and tells secrets. */
function allFields(view: RequestView): string {
  const names = (view.fieldNames?.() ?? []).filter((name) => !deliveryFields.has(name)).sort()
  return createHash('sha256')
    .update(joinParts(names.flatMap((name) => [name, view.header(name)])))
    .digest('base64url')
}
