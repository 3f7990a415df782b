import DataLoader from 'dataloader'
import { SluiceError, show } from '../base/errors.ts'
import { checkOptions, rule } from '../base/options.ts'

/**
 * Loads the values of many keys at once: as an array in the order of the keys (`undefined` or `null` for what there is
 * not, an Error for one that failed), as a Map, or, with `keyOf`, as values in any order.
 *
 * @param request - the one it loads for; with `memo` that of whoever asked first
 */
export type BatchLoad<Key, Value> = (
  keys: readonly Key[],
  request: object,
) => PromiseLike<BatchAnswer<Key, Value>> | BatchAnswer<Key, Value>

export type BatchAnswer<Key, Value> = readonly (Value | Error | null | undefined)[] | ReadonlyMap<Key, Value>

/** What `sluice.batch(load, …)` is given. */
export interface BatchOptions<Key, Value> {
  /** The key of a value. With it the values may come in any order and some may be missing: what `where id = any($1)` answers. */
  keyOf?: ((value: Value) => Key) | undefined
  /** The most keys that are loaded at once; more make further calls. Default: no bound. */
  maxBatch?: number | undefined
  /** What makes two keys the same, where they are objects: `(key) => key.id`. Default: the key itself. */
  cacheKey?: ((key: Key) => unknown) | undefined
  /** Keeps values between requests. What it keeps must not depend on who asks. Default: each request loads afresh. */
  memo?: BatchMemo<Key, Value> | undefined
}

/** Given the loading of one key, answers the same with a memory. */
export type BatchMemo<Key, Value> = (
  one: (key: Key) => Promise<Value | undefined>,
) => (key: Key) => PromiseLike<Value | undefined> | Value | undefined

/** The loader of one request. */
export interface Loader<Key, Value> {
  /** The value of a key; `undefined` where there is none. All keys asked for in one turn are loaded at once, each once. */
  load(key: Key): Promise<Value | undefined>
  /** Several; rejects where one of them fails. */
  loadMany(keys: readonly Key[]): Promise<(Value | undefined)[]>
  /** Remembers a value that was loaded another way. */
  prime(key: Key, value: Value): void
  /** Forgets a value, after it was changed; without a key all of them. */
  clear(key?: Key): void
}

/** The loader of a request, which is any object that stands for one: `req`, `ctx`, `request`. */
export type Batch<Key, Value> = (request: object) => Loader<Key, Value>

/** @throws SluiceError when an option is wrong */
export function createBatch<Key, Value>(
  load: BatchLoad<Key, Value>,
  options: BatchOptions<Key, Value> = {},
): Batch<Key, Value> {
  if (typeof load !== 'function') {
    throw new SluiceError('ERR_SLUICE_OPTION', `batch(load) must be given a function; received ${show(load)}.`)
  }
  checkOptions<BatchOptions<Key, Value>>('batch', options, {
    keyOf: rule.function,
    maxBatch: rule.positiveInteger,
    cacheKey: rule.function,
    memo: rule.function,
  })
  const cacheKey = options.cacheKey ?? ((key: Key): unknown => key)
  const loaderOptions = {
    ...(options.maxBatch !== undefined && { maxBatchSize: options.maxBatch }),
    cacheKeyFn: cacheKey,
  }
  const loadFor =
    (request: (keys: readonly Key[]) => object) =>
    async (keys: readonly Key[]): Promise<(Value | Error | undefined)[]> => {
      const answer = await load(keys, request(keys))
      return inOrder(keys, answer, options.keyOf, cacheKey)
    }
  const source = options.memo && remembered(options.memo, loadFor, loaderOptions)
  const loaders = new WeakMap<object, Loader<Key, Value>>()
  return (request) => {
    const known = loaders.get(request)
    if (known) return known
    if (typeof request !== 'object' || request === null) {
      throw new SluiceError('ERR_SLUICE_INPUT', `A batch is kept for a request; it was given ${show(request)}.`)
    }
    const loading = source ? source(request) : loadFor(() => request)
    const made = facade(new DataLoader<Key, Value | undefined, unknown>(loading, loaderOptions))
    loaders.set(request, made)
    return made
  }
}

type Loading<Key, Value> = (keys: readonly Key[]) => Promise<(Value | Error | undefined)[]>

/**
 * Loading through a memory: what that does not have is asked of one loader that all requests share and that keeps
 * nothing, so that it comes in batches all the same.
 */
function remembered<Key, Value>(
  memo: BatchMemo<Key, Value>,
  loadFor: (request: (keys: readonly Key[]) => object) => Loading<Key, Value>,
  options: object,
): (request: object) => Loading<Key, Value> {
  let latest: object = {}
  const shared = new DataLoader<Key, Value | undefined, unknown>(
    loadFor(() => latest),
    { ...options, cache: false },
  )
  const one = memo((key) => shared.load(key))
  return (request) => async (keys) => {
    latest = request
    const settled = await Promise.allSettled(keys.map(async (key) => one(key)))
    return settled.map((s) => (s.status === 'fulfilled' ? s.value : asError(s.reason)))
  }
}

function facade<Key, Value>(loader: DataLoader<Key, Value | undefined, unknown>): Loader<Key, Value> {
  return {
    load: (key) => loader.load(key),
    loadMany: (keys) => Promise.all(keys.map((key) => loader.load(key))),
    prime(key, value) {
      loader.clear(key).prime(key, value)
    },
    clear(...keys) {
      if (keys.length) loader.clear(keys[0] as Key)
      else loader.clearAll()
    },
  }
}

function inOrder<Key, Value>(
  keys: readonly Key[],
  answer: BatchAnswer<Key, Value>,
  keyOf: ((value: Value) => Key) | undefined,
  cacheKey: (key: Key) => unknown,
): (Value | Error | undefined)[] {
  if (answer instanceof Map) {
    const byKey = new Map([...(answer as ReadonlyMap<Key, Value>)].map(([key, value]) => [cacheKey(key), value]))
    return keys.map((key) => byKey.get(cacheKey(key)))
  }
  if (!Array.isArray(answer)) throw mismatch(`answered ${show(answer)}`)
  const values = answer as readonly (Value | Error | null | undefined)[]
  if (keyOf) {
    const byKey = new Map<unknown, Value>()
    for (const value of values) {
      if (value !== null && value !== undefined) byKey.set(cacheKey(keyOf(value as Value)), value as Value)
    }
    return keys.map((key) => byKey.get(cacheKey(key)))
  }
  if (values.length !== keys.length) throw mismatch(`answered ${values.length} values for ${keys.length} keys`)
  return values.map((value) => value ?? undefined)
}

function mismatch(what: string): SluiceError {
  return new SluiceError(
    'ERR_SLUICE_CALLBACK',
    `The load function of a batch ${what}. Answer one value for each key, in their order, or a Map, or give \`keyOf\`.`,
  )
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
