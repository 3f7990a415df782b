import { AsyncResource } from 'node:async_hooks'
import type { Clock } from '../base/clock.ts'
import { optionError, SluiceError } from '../base/errors.ts'
import { checkOptions, rule } from '../base/options.ts'
import { type Duration, durationMs } from '../base/units.ts'

export interface DeferOptions {
  /** How many pieces of work run at a time. Default `8`. */
  readonly concurrency?: number | undefined
  /** How many may wait, for their response or for their turn; what comes on top is turned away. Default `1000`. */
  readonly maxQueue?: number | undefined
  /** How long `close()` waits for what is left. Default `'10s'`. */
  readonly drainTimeout?: Duration | undefined
}

export interface DeferStats {
  readonly running: number
  /** Waiting, for a response or for a turn. */
  readonly waiting: number
  readonly done: number
  readonly failed: number
  /** Turned away: too many were waiting, or the instance was closed. */
  readonly dropped: number
}

/** Work for after the response: what it brings does not matter, but for a promise, which is waited for. */
export type DeferredWork = () => unknown

export interface Defer {
  /** After the present turn of the event loop: the response to whoever waits in it is written by then. */
  (work: DeferredWork): boolean
  /** When this response is gone, or its client: Express's and node's `res`, Koa's `ctx`, Fastify's `reply`. */
  (response: object, work: DeferredWork): boolean
}

interface Outgoing {
  readonly writableFinished: boolean
  readonly destroyed: boolean
  readonly closed?: boolean
  once(event: 'close', listener: () => void): unknown
  off(event: 'close', listener: () => void): unknown
}

/** Runs work that no client waits for: a few pieces at a time, none lost silently, all of it before `close()` is over. */
export class Deferred {
  readonly #clock: Clock
  readonly #report: (error: SluiceError) => void
  readonly #concurrency: number
  readonly #maxQueue: number
  readonly #drainMs: number
  readonly #queue: DeferredWork[] = []
  /** Work whose response is not gone, and how to have it run now. */
  readonly #early = new Set<() => void>()
  #scheduled = false
  #running = 0
  #done = 0
  #failed = 0
  #dropped = 0
  #closed = false
  #idle: (() => void)[] = []

  /** @throws SluiceError when an option is wrong */
  constructor(options: DeferOptions, clock: Clock, report: (error: SluiceError) => void) {
    checkOptions<DeferOptions>('defer', options, {
      concurrency: rule.positiveInteger,
      maxQueue: rule.positiveInteger,
      drainTimeout: rule.readableBy(durationMs),
    })
    this.#clock = clock
    this.#report = report
    this.#concurrency = options.concurrency ?? 8
    this.#maxQueue = options.maxQueue ?? 1000
    this.#drainMs = durationMs('defer.drainTimeout', options.drainTimeout ?? '10s')
  }

  /**
   * @returns whether it was taken; where not, an event says so
   * @throws SluiceError `ERR_SLUICE_OPTION` for anything that is no work, and anything that is no response
   */
  readonly add: Defer = (...given: readonly unknown[]): boolean => {
    const [response, work] = given.length > 1 ? given : [undefined, given[0]]
    if (typeof work !== 'function') throw optionError('defer(work)', 'must be a function', work)
    const outgoing = response === undefined ? undefined : outgoingOf(response)
    if (this.#closed) return this.#drop('the instance is closed')
    if (this.#waiting >= this.#maxQueue) return this.#drop(`${this.#maxQueue} are waiting already`)
    // It belongs to the request that asked for it: traces and `AsyncLocalStorage` go on.
    const bound = AsyncResource.bind(work as () => unknown)
    if (outgoing === undefined || outgoing.writableFinished || outgoing.destroyed || outgoing.closed) {
      this.#enqueue(bound)
      return true
    }
    const gone = (): void => {
      this.#early.delete(gone)
      outgoing.off('close', gone)
      this.#enqueue(bound)
    }
    this.#early.add(gone)
    outgoing.once('close', gone)
    return true
  }

  stats(): DeferStats {
    return {
      running: this.#running,
      waiting: this.#waiting,
      done: this.#done,
      failed: this.#failed,
      dropped: this.#dropped,
    }
  }

  /** Runs what is left, also what waits for a response, and resolves when it is done or took too long. */
  close(): Promise<void> {
    this.#closed = true
    for (const gone of [...this.#early]) gone()
    return new Promise((resolve) => {
      if (this.#isIdle) return resolve()
      const stop = this.#clock.after(this.#drainMs, () => {
        const left = this.#queue.length + this.#running
        this.#queue.length = 0
        this.#report(tooMuch(`${left} were not over ${this.#drainMs} ms after \`close()\``))
        resolve()
      })
      this.#idle.push(() => {
        stop()
        resolve()
      })
    })
  }

  get #waiting(): number {
    return this.#early.size + this.#queue.length
  }

  get #isIdle(): boolean {
    return this.#running === 0 && this.#queue.length === 0
  }

  #enqueue(work: DeferredWork): void {
    this.#queue.push(work)
    this.#schedule()
  }

  /** In a turn of its own: whatever is being written now is written first. */
  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#concurrency || this.#queue.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      while (this.#running < this.#concurrency && this.#queue.length > 0) void this.#run(this.#queue.shift()!)
    })
  }

  async #run(work: DeferredWork): Promise<void> {
    this.#running++
    try {
      await work()
      this.#done++
    } catch (cause) {
      this.#failed++
      const message = cause instanceof Error ? cause.message : String(cause)
      this.#report(new SluiceError('ERR_SLUICE_CALLBACK', `Work given to \`defer\` failed: ${message}.`, { cause }))
    }
    this.#running--
    this.#schedule()
    if (this.#isIdle) for (const wake of this.#idle.splice(0)) wake()
  }

  #drop(reason: string): false {
    this.#dropped++
    this.#report(tooMuch(reason))
    return false
  }
}

function tooMuch(reason: string): SluiceError {
  return new SluiceError(
    'ERR_SLUICE_DEFER',
    `Work given to \`defer\` was turned away: ${reason}. What must not be lost belongs into a queue that survives this process.`,
  )
}

/** The response behind what the framework hands out. */
function outgoingOf(response: unknown): Outgoing {
  const { raw, res } = (response ?? {}) as { raw?: unknown; res?: unknown }
  const found = (raw ?? res ?? response) as Partial<Outgoing> | null
  if (typeof found?.once !== 'function' || typeof found.writableFinished !== 'boolean') {
    throw optionError('defer(response, work)', 'must be given `res`, `ctx` or `reply` first', response)
  }
  return found as Outgoing
}
