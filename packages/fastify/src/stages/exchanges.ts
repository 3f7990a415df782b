import type { Exchange, Fields, Pipeline, Reply, ResponseControl } from '@sluice/core'
import { isPromise, type MaybePromise, type Opening, runBehind } from '@sluice/core'
import { decodeBody, type Ending, endingOf } from '@sluice/node'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { fieldsOf, layFields, lowerName, removeFields, setStatusOf, watchWritten } from '../reply/reply-fields.ts'
import { changeRequest, watchCookies } from '../request/change-request.ts'
import { FastifyView } from '../request/fastify-view.ts'
import { watchSend } from './sent-by.ts'

/** One of the things a route asks Sluice for. */
export interface Stage {
  readonly pipeline: Pipeline
  /** It sees to it that an unsafe request invalidates its URL. */
  readonly invalidates: boolean
  /** The route's pattern, where it is known. Fastify could be asked for it, but builds a whole object to answer. */
  readonly route?: string | undefined
}

/** An exchange under way. */
export interface Entry {
  readonly exchange: Exchange
  /** What was on the response when it began. */
  readonly before: Fields
  /** What was set or removed since. */
  readonly written: ReadonlySet<string> | undefined
  readonly invalidates: boolean
  /** It was told of the head. Fastify runs `onSend` again where a later hook fails: it is told once. */
  told: boolean
}

/** The key of a reply's exchanges. A symbol: an application cannot take the name. */
export const exchangesKey: unique symbol = Symbol('sluice.exchanges')

/** Which exchanges have their say in a reply, the innermost last, and what has become of it so far. */
export class ReplyExchanges {
  readonly entries: Entry[] = []
  /** An answer of ours on its way through the `onSend` hooks. */
  answer: Reply | undefined
  /** The latest. */
  control: ResponseControl | undefined
  /** Runs the handler, as the innermost exchange that cares wants it to run. */
  within: Exchange['within']
  /** The fields we put on the response, and the status they are of: another status is another answer. */
  #laid: { readonly status: number; readonly fields: readonly string[] } | undefined
  #ending: Ending | undefined
  readonly #sent: ((payload: unknown) => void)[] = []

  /** The connection is gone, everything was sent, or the body broke off. */
  get over(): boolean {
    return this.#ending?.outcome !== undefined
  }

  /** Whether this response is of our making, or was told to somebody. */
  get touched(): boolean {
    return this.#laid !== undefined
  }

  lay(status: number, fields: readonly string[]): void {
    this.#laid = { status, fields: this.#laid ? [...this.#laid.fields, ...fields] : fields }
  }

