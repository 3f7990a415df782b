import { Recent } from '../../base/recent.ts'
import type { CacheRecord, StoredForm } from './record.ts'

/** Lists of fields that are kept to be shared: so few, and so short, that they need no place in a store's cap. */
const sharedLists = 32
const longestShared = 1_000

/**
 * Makes records small before they are kept. The fields of one route's responses are mostly the same from one record to the
 * next, so they are held once; texts that were put together of pieces become texts of their own; and a body lets go of
 * the larger buffer it was cut from.
 */
export class Compactor {
  readonly #lists = new Recent<string, readonly string[]>(sharedLists)

  record(record: CacheRecord): CacheRecord {
    const { target } = record
    // Member by member, so that all of them lie in the object itself.
    return {
      kind: 'record',
      status: record.status,
      fields: this.#fields(record.fields),
      forms: record.forms.map(ownForm),
      dateMs: record.dateMs,
      storedAt: record.storedAt,
      initialAgeMs: record.initialAgeMs,
      staleAt: record.staleAt,
      whileRevalidateUntil: record.whileRevalidateUntil,
      ifErrorUntil: record.ifErrorUntil,
      deleteAt: record.deleteAt,
      mustRevalidate: record.mustRevalidate,
      fillMs: record.fillMs,
      shared: record.shared,
      ownTag: record.ownTag,
      tags: record.tags.length ? record.tags.map(ownText) : none,
      target: { ...target, authority: this.#fields([target.authority])[0]!, path: ownText(target.path) },
      reason: record.reason,
      without: record.without,
      witness: record.witness,
      promise: record.promise,
    }
  }

  #fields(fields: readonly string[]): readonly string[] {
    const name = JSON.stringify(fields)
    const known = this.#lists.get(name)
    if (known) return known
    const own = fields.map(ownText)
    if (name.length <= longestShared) this.#lists.set(ownText(name), own)
    return own
  }
}

const none: readonly string[] = Object.freeze([])

/** The same characters in one piece: what was glued together keeps its pieces in memory, what was cut out the whole. */
export function ownText(text: string): string {
  return text.length < 2 ? text : [text.slice(0, 1), text.slice(1)].join('')
}

/** A small body is often a slice of a large buffer (node's pool, a socket's chunk) that it would keep alive. */
export function ownForm(form: StoredForm): StoredForm {
  const { coding, body, etag, best } = form
  const own = {
    coding,
    body: body.buffer.byteLength === body.byteLength ? body : copied(body),
    etag: etag === undefined ? undefined : ownText(etag),
  }
  return best ? { ...own, best } : own
}

function copied(body: Uint8Array): Uint8Array {
  const own = Buffer.allocUnsafeSlow(body.byteLength)
  own.set(body)
  return own
}
