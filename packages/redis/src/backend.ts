import {
  type Backend,
  type BackendEnv,
  type CacheStore,
  type Clock,
  MemoryCacheStore,
  SluiceError,
  systemClock,
} from '@sluice/core'
import { RedisBoard } from './board.ts'
import * as invalidationScripts from './cache/invalidation/scripts.ts'
import { Lanes } from './cache/store/lanes.ts'
import { RedisCacheStore } from './cache/store/redis-store.ts'
import { Replication } from './cache/store/replication.ts'
import * as cacheScripts from './cache/store/scripts.ts'
import { TieredCacheStore } from './cache/store/tiered-store.ts'
import type { RedisClient, ScriptClient } from './connection/client.ts'
import { Connection } from './connection/connection.ts'
import { Link } from './connection/link.ts'
import { ready } from './connection/readiness.ts'
import { type Script, tryOut } from './connection/script.ts'
import { checkClusterTarget, checkTarget } from './connection/target.ts'
import { RedisLimitStore } from './limit/store/redis-limit-store.ts'
import { forget, LimitScripts } from './limit/store/scripts.ts'
import { type RedisOptions, type ResolvedOptions, resolveOptions } from './options.ts'
import { serverFacts } from './server-facts.ts'

/**
 * Keeps everything in Redis or Valkey, where all processes of an application find it: a single node or a Cluster.
 *
 * Nothing waits for Redis, at the start or later: while it is slow or gone, requests go to their handlers.
 *
 * @param target - a URL (`redis://`, `rediss://`, a path of a socket), or a client that stays yours to close: a `Redis` or
 *   `Cluster` of ioredis 5 or 6, or what `createClient`, `createCluster` or `createSentinel` of node-redis 5 or 6 made
 * @throws SluiceError `ERR_SLUICE_OPTION` for an option that does not exist or does not fit, and for clients that cannot be
 *   used: pools, and those of node-redis 4
 * @example
 * ```ts
 * const sluice = createSluice({ backend: redis('redis://localhost:6379', { namespace: 'shop' }) })
 * ```
 */
export function redis(target: string | RedisClient, options: RedisOptions = {}): Backend {
  checkTarget(target)
  const resolved = resolveOptions(options)
  if (resolved.cluster) checkClusterTarget(target)
  const reports = new Set<BackendEnv['report']>()
  const failed = (error: SluiceError): void => {
    for (const report of reports) report(error)
  }
  const connection = new Connection(target, failed, resolved.cluster)
  const link = (clock: Clock, waitMs: number): Link => {
    const failed = (error: unknown): void => connection.warnings.note(error)
    return new Link(connection.client, { clock, waitMs, failed })
  }
  const { limitDeadlineMs, deadlines } = resolved
  return {
    kind: 'redis',
    cacheStore(env) {
      reports.add(env.report)
      return cacheStore(env, connection, link(env.clock, deadlines.readMs), resolved)
    },
    limitStore({ clock, report }) {
      reports.add(report)
      const { namespace } = resolved
      const open = (server: ScriptClient): ScriptClient => connection.listener(server)
      const counting = link(clock, limitDeadlineMs)
      return new RedisLimitStore({ link: counting, clock, namespace, deadlineMs: limitDeadlineMs, open })
    },
    async ready(timeoutMs) {
      const clock = systemClock()
      const own = new Link(connection.client)
      const lanes = lanesOf(connection.client, resolved)
      const write = (): Promise<unknown> =>
        Promise.all(lanes.all.map(({ probe }) => own.run({ script: tryOut, keys: [probe], args: [] })))
      await ready({ clock, link: own, scripts: allScripts(), write }, timeoutMs)
    },
    board({ clock }) {
      return new RedisBoard(new Link(connection.client, { clock, waitMs: 1_000 }), clock, resolved.namespace)
    },
    inspect(timeoutMs) {
      const clock = systemClock()
      return serverFacts(new Link(connection.client, { clock, waitMs: timeoutMs }), clock, timeoutMs)
    },
    close: () => connection.close(),
  }
}

/** What is loaded in advance: what a first request may need. */
function allScripts(): readonly Script[] {
  const limits = new LimitScripts()
  const algorithms = (['s', 'b', 'f', 'c'] as const).map((letter) => [letter])
  const counting = algorithms.flatMap((letters) => [limits.get('consume', letters), limits.get('giveBack', letters)])
  return [
    tryOut,
    forget,
    limits.get('renew', ['c']),
    ...counting,
    ...[invalidationScripts, cacheScripts].flatMap(scriptsIn),
  ]
}

/** Of what a module exports, those that are scripts. */
function scriptsIn(exports: object): readonly Script[] {
  return Object.values(exports).filter((one): one is Script => typeof one?.sha === 'string')
}

/** Into how many parts the cache of a Cluster is cut: an even spread over up to about eight nodes. */
const clusterLanes = 16

function lanesOf(client: ScriptClient, { namespace, lanes }: ResolvedOptions): Lanes {
  return new Lanes(namespace, lanes ?? (client.isCluster ? clusterLanes : 1), client)
}

function cacheStore(env: BackendEnv, connection: Connection, link: Link, options: ResolvedOptions): CacheStore {
  const { clock, maxVariants } = env
  const { client } = connection
  const { tier, maxEntryBytes, maxEntryTags, maxTags, leaseMs, deadlines, memoryLeaseMs } = options
  const lanes = lanesOf(client, options)
  const replication = new Replication({
    clock,
    lanes,
    open: () => connection.another(),
    deadlineMs: deadlines.purgeMs,
  })
  const limits = { maxEntryBytes, maxEntryTags, maxVariants, maxTags, leaseMs, deadlines, memoryLeaseMs }
  const store = new RedisCacheStore({ link, clock, lanes, replication, report: env.report, ...limits })
  if (!tier) return store
  const memory = new MemoryCacheStore({ clock, maxVariants, maxBytes: tier.maxBytes ?? env.maxBytes })
  const bus = {
    client,
    listener: connection.listener(),
    leaseMs: options.memoryLeaseMs,
    changed: (live: boolean, cause: unknown) => {
      if (!live) env.report(busDown(cause))
    },
  }
  return new TieredCacheStore({ memory, redis: store, clock, maxTtlMs: tier.maxTtlMs, bus })
}

function busDown(cause: unknown): SluiceError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new SluiceError(
    'ERR_SLUICE_STORE',
    `Invalidations of other processes may have been missed (${why}). Memory is not used until that is made good.`,
    { cause },
  )
}
