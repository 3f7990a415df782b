import { pipeline } from 'node:stream'
import { chain, type MaybePromise, type Reply, type ResponseHead } from '@sluice/core'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Entry, Passage } from '../stages/passage.ts'
import { discard, nodeStream, type Payload, readPayload, tee, toPayload } from './payload.ts'
import { applyTouched, fieldsOf, layFields, restoreFields } from './reply-fields.ts'

/** Tells an exchange of the head, and does what it says: the payload that is to be sent. */
export function tellExchange(
  passage: Passage,
  entry: Entry,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): MaybePromise<unknown> {
  const { exchange, before } = entry
  const body = readPayload(payload)
  const length = body.kind === 'whole' ? body.bytes.byteLength : undefined
  const head: ResponseHead = { status: reply.statusCode, fields: fieldsOf(reply), before, body: body.kind, length }
  const plan = exchange.onHead(head)

  /** Another answer in place of the handler's. */
  const swap = (answer: Reply): unknown => {
    restoreFields(reply, before)
    reply.code(answer.status)
    layFields(reply, answer.fields)
    passage.lay(answer.status, answer.fields)
    if (answer.body?.byteLength) return toPayload(answer.body)
    if (payload === undefined) return undefined
    // Fastify's own hook for HEAD routes does not expect `null`.
    return request.method === 'HEAD' ? Buffer.alloc(0) : null
  }
  /** The handler's answer, with the head as the exchange has edited it. */
  const applyHead = (): void => {
    if (head.status !== reply.statusCode) reply.code(head.status)
    applyTouched(reply, head.fields)
    passage.lay(head.status, touchedOf(head))
  }
  const act = (): MaybePromise<unknown> => {
    switch (plan.mode) {
      case 'pass':
        applyHead()
        return payload
      case 'hold':
        return chain(exchange.onBody!(head, bytesOf(body)), swap)
      case 'replace':
        discard(payload)
        return swap(plan.reply)
      case 'recode':
        return chain(plan.recode(bytesOf(body)), (bytes) => {
          applyHead()
          // Fastify counts what leaves it.
          reply.removeHeader('content-length')
          return toPayload(bytes)
        })
      case 'through':
        applyHead()
        if (body.kind === 'whole') return plan.transform.end(body.bytes)
        return pipeline(nodeStream(body.stream), plan.transform, () => {})
      case 'tee':
        applyHead()
        return copyBeside(passage, entry, head, body, payload, plan.limit)
    }
  }
  const settled = exchange.settled?.()
  return settled ? settled.then(act) : act()
}

function copyBeside(
  passage: Passage,
  { exchange }: Entry,
  head: ResponseHead,
  body: Payload,
  payload: unknown,
  limit: number,
): unknown {
  if (body.kind === 'whole') {
    if (body.bytes.byteLength <= limit) void exchange.onBody?.(head, body.bytes)
    return payload
  }
  return tee(body.stream, limit, {
    whole: (bytes) => {
      // A client that went away may have ended the handler's work early: what came is then not the whole.
      if (!passage.over) void exchange.onBody?.(head, bytes)
    },
    broken: () => {
      passage.failed = true
    },
  })
}

function bytesOf(body: Payload): Uint8Array {
  return body.kind === 'whole' ? body.bytes : new Uint8Array(0)
}

function touchedOf(head: ResponseHead): string[] {
  return [...head.fields.touched()].flatMap((name) => head.fields.lines(name).flatMap((line) => [name, line]))
}
