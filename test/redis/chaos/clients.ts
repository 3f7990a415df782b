import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { reset } from '../../support/tcp-proxy.ts'
import { answerMs } from './check-limits.ts'
import { type Entry, machineMs, missedMs } from './history.ts'
import type { RouteName } from './policies.ts'
import type { ChaosProcess } from './processes.ts'

/** Clients whose limits they use up together, so few that they do. */
const names = ['ann', 'bob', 'cid', 'dot']

/** What clients asked, and what came back. */
export interface ClientLog {
  readonly entries: Map<string, Entry>
  /** What no client should see: a connection that breaks though its process lives, and no answer in time. */
  readonly broken: string[]
}

/** Who sends requests with limits, in all manners, and writes down what came back. */
export class ChaosClient {
  readonly #name: string
  readonly #log: ClientLog
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  readonly #random: () => number
  readonly #workers: readonly ChaosProcess[]
  #count = 0

  constructor(name: string, workers: readonly ChaosProcess[], log: ClientLog, random: () => number) {
    this.#name = name
    this.#workers = workers
    this.#log = log
    this.#random = random
  }

  /** Sends until it is time to stop. */
  async run(until: () => boolean): Promise<void> {
    while (!until()) {
      const worker = this.#workers[this.#below(this.#workers.length)]!
      const dice = this.#random()
      if (worker.port === 0) await sleep(20)
      else if (dice < 0.6) await this.send(worker, this.#route())
      else if (dice < 0.72) await this.#pipelined(worker)
      else if (dice < 0.8) await this.#leaves(worker, this.#route())
      else if (dice < 0.86) await this.#half(worker)
      else await this.#stream(worker)
      await sleep(this.#below(12))
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n)
  }

  #route(): RouteName {
    const usual = ['window', 'mixed', 'login', 'upload', 'advance', 'everyone'] as const
    return usual[this.#below(usual.length)]!
  }

  #entry(worker: ChaosProcess, route: RouteName, client = names[this.#below(names.length)]!): Entry {
    const id = `${this.#name}-${this.#count++}`
    const counted = route !== 'login' || this.#random() < 0.5
    const entry = { id, route, client, worker: worker.name, counted, sentMs: machineMs() }
    this.#log.entries.set(id, entry)
    return entry
  }

  #head({ id, route, client, counted }: Entry, fields: Readonly<Record<string, string>> = {}): string {
    const all = { host: 'chaos', 'x-id': id, 'x-client': client, ...(counted ? { 'x-fails': '1' } : {}), ...fields }
    const method = route === 'upload' ? 'POST' : 'GET'
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    return `${method} /${route} HTTP/1.1\r\n${lines.join('')}\r\n`
  }

  /** One request, over a connection that is kept. Answers its status, and 0 where there was none. */
  send(worker: ChaosProcess, route: RouteName, client?: string): Promise<number> {
    const entry = this.#entry(worker, route, client)
    return new Promise((resolve) => {
      const done = (status: number, why?: string): void => {
        clearTimeout(timer)
        if (why === undefined) {
          entry.status = status
          entry.answeredMs = machineMs()
        } else this.#broke(entry, worker, why)
        resolve(status)
      }
      const fields = { 'x-id': entry.id, 'x-client': entry.client, ...(entry.counted ? { 'x-fails': '1' } : {}) }
      const sent = request(
        {
          port: worker.port,
          host: '127.0.0.1',
          path: `/${route}`,
          method: route === 'upload' ? 'POST' : 'GET',
          headers: route === 'upload' ? { ...fields, 'content-type': 'text/plain', 'content-length': '5' } : fields,
          agent: this.#agent,
        },
        (res) => {
          res.resume()
          res.on('end', () => done(res.statusCode!))
          res.on('error', (error) => done(0, error.message))
        },
      )
      const timer = this.#deadline(entry, worker, () => sent.destroy(new Error('no answer')))
      sent.on('error', (error) => done(0, error.message))
      sent.end(route === 'upload' ? 'hello' : undefined)
    })
  }

