import { chain, type MaybePromise } from '../../base/maybe-promise.ts'
import { strongMatch } from '../../http/selection/etag.ts'
import { type ContentRange, parseContentRange } from '../../http/selection/range.ts'
import type { CacheRecord } from '../entry/record.ts'
import { recordWith } from '../entry/record-with.ts'
import type { Lookup } from '../lookup/lookup.ts'
import { fieldOf } from '../lookup/reply.ts'
import type { NotStored } from '../reasons.ts'
import type { SetOutcome, Variant } from '../store/store.ts'

/**
 * Stores a part, together with what there is of the same representation already; once that is all of it, as the whole.
 * The part, or the reason why not.
 */
export function storePart(lookup: Lookup, part: CacheRecord, variant: Variant): MaybePromise<CacheRecord | NotStored> {
  const { core, key, vacancy, part: place } = lookup
  const range = rangeOf(part)
  if (!place || !vacancy || !range) return 'partial'
  if (part.forms[0]!.body.byteLength !== range.end - range.start + 1) return 'incomplete'
  const told = (outcome: SetOutcome | undefined): CacheRecord | NotStored =>
    outcome === 'stored' ? part : outcome === 'fenced' ? 'purged' : 'store-refused'
  const held = core.ask('read', () => core.store.get(place.key, variant.select))
  return chain(held, (older) => {
    const joined = (older?.kind === 'record' ? combine(older, part) : undefined) ?? part
    if (joined.status === 206) return chain(core.put(place.key, variant, joined, place.vacancy), told)
    return chain(core.put(key.key, variant, joined, vacancy), (outcome) =>
      chain(
        core.ask('store', () => core.store.delete(place.key)),
        () => told(outcome),
      ),
    )
  })
}

/** Which bytes a stored part has. */
function rangeOf(part: CacheRecord): ContentRange | undefined {
  return part.status === 206 ? parseContentRange(fieldOf(part.fields, 'content-range')) : undefined
}

/**
 * Two parts of one representation as one (RFC 9111 §3.4), with the newer one's fields laid over the older's; a 200 once
 * nothing is missing. `undefined` where they are not to be combined: other validators or weak ones, another length or
 * coding, bytes between them that neither has, or bytes that both have and that are not the same.
 */
export function combine(older: CacheRecord, newer: CacheRecord): CacheRecord | undefined {
  const [a, b] = [rangeOf(older), rangeOf(newer)]
  const [one, two] = [older.forms[0]!, newer.forms[0]!]
  if (!a || !b || a.length !== b.length || one.coding !== two.coding) return undefined
  if (one.etag === undefined || two.etag === undefined || !strongMatch(one.etag, two.etag)) return undefined
  if (a.start > b.end + 1 || b.start > a.end + 1) return undefined
  const start = Math.min(a.start, b.start)
  const end = Math.max(a.end, b.end)
  const body = new Uint8Array(end - start + 1)
  body.set(two.body, b.start - start)
  body.set(one.body, a.start - start)
  // The older one was laid over the newer: if that changed anything, its validator was no strong one.
  if (Buffer.compare(body.subarray(b.start - start, b.end - start + 1), two.body) !== 0) return undefined

  const replaced = new Set(['content-range'])
  for (let i = 0; i < newer.fields.length; i += 2) replaced.add(newer.fields[i]!.toLowerCase())
  const isWhole = body.byteLength === a.length
  const fields = [
    ...pairs(older.fields).filter(([name]) => !replaced.has(name.toLowerCase())),
    ...pairs(newer.fields).filter(([name]) => name.toLowerCase() !== 'content-range'),
    ...(isWhole ? [] : [['Content-Range', `bytes ${start}-${end}/${a.length}`]]),
  ].flat()
  const forms = [{ coding: two.coding, body, etag: two.etag }]
  return recordWith(newer, { status: isWhole ? 200 : 206, fields, forms })
}

function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = []
  for (let i = 0; i < flat.length; i += 2) list.push([flat[i]!, flat[i + 1]!])
  return list
}
