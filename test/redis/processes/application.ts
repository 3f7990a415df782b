import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const loader = new URL('../../examples/support/run-typescript.mjs', import.meta.url).href
const program = fileURLToPath(new URL('./worker.ts', import.meta.url))

/** What the workers read and change: versions of items, counted from 0. */
export class Database {
  readonly versions = new Map<string, number>()
  /** How often each item was read. */
  readonly reads = new Map<string, number>()
  /** Runs before each answer. */
  answer: (item: string) => Promise<string | undefined> = async () => undefined
  #server: Server | undefined
  url = ''

  async start(): Promise<this> {
    this.#server = createServer(async (req, res) => {
      const item = req.url!.split('/')[2]!
      const version = this.versions.get(item) ?? 0
      if (req.method === 'POST') {
        this.versions.set(item, version + 1)
        res.end(`${item}=${version + 1}`)
        return
      }
      this.reads.set(item, (this.reads.get(item) ?? 0) + 1)
      // What is read is what was true when the reading began, however long it takes.
      const body = `${item}=${version}`
      res.end((await this.answer(item)) ?? body)
    })
    await new Promise<void>((resolve) => this.#server!.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  stop(): void {
    this.#server?.closeAllConnections()
    this.#server?.close()
  }
}

export interface Reply {
  readonly status: number
  readonly body: string
  readonly cacheStatus: string
  readonly startedAt: number
  readonly ms: number
}

/** A worker process. */
export class Worker {
  readonly #child: ChildProcess
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 512 })
  readonly #port: number

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.#port = port
  }

  static async start(env: Readonly<Record<string, string>>): Promise<Worker> {
    const args = ['--no-warnings', '--conditions=sluice-source', '--import', loader, program]
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env.PATH ?? '', NODE_ENV: 'test', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let said = ''
    for await (const part of child.stdout!) {
      said += part
      const match = /listening on (\d+)/.exec(said)
      if (match) {
        const worker = new Worker(child, Number(match[1]))
        // Nothing waits for Redis at the start; a test does.
        const end = performance.now() + 15_000
        for (let line = ''; !line.includes('hit'); line = (await worker.request('/items/warm')).cacheStatus) {
          if (performance.now() > end) throw new Error(`The worker never had a hit, last: ${line}`)
          await setTimeout(5)
        }
        return worker
      }
    }
    throw new Error(`The worker ended: ${said}`)
  }

  request(path: string, method = 'GET'): Promise<Reply> {
    const startedAt = performance.now()
    return new Promise((resolve, reject) => {
      const sent = request({ port: this.#port, host: '127.0.0.1', path, method, agent: this.#agent }, (res) => {
        let body = ''
        res.setEncoding('utf8').on('data', (part) => {
          body += part
        })
        res.on('error', reject)
        res.on('end', () => {
          const cacheStatus = String(res.headers['cache-status'] ?? '')
          resolve({ status: res.statusCode!, body, cacheStatus, startedAt, ms: performance.now() - startedAt })
        })
      })
      sent.on('error', reject)
      sent.end()
    })
  }

  async stats(): Promise<Record<string, number>> {
    return JSON.parse((await this.request('/stats')).body)
  }

  /** SIGSTOP: it is there and does nothing, as a machine that is suspended. */
  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }

  /** SIGKILL, and what it leaves behind. */
  async kill(): Promise<void> {
    this.#agent.destroy()
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
