import type { CacheRecord } from './record.ts'
import { recordWith } from './record-with.ts'

/** A record whose times are moved by `byMs`, to another clock's count. `dateMs` is of the calendar and stays. */
export function shiftRecord(record: CacheRecord, byMs: number): CacheRecord {
  return recordWith(record, {
    storedAt: record.storedAt + byMs,
    staleAt: record.staleAt + byMs,
    whileRevalidateUntil: record.whileRevalidateUntil + byMs,
    ifErrorUntil: record.ifErrorUntil + byMs,
    deleteAt: record.deleteAt + byMs,
  })
}

/**
 * A record that was expired at `atMs`: stale from then on, with the windows it would have had after its own end, which
 * for that reason never last longer than they would have. One that was stale already stays as it is.
 */
export function expireRecord(record: CacheRecord, atMs: number): CacheRecord {
  // An expiry before the record was stored would have kept it from being stored.
  const staleAt = Math.max(atMs, record.storedAt)
  if (record.staleAt <= staleAt) return record
  const window = (until: number) => staleAt + Math.max(0, until - record.staleAt)
  return recordWith(record, {
    staleAt,
    whileRevalidateUntil: window(record.whileRevalidateUntil),
    ifErrorUntil: window(record.ifErrorUntil),
    deleteAt: window(record.deleteAt),
  })
}
