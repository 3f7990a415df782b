import type { CacheRecord } from './record.ts'

/**
 * The record with some members changed, as an object of its own. In place of `{ ...record }`: a store may give out records
 * whose members are computed, and a spread would lose those.
 */
export function recordWith(record: CacheRecord, changes: Partial<CacheRecord>): CacheRecord {
  return {
    kind: 'record',
    status: record.status,
    fields: record.fields,
    forms: record.forms,
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
    tags: record.tags,
    target: record.target,
    reason: record.reason,
    without: record.without,
    witness: record.witness,
    promise: record.promise,
    ...changes,
  }
}

/** The record and its forms as plain objects. */
export function plainRecord(record: CacheRecord): CacheRecord {
  const forms = record.forms.map(({ coding, body, etag, best }) => ({ coding, body, etag, best }))
  return recordWith(record, { forms })
}
