import { joinParts } from '../../exchange/client/by.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { normaliseFieldValue } from '../../http/caching/vary.ts'
import { bestCoding } from '../../http/selection/codings.ts'
import type { Variant, VariantSelector, VariantSpec } from '../store/store.ts'

/**
 * The secondary key of a request (RFC 9111 §4.1): the normalised values of the fields Vary names and, where handlers
 * encoded the body themselves, the one of the codings held that this client likes best.
 */
export function variantSelector(view: RequestView): VariantSelector {
  return (spec) => secondaryKey(view, spec, bestCoding(view.header('accept-encoding'), codingsOf(spec)))
}

/** The variant a response is: the same key its own request would select, but under the coding it really has. */
export function variantOf(view: RequestView, fields: readonly string[], coding: string): Variant {
  const codings = coding === 'identity' ? [] : [coding]
  return { spec: { fields, codings }, select: (spec) => secondaryKey(view, spec, coding) }
}

/** Once a handler has encoded, an answer without a coding is one of the variants. */
const codingsOf = (spec: VariantSpec): readonly string[] =>
  spec.codings.length ? [...spec.codings, 'identity'] : spec.codings

function secondaryKey(view: RequestView, spec: VariantSpec, coding: string | undefined): string {
  const values = spec.fields.map((field) => normaliseFieldValue(view.header(field)))
  return spec.codings.length ? joinParts([...values, coding]) : joinParts(values)
}
