import type { Exchange, Fields, Outcome, Pipeline, Reply, ResponseControl } from '@sluice/core'
import { chain, isPromise, type MaybePromise, type Opening } from '@sluice/core'
import { decodeBody } from '@sluice/node'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { fieldsOf, layFields } from '../reply/reply-fields.ts'
import { changeRequest, watchCookies } from '../request/change-request.ts'
import { FastifyView } from '../request/fastify-view.ts'

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
  readonly invalidates: boolean
  /** It was told of the head. Fastify runs `onSend` again where a later hook fails: it is told once. */
  told: boolean
}

/** The key of a reply's passage. A symbol: an application cannot take the name. */
export const passageKey: unique symbol = Symbol('sluice.passage')

/** The way of one request through Sluice: which exchanges have their say in its response, the innermost last. */
export class Passage {
  readonly entries: Entry[] = []
  /** An answer of ours on its way through the `onSend` hooks. */
  answer: Reply | undefined
  /** The latest. */
  control: ResponseControl | undefined
  /** The body broke off. */
  failed = false
  /** The fields we put on the response, and the status they are of: another status is another answer. */
  #laid: { readonly status: number; readonly fields: readonly string[] } | undefined
  #outcome: Outcome | undefined

  /** The connection is gone, or everything was sent. */
  get over(): boolean {
    return this.#outcome !== undefined
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

  follow(exchange: Exchange, reply: FastifyReply, invalidates: boolean): void {
    if (this.entries.length === 0) this.#listen(reply)
    this.entries.push({ exchange, before: fieldsOf(reply), invalidates, told: false })
    // The client went away while we asked the store.
    if (this.#outcome) exchange.onClose(this.#outcome)
  }

  #listen({ raw }: FastifyReply): void {
    const close = (outcome: Outcome): void => {
      if (this.#outcome) return
      this.#outcome = this.failed ? 'failed' : outcome
      for (const { exchange } of this.entries) exchange.onClose(this.#outcome)
    }
    if (raw.destroyed) {
      this.#outcome = 'aborted'
      return
    }
    raw.once('finish', () => close('sent'))
    raw.once('close', () => close(raw.writableFinished ? 'sent' : 'aborted'))
  }
}

type Held = { [passageKey]: Passage | null }

export function passageOf(reply: FastifyReply): Passage | null {
  return (reply as unknown as Held)[passageKey]
}

export function makePassage(reply: FastifyReply): Passage {
  const held = reply as unknown as Held
  held[passageKey] ??= new Passage()
  return held[passageKey]
}

/** Asks the stages one after the other. `false`: one of them has answered, and the handler does not run. */
export function passStages(
  stages: readonly Stage[],
  request: FastifyRequest,
  reply: FastifyReply,
  from = 0,
): MaybePromise<boolean> {
  for (let i = from; i < stages.length; i++) {
    const stage = stages[i]!
    const opening = stage.pipeline.open(new FastifyView(request, stage.route))
    if (isPromise(opening)) {
      return opening.then((o) =>
        chain(obey(o, stage, request, reply), (go) => go && passStages(stages, request, reply, i + 1)),
      )
    }
    if (!obey(opening, stage, request, reply)) return false
  }
  return true
}

function obey(opening: Opening, stage: Stage, request: FastifyRequest, reply: FastifyReply): boolean {
  // While the store was asked, a timeout or a hook has answered.
  if (reply.sent || reply.raw.headersSent) {
    if (opening.kind === 'proceed') opening.exchange?.onClose('aborted')
    return false
  }
  // A cache around this one does not know what its answers are tagged with.
  if (stage.pipeline.name === 'cache') passageOf(reply)?.control?.skip('nested')
  if (opening.kind === 'reply') {
    sendAnswer(reply, opening.reply)
    return false
  }
  const { exchange, fields } = opening
  if (fields) for (let i = 0; i < fields.length; i += 2) reply.header(fields[i]!, fields[i + 1]!)
  if (exchange) {
    const passage = makePassage(reply)
    passage.follow(exchange, reply, stage.invalidates)
    if (exchange.control) {
      passage.control = exchange.control
      watchCookies(reply, exchange.control)
    }
    if (exchange.request) changeRequest(request, exchange.request)
    if (exchange.request?.decode) decodeBody(request.raw, reply.raw, exchange.request.decode)
  }
  return true
}

/**
 * Sends a whole answer. The hooks that stand before ours see no payload, for they have seen this one when it was made;
 * ours puts it in its place, so that those behind see it as they see a handler's.
 */
function sendAnswer(reply: FastifyReply, answer: Reply): void {
  const passage = makePassage(reply)
  passage.answer = answer
  passage.lay(answer.status, answer.fields)
  reply.code(answer.status)
  layFields(reply, answer.fields)
  reply.send()
}
