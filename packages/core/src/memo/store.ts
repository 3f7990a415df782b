import type { MaybePromise } from '../base/maybe-promise.ts'
import type { Held } from './values.ts'

/** A value and its times, in milliseconds of the instance's clock. Immutable. */
export interface MemoEntry {
  readonly kind: 'entry'
  readonly held: Held
  readonly staleAt: number
  /** Until here it may be given out while a new one is computed. */
  readonly whileRevalidateUntil: number
  /** Until here it may be given out in place of an error. */
  readonly ifErrorUntil: number
  readonly tags: readonly string[]
  /** Of a stale entry in a store that processes share: what a run that replaces it presents. */
  readonly renewal?: MemoVacancy | undefined
}

/** Nothing usable is kept. Carries where a computation that begins now stands in the order of invalidations. */
export interface MemoVacancy {
  readonly kind: 'vacancy'
  readonly position: unknown
  /** Another process is computing it: `follow` waits for what it brings. */
  readonly held?: boolean | undefined
}

export type MemoSetOutcome = 'stored' | 'fenced' | 'refused'

/** Where the values of one memo are kept. `undefined` where it is out: the function runs, and nothing is kept. */
export interface MemoStore {
  get(key: string): MaybePromise<MemoEntry | MemoVacancy | undefined>
  position(key: string): MaybePromise<MemoVacancy | undefined>
  /** Refuses what was invalidated since its computation began. */
  set(key: string, entry: MemoEntry, begun: MemoVacancy): MaybePromise<MemoSetOutcome | undefined>
  /** Of stores that processes share: waits until another one has computed the value, or has given up, or it took too long. */
  follow?(key: string, waitMs: number): MaybePromise<MemoEntry | MemoVacancy | undefined>
  /**
   * The run that began with this has ended without `set`. `unshared`: others need not wait for the next one either.
   * `given-up`: one of them may try.
   */
  release?(begun: MemoVacancy, ended: 'unshared' | 'given-up'): void
  delete(key: string): MaybePromise<void>
  expire(key: string): MaybePromise<void>
  clear(): MaybePromise<void>
  /** What is kept in this process: 0 where it is kept elsewhere. */
  usage(): { readonly size: number; readonly bytes: number }
}

/** When nobody wants an entry any more. */
export function deleteAtOf(entry: MemoEntry): number {
  return Math.max(entry.staleAt, entry.whileRevalidateUntil, entry.ifErrorUntil)
}

/** An entry that was expired at `atMs`: stale from then on, its windows as long as they were. */
export function expireEntry(entry: MemoEntry, atMs: number): MemoEntry {
  if (entry.staleAt <= atMs) return entry
  const window = (until: number): number => atMs + Math.max(0, until - entry.staleAt)
  return {
    ...entry,
    staleAt: atMs,
    whileRevalidateUntil: window(entry.whileRevalidateUntil),
    ifErrorUntil: window(entry.ifErrorUntil),
  }
}
