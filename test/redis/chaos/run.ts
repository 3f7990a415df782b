import { setTimeout as sleep } from 'node:timers/promises'
import { Database } from '../processes/application.ts'
import { CacheHistory } from './cache-history.ts'
import { checkLimits } from './check-limits.ts'
import { ChaosClient, type ClientLog } from './clients.ts'
import { type History, machineMs, type Told } from './history.ts'
import { processes } from './policies.ts'
import { ChaosProcess, Spares } from './processes.ts'
import { generator } from './random.ts'
import { Stage, type StageKind } from './stage.ts'

export interface ChaosOptions {
  readonly seed: number
  /** How long faults are made. What comes before and after takes some seconds more. */
  readonly ms: number
  readonly kind: StageKind
  /** With memory in front of the cache. */
  readonly tier: boolean
  /** On a slow machine it takes longer than `ms`, until so many requests with limits were made. Default 0. */
  readonly fewest?: number
  /** Faults that take long: 2.5 s of silence, a process that is gone, a failover. */
  readonly long?: boolean
  /** Breaks a guarantee in the workers on purpose: `admit`, `release`, `purge`. For the test of this test. */
  readonly sabotage?: string
  readonly log?: (line: string) => void
}

export interface ChaosReport {
  readonly requests: number
  readonly admitted: number
  readonly refused: number
  /** Answered 503 as a policy asks for while Redis is out. */
  readonly unavailable: number
  /** Decided without Redis. */
  readonly without: number
  readonly left: number
  readonly cacheHits: number
  readonly writes: number
  readonly uncertain: number
  readonly faults: readonly string[]
  readonly violations: readonly string[]
  /** Of limits: to look a violation up in. */
  readonly history: History
}

/** How wrong the calendars of processes may be. */
const hourMs = 3_600_000

