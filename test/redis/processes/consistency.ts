import { setTimeout as sleep } from 'node:timers/promises'
import { type RedisServer, startCluster, startRedis } from '../../support/redis-server.ts'
import { Database, Worker } from './application.ts'

export interface ConsistencyOptions {
  readonly seed: number
  readonly ms: number
  readonly processes: number
  /** With memory in front, which may lag behind by the bus delay. */
  readonly tier: boolean
  readonly cluster?: boolean
  /** Whether processes are killed and started again as well. */
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

/** Heard of by everybody within: a beat, a deadline, and what a busy machine adds. */
const busDelayMs = 2_000

const items = ['a', 'b', 'c', 'd', 'e', 'f']

/**
 * Several processes read and change the same items through the cache while Redis is frozen, killed and cut off. Every
 * answer is held against the history: none may be older than the last version whose purge had resolved before the
 * request began.
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
  const env = {
    DATABASE: database.url,
    REDIS: servers[0]!.url,
    TIMEOUT: '2s',
    OPTIONS: JSON.stringify({
      lease: '300ms',
      ...(options.tier ? {} : { tier: false }),
      deadlines: { purge: '300ms' },
    }),
    ...(cluster ? { NODES: JSON.stringify(servers.map(({ port }) => ({ host: '127.0.0.1', port }))) } : {}),
  }
  const start = () => Worker.start(env)
  const workers = await Promise.all(Array.from({ length: options.processes }, start))

  /** Per item: from when on which version is the oldest allowed. Ascending in both. */
  const floors = new Map<string, { at: number; version: number }[]>(items.map((item) => [item, []]))
  const violations: string[] = []
  const failures: string[] = []
  const faults: string[] = []
  const count = { requests: 0, hits: 0, writes: 0, uncertain: 0 }
  const end = performance.now() + options.ms
  const slackMs = options.tier ? busDelayMs : 0

  const oldestAllowed = (item: string, startedAt: number): number =>
    floors
      .get(item)!
      .reduce((floor, { at, version }) => (at + slackMs <= startedAt ? Math.max(floor, version) : floor), 0)

  async function client(): Promise<void> {
    while (performance.now() < end) {
      const item = items[Math.floor(random() ** 2 * items.length)]!
      const index = Math.floor(random() * workers.length)
      const writes = random() < 0.08
      const reply = await workers[index]!.request(`/items/${item}`, writes ? 'POST' : 'GET').catch(() => undefined)
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
        if (version < floor) violations.push(`${item}=${version} from ${index}, ${floor} purged (${reply.cacheStatus})`)
      }
      await sleep(Math.floor(random() * 4))
    }
  }

  async function trouble(): Promise<void> {
    while (performance.now() < end - 1_200) {
      await sleep(200 + Math.floor(random() * 500))
      const server = servers[Math.floor(random() * servers.length)]!
      const kind = random()
      const fault = kind < 0.4 ? 'freeze' : kind < 0.6 ? 'kill' : kind < 0.75 ? 'flush' : kind < 0.9 ? 'cut' : 'process'
      faults.push(fault)
      log(`${fault} ${server.port}`)
      await harm(server, fault)
    }
  }

  async function harm(server: RedisServer, fault: string): Promise<void> {
    if (fault === 'freeze') {
      server.freeze()
      await sleep(50 + Math.floor(random() * 700))
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
    } else if (options.killProcesses) {
      const index = Math.floor(random() * workers.length)
      await workers[index]!.kill()
      workers[index] = await start()
    }
  }

  try {
    await Promise.all([...Array.from({ length: options.processes * 4 }, client), trouble()])
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()))
    database.stop()
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
