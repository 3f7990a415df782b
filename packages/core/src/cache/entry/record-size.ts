import type { VariantSpec } from '../store/store.ts'
import type { StoredForm, Witness } from './record.ts'

/**
 * What the objects of an entry take beside the characters and bytes they hold: record, buffer, its line in the map, what is
 * remembered of it when it has left. Measured by `test/bench/scale.mjs`, rounded up.
 */
export const overheadPerRecord = 600

/** Likewise for each further form of a record. */
const overheadPerForm = 320

/** Likewise for a variant, beside its record: its line in the marker. */
export const overheadPerVariant = 64

/** Likewise for what stands under a key that has variants. */
export const overheadPerMarker = 400

/** Likewise for a list of several tags. */
const overheadPerList = 64

/** What a witness takes that has marks. */
const witnessBytes = 240

/** What a pointer in a list takes, and the header of a string. */
const overheadPerText = 24

const wide = /[^\0-\xff]/

/** What a text takes in memory: V8 keeps one byte per character where all of them are Latin-1, else two. */
export function textBytes(text: string): number {
  return overheadPerText + (wide.test(text) ? text.length * 2 : text.length)
}

/** What the names in a spec take in memory. */
export function specBytes(spec: VariantSpec): number {
  let bytes = 0
  for (const text of spec.fields) bytes += textBytes(text)
  for (const text of spec.codings) bytes += textBytes(text)
  return bytes
}

/** What a record takes that is its own, without its key; texts that are held elsewhere are not among these. */
export function recordBytes(own: {
  readonly forms: readonly StoredForm[]
  readonly tags: readonly string[]
  readonly texts: readonly (string | number | undefined)[]
  readonly witness: Witness | undefined
}): number {
  let bytes = overheadPerRecord + (own.forms.length - 1) * overheadPerForm
  for (const { body, etag } of own.forms) bytes += body.byteLength + (etag === undefined ? 0 : textBytes(etag))
  if (own.tags.length > 1) bytes += overheadPerList
  for (const tag of own.tags) bytes += textBytes(tag)
  for (const text of own.texts) if (typeof text === 'string' && text !== '') bytes += textBytes(text)
  if (own.witness && own.witness.marks.length > 0) bytes += witnessBytes + 48 * own.witness.marks.length
  return bytes
}