/**
 * Several processes on all frameworks start together while Redis is not there, and serve limited and cached requests of clients
 * of all manners while Redis is frozen, killed, emptied, cut off and failed over, processes are suspended and killed, and
 * calendars jump. Then all is left alone, and everything must be as if nothing had happened. Answers what the two
 * judges, of the cache and of the limits, have found.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  // Everybody draws from a row of their own: whose turn comes when depends on the machine, and the choices do not.
  let rows = 0
  const own = (): (() => number) => generator(options.seed * 1_000 + rows++)
  const [random, slow] = [own(), own()]
  const { log = () => {}, long = false, fewest = 0 } = options
  const spares = new Spares()
  spares.prepare(processes)
  const stage = await Stage.start(options.kind).catch((error) => {
    spares.stop()
    throw error
  })
  const database = await new Database().start()
  // Reads of the database take their time: that is what a purge has to overtake.
  database.answer = async () => {
    await sleep(Math.floor(slow() * 20))
    return undefined
  }
  // So long that no fault keeps a process from renewing its permits in time, which it does after a third. Who is sabotaged may.
  const shortMs = options.sabotage ? 1_500 : 3_000
  const permitTtlMs = options.kind === 'Cluster' ? 12_000 : long ? 6_000 : shortMs
  const env = {
    ...stage.env,
    DATABASE: database.url,
    PERMIT_TTL: `${permitTtlMs}ms`,
    SABOTAGE: options.sabotage ?? '',
    OPTIONS: JSON.stringify({
      lease: '300ms',
      ...(options.tier ? {} : { tier: false }),
      // So short that leases run out in time for purges to wait for them, and so that nearly all purges resolve.
      deadlines: { read: '300ms', write: '300ms', purge: '600ms', limit: '500ms' },
    }),
  }
  const workers: ChaosProcess[] = []
  const seen: ClientLog = { entries: new Map(), broken: [] }
  const clients = Array.from({ length: 14 }, (_, i) => new ChaosClient(`client${i}`, workers, seen, own()))
  const cache = new CacheHistory(workers)
  const tell = (told: Told): void => {
    const entry = 'id' in told ? seen.entries.get(told.id) : undefined
    if (!entry) return
    if (told.is === 'asked') entry.askedMs = told.ms
    else if (told.is === 'admitted') entry.admittedMs = told.ms
    else if (told.is === 'ended') entry.endedMs ??= told.ms
    else if (told.is === 'decided') {
      entry.via = told.via
      entry.violated = told.violated
      if (!told.allowed) entry.refusedMs = told.ms
    }
  }
  const missed = (worker: ChaosProcess, fromMs: number, untilMs: number): void =>
    void stage.outages.push({ what: 'busy', fromMs, untilMs, worker: worker.name })
  for (let i = 0; i < processes; i++)
    workers.push(new ChaosProcess(i, ((i % 3) - 1) * hourMs, { spares, env, tell, missed }))

  const faults: string[] = []
  const violations: string[] = []
  let over = false

  /** A process that starts, or was suspended, may miss Redis for a moment. */
  async function alone(worker: ChaosProcess, what: string, act: () => Promise<void>): Promise<void> {
    const fromMs = machineMs()
    await act()
    stage.outages.push({ what, fromMs, untilMs: machineMs(), worker: worker.name })
  }

  async function kill(worker: ChaosProcess): Promise<void> {
    const { name } = worker
    await worker.kill()
    // Its permits are out until their lease is over, but nobody holds them.
    for (const entry of seen.entries.values()) if (entry.worker === name) entry.endedMs ??= worker.awayMs
    await alone(worker, 'start', () => worker.start())
    if (long) spares.prepare(1)
  }

  const kinds: Record<string, () => Promise<void>> = {
    freeze: () => stage.freeze(one(stage.servers), 700),
    kill: () => stage.kill(one(stage.servers), Math.floor(random() * 400)),
    'flush all': () => stage.flushAll(one(stage.servers)),
    'flush scripts': () => stage.flushScripts(one(stage.servers)),
    cut: () => stage.cut(one(stage.servers)),
    deafen: () => stage.deafen(one(stage.servers), long ? 3_000 : 1_000, random() < 0.5),
    suspend: async () => {
      const worker = one(workers)
      await alone(worker, 'suspend', async () => {
        worker.freeze()
        await sleep(long ? 2_500 : 700)
        worker.thaw()
      })
    },
    end: () => kill(one(workers)),
    jump: async () => {
      const worker = one(workers)
      const offsetMs = [-hourMs, 0, hourMs][Math.floor(random() * 3)]!
      const ahead = offsetMs > worker.offsetMs
      const fromMs = machineMs()
      await worker.jump(offsetMs)
      // A calendar that leaps ahead is that of a machine that has slept: what it had counted by itself is over.
      const mine = {
        what: 'jump',
        sinceMs: Number.NEGATIVE_INFINITY,
        fromMs,
        untilMs: machineMs(),
        worker: worker.name,
      }
      if (ahead) stage.losses.push(mine)
    },
    ...(long ? { 'long freeze': () => stage.freeze(one(stage.servers), 2_500) } : {}),
    ...(options.kind === 'Cluster'
      ? { failover: async () => void (await stage.failover(Math.floor(random() * 3))) }
      : {}),
  }
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!

  async function trouble(): Promise<void> {
    // All of them in turn, in an order of the seed's; some, and in a long run each at least once, however slow the machine is.
    let left: string[] = []
    const end = machineMs() + options.ms
    const most = long ? Object.keys(kinds).length : 3
    const enough = (): boolean => machineMs() >= end && seen.entries.size >= fewest && faults.length > most
    while (!enough()) {
      await sleep(150 + Math.floor(random() * 350))
      if (left.length === 0) left = shuffled(Object.keys(kinds), random)
      const fault = left.pop()!
      faults.push(fault)
      log(`${fault}`)
      await kinds[fault]!()
    }
  }

  /** When all is well again: permits, quotas and keys are as if nothing had been. */
  async function calm(): Promise<void> {
    const by = async (ms: number, met: () => Promise<boolean>): Promise<boolean> => {
      for (const end = machineMs() + ms; !(await met()); await sleep(20)) if (machineMs() > end) return false
      return true
    }
    const here = await by(5_000, async () => {
      const all = await Promise.all(workers.map((worker) => worker.ask({ do: 'check', policy: 'log', key: 'here' })))
      return all.every(({ via }) => via === 'store')
    })
    log('used again')
    if (!here) violations.push('Redis is back, and not used')
    const free = (client: string) => async (): Promise<boolean> =>
      (await workers[0]!.ask({ do: 'peek', policy: 'permits', key: client })).remaining === 3
    // What could not be given back comes back with its lease.
    const back = async (client: string): Promise<void> => {
      if (!(await by(permitTtlMs + 1_000, free(client)))) violations.push(`permits of ${client} have not come back`)
    }
    await Promise.all(['ann', 'bob', 'cid', 'dot'].map(back))
    log('free')
    await clients[0]!.hold(6, 'calm')
    if (!(await by(1_000, free('calm')))) violations.push('permits of calm requests have not come back at once')
    log('held')
    const admitted = await clients[0]!.admitted(60, 'calm', 'calm')
    if (admitted !== 25) violations.push(`25 of 60 calm requests were to be let in, and ${admitted} were`)
    // As many at once of a limit that is judged by its history alone.
    await clients[0]!.admitted(60, 'window', 'calm')
    log('admitted')
    await cache.change('a')
    log('changed')
    // What the first of two policies refuses the second has not been charged: 40 less 25, and what flows in.
    const { remaining } = await workers[1]!.ask({ do: 'peek', policy: 'calmBucket', key: 'calm' })
    if (admitted === 25 && (remaining < 15 || remaining > 15 + 5))
      violations.push(`calmBucket has ${remaining} left after 25 of 40`)
    for (const key of await stage.keysForEver()) violations.push(`${key} has no expiry`)
  }

  try {
    const boot = async (): Promise<void> => {
      const started = workers.map((worker) => worker.start())
      // Those that did start have to be ended.
      for (const { reason } of (await Promise.allSettled(started)) as { reason?: unknown }[]) if (reason) throw reason
    }
    const until = (): boolean => over
    const running: Promise<unknown>[] = []
    faults.push('boot')
    await stage.absent(async () => {
      await boot()
      log('booted')
      spares.prepare(1)
      running.push(stage.watch(until))
      running.push(...clients.map((client) => client.run(until)))
      running.push(...Array.from({ length: 8 }, () => cache.run(own(), until)))
      await sleep(700)
    })
    await trouble()
    over = true
    await Promise.all(running)
    log('quiet')
    log('calm')
    await calm()
  } finally {
    for (const worker of workers) if (worker.ended) violations.push(worker.ended)
    spares.stop()
    await Promise.all(workers.map((worker) => worker.kill()))
    for (const client of clients) client.close()
    cache.close()
    database.stop()
    await stage.stop()
  }
  const entries = [...seen.entries.values()]
  violations.push(...seen.broken, ...cache.violations)
  const history = { entries, outages: stage.outages, losses: stage.losses }
  violations.push(...checkLimits(history))
  const count = (is: (entry: (typeof entries)[number]) => unknown): number => entries.filter(is).length
  return {
    requests: entries.length + cache.count.requests + cache.count.writes,
    admitted: count(({ admittedMs }) => admittedMs !== undefined),
    refused: count(({ status }) => status === 429),
    unavailable: count(({ status }) => status === 503),
    without: count(({ via }) => Object.values(via ?? {}).some((one) => one !== 'store')),
    left: count(({ left }) => left),
    cacheHits: cache.count.hits,
    writes: cache.count.writes,
    uncertain: cache.count.uncertain,
    faults,
    violations,
    history,
  }
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const all = [...list]
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[all[i], all[j]] = [all[j]!, all[i]!]
  }
  return all
}
