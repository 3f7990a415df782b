import { type ByteSize, byteSize, checkOptions, type Duration, durationMs, type Rule, rule } from '@sluice/core'
import type { Deadlines } from './cache/store/redis-store.ts'

/** The memory in front of Redis, in each process. */
export interface TierOptions {
  /** What it may hold. Default: the instance's `cache.maxBytes` (`'64mb'`). */
  maxBytes?: ByteSize | undefined
  /**
   * How long a response is answered from memory before Redis is asked again. It bounds how long a process could go on
   * with what it has if an invalidation were lost without anybody noticing. Default `'1m'`.
   */
  maxTtl?: Duration | undefined
}

/** How long commands may take, whatever the client's own options say. */
export interface DeadlineOptions {
  /** A look-up. When it has passed, the request goes to its handler. Default `'50ms'`. */
  read?: Duration | undefined
  /** A store. When it has passed, the response goes out and counts as not stored. Default `'100ms'`. */
  write?: Duration | undefined
  /** An invalidation. When it has passed, `purge` rejects, and is tried again until it succeeds. Default `'1s'`. */
  purge?: Duration | undefined
  /** A decision about limits. When it has passed, each policy's `onOutage` decides. Default `'100ms'`. */
  limit?: Duration | undefined
}

/** What `redis(…)` is given beside the server. Every process of an application must be given the same. */
export interface RedisOptions {
  /** Keeps applications that share a Redis apart. Default `'sluice'`. */
  namespace?: string | undefined
  /**
   * The URL names one node of a Cluster; the others are found by asking it. For more than one to begin with, give a client:
   * `redis(new Cluster([…]))`. Default `false`.
   */
  cluster?: boolean | undefined
  /**
   * Into how many parts the cache is cut. Each is one slot of a Cluster; a purge writes all of them. More spread better
   * over many nodes and make a purge dearer. Changing it empties the cache. Default: 1 on a single node, 16 on a Cluster.
   */
  lanes?: number | undefined
  /** The memory in front, coherent through pub/sub; `false` asks Redis each time. Default: on. */
  tier?: TierOptions | false | undefined
  /** Larger responses go through and are not stored. Default `'4mb'`. */
  maxEntryBytes?: ByteSize | undefined
  /**
   * Responses with more tags than this go through and are not stored: each look-up after a purge compares them all. An
   * `error` event names the route. Default 1,000.
   */
  maxEntryTags?: number | undefined
  /**
   * How many invalidated tags a lane remembers, about 100 bytes each. When there are more it forgets its entries instead.
   * Default 50,000.
   */
  maxTags?: number | undefined
  /** How soon another process takes over the fill of one that died. Default `'2s'`. */
  lease?: Duration | undefined
  /** How long commands may take. */
  deadlines?: DeadlineOptions | undefined
}

/** The same, as the code reads it. */
export interface ResolvedOptions {
  readonly namespace: string
  readonly cluster: boolean
  /** `undefined`: as the client has it. */
  readonly lanes: number | undefined
  readonly tier: { readonly maxBytes: number | undefined; readonly maxTtlMs: number } | undefined
  readonly maxEntryBytes: number
  readonly maxEntryTags: number
  readonly maxTags: number
  readonly leaseMs: number
  readonly deadlines: Deadlines
  readonly limitDeadlineMs: number
  /** How long memory is believed without asking Redis whether it still may be. */
  readonly memoryLeaseMs: number
}

/** Short enough for a purge to outlast the lease of a process that has died, within its deadline. */
const longestMemoryLeaseMs = 750
const memoryLeaseShare = 0.75

const namespaceRule: Rule = (value) =>
  typeof value === 'string' && /^[^{}\s]{1,100}$/.test(value)
    ? undefined
    : 'must be 1 to 100 characters without braces and white space'

const lanesRule: Rule = (value) =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 1024
    ? undefined
    : 'must be a whole number from 1 to 1024'

const duration = (option: string): Rule => rule.readableBy(durationMs, option)

/** A time that commands need: a deadline of 0 would fail them all. */
function positive(option: string): Rule {
  return (value) => (durationMs(option, value as Duration) > 0 ? undefined : 'must be longer than 0')
}

/** @throws SluiceError for an option that does not exist or does not fit */
export function resolveOptions(options: RedisOptions): ResolvedOptions {
  checkOptions<RedisOptions>('redis', options, {
    namespace: namespaceRule,
    cluster: rule.boolean,
    lanes: lanesRule,
    tier: rule.either(rule.oneOf(false), rule.object),
    maxEntryBytes: rule.readableBy(byteSize, 'redis.maxEntryBytes'),
    maxEntryTags: rule.positiveInteger,
    maxTags: rule.positiveInteger,
    lease: positive('redis.lease'),
    deadlines: rule.object,
  })
  const { tier = {}, deadlines = {} } = options
  checkOptions<DeadlineOptions>('redis.deadlines', deadlines, {
    read: positive('redis.deadlines.read'),
    write: positive('redis.deadlines.write'),
    purge: positive('redis.deadlines.purge'),
    limit: positive('redis.deadlines.limit'),
  })
  if (tier) {
    checkOptions<TierOptions>('redis.tier', tier, {
      maxBytes: rule.readableBy(byteSize, 'redis.tier.maxBytes'),
      maxTtl: duration('redis.tier.maxTtl'),
    })
  }
  const purgeMs = durationMs('redis.deadlines.purge', deadlines.purge ?? '1s')
  return Object.freeze({
    namespace: options.namespace ?? 'sluice',
    cluster: options.cluster ?? false,
    lanes: options.lanes,
    tier: tier
      ? {
          maxBytes: tier.maxBytes === undefined ? undefined : byteSize('redis.tier.maxBytes', tier.maxBytes),
          maxTtlMs: durationMs('redis.tier.maxTtl', tier.maxTtl ?? '1m'),
        }
      : undefined,
    maxEntryBytes: byteSize('redis.maxEntryBytes', options.maxEntryBytes ?? '4mb'),
    maxEntryTags: options.maxEntryTags ?? 1_000,
    maxTags: options.maxTags ?? 50_000,
    leaseMs: durationMs('redis.lease', options.lease ?? '2s'),
    deadlines: {
      readMs: durationMs('redis.deadlines.read', deadlines.read ?? '50ms'),
      writeMs: durationMs('redis.deadlines.write', deadlines.write ?? '100ms'),
      purgeMs,
    },
    memoryLeaseMs: Math.ceil(Math.min(longestMemoryLeaseMs, memoryLeaseShare * purgeMs)),
    limitDeadlineMs: durationMs('redis.deadlines.limit', deadlines.limit ?? '100ms'),
  })
}
