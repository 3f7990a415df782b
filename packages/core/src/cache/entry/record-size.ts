import type { VariantSpec } from '../store/store.ts'
import type { CacheRecord } from './record.ts'

/**
 * What the objects of an entry take beside the characters and bytes they hold: record, target, lists, buffer, its place
 * in the LRU list and the map, what is left of a head that was rendered. Measured by `test/bench/entries.mjs`, rounded up.
 */
export const overheadPerRecord = 820

/** Likewise for each further form of a record. */
const overheadPerForm = 220

/** Likewise for a variant, beside its record: its place and its line in the marker. */
export const overheadPerVariant = 160

/** Likewise for what stands under a key that has variants. */
export const overheadPerMarker = 340

/** What a witness takes, its hash and list included, and a promise. */
const witnessBytes = 240
const promiseBytes = 72

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

/** What a record takes in memory, with its share of the store's bookkeeping and without its key. */
export function recordBytes(record: CacheRecord): number {
  const { target } = record
  let bytes = overheadPerRecord + (record.forms.length - 1) * overheadPerForm
  for (const form of record.forms) bytes += form.body.byteLength + optional(form.etag)
  for (const text of record.fields) bytes += textBytes(text)
  for (const text of record.tags) bytes += textBytes(text)
  if (record.witness) bytes += witnessBytes + 48 * record.witness.marks.length
  if (record.promise) bytes += promiseBytes
  return bytes + textBytes(target.path) + optional(target.query) + optional(target.params) + optional(target.route)
}

function optional(text: string | undefined): number {
  return text === undefined ? 0 : textBytes(text)
}
