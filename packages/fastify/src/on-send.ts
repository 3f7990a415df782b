import {
  chain,
  type Exchange,
  isPromise,
  type MaybePromise,
  type Pipeline,
  type Reply,
  type ResponseHead,
} from '@sluice/core'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { FastifyView } from './fastify-view.ts'
import { type Entry, makePassage, type Passage, passageOf } from './passage.ts'
import { discard, nodeStream, readPayload, tee, toPayload, unwrapResponse } from './payload.ts'
import { applyTouched, fieldsOf, layFields, restoreFields } from './reply-fields.ts'

type Done = (error?: Error | null, payload?: unknown) => void

/**
 * The hook that lets the exchanges of a request have their say in its response.
 *
 * @param invalidation - asked for every unsafe request that no stage of its route sees to
 */
export function makeOnSend(invalidation: Pipeline) {
  return function sluiceOnSend(request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done): void {
    const next = process(request, reply, payload)
    if (isPromise(next)) next.then((made) => done(null, made), done)
    else done(null, next)
  }

  /** The payload to send; `undefined` for the one that was given. */
  function process(request: FastifyRequest, reply: FastifyReply, payload: unknown): MaybePromise<unknown> {
    let passage = passageOf(reply)
    // Somebody has written to the raw response: there is no head left to decide on.
    if (reply.raw.headersSent) return undefined
    if (passage?.laid && passage.laid.status !== reply.statusCode) withdraw(passage, reply)
    if (passage?.answer) {
      const { body } = passage.answer
      passage.answer = undefined
      return body && toPayload(body)
    }
    if (!isSafe(request.method) && !passage?.entries.some((entry) => entry.invalidates)) {
      passage = makePassage(reply)
      followInvalidation(invalidation, passage, request, reply)
    }
    return passage ? tell(passage, request, reply, unwrapResponse(reply, payload)) : undefined
  }
}

/** Methods that change nothing; of others the pipeline decides. */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

function followInvalidation(
  invalidation: Pipeline,
  passage: Passage,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const exchange = openInvalidation(invalidation, request)
  if (exchange) passage.follow(exchange, reply, true)
}

/** The exchange of a pipeline that waits for nothing. */
export function openInvalidation(invalidation: Pipeline, request: FastifyRequest): Exchange | undefined {
  const opening = invalidation.open(new FastifyView(request))
  return !isPromise(opening) && opening.kind === 'proceed' ? opening.exchange : undefined
}

/** Tells the exchanges of the head, from the innermost to the outermost. The payload that is to be sent. */
function tell(passage: Passage, request: FastifyRequest, reply: FastifyReply, payload: unknown): MaybePromise<unknown> {
  for (let i = passage.entries.length - 1; i >= 0; i--) {
    const entry = passage.entries[i]!
    if (entry.told) continue
    entry.told = true
    const told = tellOne(passage, entry, request, reply, payload)
    if (isPromise(told)) return told.then((next) => tell(passage, request, reply, next))
    payload = told
  }
  return payload
}

function tellOne(
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
  const swap = (answer: Reply): unknown => {
    restoreFields(reply, before)
    reply.code(answer.status)
    layFields(reply, answer.fields)
    passage.laid = { status: answer.status, fields: answer.fields }
    if (answer.body?.byteLength) return toPayload(answer.body)
    if (payload === undefined) return undefined
    // Fastify's own hook for HEAD routes does not expect `null`.
    return request.method === 'HEAD' ? Buffer.alloc(0) : null
  }
  const act = (): MaybePromise<unknown> => {
    switch (plan.mode) {
      case 'hold':
        return chain(exchange.onBody!(head, body.kind === 'whole' ? body.bytes : new Uint8Array(0)), swap)
      case 'replace':
        discard(payload)
        return swap(plan.reply)
    }
    if (head.status !== reply.statusCode) reply.code(head.status)
    applyTouched(reply, head.fields)
    passage.laid = { status: head.status, fields: touchedOf(head) }
    if (plan.mode === 'through') {
      if (body.kind === 'whole') return plan.transform.end(body.bytes)
      return nodeStream(body.stream).pipe(plan.transform)
    }
    if (plan.mode === 'pass') return payload
    if (body.kind === 'whole') {
      void exchange.onBody?.(head, body.bytes)
      return payload
    }
    return tee(body.stream, plan.limit, {
      whole: (bytes) => {
        // A client that went away may have ended the handler's work early: what came is then not the whole.
        if (!passage.over) void exchange.onBody?.(head, bytes)
      },
      broken: () => {
        passage.failed = true
      },
    })
  }
  const settled = exchange.settled?.()
  return settled ? settled.then(act) : act()
}

function touchedOf(head: ResponseHead): string[] {
  return [...head.fields.touched()].flatMap((name) => head.fields.lines(name).flatMap((line) => [name, line]))
}

/** A hook or the handler's stream failed after we had put fields on the response: they are not of the error's answer. */
function withdraw(passage: Passage, reply: FastifyReply): void {
  const { fields } = passage.laid!
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    if (name !== 'content-type' && reply.hasHeader(name)) reply.removeHeader(name)
  }
  passage.laid = undefined
  passage.answer = undefined
}
