/** What was invalidated when, in one process: positions count up, and each invalidation takes one. */
export interface InvalidationOrder {
  /** Where a fill or a computation that begins now stands. */
  readonly position: number
  /** Whether one of the tags was purged after that position, or may have been. */
  purgedSince(tags: readonly string[], position: number): boolean
  /** When one of the tags was last expired after it, in milliseconds of the clock; `undefined` if none was. */
  expiredSince(tags: readonly string[], position: number): number | undefined
  /** Either. */
  invalidatedSince(tags: readonly string[], position: number): boolean
}
