import type { Clock } from '../base/clock.ts'
import { optionError, type SluiceError } from '../base/errors.ts'
import type { Duration } from '../base/units.ts'
import { everythingTag, userTag } from '../cache/entry/record-tags.ts'
import type { CacheStore } from '../cache/store/store.ts'
import { type AnyFunction, disguise, type FunctionDecorator, makeDecorator } from '../decorate/decorate.ts'
import { createMemo, type MakeMemo } from '../memo/memo.ts'
import { MemoryMemoStore } from '../memo/memory-memo-store.ts'
import { type MemoOptions, type MemoPolicy, memoOptions, resolveMemoPolicy } from '../memo/options.ts'
import type { MemoCounts } from '../memo/parts.ts'
import type { MemoStore } from '../memo/store.ts'
import { SharedMemoStore } from './shared-memo-store.ts'

/** A method that answers a promise, as a memo does. */
// biome-ignore lint/suspicious/noExplicitAny: the library's own types of decorators take no narrower function
export type AsyncFunction = (this: any, ...args: any[]) => Promise<any>

/** What memos are made of; bound to an instance. */
export interface Memos {
  /**
   * Keeps the results of a function: a copy for each caller, one computation for calls at the same time, forgotten by
   * time, by tag with the responses, and by arguments. What it answers is a promise, whatever the function answers.
   *
   * Errors are not kept unless `cacheErrors` says so. On a shared store (Redis) it needs a `name`.
   *
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * const getCity = sluice.memo(loadCity, { ttl: '1m', tags: (city) => [`city:${city.id}`] })
   * const city = await getCity(7)
   * await sluice.purge({ tags: ['city:7'] })
   * ```
   */
  memo: MakeMemo
  /**
   * The same for methods, as a decorator, and for functions that answer promises, as a wrapper. Each object has values of
   * its own; those with a `cacheKey()` share by that.
   *
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * class Cities {
   *   @sluice.memoized('1m')
   *   async find(id: number) {}
   * }
   * ```
   */
  memoized(
    // biome-ignore lint/suspicious/noExplicitAny: the arguments of a method are known when it is decorated, not before
    ttlOrOptions: Duration | MemoOptions<any[], any>,
  ): FunctionDecorator<AsyncFunction>
}

export interface MemosParts {
  readonly store: CacheStore
  /** Counts the calls of all of them. */
  readonly totals: MemoCounts
  readonly clock: Clock
  report(error: SluiceError): void
}

export function createMemos(parts: MemosParts): Memos {
  const { store, clock, totals } = parts
  const local = store.order !== undefined
  const names = new Set<string>()

  const storeFor = (policy: MemoPolicy): MemoStore => {
    const { maxEntries, maxBytes, name } = policy
    if (store.order) return new MemoryMemoStore({ clock, order: store.order, orderTags, maxEntries, maxBytes })
    // By its name other processes find the same values; taken from the code it could be another's.
    if (name === undefined) {
      throw optionError('memo.name', 'must be given where the store is shared between processes', undefined)
    }
    if (names.has(name)) throw optionError('memo.name', 'must be of one memo only, or two would share values', name)
    names.add(name)
    return new SharedMemoStore(store, clock, name)
  }

  const make = (fn: AnyFunction, options: MemoOptions, method: boolean): AnyFunction => {
    if (typeof fn !== 'function') throw optionError('memo(fn)', 'must be a function', fn)
    const policy = resolveMemoPolicy(options)
    const made = createMemo({ fn, policy, store: storeFor(policy), clock, totals, local, method, report: parts.report })
    return disguise(made, fn)
  }

  return {
    memo: ((fn: AnyFunction, options: MemoOptions) => make(fn, options, false)) as MakeMemo,
    memoized(ttlOrOptions) {
      const options = memoOptions(ttlOrOptions as Duration | MemoOptions)
      // Wrong options are reported where they stand, and not when the class is made.
      resolveMemoPolicy(options)
      return makeDecorator('memoized(...)', (fn) => make(fn, options, true)) as FunctionDecorator<AsyncFunction>
    },
  }
}

/** What a value is invalidated by: its own tags, and `purge({ all: true })`. */
function orderTags(tags: readonly string[]): readonly string[] {
  return [everythingTag, ...tags.map(userTag)]
}
