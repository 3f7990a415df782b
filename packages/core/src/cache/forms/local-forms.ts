import { LRUCache } from 'lru-cache'
import { ownForm } from '../entry/compact.ts'
import type { CacheRecord, StoredForm } from '../entry/record.ts'
import { recordWith } from '../entry/record-with.ts'

/** What the encoded forms kept here may take together, in bytes. */
const maxBytes = 8 * 1024 * 1024

interface Kept {
  readonly of: StoredForm
  readonly forms: readonly StoredForm[]
}

/**
 * Encoded forms that are not in the store: because it has not got them yet, has refused them, or takes none at all. So
 * they are made once and not once per hit. They are believed only beside the very bytes they were made of, which come
 * from the store each time, so nothing that was purged can be served from here.
 */
export class LocalForms {
  readonly #kept = new LRUCache<string, Kept>({
    maxSize: maxBytes,
    sizeCalculation: ({ of, forms }) =>
      forms.reduce((sum, form) => sum + form.body.byteLength, of.body.byteLength + 500),
  })

  /** The record with what is kept of it; nearly always the record itself. */
  complete(variantKey: string, record: CacheRecord): CacheRecord {
    if (this.#kept.size === 0) return record
    const kept = this.#kept.get(variantKey)
    if (!kept || !sameForm(kept.of, record.forms[0]!)) return record
    const held = new Map(record.forms.map((form) => [form.coding, form]))
    const better = kept.forms.filter((form) => isBetterForm(form, held.get(form.coding)))
    if (better.length === 0) return record
    for (const form of better) held.set(form.coding, form)
    return recordWith(record, { forms: [...held.values()] })
  }

  add(variantKey: string, record: CacheRecord, form: StoredForm): void {
    const of = record.forms[0]!
    const kept = this.#kept.get(variantKey)
    const others = kept && sameForm(kept.of, of) ? kept.forms.filter(({ coding }) => coding !== form.coding) : []
    // A body that was read from a connection keeps all of what was read in memory, which is not what is counted here.
    this.#kept.set(variantKey, { of: ownForm(of), forms: [...others, ownForm(form)] })
  }

  /** The store has one as good as this now. */
  drop(variantKey: string, form: StoredForm): void {
    const kept = this.#kept.peek(variantKey)
    if (!kept) return
    const others = kept.forms.filter((one) => one.coding !== form.coding || isBetterForm(one, form))
    if (others.length === 0) this.#kept.delete(variantKey)
    else if (others.length < kept.forms.length) this.#kept.set(variantKey, { of: kept.of, forms: others })
  }

  clear(): void {
    this.#kept.clear()
  }
}

/** Whether a form is worth having beside the one of the same coding that is there already. */
export function isBetterForm(form: StoredForm, held: StoredForm | undefined): boolean {
  return held === undefined || (form.best === true && held.best !== true)
}

/** Whether what is made of one form is right for the other: the same bytes under the same tag. */
export function sameForm(a: StoredForm, b: StoredForm): boolean {
  if (a.coding !== b.coding || a.etag !== b.etag) return false
  return a.body === b.body || Buffer.compare(a.body, b.body) === 0
}
