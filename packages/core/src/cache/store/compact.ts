import { ownForm, ownText } from '../entry/compact.ts'
import type { CacheRecord, Witness } from '../entry/record.ts'
import { overheadPerVariant, recordBytes, textBytes } from '../entry/record-size.ts'
import { type Common, HeldRecord, type Marker, placeIn, type Rare } from './held-record.ts'
import { Sharing } from './shared.ts'
import type { VariantSpec } from './store.ts'

/** What a shared thing takes beside the characters it holds: itself, its list, its name among those that are known. */
const overheadPerCommon = 400
const overheadPerFields = 120

/**
 * Makes records small before they are kept. What the responses of one route have in common is held once, their fields are
 * mostly the same too; texts that were put together of pieces become texts of their own; and a body lets go of the larger
 * buffer it was cut from.
 */
export class Compactor {
  readonly #common = new Sharing<Common>()
  readonly #fields = new Sharing<readonly string[]>()
  readonly #texts = new Sharing<string>()
  readonly #specs = new Sharing<VariantSpec>()

  /** The record as it is kept under this key, or as this variant of it. */
  record(record: CacheRecord, under: string | Marker, secondary?: string): HeldRecord {
    const key = typeof under === 'string' ? under : under.key
    const { target, forms, tags } = record
    const path = placeIn(key, target.path)
    const { query, params } = target
    const parts = {
      common: this.#commonOf(record),
      fields: this.#fieldsOf(record.fields),
      form: ownForm(forms[0]!),
      tags: tags.length === 0 ? undefined : tags.length === 1 ? ownText(tags[0]!) : tags.map(ownText),
      path: path ?? ownText(target.path),
      query: query ? (placeIn(key, query, path === undefined ? 0 : key.indexOf(target.path)) ?? ownText(query)) : query,
      params: params === undefined ? undefined : ownText(params),
      rare: rareOf(record),
    }
    const held = new HeldRecord(under, secondary === undefined ? undefined : this.#text(secondary), record, parts)
    const named = secondary === undefined ? textBytes(key) : overheadPerVariant + textBytes(secondary)
    held.size = named + recordBytes({ forms, tags, texts: [parts.path, parts.query, params], witness: record.witness })
    return held
  }

  /** The spec itself, or the one that is equal and held already. */
  spec(spec: VariantSpec): VariantSpec {
    return this.#specs.of(JSON.stringify([spec.fields, spec.codings]), () => ({ value: spec, bytes: 0 })).value
  }

  #commonOf(record: CacheRecord) {
    const { target, promise } = record
    const witness = isAnonymous(record.witness) ? record.witness : undefined
    const list = [
      record.status,
      record.whileRevalidateUntil - record.staleAt || 0,
      record.ifErrorUntil - record.staleAt || 0,
      record.mustRevalidate,
      record.shared,
      record.ownTag,
      target.scheme,
      target.authority,
      target.route,
      record.reason,
      record.without,
      promise && [promise.scope, promise.clientMs, promise.cdnMs, promise.noTransform],
      record.forms[0]!.coding,
      witness && [witness.of, witness.visitor, witness.state],
    ] as const
    return this.#common.of(nameOf(list), () => {
      const scheme = ownText(target.scheme)
      const value: Common = {
        status: record.status,
        whileRevalidateMs: list[1],
        ifErrorMs: list[2],
        mustRevalidate: record.mustRevalidate,
        shared: record.shared,
        ownTag: record.ownTag,
        scheme,
        authority: ownText(target.authority),
        route: target.route && ownText(target.route),
        reason: record.reason && ownText(record.reason),
        without: record.without?.map(ownText),
        promise,
        coding: list[12],
        witness,
      }
      let bytes = overheadPerCommon + textBytes(value.authority) + textBytes(value.scheme)
      for (const text of [value.route, value.reason, ...(value.without ?? [])]) if (text) bytes += textBytes(text)
      return { value, bytes }
    })
  }

  #fieldsOf(fields: readonly string[]) {
    return this.#fields.of(nameOf(fields), () => {
      const value = fields.map(ownText)
      return { value, bytes: value.reduce((sum, text) => sum + textBytes(text), overheadPerFields) }
    })
  }

  #text(text: string): string {
    const own = () => ({ value: ownText(text), bytes: 0 })
    return text.length < 200 ? this.#texts.of(text, own).value : own().value
  }
}

/** Visitors without credentials are all alike, and so is what is known of them. */
function isAnonymous(witness: Witness | undefined): boolean {
  return witness !== undefined && witness.marks.length === 0
}

function rareOf({ forms, witness, initialAgeMs }: CacheRecord): Rare | undefined {
  const { best } = forms[0]!
  const own = isAnonymous(witness) ? undefined : witness
  if (forms.length === 1 && !best && own === undefined && initialAgeMs === 0) return undefined
  return { initialAgeMs, best, others: forms.length > 1 ? forms.slice(1).map(ownForm) : undefined, witness: own }
}

/** A text for a list, equal for equal ones only. `undefined` and `null` stand for the same where both can be. */
function nameOf(list: readonly unknown[]): string {
  return JSON.stringify(list)
}
