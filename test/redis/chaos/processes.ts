import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { machineMs, missedMs, type Told } from './history.ts'

const loader = new URL('../../examples/support/run-typescript.mjs', import.meta.url).href
const program = fileURLToPath(new URL('./start.ts', import.meta.url))

/** How the servers of the application are made. All of them take part. */
const hosts = ['express5', 'koa', 'fastify', 'node', 'express4']

/** Processes that have loaded all that does not depend on which they will be, and those that are about to. */
export class Spares {
  readonly #children: ChildProcess[] = []

  /** To have that many. */
  prepare(count: number): void {
    while (this.#children.length < count) this.#children.push(spare())
  }

  take(): ChildProcess {
    return this.#children.shift() ?? spare()
  }

  stop(): void {
    for (const child of this.#children.splice(0)) child.kill('SIGKILL')
  }
}

function spare(): ChildProcess {
  const args = ['--no-warnings', '--conditions=sluice-source', '--import', loader, program]
  return spawn(process.execPath, args, {
    env: { PATH: process.env.PATH ?? '', NODE_ENV: 'test' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

export interface ProcessOptions {
  readonly spares: Spares
  readonly env: Readonly<Record<string, string>>
  readonly tell: (told: Told) => void
  /** It did not run in between. */
  readonly missed: (process: ChaosProcess, fromMs: number, untilMs: number) => void
}

export interface Seen {
  readonly allowed: boolean
  readonly remaining: number
  readonly via: string
}

/** A place for a process, which is killed and started again. */
export class ChaosProcess {
  readonly index: number
  readonly host: string
  readonly #options: ProcessOptions
  readonly #calls = new Map<number, (value: unknown) => void>()
  #child: ChildProcess | undefined
  #lives = 0
  #beatenMs = 0
  port = 0
  offsetMs: number
  /** When it was started last, and when it last was not there, or did not run. */
  startedMs = 0
  awayMs = 0
  frozen = false
  /** That it ended by itself, which it must not. */
  ended: string | undefined

  constructor(index: number, offsetMs: number, options: ProcessOptions) {
    this.index = index
    this.host = hosts[index % hosts.length]!
    this.offsetMs = offsetMs
    this.#options = options
  }

  get name(): string {
    return `${this.host}#${this.index}.${this.#lives}`
  }

  async start(): Promise<void> {
    this.#lives++
    this.startedMs = machineMs()
    const child = this.#options.spares.take()
    child.send({ HOST: this.host, CLOCK_OFFSET: String(this.offsetMs), ...this.#options.env })
    this.#child = child
    const listening = new Promise<void>((resolve, reject) => {
      child.on('message', (told: Told) => {
        if (told.is === 'listening') {
          this.port = told.port
          resolve()
        } else if (told.is === 'answer') {
          this.#calls.get(told.call)?.(told.value)
          this.#calls.delete(told.call)
        } else if (told.is === 'beat') this.#beat(told.ms)
        else this.#options.tell(told)
      })
      child.once('exit', (code, signal) => {
        this.port = 0
        if (this.#child === child) this.ended = `${this.name} ended by itself (${code ?? signal})`
        reject(new Error(`The worker ended: ${code ?? signal}`))
      })
    })
    await listening
    this.awayMs = machineMs()
    this.#beatenMs = this.awayMs
  }

  ask(call: {
    readonly do: 'check' | 'peek' | 'clock'
    readonly policy?: string
    readonly key?: string
    readonly ms?: number
  }): Promise<Seen> {
    const number = Math.random()
    return new Promise((resolve) => {
      this.#calls.set(number, resolve as (value: unknown) => void)
      this.#child!.send({ call: number, ...call })
    })
  }

  /** A process that had no turn for a while could neither answer nor hear. */
  #beat(ms: number): void {
    if (ms - this.#beatenMs > missedMs) {
      this.#options.missed(this, this.#beatenMs, ms)
      this.awayMs = machineMs()
    }
    this.#beatenMs = ms
  }

  async jump(offsetMs: number): Promise<void> {
    this.offsetMs = offsetMs
    await this.ask({ do: 'clock', ms: offsetMs })
  }

  freeze(): void {
    this.frozen = true
    this.#child!.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child!.kill('SIGCONT')
    this.frozen = false
    this.awayMs = machineMs()
  }

  /** SIGKILL, and what it leaves behind. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    this.#child = undefined
    this.port = 0
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    this.awayMs = machineMs()
  }
}
