import { Cluster } from 'ioredis'
import { type Clock, systemClock } from '../../../packages/core/src/base/clock.ts'
import { guardedStore } from '../../../packages/core/src/limit/store/guarded-store.ts'
import { MemoryLimitStore } from '../../../packages/core/src/limit/store/memory-limit-store.ts'
import type { Quota } from '../../../packages/core/src/limit/store/store.ts'
import { limitsOn, StillClock } from '../../redis/limits/support.ts'
import { connect, freshName } from '../../redis/support.ts'
import { type RedisCluster, type RedisServer, until } from '../../support/redis-server.ts'
import { letters, type Stage } from './attack.ts'

/** A stage whose time stands still unless it is moved: every request comes at the moment it was meant for. */
export function stillStage(
  quota: Quota,
  make: (clock: Clock, process: number) => Stage['stores'][number],
  count = 1,
): Stage {
  const clock = new StillClock()
  return {
    quota,
    stores: Array.from({ length: count }, (_, i) => make(clock, i)),
    pass(ms) {
      clock.ms += ms
    },
    now: () => clock.ms,
    timeOf: () => clock.ms,
  }
}

export const memoryStage = (quota: Quota): Stage => stillStage(quota, (clock) => new MemoryLimitStore(clock))

/** Processes that share a namespace, each with a connection of its own. */
export function redisStage(quota: Quota, clients: readonly unknown[]): Stage {
  const namespace = freshName()
  return stillStage(
    quota,
    (clock, i) => limitsOn(clients[i % clients.length], { clock, time: 'clock', namespace }),
    letters.P,
  )
}

export function connectAll(server: RedisServer): Promise<Awaited<ReturnType<typeof connect>>[]> {
  return Promise.all(Array.from({ length: letters.P }, () => connect(server.port)))
}

export async function connectCluster({ nodes }: RedisCluster): Promise<Cluster> {
  const client = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
  client.on('error', () => {})
  if (client.status !== 'ready') await new Promise<void>((resolve) => client.once('ready', () => resolve()))
  return client
}

/** Processes in the time of this machine, from which hours can be skipped, and that do without Redis where it is late. */
export function guardedStage(quota: Quota, clients: readonly unknown[]): Stage & { close(): Promise<void> } {
  const namespace = freshName()
  const time = systemClock()
  let skippedMs = 0
  const clock: Clock = {
    now: () => time.now() + skippedMs,
    wall: () => time.wall() + skippedMs,
    after: (ms, fn) => time.after(ms, fn),
  }
  const stores = clients.map((client) => {
    const store = limitsOn(client, { clock, time: 'clock', namespace })
    return guardedStore(store, { clock, deadlineMs: 100, failed: () => {} })
  })
  return {
    quota,
    stores,
    pass(ms) {
      skippedMs += ms
    },
    now: () => clock.now(),
    timeOf: ({ atMs }) => atMs,
    async close() {
      await Promise.all(stores.map((store) => store.close()))
    },
  }
}

/** Until each process asks Redis again. */
export async function reached({ stores }: Stage, probe: Parameters<Stage['stores'][number]['peek']>[0]): Promise<void> {
  for (const store of stores) await until(async () => (await store.peek(probe))[0]!.via === 'store')
}