  /**
   * Takes our fields back where another answer takes the place of the one they are of: a hook or the handler's stream
   * failed, and the error handler has made its own.
   */
  withdraw(reply: FastifyReply): void {
    if (!this.#laid || this.#laid.status === reply.statusCode) return
    const before = this.entries[0]?.before
    const names = new Set(this.#laid.fields.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()))
    // The error's content is the error handler's to describe; Vary was perhaps not ours alone.
    names.delete('content-type')
    if (!before) names.delete('vary')
    for (const name of names) {
      reply.removeHeader(name)
      const lines = before?.lines(name) ?? []
      if (lines.length) reply.header(name, [...lines])
    }
    this.#laid = undefined
    this.answer = undefined
  }

  add(exchange: Exchange, reply: FastifyReply, invalidates: boolean): void {
    // One that begins when it is all over is told so as well.
    this.#ending ??= endingOf(reply.raw, (outcome) => {
      for (const entry of this.entries) entry.exchange.onClose(outcome)
    })
    const before = fieldsOf(reply)
    // Who never sees a body stores none, and does not ask.
    const written = exchange.onBody && watchWritten(reply, before)
    if (exchange.request?.reads) this.#sent.push(watchSend(reply, exchange.request.reads))
    if (exchange.within) this.within = exchange.within
    this.entries.push({ exchange, before, written, invalidates, told: false })
    if (this.#ending.outcome) exchange.onClose(this.#ending.outcome)
  }

  /** A payload has come through the hooks in front of ours. */
  arrived(payload: unknown): void {
    for (const arrived of this.#sent.splice(0)) arrived(payload)
  }

  /** The body broke off. */
  fail(): void {
    this.#ending?.close('failed')
  }

  /** Runs what writes to the connection, or what other plugins do when that is about to happen. */
  quiet<T>(run: () => T): T {
    return this.entries.reduceRight<() => T>(
      (inner, { exchange }) => (exchange.quiet ? () => exchange.quiet!(inner) : inner),
      run,
    )()
  }
}

type Held = { [exchangesKey]: ReplyExchanges | null }

export function exchangesOf(reply: FastifyReply): ReplyExchanges | null {
  return (reply as unknown as Held)[exchangesKey]
}

/** The same, made where there is none. */
export function exchangesFor(reply: FastifyReply): ReplyExchanges {
  const held = reply as unknown as Held
  held[exchangesKey] ??= new ReplyExchanges()
  return held[exchangesKey]
}

/** Asks the stages one after the other. `false`: one of them has answered, and the handler does not run. */
export function askStages(
  stages: readonly Stage[],
  request: FastifyRequest,
  reply: FastifyReply,
  from = 0,
): MaybePromise<boolean> {
  for (let i = from; i < stages.length; i++) {
    const stage = stages[i]!
    const opening = stage.pipeline.open(new FastifyView(request, reply, stage.route))
    if (isPromise(opening)) return opening.then((opened) => goOn(opened, stages, request, reply, i))
    if (opening.kind === 'proceed' && opening.exchange?.within) return goOn(opening, stages, request, reply, i)
    if (!obey(opening, stage, request, reply)) return false
  }
  return true
}

/** Does what one stage says, and asks those behind it. */
function goOn(
  opening: Opening,
  stages: readonly Stage[],
  request: FastifyRequest,
  reply: FastifyReply,
  at: number,
): MaybePromise<boolean> {
  if (!obey(opening, stages[at]!, request, reply)) return false
  return runBehind(opening, () => askStages(stages, request, reply, at + 1))
}

function obey(opening: Opening, stage: Stage, request: FastifyRequest, reply: FastifyReply): boolean {
  // While the store was asked, a timeout or a hook has answered.
  if (reply.sent || reply.raw.headersSent) {
    if (opening.kind === 'proceed') opening.exchange?.onClose('aborted')
    return false
  }
  // A cache around this one does not know what its answers are tagged with.
  if (stage.pipeline.name === 'cache') exchangesOf(reply)?.control?.skip('nested')
  if (opening.kind === 'reply') {
    sendAnswer(reply, opening.reply)
    return false
  }
  if (opening.kind === 'error') {
    // Whatever the application makes of it, a cache around this does not keep it.
    exchangesOf(reply)?.control?.skip('no-store')
    reply.headers(opening.error.headers).send(opening.error)
    return false
  }
  const { exchange, fields } = opening
  if (fields) for (let i = 0; i < fields.length; i += 2) reply.header(lowerName(fields[i]!), fields[i + 1]!)
  if (exchange) {
    const exchanges = exchangesFor(reply)
    exchanges.add(exchange, reply, stage.invalidates)
    if (exchange.control) {
      exchanges.control = exchange.control
      watchCookies(reply, exchange.control)
    }
    if (exchange.request) changeRequest(request, reply, exchange.request)
    if (exchange.request?.decode) decodeBody(request.raw, reply.raw, exchange.request.decode)
  }
  return true
}

/**
 * Sends a whole answer. The hooks that stand before ours see no payload, for they have seen this one when it was made;
 * ours puts it in its place, so that those behind see it as they see a handler's.
 */
function sendAnswer(reply: FastifyReply, answer: Reply): void {
  const exchanges = exchangesFor(reply)
  exchanges.answer = answer
  exchanges.lay(answer.status, answer.fields)
  setStatusOf(reply, answer)
  if (answer.without) removeFields(reply, answer.without)
  layFields(reply, answer.fields)
  reply.send()
}
