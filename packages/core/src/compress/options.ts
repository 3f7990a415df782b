import { optionError } from '../base/errors.ts'
import { checkOptions, rule, type Schema } from '../base/options.ts'
import { type ByteSize, byteSize } from '../base/units.ts'
import type { RequestContext, ResponseContext } from '../exchange/context.ts'
import { type RouteMatch, routeMatcher } from './route-match.ts'
import { type TypeMatch, typeMatcher } from './types.ts'
import { bestLevels, type Coding, codings, makerOf, type ZlibParams } from './zlib-codings.ts'

/** What `sluice.compress(options)` is given. */
export interface CompressOptions {
  /**
   * The codings that are offered, in the order they are preferred where the client likes several equally. One that this
   * Node lacks (`zstd` before 22.15) is left out. Default `['br', 'zstd', 'gzip', 'deflate']`.
   */
  encodings?: readonly Coding[] | undefined
  /** The level per coding while the client waits. Default `{ br: 4, zstd: 3, gzip: 6, deflate: 6 }`. */
  level?: Partial<Readonly<Record<Coding, number>>> | undefined
  /** Further options of node:zlib per coding: `{ gzip: { memLevel: 9 } }`. They go before what Sluice would choose. */
  zlib?: Partial<Readonly<Record<Coding, ZlibParams>>> | undefined
  /** Bodies below this go as they are: they would hardly shrink. A body whose length is not known is compressed. Default `'1kb'`. */
  threshold?: ByteSize | undefined
  /**
   * Which content types: a list (`'text/*'` takes them all), a pattern, or a function of the type without parameters, in
   * lower case. Default: what the mime database calls compressible.
   */
  types?: TypeMatch | undefined
  /** Asked last, for responses that would be compressed. Answer `false` to leave this one alone. */
  filter?: ((r: ResponseContext) => boolean) | undefined
  /** The coding for clients that send no Accept-Encoding at all. Default: none. */
  fallback?: Coding | undefined
  /**
   * Routes that are never compressed, against BREACH: those that send a secret next to what the request says. Route
   * patterns (`/account/:id`), paths, paths with `*` at the end, regular expressions over the path, or a function.
   */
  skip?: RouteMatch | undefined
  /**
   * Up to that many random bytes in each answer, against BREACH. Only gzip has a place for them, so the other codings
   * are not used, and stored answers are compressed again each time. `true`: 32. Default `false`.
   */
  pad?: boolean | number | undefined
  /** What becomes of stored answers that are sent often: once, and off the request path, they get the best level. */
  best?: false | BestOptions | undefined
}

export interface BestOptions {
  /** After how many compressed hits. Default `16`. */
  hits?: number | undefined
  /** The level per coding. Default `{ br: 11, zstd: 19, gzip: 9, deflate: 9 }`. */
  level?: Partial<Readonly<Record<Coding, number>>> | undefined
  /** How many bodies at a time, each on a thread of node's pool. They take half of the time at most. Default `1`. */
  concurrency?: number | undefined
  /** Larger bodies keep their fast form: the best level of br takes about a second per megabyte. Default `'1mb'`. */
  maxBytes?: ByteSize | undefined
}

/** Options, resolved once. */
export interface CompressPolicy {
  /** With `identity` behind them, as negotiation wants them. */
  readonly available: readonly string[]
  readonly level: Readonly<Record<Coding, number>>
  readonly zlib: Partial<Readonly<Record<Coding, ZlibParams>>>
  readonly threshold: number
  readonly compressible: (contentType: string | undefined) => boolean
  readonly filter: ((r: ResponseContext) => boolean) | undefined
  readonly fallback: string
  readonly skip: ((c: RequestContext) => boolean) | undefined
  /** 0: none. */
  readonly pad: number
  readonly best: {
    readonly hits: number
    readonly level: Readonly<Record<Coding, number>>
    readonly concurrency: number
    readonly maxBytes: number
  }
}

const codingRule = rule.oneOf(...codings)
const size = rule.readableBy(byteSize)

const levelRule = (value: unknown): string | undefined => {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : undefined
  if (!entries?.every(([coding]) => codingRule(coding) === undefined)) return `must be levels by coding (${codings})`
  for (const [coding, level] of entries) {
    const [least, most] = makerOf(coding)?.levels ?? [-7, 22]
    if (level !== undefined && !(Number.isInteger(level) && level >= least && level <= most)) {
      return `must give ${coding} a whole number from ${least} to ${most}`
    }
  }
  return undefined
}

const zlibRule = (value: unknown): string | undefined =>
  typeof value === 'object' && value !== null && Object.keys(value).every((coding) => !codingRule(coding))
    ? undefined
    : `must be options of node:zlib by coding (${codings})`

const schema: Schema<CompressOptions> = {
  encodings: (v) =>
    Array.isArray(v) && v.length > 0 && v.every((coding) => codingRule(coding) === undefined)
      ? undefined
      : `must be an array of ${codings.map((coding) => `'${coding}'`).join(', ')}`,
  level: levelRule,
  zlib: zlibRule,
  threshold: size,
  types: rule.any,
  filter: rule.function,
  fallback: codingRule,
  skip: rule.any,
  pad: (v) =>
    typeof v === 'boolean' || (Number.isInteger(v) && (v as number) >= 1 && (v as number) <= 4096)
      ? undefined
      : 'must be true, false or a whole number of bytes from 1 to 4096',
  best: (v) => (v === false || (typeof v === 'object' && v !== null) ? undefined : 'must be false or an object'),
}

const bestSchema: Schema<BestOptions> = {
  hits: rule.positiveInteger,
  level: levelRule,
  concurrency: rule.positiveInteger,
  maxBytes: size,
}

/** @throws SluiceError `ERR_SLUICE_OPTION` or `ERR_SLUICE_UNIT`, naming option, rule and value */
export function resolveCompressPolicy(options: CompressOptions = {}): CompressPolicy {
  checkOptions('compress', options, schema)
  const best = options.best || {}
  checkOptions('compress.best', best, bestSchema)
  const pad = options.pad === true ? 32 : Number(options.pad ?? 0)
  const wanted = options.encodings ?? codings
  const offered = [...new Set(wanted)].filter((coding) => makerOf(coding) && (pad === 0 || coding === 'gzip'))
  if (pad > 0 && offered.length === 0) throw optionError('compress.pad', "needs 'gzip' among the encodings", wanted)
  const fallback = options.fallback
  if (fallback !== undefined && !wanted.includes(fallback)) {
    throw optionError('compress.fallback', 'must be one of the encodings', fallback)
  }
  return Object.freeze({
    available: [...offered, 'identity'],
    level: { br: 4, zstd: 3, gzip: 6, deflate: 6, ...withoutGaps(options.level) },
    zlib: options.zlib ?? {},
    threshold: byteSize('compress.threshold', options.threshold ?? '1kb'),
    compressible: typeMatcher(options.types),
    filter: options.filter,
    fallback: fallback !== undefined && offered.includes(fallback) ? fallback : 'identity',
    skip: options.skip === undefined ? undefined : routeMatcher(options.skip),
    pad,
    best: {
      hits: options.best === false ? Number.POSITIVE_INFINITY : (best.hits ?? 16),
      level: { ...bestLevels, ...withoutGaps(best.level) },
      concurrency: best.concurrency ?? 1,
      maxBytes: byteSize('compress.best.maxBytes', best.maxBytes ?? '1mb'),
    },
  })
}

function withoutGaps<T extends object>(given: T | undefined): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== undefined)) as never
}
