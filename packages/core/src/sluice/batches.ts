import { type Batch, type BatchLoad, type BatchMemo, type BatchOptions, createBatch } from '../batch/batch.ts'
import type { MakeMemo } from '../memo/memo.ts'
import type { MemoOptions } from '../memo/options.ts'

/** What `sluice.batch(load, …)` is given. */
export interface MemoBatchOptions<Key, Value> extends Omit<BatchOptions<Key, Value>, 'memo'> {
  /**
   * Keeps values between requests, as `sluice.memo` does: `{ ttl: '1m', tags: (city) => [`city:${city?.id}`] }`; or a
   * function that does so in its own way. What it keeps must not depend on who asks. Default: each request loads afresh.
   */
  memo?: MemoOptions<[key: Key], Value | undefined> | BatchMemo<Key, Value> | undefined
}

/** `sluice.batch`, of one instance. */
export type MakeBatch = <Key, Value>(
  load: BatchLoad<Key, Value>,
  options?: MemoBatchOptions<Key, Value>,
) => Batch<Key, Value>

export function makeBatches(makeMemo: MakeMemo): MakeBatch {
  return <Key, Value>(load: BatchLoad<Key, Value>, options: MemoBatchOptions<Key, Value> = {}) => {
    const { memo, ...own } = options
    if (typeof memo !== 'object' || memo === null) return createBatch(load, options as BatchOptions<Key, Value>)
    const { cacheKey } = own
    // What makes two keys the same in a request makes them the same between requests.
    const settings = cacheKey && memo.key === undefined ? { ...memo, key: cacheKey } : memo
    // A value is no promise, which the type of a memo cannot know.
    const remember = (one: (key: Key) => Promise<Value | undefined>) =>
      makeMemo((key: Key) => one(key), settings as never) as (key: Key) => Promise<Value | undefined>
    return createBatch(load, { ...own, memo: remember })
  }
}
