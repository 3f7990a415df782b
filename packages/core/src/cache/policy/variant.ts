import { joinParts } from '../../exchange/client/by.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { normaliseFieldValue } from '../../http/caching/vary.ts'
import { bestCoding } from '../../http/selection/codings.ts'
import type { Variant, VariantSpec } from '../store/store.ts'

/**
 * The secondary key of a request (RFC 9111 §4.1): the normalised values of the fields Vary names and, where handlers
 * encoded the body themselves, the one of the codings held that this client likes best.
 */
export function secondaryKey(view: RequestView, spec: VariantSpec): string {
  return keyUnder(view, spec, bestCoding(view.header('accept-encoding'), codingsOf(spec)))
}

/** The variant a response is: the same key its own request would select, but under the coding it really has. */
export function variantOf(view: RequestView, fields: readonly string[], coding: string): Variant {
  const codings = coding === 'identity' ? [] : [coding]
  return { spec: { fields, codings }, select: (spec) => keyUnder(view, spec, coding) }
}

/** Once a handler has encoded, an answer without a coding is one of the variants. */
const codingsOf = (spec: VariantSpec): readonly string[] =>
  spec.codings.length ? [...spec.codings, 'identity'] : spec.codings

function keyUnder(view: RequestView, spec: VariantSpec, coding: string | undefined): string {
  const values = spec.fields.map((field) => normaliseFieldValue(view.header(field), field))
  return spec.codings.length ? joinParts([...values, coding]) : joinParts(values)
}

/** Whether two specs name the same things, whichever objects they come in. */
export function isSameSpec(a: VariantSpec, b: VariantSpec): boolean {
  return a === b || (isSameList(a.fields, b.fields) && isSameList(a.codings, b.codings))
}

const isSameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => name === b[i])
