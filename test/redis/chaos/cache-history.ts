import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { machineMs } from './history.ts'
import type { ChaosProcess } from './processes.ts'

const items = ['a', 'b', 'c', 'd', 'e', 'f']

const late = 'no answer'

interface Reply {
  readonly status: number
  readonly body: string
  readonly cacheStatus: string
}

/**
 * Reads and changes items through the cache and a memo, and holds every answer against the history: none may be older than
 * the last version whose purge had resolved before the request began.
 */
export class CacheHistory {
  /** Answers older than they might be; empty where the guarantee held. */
  readonly violations: string[] = []
  /** `uncertain`: writes whose purge rejected, or that no replica has. Nothing was promised for them. */
  readonly count = { requests: 0, hits: 0, writes: 0, uncertain: 0 }
  readonly #workers: readonly ChaosProcess[]
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  /** Per item: from when on which version is the oldest allowed. */
  readonly #floors = new Map<string, { ms: number; version: number }[]>(items.map((item) => [item, []]))

  constructor(workers: readonly ChaosProcess[]) {
    this.#workers = workers
  }

  async run(random: () => number, until: () => boolean): Promise<void> {
    while (!until()) {
      const item = items[Math.floor(random() ** 2 * items.length)]!
      const worker = this.#workers[Math.floor(random() * this.#workers.length)]!
      const writes = random() < 0.08
      const path = writes || random() < 0.6 ? `/items/${item}` : `/memo/${item}`
      const { name } = worker
      const startedMs = machineMs()
      const reply = worker.port === 0 ? undefined : await this.#ask(worker.port, path, writes)
      if (reply === late) {
        if (worker.name === name && worker.awayMs < startedMs) this.violations.push(`${path} of ${name}: ${late}`)
      } else if (reply) this.#judge({ item, path, name, startedMs, writes }, reply)
      await sleep(reply ? Math.floor(random() * 8) : 20)
    }
  }

  /** One change, when nothing else is under way: all have read the item before it, and all read it behind it. */
  async change(item: string): Promise<void> {
    for (const writes of [false, true, false]) {
      for (const path of [`/items/${item}`, `/memo/${item}`].slice(0, writes ? 1 : 2)) {
        for (const worker of writes ? this.#workers.slice(0, 1) : this.#workers) {
          const startedMs = machineMs()
          const reply = await this.#ask(worker.port, path, writes)
          const asked = { item, path, name: worker.name, startedMs, writes }
          if (typeof reply === 'object') this.#judge(asked, reply)
          else this.violations.push(`${path} of ${worker.name}: ${reply ?? 'the connection broke'}`)
        }
      }
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #judge(
    asked: { item: string; path: string; name: string; startedMs: number; writes: boolean },
    { status, body, cacheStatus }: Reply,
  ): void {
    const { item, path, name, startedMs, writes } = asked
    const version = Number(/^(\w)=(\d+)$/.exec(body)?.[2])
    if (![200, 202].includes(status) || !body.startsWith(`${item}=`) || Number.isNaN(version)) {
      this.violations.push(`${path} of ${name} was answered ${status} ${body.slice(0, 80)}`)
    } else if (writes) {
      this.count.writes++
      if (status === 200) this.#floors.get(item)!.push({ ms: machineMs(), version })
      else this.count.uncertain++
    } else {
      this.count.requests++
      if (cacheStatus.includes('hit')) this.count.hits++
      const floor = this.#oldest(item, startedMs)
      if (version < floor)
        this.violations.push(`${item}=${version} from ${name}, ${floor} was purged (${path}, ${cacheStatus})`)
    }
  }

  #oldest(item: string, startedMs: number): number {
    return this.#floors
      .get(item)!
      .reduce((floor, { ms, version }) => (ms <= startedMs ? Math.max(floor, version) : floor), 0)
  }

  /** Answers `undefined` where the connection broke: then the process was killed, or closed one that was idle. */
  #ask(port: number, path: string, writes: boolean): Promise<Reply | typeof late | undefined> {
    return new Promise((resolve) => {
      const method = writes ? 'POST' : 'GET'
      const sent = request({ port, host: '127.0.0.1', path, method, agent: this.#agent }, (res) => {
        let body = ''
        res.setEncoding('utf8').on('data', (part) => {
          body += part
        })
        res.on('error', () => resolve(undefined))
        res.on('end', () =>
          resolve({ status: res.statusCode!, body, cacheStatus: String(res.headers['cache-status'] ?? '') }),
        )
      })
      // Longer than anything that is promised here takes, suspensions included.
      sent.setTimeout(8_000, () => {
        resolve(late)
        sent.destroy()
      })
      sent.on('error', () => resolve(undefined))
      sent.end()
    })
  }
}
