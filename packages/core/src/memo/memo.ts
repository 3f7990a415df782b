import type { MaybePromise } from '../base/maybe-promise.ts'
import { Computations } from './computations.ts'
import type { MemoOptions } from './options.ts'
import type { AnyFunction, MemoCounts, MemoParts } from './parts.ts'

/** What has become of a memo's calls, and what is kept of them in this process. */
export interface MemoInfo extends Readonly<MemoCounts> {
  /** Values kept in the memory of this process; 0 where a shared store keeps them. */
  readonly size: number
  /** What they take there, keys and bookkeeping included. */
  readonly bytes: number
}

/** A function whose results are kept. Answers promises, whatever the original answers. */
export interface Memo<Args extends readonly unknown[], Value, This = unknown> {
  (this: This, ...args: Args): Promise<Value>
  /** Runs the function whatever is kept, and keeps what it brings. */
  fresh(...args: Args): Promise<Value>
  /** Forgets the value of these arguments, in every process; what is being computed for them is not kept. */
  delete(...args: Args): Promise<void>
  /** The value of these arguments is stale from now on: stale-while-revalidate and stale-if-error may still give it out. */
  expire(...args: Args): Promise<void>
  /** Forgets all values, in every process. */
  clear(): Promise<void>
  /** Counters since the start, and what is kept now. */
  info(): MemoInfo
}

/** What makes a memo of a function; bound to an instance of Sluice. */
export type MakeMemo = <Fn extends AnyFunction>(
  fn: Fn,
  options: MemoOptions<Parameters<Fn>, Awaited<ReturnType<Fn>>>,
) => Memo<Parameters<Fn>, Awaited<ReturnType<Fn>>, ThisParameterType<Fn>>

/** The function that stands for the original; `disguise` gives it its name. */
export function createMemo(parts: MemoParts): AnyFunction {
  const computations = new Computations(parts)
  const { store } = parts
  const counts = computations.counts
  // Of a method's members `this` is the method itself, unless somebody says whose they are: `find.delete.call(cities, 7)`.
  const owner = (of: unknown): unknown => (of === memo ? undefined : of)
  // By a promise, so that a bad key rejects as everything else does.
  const later = (act: () => MaybePromise<unknown>): Promise<void> =>
    new Promise((resolve) => resolve(act() as undefined)).then(() => undefined)

  function memo(this: unknown, ...args: unknown[]): Promise<unknown> {
    return computations.call(this, args)
  }
  return Object.assign(memo, {
    fresh(this: unknown, ...args: unknown[]): Promise<unknown> {
      return computations.fresh(owner(this), args)
    },
    delete(this: unknown, ...args: unknown[]): Promise<void> {
      return later(() => {
        const key = computations.keyOf(owner(this), args)
        computations.supersede(key)
        return store.delete(key)
      })
    },
    expire(this: unknown, ...args: unknown[]): Promise<void> {
      return later(() => {
        const key = computations.keyOf(owner(this), args)
        computations.supersede(key)
        return store.expire(key)
      })
    },
    clear(): Promise<void> {
      return later(() => {
        computations.supersedeAll()
        return store.clear()
      })
    },
    info(): MemoInfo {
      return { ...counts, ...store.usage() }
    },
  })
}
