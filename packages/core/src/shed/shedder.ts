import type { Clock } from '../base/clock.ts'
import { SluiceError, show } from '../base/errors.ts'
import type { SluiceEvents } from '../base/events.ts'
import { checkOptions, rule } from '../base/options.ts'
import { type Duration, durationMs } from '../base/units.ts'
import { RequestContext } from '../exchange/context.ts'
import type { AtFront, BodyPlan, Exchange, Opening, Pipeline, Reply } from '../exchange/exchange.ts'
import { ianaProblem, problem } from '../exchange/problem.ts'
import { RefusalError } from '../exchange/refusal-error.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { Gradient2, type Gradient2Options } from './gradient2.ts'
import { LoadMonitor, type LoadSampler } from './load.ts'
import { type Level, Pressure, type Priority, shedFrom } from './pressure.ts'

export interface ShedOptions {
  /**
   * How long the event loop may keep a request waiting. From there `sheddable` requests are refused, from twice as long
   * `default` ones, from five times `critical` ones. Default 150 ms.
   */
  readonly maxDelay?: Duration | undefined
  /** The part of the time the event loop may be busy before `sheddable` requests are refused. Default 0.98. */
  readonly maxUtilisation?: number | undefined
  /**
   * What these requests are worth; refreshes in the background are always `sheddable`. Where a function throws or answers
   * nonsense: `default`.
   */
  readonly priority?: Priority | ((c: RequestContext) => Priority) | undefined
  /**
   * Also bound how many requests are worked on at a time, by a limit that follows how long they take (Gradient2).
   * `sheddable` requests may take three quarters of it, `default` ones all of it, `critical` ones half as much again.
   * Default: off. Give it to routes that take similarly long.
   */
  readonly concurrency?: boolean | Gradient2Options | undefined
  /**
   * `'error'`: a refusal is handed to the application's own error handling, as a `ShedError` with status and fields; on plain
   * node:http, which has none, it is answered. There is no redirection: where it leads would be shed as well. Default `'reply'`.
   */
  readonly refuse?: 'reply' | 'error' | undefined
  /** When clients are told to come back, give or take a half, so that they do not all come at once. Default 5 s. */
  readonly retryAfter?: Duration | undefined
}

/** What a shedder reports. */
export interface ShedEvents extends Pick<SluiceEvents, 'error'> {
  /** A request was refused because the process is overloaded. */
  shed: { readonly route: string | undefined; readonly priority: Priority; readonly reason: 'load' | 'concurrency' }
}

export interface ShedSink {
  wants(name: keyof ShedEvents): boolean
  emit<Name extends keyof ShedEvents>(name: Name, event: ShedEvents[Name]): void
}

export interface ShedStats {
  readonly delayMs: number
  readonly utilisation: number
  /** One for each `shed()`, in the order they were made. */
  readonly stages: readonly ShedStageStats[]
}

export interface ShedStageStats {
  /** 0: nothing is shed; 1: `sheddable`; 2: `default` too; 3: `critical` too. */
  readonly level: Level
  readonly admitted: number
  readonly shed: Readonly<Record<Priority, number>>
  readonly concurrency?:
    | { readonly limit: number; readonly inFlight: number; readonly usualMs: number; readonly presentMs: number }
    | undefined
}

export interface Shedder {
  /** @throws SluiceError `ERR_SLUICE_OPTION`, `ERR_SLUICE_UNIT` */
  pipeline(options?: ShedOptions): Pipeline
  stats(): ShedStats
  close(): void
}

