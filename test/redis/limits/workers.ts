import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const loader = new URL('../../examples/support/run-typescript.mjs', import.meta.url).href
const program = fileURLToPath(new URL('./worker.ts', import.meta.url))

export interface Checked {
  readonly allowed: number
  /** Decided by something else than Redis. */
  readonly elsewhere: number
  /** Refused for being shut out, and how often a ban began with it. */
  readonly banned: number
  readonly begun: number
}

/** A process with limits in Redis. */
export class LimitWorker {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: unknown) => void>()
  #tasks = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', ({ id, answer }: { id: number; answer: unknown }) => {
      this.#waiting.get(id)?.(answer)
      this.#waiting.delete(id)
    })
  }

  static async start(redis: string, namespace: string, limits: object): Promise<LimitWorker> {
    const args = ['--no-warnings', '--conditions=sluice-source', '--import', loader, program]
    const child = spawn(process.execPath, args, {
      env: {
        PATH: process.env.PATH ?? '',
        NODE_ENV: 'test',
        REDIS: redis,
        NAMESPACE: namespace,
        LIMITS: JSON.stringify(limits),
      },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    await once(child, 'message')
    return new LimitWorker(child)
  }

  #ask(task: object): Promise<unknown> {
    const id = this.#tasks++
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#child.send({ id, ...task })
    })
  }

  check(policy: string, key: string, count: number, inFlight = 50): Promise<Checked> {
    return this.#ask({ do: 'check', policy, key, count, inFlight }) as Promise<Checked>
  }

  close(): Promise<unknown> {
    return this.#ask({ do: 'close' })
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
