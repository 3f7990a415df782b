import type { Clock } from '../base/clock.ts'
import type { SluiceError } from '../base/errors.ts'
import type { MemoPolicy } from './options.ts'
import type { MemoStore } from './store.ts'

// biome-ignore lint/suspicious/noExplicitAny: any function can be memoised
export type AnyFunction = (this: any, ...args: any[]) => any

/** What has become of calls. */
export interface MemoCounts {
  /** Answered from what was kept, stale or fresh. */
  hits: number
  /** Ran the function. */
  misses: number
  /** Waited for another's run. */
  coalesced: number
  /** Runs that threw. */
  errors: number
}

export const newMemoCounts = (): MemoCounts => ({ hits: 0, misses: 0, coalesced: 0, errors: 0 })

/** What one memo is made of. */
export interface MemoParts {
  readonly fn: AnyFunction
  readonly policy: MemoPolicy
  readonly store: MemoStore
  readonly clock: Clock
  /** Of all memos of an instance. */
  readonly totals: MemoCounts
  /** Whether objects can be told apart by themselves, because values never leave this process. */
  readonly local: boolean
  /** A method: its object is part of the key. */
  readonly method: boolean
  report(error: SluiceError): void
}
