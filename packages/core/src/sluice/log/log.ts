import type { Cancel, Clock } from '../../base/clock.ts'
import type { Events } from '../../base/events.ts'
import { checkOptions, rule } from '../../base/options.ts'
import { type Duration, durationMs } from '../../base/units.ts'
import type { InstanceEvents } from '../instance-events.ts'
import { type Fact, facts } from './facts.ts'
import { type LogTarget, lineWriter, type WriteLine } from './logger.ts'

export interface LogOptions {
  /**
   * How long the same fact (event, route, policy, reason) is only counted after it was written; then one line says how often it
   * came. Default: `'1m'`.
   */
  readonly every?: Duration | undefined
  /** Different lines in that time at most; what is above is counted. Default: 100. */
  readonly most?: number | undefined
  /**
   * `false`: lines also hold tags, hashes of keys, and the texts of errors, in which an application may have put anything: what they
   * may not be stored with is yours to know. Default: `true`.
   */
  readonly redact?: boolean | undefined
  /** What the logger wants first. Default: told by the logger: `'fields'` for pino, bunyan and Fastify's, else `'message'`. */
  readonly order?: 'fields' | 'message' | undefined
}

interface Written {
  readonly event: string
  readonly fact: Fact
  /** How often it came since. */
  again: number
}

/** Writes what happens as lines of a log, each fact once in a while. */
export class Log {
  readonly #events: Events<InstanceEvents>
  readonly #clock: Clock
  readonly #open = new Set<() => void>()

  constructor(events: Events<InstanceEvents>, clock: Clock) {
    this.#events = events
    this.#clock = clock
  }

  /** @throws SluiceError `ERR_SLUICE_OPTION`, `ERR_SLUICE_UNIT` */
  to(logger: LogTarget, options: LogOptions = {}): () => void {
    checkOptions<LogOptions>('log', options, {
      every: rule.readableBy(durationMs),
      most: rule.positiveInteger,
      redact: rule.boolean,
      order: rule.oneOf('fields', 'message'),
    })
    let told = false
    const write = lineWriter(logger, options.order, (error) => {
      if (told) return
      told = true
      process.emitWarning(`The logger given to sluice.log() threw: ${String(error)}`, {
        type: 'SluiceWarning',
        code: 'SLUICE_LOG',
      })
    })
    const { every = '1m', most = 100, redact = true } = options
    const lines = new Lines(write, this.#clock, { everyMs: durationMs('log.every', every), most, redact })
    const offs = Object.entries(facts).map(([name, factOf]) =>
      this.#events.on(name as keyof InstanceEvents, (event) => {
        const fact = (factOf as (event: unknown) => Fact | undefined)(event)
        if (fact) lines.add(name, fact)
      }),
    )
    const stop = (): void => {
      this.#open.delete(stop)
      for (const off of offs) off()
      lines.flush()
    }
    this.#open.add(stop)
    return stop
  }

  /** Writes what is counted, and stops. */
  close(): void {
    for (const stop of this.#open) stop()
  }
}

/** Writes a fact when it comes first, and how often it came again when the time is up. */
class Lines {
  readonly #write: WriteLine
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #most: number
  readonly #redact: boolean
  readonly #written = new Map<string, Written>()
  #leftOut = 0
  #timer: Cancel | undefined

  constructor(
    write: WriteLine,
    clock: Clock,
    { everyMs, most, redact }: { readonly everyMs: number; readonly most: number; readonly redact: boolean },
  ) {
    this.#write = write
    this.#clock = clock
    this.#everyMs = everyMs
    this.#most = most
    this.#redact = redact
  }

  add(event: string, fact: Fact): void {
    const key = `${event} ${JSON.stringify(fact.fields)}`
    const known = this.#written.get(key)
    if (known) {
      known.again++
      return
    }
    this.#timer ??= this.#clock.after(this.#everyMs, () => this.flush())
    if (this.#written.size >= this.#most) {
      this.#leftOut++
      return
    }
    this.#written.set(key, { event, fact, again: 0 })
    this.#line(event, fact, this.#redact ? undefined : fact.secret)
  }

  /** The time is up. */
  flush(): void {
    this.#timer?.()
    this.#timer = undefined
    for (const { event, fact, again } of this.#written.values()) {
      if (again > 0) this.#line(event, fact, { again })
    }
    this.#written.clear()
    if (this.#leftOut > 0) {
      this.#write('warn', 'sluice: more lines than `most` were left out', { event: 'log', leftOut: this.#leftOut })
    }
    this.#leftOut = 0
  }

  #line(event: string, { level, message, fields }: Fact, more: Readonly<Record<string, unknown>> | undefined): void {
    const line: Record<string, unknown> = { event }
    for (const [name, value] of [...Object.entries(fields), ...Object.entries(more ?? {})]) {
      if (value !== undefined) line[name] = value
    }
    this.#write(level, `sluice: ${message}`, line)
  }
}
