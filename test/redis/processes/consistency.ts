import { setTimeout as sleep } from 'node:timers/promises'
import { type RedisServer, startCluster, startRedis } from '../../support/redis-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { Database, Worker } from './application.ts'

export interface ConsistencyOptions {
  readonly seed: number
  readonly ms: number
  readonly processes: number
  /** With memory in front. */
  readonly tier: boolean
  readonly cluster?: boolean
  /** Whether processes are suspended, or killed and started again, as well. */
  readonly killProcesses?: boolean
  readonly log?: (line: string) => void
}

export interface ConsistencyReport {
  /** Answers older than they might be; empty where the guarantee held. */
  readonly violations: readonly string[]
  readonly requests: number
  readonly hits: number
  readonly writes: number
  /** Writes whose purge rejected: nothing was promised for them. */
  readonly uncertain: number
  readonly faults: readonly string[]
  /** Answers that were not 200 or 202. */
  readonly failures: readonly string[]
}

/** How wrong the calendars of processes may be. */
const hourMs = 3_600_000

const items = ['a', 'b', 'c', 'd', 'e', 'f']

/**
 * Several processes, whose clocks are an hour apart, read and change the same items through the cache and a memo, while
 * Redis is frozen, killed and cut off, messages are lost in silence, scripts are flushed, and processes are suspended and
 * killed. Every answer is held against the history: none may be older than the last version whose purge had resolved before
 * the request began.
 */
export async function runConsistency(options: ConsistencyOptions): Promise<ConsistencyReport> {
  const random = generator(options.seed)
  const { log = () => {} } = options
  const cluster = options.cluster ? await startCluster(3) : undefined
  const servers = cluster?.nodes ?? [await startRedis()]
  const database = await new Database().start()
  // Reads of the database take their time: that is what a purge has to overtake.
  database.answer = async () => {
    await sleep(Math.floor(random() * 20))
    return undefined
  }
  const proxy = await new TcpProxy(servers[0]!.port).start()
  const env = {
    DATABASE: database.url,
    REDIS: `redis://127.0.0.1:${proxy.port}`,
    TIMEOUT: '2s',
    OPTIONS: JSON.stringify({
      lease: '300ms',
      ...(options.tier ? {} : { tier: false }),
      // So short that leases run out in time for purges to wait for them, and so that nearly all purges resolve.
      deadlines: { purge: '600ms' },
    }),
    ...(cluster ? { NODES: JSON.stringify(servers.map(({ port }) => ({ host: '127.0.0.1', port }))) } : {}),
  }
  const start = (_: unknown, i: number) => Worker.start({ ...env, CLOCK_OFFSET: String(((i % 3) - 1) * hourMs) })
  const workers: Worker[] = []

  /** Per item: from when on which version is the oldest allowed. Ascending in both. */
  const floors = new Map<string, { at: number; version: number }[]>(items.map((item) => [item, []]))
  const violations: string[] = []
  const failures: string[] = []
  const faults: string[] = []
  const count = { requests: 0, hits: 0, writes: 0, uncertain: 0 }
  let end = 0

  const oldestAllowed = (item: string, startedAt: number): number =>
    floors.get(item)!.reduce((floor, { at, version }) => (at <= startedAt ? Math.max(floor, version) : floor), 0)

  async function client(): Promise<void> {
    while (performance.now() < end) {
      const item = items[Math.floor(random() ** 2 * items.length)]!
      const index = Math.floor(random() * workers.length)
      const writes = random() < 0.08
      const path = writes || random() < 0.6 ? `/items/${item}` : `/memo/${item}`
      const reply = await workers[index]!.request(path, writes ? 'POST' : 'GET').catch(() => undefined)
      // The process was killed; there is no answer to judge.
      if (!reply) {
        await sleep(20)
        continue
      }
      const version = Number(/^(\w)=(\d+)$/.exec(reply.body)?.[2])
      if (![200, 202].includes(reply.status) || !reply.body.startsWith(`${item}=`) || Number.isNaN(version)) {
        failures.push(`${reply.status} ${reply.body}`)
      } else if (writes) {
        count.writes++
        if (reply.status === 200) floors.get(item)!.push({ at: performance.now(), version })
        else count.uncertain++
      } else {
        count.requests++
        if (reply.cacheStatus.includes('hit')) count.hits++
        const floor = oldestAllowed(item, reply.startedAt)
        if (version < floor)
          violations.push(`${item}=${version} from ${index}, ${floor} purged (${path}, ${reply.cacheStatus})`)
      }
      await sleep(Math.floor(random() * 4))
    }
  }

  const kinds = ['freeze', 'stop', 'kill', 'flush', 'cut', 'lose', ...(options.killProcesses ? ['suspend', 'end'] : [])]

  async function trouble(): Promise<void> {
    // All of them in turn, in an order of the seed's.
    let left: string[] = []
    while (performance.now() < end - 1_200) {
      await sleep(200 + Math.floor(random() * 400))
      if (left.length === 0) left = [...kinds].sort(() => random() - 0.5)
      const fault = left.pop()!
      const server = servers[Math.floor(random() * servers.length)]!
      faults.push(fault)
      log(`${fault} ${server.port}`)
      await harm(server, fault)
    }
  }

  async function harm(server: RedisServer, fault: string): Promise<void> {
    const index = Math.floor(random() * workers.length)
    if (fault === 'freeze' || fault === 'stop') {
      server.freeze()
      await sleep(fault === 'stop' && options.ms > 10_000 ? 2_500 : 50 + Math.floor(random() * 650))
      server.thaw()
    } else if (fault === 'kill') {
      await server.kill()
      await sleep(Math.floor(random() * 400))
      await server.restart()
    } else if (fault === 'flush') {
      const commands = [['FLUSHALL'], ['SCRIPT', 'FLUSH']]
      await server.cli(...commands[Math.floor(random() * commands.length)]!).catch(() => {})
    } else if (fault === 'cut') {
      await server.cli('CLIENT', 'KILL', 'TYPE', random() < 0.5 ? 'normal' : 'pubsub').catch(() => {})
    } else if (fault === 'lose') {
      proxy.losesMessages = true
      await sleep(200 + Math.floor(random() * 800))
      proxy.losesMessages = false
    } else if (fault === 'suspend') {
      workers[index]!.freeze()
      await sleep(200 + Math.floor(random() * 1_300))
      workers[index]!.thaw()
    } else {
      await workers[index]!.kill()
      workers[index] = await start(undefined, index)
    }
  }

  try {
    const started = Array.from({ length: options.processes }, async (_, i) => {
      workers[i] = await start(undefined, i)
    })
    // Those that did start have to be ended.
    for (const { reason } of (await Promise.allSettled(started)) as { reason?: unknown }[]) if (reason) throw reason
    end = performance.now() + options.ms
    await Promise.all([...Array.from({ length: options.processes * 4 }, client), trouble()])
  } finally {
    await Promise.all(workers.map((worker) => worker?.kill()))
    database.stop()
    proxy.stop()
    await Promise.all(servers.map((server) => server.stop()))
  }
  return { violations, failures, faults, ...count }
}

/** Numbers that a seed repeats (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