  /** A process that does not run cannot answer: the time starts again when it does. */
  #deadline(entry: Entry, worker: ChaosProcess, late: () => void): NodeJS.Timeout {
    let [beatenMs, awayMs] = [machineMs(), 0]
    const timer = setInterval(() => {
      // Who asks has to be awake as well.
      const nowMs = machineMs()
      if (nowMs - beatenMs > missedMs) awayMs = nowMs
      beatenMs = nowMs
      if (worker.frozen || nowMs - Math.max(entry.sentMs, worker.awayMs, awayMs) < answerMs) return
      clearInterval(timer)
      late()
    }, 100)
    return timer
  }

  #broke(entry: Entry, worker: ChaosProcess, why: string): void {
    // Its process was killed; or the connection was closed as idle just when the request came: nothing was asked then.
    if (worker.name !== entry.worker || worker.port === 0 || worker.startedMs > entry.sentMs) return
    if (entry.askedMs === undefined && /ECONNRESET|socket hang up|EPIPE/.test(why)) return
    this.#log.broken.push(`${entry.id} of ${entry.worker} (/${entry.route}): ${why}`)
  }

  /** Several at once over one connection, answered in their order. */
  #pipelined(worker: ChaosProcess): Promise<void> {
    const route = this.#route() === 'login' ? 'mixed' : 'window'
    const entries = Array.from({ length: 2 + this.#below(4) }, () => this.#entry(worker, route))
    return this.#socket(worker, entries, entries.map((entry) => this.#head(entry)).join(''), (text) => {
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
      for (const [i, status] of statuses.entries()) {
        const entry = entries[i]!
        entry.status ??= status
        entry.answeredMs ??= machineMs()
      }
      return statuses.length >= entries.length
    })
  }

  /** Goes away before there is a head. */
  async #leaves(worker: ChaosProcess, route: RouteName): Promise<void> {
    const entry = this.#entry(worker, route === 'upload' ? 'mixed' : route)
    entry.left = true
    const socket = connect(worker.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(this.#head(entry))
    await sleep(this.#below(12))
    if (this.#random() < 0.5) reset(socket)
    else socket.destroy()
  }

  /** Half a head, or half a body, and gone. */
  async #half(worker: ChaosProcess): Promise<void> {
    const entry = this.#entry(worker, 'upload')
    entry.left = true
    const whole = `${this.#head(entry, { 'content-type': 'text/plain', 'content-length': '1000' })}half`
    const socket = connect(worker.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(this.#random() < 0.5 ? whole : whole.slice(0, this.#below(60)))
    await sleep(10 + this.#below(40))
    socket.destroy()
  }

  /** A stream that holds a permit: to its end, or left in the middle. */
  #stream(worker: ChaosProcess, client?: string): Promise<void> {
    const entry = this.#entry(worker, 'stream', client)
    const leaves = this.#random() < 0.5
    if (leaves) entry.left = true
    const head = this.#head(entry, { 'x-ms': String(50 + this.#below(1_200)) })
    const leavesAt = machineMs() + this.#below(400)
    return this.#socket(worker, [entry], head, (text) => {
      const status = /HTTP\/1\.1 (\d{3})/.exec(text)?.[1]
      if (status === undefined) return false
      entry.status ??= Number(status)
      entry.answeredMs ??= machineMs()
      return entry.status !== 200 || (leaves && machineMs() >= leavesAt) || /\r\n0\r\n\r\n$/.test(text)
    })
  }

  /** Resolves when all is there that was wanted, or the connection is gone. */
  #socket(
    worker: ChaosProcess,
    entries: readonly Entry[],
    bytes: string,
    complete: (text: string) => boolean,
  ): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(worker.port, '127.0.0.1')
      let text = ''
      let why = ''
      const timer = this.#deadline(entries[0]!, worker, () => {
        if (entries.every(({ status }) => status !== undefined)) return
        why = 'no answer'
        socket.destroy()
      })
      socket.on('data', (part) => {
        text += part.toString('latin1')
        if (complete(text)) socket.destroy()
      })
      socket.on('error', (error) => {
        why = error.message
      })
      socket.on('close', () => {
        clearInterval(timer)
        const open = entries.find(({ status, left }) => status === undefined && !left)
        if (open) this.#broke(open, worker, why || 'closed without an answer')
        resolve()
      })
      socket.write(bytes)
    })
  }

  /** Holds that many permits at once in different processes, each of which is left or comes to its end. */
  async hold(count: number, client: string): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, (_, i) => this.#stream(this.#workers[i % this.#workers.length]!, client)),
    )
  }

  /** How many of that many requests at once, over all processes, were let in. */
  async admitted(count: number, route: RouteName, client: string): Promise<number> {
    const statuses = await Promise.all(
      Array.from({ length: count }, (_, i) => this.send(this.#workers[i % this.#workers.length]!, route, client)),
    )
    return statuses.filter((status) => status === 200).length
  }
}
