import type { Clock } from '../../packages/core/src/base/clock.ts'
import type { Exchange, Opening, Pipeline, Reply } from '../../packages/core/src/exchange/exchange.ts'
import type { RequestProperty, RequestView } from '../../packages/core/src/exchange/request-view.ts'
import { Fields } from '../../packages/core/src/http/fields/fields.ts'
import type { LimitEvents, LimitSink } from '../../packages/core/src/limit/events.ts'

export const epoch = 1_790_000_000_000

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #now = epoch
  readonly #timers: { at: number; fn: () => void }[] = []

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#now
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + ms, fn }
    this.#timers.push(timer)
    return () => {
      const i = this.#timers.indexOf(timer)
      if (i >= 0) this.#timers.splice(i, 1)
    }
  }

  get timers(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.#timers.splice(this.#timers.indexOf(next), 1)
      this.#now = Math.max(this.#now, next.at)
      next.fn()
    }
    this.#now = end
  }

  /** Time that passes while the event loop is blocked: no timer runs. */
  block(ms: number): void {
    this.#now += ms
  }
}

export interface FakeRequest {
  method?: string
  path?: string
  query?: string
  ip?: string | undefined
  route?: string
  headers?: Record<string, string>
  properties?: Partial<Record<RequestProperty, unknown>>
  native?: object
  ticket?: object
}

export function request(given: FakeRequest = {}): RequestView {
  const { method = 'GET', path = '/cities', query = '', headers = {}, properties = {} } = given
  return {
    method,
    scheme: 'http',
    authority: 'example.org',
    path,
    query,
    localPort: 80,
    clientIp: 'ip' in given ? given.ip : '192.0.2.1',
    route: given.route,
    header: (name) => headers[name],
    property: (name) => properties[name],
    keyedFields: [],
    native: given.native ?? {},
    ticket: given.ticket,
  }
}

/** Opens a pipeline that is expected to answer at once. */
export function open(pipeline: Pipeline, given: FakeRequest = {}): Opening {
  const opening = pipeline.open(request(given))
  if (typeof (opening as PromiseLike<Opening>).then === 'function') throw new Error('a promise on the memory path')
  return opening as Opening
}

export function replyOf(opening: Opening): Reply {
  if (opening.kind !== 'reply') throw new Error('expected a refusal')
  return opening.reply
}

export function statusOf(opening: Opening): number {
  return opening.kind === 'proceed' ? 200 : opening.reply.status
}

export function fieldsOf(opening: Opening): Fields {
  return Fields.fromFlat(opening.kind === 'proceed' ? (opening.fields ?? []) : opening.reply.fields)
}

export function bodyOf(opening: Opening): Record<string, unknown> {
  return JSON.parse(Buffer.from(replyOf(opening).body!).toString())
}

export function exchangeOf(opening: Opening): Exchange {
  if (opening.kind !== 'proceed' || !opening.exchange) throw new Error('expected an exchange')
  return opening.exchange
}

export function head(status: number, fields: Record<string, string> = {}) {
  return { status, fields: Fields.from(fields), before: Fields.from(), body: 'whole' as const, length: 0 }
}

/** Keeps every event. */
export class Sink implements LimitSink {
  readonly events: { name: keyof LimitEvents; event: LimitEvents[keyof LimitEvents] }[] = []

  wants(): boolean {
    return true
  }

  emit<Name extends keyof LimitEvents>(name: Name, event: LimitEvents[Name]): void {
    this.events.push({ name, event })
  }

  of<Name extends keyof LimitEvents>(name: Name): LimitEvents[Name][] {
    return this.events.filter((e) => e.name === name).map(({ event }) => event as LimitEvents[Name])
  }
}
