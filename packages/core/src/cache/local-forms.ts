import { LRUCache } from 'lru-cache'
import type { CacheRecord, StoredForm } from './record.ts'

/** What the encoded forms kept here may take together, in bytes. */
const maxBytes = 8 * 1024 * 1024

interface Kept {
  readonly of: StoredForm
  readonly forms: readonly StoredForm[]
}

/**
 * Encoded forms of what a store holds that takes none itself (one that other processes share): so that they are made
 * once per process and not once per hit. They are believed only beside the very bytes they were made of, which come from
 * the store each time, so nothing that was purged can be served from here.
 */
export class LocalForms {
  readonly #kept = new LRUCache<string, Kept>({
    maxSize: maxBytes,
    sizeCalculation: ({ of, forms }) =>
      forms.reduce((sum, form) => sum + form.body.byteLength, of.body.byteLength + 500),
  })

  /** The record with what is kept of it. */
  complete(place: string, record: CacheRecord): CacheRecord {
    const kept = this.#kept.get(place)
    if (!kept || !sameForm(kept.of, record.forms[0]!)) return record
    const own = new Set(kept.forms.map((form) => form.coding))
    return { ...record, forms: [...record.forms.filter((form) => !own.has(form.coding)), ...kept.forms] }
  }

  add(place: string, record: CacheRecord, form: StoredForm): void {
    const of = record.forms[0]!
    const kept = this.#kept.get(place)
    const others = kept && sameForm(kept.of, of) ? kept.forms.filter(({ coding }) => coding !== form.coding) : []
    this.#kept.set(place, { of, forms: [...others, form] })
  }

  clear(): void {
    this.#kept.clear()
  }
}

/** Whether what is made of one form is right for the other: the same bytes under the same tag. */
export function sameForm(a: StoredForm, b: StoredForm): boolean {
  if (a.coding !== b.coding || a.etag !== b.etag) return false
  return a.body === b.body || Buffer.compare(a.body, b.body) === 0
}
