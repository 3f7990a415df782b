import type { CacheRecord } from '../entry/record.ts'
import type { VariantSpec } from './store.ts'

/** What somebody who looks after a store wants to see of it: everything that is stored under a URL. */
export interface InventoryQuery {
  /** As it was sent: percent-encoding and all. */
  readonly path: string
  /** Without the `?`; of what has no query in its record any query fits. */
  readonly query: string
  /** The primary key, where it can be told: stores that cannot be looked through are asked for it. */
  readonly key: string | undefined
  readonly most: number
}

/** Something stored. */
export interface InventoryItem {
  readonly key: string
  /** How it is told apart from others under its key; `undefined` where nothing varies. */
  readonly spec: VariantSpec | undefined
  /** With every invalidation so far applied. */
  readonly record: CacheRecord
}

export function isAskedFor({ target }: CacheRecord, { path, query }: InventoryQuery): boolean {
  return target.path === path && (target.query === undefined || target.query === query)
}