export interface ShedderParts {
  readonly clock: Clock
  readonly events?: ShedSink | undefined
  /** What measures the load. Default: Node's own figures. */
  readonly sampler?: (() => LoadSampler) | undefined
  /** 0 to 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined
}

const title = 'Request cannot be satisfied due to temporary server capacity constraints'

/** A request that was shed, as the application's error handling gets it where `shed` says `refuse: 'error'`. */
export class ShedError extends RefusalError {
  constructor(reply: Pick<Reply, 'status' | 'fields'>) {
    super('ERR_SLUICE_SHED', `${title}.`, reply)
    this.name = 'ShedError'
  }
}

const priorities = ['critical', 'default', 'sheddable'] as const

/** How much of the concurrency limit a priority may take. */
const share: Readonly<Record<Priority, number>> = Object.freeze({ sheddable: 0.75, default: 1, critical: 1.5 })

/**
 * Refuses requests when this process has more to do than it can: better some at once with 503 than all too late.
 *
 * @example
 * ```ts
 * const shedder = createShedder({ clock: systemClock() })
 * const pipeline = shedder.pipeline({ priority: (c) => (c.path === '/health' ? 'critical' : 'default') })
 * ```
 */
export function createShedder({ clock, events, sampler, random = Math.random }: ShedderParts): Shedder {
  const monitor = new LoadMonitor(clock, sampler)
  const stages: Stage[] = []
  return Object.freeze<Shedder>({
    pipeline(options = {}) {
      const stage = new Stage(resolve(options), { clock, monitor, events, random })
      stages.push(stage)
      const asks = typeof options.priority === 'function' || options.refuse === 'error'
      const atFront: AtFront = asks ? { reason: '`shed` in front of it asks the application' } : 'runs'
      return Object.freeze<Pipeline>({ name: 'shed', atFront, open: (view) => stage.open(view) })
    },
    stats: () => ({ ...monitor.read(), stages: stages.map((stage) => stage.stats()) }),
    close: () => monitor.close(),
  })
}

interface Resolved {
  readonly maxDelayMs: number
  readonly maxUtilisation: number
  readonly priority: NonNullable<ShedOptions['priority']>
  readonly gradient: Gradient2 | undefined
  readonly retryAfterMs: number
  readonly asError: boolean
}

function resolve(options: ShedOptions): Resolved {
  const isPriority = rule.oneOf(...priorities)
  checkOptions<ShedOptions>('shed', options, {
    maxDelay: rule.readableBy(durationMs, 'shed.maxDelay'),
    maxUtilisation: rule.fraction,
    priority: rule.either(isPriority, rule.function),
    concurrency: rule.either(rule.boolean, rule.object),
    refuse: rule.oneOf('reply', 'error'),
    retryAfter: rule.readableBy(durationMs, 'shed.retryAfter'),
  })
  const { concurrency = false } = options
  if (typeof concurrency === 'object') {
    checkOptions<Gradient2Options>('shed.concurrency', concurrency, {
      initial: rule.positiveInteger,
      min: rule.positiveInteger,
      max: rule.positiveInteger,
      tolerance: (v) => (typeof v === 'number' && v >= 1 && v < 100 ? undefined : 'must be a number of 1 or more'),
    })
  }
  return Object.freeze({
    maxDelayMs: Math.max(1, durationMs('shed.maxDelay', options.maxDelay ?? 150)),
    maxUtilisation: options.maxUtilisation ?? 0.98,
    priority: options.priority ?? 'default',
    gradient: concurrency ? new Gradient2(concurrency === true ? {} : concurrency) : undefined,
    retryAfterMs: durationMs('shed.retryAfter', options.retryAfter ?? 5_000),
    asError: options.refuse === 'error',
  })
}

interface StageParts {
  readonly clock: Clock
  readonly monitor: LoadMonitor
  readonly events: ShedSink | undefined
  readonly random: () => number
}

class Stage {
  readonly #options: Resolved
  readonly #parts: StageParts
  readonly #pressure: Pressure
  #seen = 0
  #inFlight = 0
  #admitted = 0
  readonly #shed: Record<Priority, number> = { critical: 0, default: 0, sheddable: 0 }

  constructor(options: Resolved, parts: StageParts) {
    this.#options = options
    this.#parts = parts
    this.#pressure = new Pressure(options)
  }

  open(view: RequestView): Opening {
    const c = new RequestContext(view)
    const priority = view.ticket === undefined ? this.#priority(c) : 'sheddable'
    if (this.#level() >= shedFrom[priority]) return this.#refuse(c, priority, 'load')
    const { gradient } = this.#options
    if (gradient && this.#inFlight >= Math.max(1, Math.floor(gradient.limit * share[priority]))) {
      return this.#refuse(c, priority, 'concurrency')
    }
    this.#admitted++
    return { kind: 'proceed', exchange: gradient && this.#exchange(gradient) }
  }

  #level(): Level {
    const { monitor, clock } = this.#parts
    const load = monitor.read()
    // Other stages may have made it look meanwhile.
    if (this.#seen === monitor.serial) return this.#pressure.level
    this.#seen = monitor.serial
    return this.#pressure.observe(load, clock.now())
  }

  #priority(c: RequestContext): Priority {
    const { priority } = this.#options
    if (typeof priority !== 'function') return priority
    let given: unknown
    let cause: unknown
    try {
      given = priority(c)
    } catch (error) {
      cause = error
    }
    if (priorities.includes(given as Priority)) return given as Priority
    const what = cause === undefined ? `answered ${show(given)}` : 'threw'
    const error = new SluiceError('ERR_SLUICE_CALLBACK', `The function given as \`shed.priority\` ${what}.`, { cause })
    this.#parts.events?.emit('error', { error, route: c.route })
    return 'default'
  }

  #exchange(gradient: Gradient2): Exchange {
    const { clock } = this.#parts
    const startMs = clock.now()
    const inFlight = ++this.#inFlight
    let answered = false
    let closed = false
    return {
      onHead: (): BodyPlan => {
        // Until the head: how long the body takes is for the client's line to say.
        if (!answered && !closed) gradient.sample(clock.now() - startMs, inFlight, clock.now())
        answered = true
        return { mode: 'pass' }
      },
      onClose: () => {
        if (!closed) this.#inFlight--
        closed = true
      },
    }
  }

  #refuse(c: RequestContext, priority: Priority, reason: 'load' | 'concurrency'): Opening {
    this.#shed[priority]++
    const { events, random } = this.#parts
    if (events?.wants('shed')) events.emit('shed', { route: c.route, priority, reason })
    const seconds = Math.max(1, Math.round((this.#options.retryAfterMs * (0.5 + random())) / 1_000))
    const reply = problem(
      {
        type: ianaProblem('temporary-reduced-capacity'),
        title,
        status: 503,
      },
      ['Retry-After', String(seconds)],
    )
    return this.#options.asError ? { kind: 'error', reply, error: new ShedError(reply) } : { kind: 'reply', reply }
  }

  stats(): ShedStageStats {
    const { gradient } = this.#options
    return {
      level: this.#level(),
      admitted: this.#admitted,
      shed: { ...this.#shed },
      concurrency: gradient && { limit: gradient.limit, inFlight: this.#inFlight, ...gradient.times },
    }
  }
}
