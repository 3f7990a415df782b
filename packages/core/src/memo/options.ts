import { optionError } from '../base/errors.ts'
import { checkOptions, rule, type Schema } from '../base/options.ts'
import { type ByteSize, byteSize, type Duration, durationMs } from '../base/units.ts'
import { type Codec, type MemoSerializer, makeCodec } from './values.ts'

/** How the results of a function are kept. */
export interface MemoOptions<Args extends readonly unknown[] = readonly never[], Value = never> {
  /** How long a value is fresh. `0`: kept for nobody, but calls at the same time still share one computation. Required. */
  ttl: Duration
  /** What tells calls apart, in place of all their arguments. Whatever it answers is compared as arguments are. */
  key?: ((...args: Args) => unknown) | undefined
  /** Names under which `purge` and `expire` find a value, or a function that answers them. Default: none. */
  tags?: readonly string[] | ((value: Value, ...args: Args) => string | readonly string[]) | undefined
  /** How long past its freshness a value may be given out while a new one is computed in the background. Default `0`. */
  staleWhileRevalidate?: Duration | undefined
  /** How long past its freshness a value may be given out in place of an error. Default `0`. */
  staleIfError?: Duration | undefined
  /** How long an error is kept and thrown again. Default `0`: not at all. */
  cacheErrors?: Duration | undefined
  /** Takes up to this share off each TTL, at random, so that values computed together do not end together. Default `0`. */
  jitter?: number | undefined
  /** Values that may be kept. Default: all, `undefined` and `null` too. */
  storeIf?: ((value: Value, ...args: Args) => boolean) | undefined
  /** How long callers wait for one computation before they run their own. Default `'10s'`. */
  timeout?: Duration | undefined
  /** How many values are kept in the memory of this process; the least recently used goes first. Default `10000`. */
  maxEntries?: number | undefined
  /** How much memory they may take, keys and bookkeeping included; on a shared store that decides. Default `'16mb'`. */
  maxBytes?: ByteSize | undefined
  /**
   * Whether each caller is given a copy of its own (structured clone). `false` hands the same object to everybody:
   * **unsafe** where anybody changes it; faster, and the only way for values that cannot be cloned. Default `true`.
   */
  clone?: boolean | undefined
  /** How values become bytes and back, in place of structured clone. Default: none. */
  serializer?: MemoSerializer<Value> | undefined
  /** What it is called in a shared store, in every process. Required there; without a meaning in memory. */
  name?: string | undefined
  /**
   * For methods: whether all objects of a class share values. **Unsafe** where the method looks at its object. Default
   * `false`: each object has its own, and those with a `cacheKey()` share by that.
   */
  ignoreThis?: boolean | undefined
}

/** The options, resolved once. */
export interface MemoPolicy {
  readonly ttlMs: number
  readonly key: ((...args: never[]) => unknown) | undefined
  readonly tags: readonly string[] | ((value: never, ...args: never[]) => string | readonly string[])
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  readonly cacheErrorsMs: number
  readonly jitter: number
  readonly storeIf: ((value: never, ...args: never[]) => boolean) | undefined
  readonly timeoutMs: number
  readonly maxEntries: number
  readonly maxBytes: number
  readonly codec: Codec
  readonly name: string | undefined
  readonly ignoreThis: boolean
}

const duration = rule.readableBy(durationMs)

const schema: Schema<MemoOptions> = {
  ttl: duration,
  key: rule.function,
  tags: rule.either(rule.strings, rule.function),
  staleWhileRevalidate: duration,
  staleIfError: duration,
  cacheErrors: duration,
  jitter: rule.fraction,
  storeIf: rule.function,
  timeout: duration,
  maxEntries: rule.positiveInteger,
  maxBytes: rule.readableBy(byteSize),
  clone: rule.boolean,
  serializer: (value) =>
    ['serialize', 'deserialize'].every(
      (name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function',
    )
      ? undefined
      : 'must be an object with `serialize` and `deserialize`',
  name: rule.string,
  ignoreThis: rule.boolean,
}

/** @throws SluiceError `ERR_SLUICE_OPTION` or `ERR_SLUICE_UNIT`, naming option, rule and value */
export function resolveMemoPolicy(options: MemoOptions): MemoPolicy {
  checkOptions('memo', options, schema)
  if (options.ttl === undefined) throw optionError('memo.ttl', 'must be given: how long a value is fresh', undefined)
  if (options.serializer && options.clone === false) {
    throw optionError('memo.clone', 'must not be false beside a `serializer`, which makes copies', false)
  }
  const ms = (name: 'ttl' | 'staleWhileRevalidate' | 'staleIfError' | 'cacheErrors'): number =>
    durationMs(`memo.${name}`, options[name] ?? 0)
  return Object.freeze({
    ttlMs: ms('ttl'),
    key: options.key,
    tags: Array.isArray(options.tags) ? [...options.tags] : (options.tags ?? []),
    staleWhileRevalidateMs: ms('staleWhileRevalidate'),
    staleIfErrorMs: ms('staleIfError'),
    cacheErrorsMs: ms('cacheErrors'),
    jitter: options.jitter ?? 0,
    storeIf: options.storeIf,
    timeoutMs: durationMs('memo.timeout', options.timeout ?? '10s'),
    maxEntries: options.maxEntries ?? 10_000,
    maxBytes: byteSize('memo.maxBytes', options.maxBytes ?? '16mb'),
    codec: makeCodec(options.clone ?? true, options.serializer),
    name: options.name,
    ignoreThis: options.ignoreThis ?? false,
  })
}

/** The options of `memoized('1m')` and `memoized({ … })`. */
export function memoOptions(ttlOrOptions: Duration | MemoOptions): MemoOptions {
  return typeof ttlOrOptions === 'object' && ttlOrOptions !== null ? ttlOrOptions : { ttl: ttlOrOptions }
}
