import { joinParts } from '../../exchange/client/by.ts'
import type { Term } from '../../exchange/reads/term.ts'
import { bestCoding } from '../../http/selection/codings.ts'
import type { Variant, VariantSpec } from '../store/store.ts'
import type { TermSource, TermTexts } from '../terms/term-texts.ts'

/** Of a request's look-up, what its secondary key is made of. */
export interface Selecting extends TermSource {
  readonly texts: TermTexts
}

/**
 * The secondary key of a request (RFC 9111 §4.1): the values of everything that handlers of this key have read, the
 * fields that Vary names among it, and, where handlers encoded the body themselves, the one of the codings held that
 * this client likes best.
 */
export function secondaryKey(request: Selecting, spec: VariantSpec): string {
  const coding =
    spec.codings.length === 0 ? undefined : bestCoding(request.view.header('accept-encoding'), codingsOf(spec))
  return keyUnder(spec, coding, (term) => request.texts.of(request, term))
}

/** A response, told apart from its variants. */
export interface Told {
  readonly terms: readonly Term[]
  readonly coding: string
  /** At most so many of one key are kept. */
  readonly most: number
}

/**
 * The variant a response is: the same key its own request would select, but under the coding it really has.
 *
 * @param text - a term's text before the handler ran
 */
export function variantOf({ terms, coding, most }: Told, text: (term: Term) => string): Variant {
  const codings = coding === 'identity' ? [] : [coding]
  return { spec: { fields: terms, codings }, most, select: (spec) => keyUnder(spec, coding, text) }
}

/** Once a handler has encoded, an answer without a coding is one of the variants. */
const codingsOf = (spec: VariantSpec): readonly string[] => [...spec.codings, 'identity']

function keyUnder(spec: VariantSpec, coding: string | undefined, text: (term: Term) => string): string {
  const values = spec.fields.map(text)
  return spec.codings.length ? joinParts([...values, coding]) : joinParts(values)
}

/** Whether two specs name the same things, whichever objects they come in. */
export function isSameSpec(a: VariantSpec, b: VariantSpec): boolean {
  return a === b || (isSameList(a.fields, b.fields) && isSameList(a.codings, b.codings))
}

const isSameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => name === b[i])
