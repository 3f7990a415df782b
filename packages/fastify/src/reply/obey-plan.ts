import { pipeline } from 'node:stream'
import { type BodyPlan, chain, type MaybePromise, type Reply, type ResponseHead } from '@sluice/core'
import { copyBeside, firstPiece, nodeStream, reasonOf, writeQuietly } from '@sluice/node'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Entry, ReplyExchanges } from '../stages/exchanges.ts'
import { discard, type Payload, readPayload, toPayload } from './payload.ts'
import { applyTouched, fieldsOf, isLive, layFields, removeFields, restoreFields, setStatusOf } from './reply-fields.ts'

/** Tells an exchange of the head, and does what it says: the payload that is to be sent. */
export function tellExchange(
  exchanges: ReplyExchanges,
  entry: Entry,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): MaybePromise<unknown> {
  const body = readPayload(payload)
  if (body.kind === 'whole' || !entry.exchange.request?.reads || request.method === 'HEAD' || isLive(reply)) {
    return obeyPlan(exchanges, entry, request, reply, payload, body)
  }
  const stream = nodeStream(body.stream)
  // What it reads until it has brought something still decides what everybody is told of the answer.
  const first = firstPiece(stream, reply.raw)
  const tell = (): MaybePromise<unknown> =>
    exchanges.over ? stream : obeyPlan(exchanges, entry, request, reply, stream, { kind: 'pieces', stream })
  return first ? first.then(tell) : tell()
}

function obeyPlan(
  exchanges: ReplyExchanges,
  entry: Entry,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  body: Payload,
): MaybePromise<unknown> {
  const { exchange, before, written } = entry
  const length = body.kind === 'whole' ? body.bytes.byteLength : undefined
  const status = reply.statusCode
  const reason = reasonOf(reply.raw)
  const head: ResponseHead = { status, fields: fieldsOf(reply), before, written, reason, body: body.kind, length }
  const plan = exchange.onHead(head)
  // Of a buffer its owner may use again: what is stored, or is still to be worked on, must not change with it.
  const own = (): Uint8Array => {
    const bytes = bytesOf(body)
    return bytes === payload ? Buffer.from(bytes) : bytes
  }
  const held = plan.mode === 'hold' || plan.mode === 'recode' ? own() : empty

  /** Another answer in place of the handler's. */
  const swap = (answer: Reply): unknown => {
    restoreFields(reply, before)
    setStatusOf(reply, answer)
    if (answer.without) removeFields(reply, answer.without)
    layFields(reply, answer.fields)
    exchanges.lay(answer.status, answer.fields)
    if (answer.body?.byteLength) return toPayload(answer.body)
    if (payload === undefined) return undefined
    // Fastify's own hook for HEAD routes does not expect `null`.
    return request.method === 'HEAD' ? Buffer.alloc(0) : null
  }
  /** The handler's answer, with the head as the exchange has edited it. */
  const applyHead = (): void => {
    if (head.status !== reply.statusCode) setStatusOf(reply, { status: head.status })
    applyTouched(reply, head.fields)
    exchanges.lay(head.status, touchedOf(head))
  }
  const act = (): MaybePromise<unknown> => {
    switch (plan.mode) {
      case 'pass':
        applyHead()
        return payload
      case 'hold':
        return chain(exchange.onBody!(head, held), swap)
      case 'replace':
        discard(payload)
        return swap(plan.reply)
      case 'recode':
        return chain(plan.recode(held), (bytes) => {
          applyHead()
          // Fastify counts what leaves it.
          reply.removeHeader('content-length')
          return toPayload(bytes)
        })
      case 'through':
        applyHead()
        if (body.kind === 'whole') return plan.transform.end(own())
        return pipeline(nodeStream(body.stream), plan.transform, () => {})
      case 'tee':
        applyHead()
        return teed(exchanges, entry, reply, head, body, payload, plan)
    }
  }
  const settled = exchange.settled?.()
  return settled ? settled.then(act) : act()
}

function teed(
  exchanges: ReplyExchanges,
  { exchange }: Entry,
  reply: FastifyReply,
  head: ResponseHead,
  body: Payload,
  payload: unknown,
  plan: Extract<BodyPlan, { mode: 'tee' }>,
): unknown {
  if (body.kind === 'whole') {
    if (body.bytes.byteLength <= plan.limit) void exchange.onBody?.(head, Buffer.from(body.bytes))
    else plan.dropped?.()
    return payload
  }
  writeQuietly(reply.raw, exchange)
  return copyBeside(nodeStream(body.stream), plan, {
    whole: (bytes) => {
      // A client that went away may have ended the handler's work early: what came is then not the whole.
      if (!exchanges.over) void exchange.onBody?.(head, bytes)
    },
    broken: () => exchanges.fail(),
  })
}

const empty: Uint8Array = new Uint8Array(0)

function bytesOf(body: Payload): Uint8Array {
  return body.kind === 'whole' ? body.bytes : empty
}

function touchedOf(head: ResponseHead): string[] {
  return [...head.fields.touched()].flatMap((name) => head.fields.lines(name).flatMap((line) => [name, line]))
}
