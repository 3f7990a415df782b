import { type Exchange, isPromise, type MaybePromise, type Pipeline } from '@sluice/core'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { tellExchange } from '../reply/obey-plan.ts'
import { isPayload, toPayload, unwrapResponse } from '../reply/payload.ts'
import { FastifyView } from '../request/fastify-view.ts'
import { makePassage, type Passage, passageOf } from '../stages/passage.ts'
import type { EarlyRoutes } from './early-routes.ts'

type Done = (error?: Error | null, payload?: unknown) => void

/**
 * The hook that lets the exchanges of a request have their say in its response.
 *
 * @param invalidation - asked for every unsafe request that no stage of its route sees to
 * @param early - asked about responses that nobody has a say in
 */
export function makeOnSend(invalidation: Pipeline, early: EarlyRoutes) {
  return function sluiceOnSend(request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done): unknown {
    const next = process(request, reply, payload)
    // Fastify also takes a promise, and then sees to what is thrown behind this hook.
    return isPromise(next) ? next : done(null, next)
  }

  /** The payload to send; `undefined` for the one that was given. */
  function process(request: FastifyRequest, reply: FastifyReply, payload: unknown): MaybePromise<unknown> {
    let passage = passageOf(reply)
    // Somebody has written to the raw response: there is no head left to decide on.
    if (reply.raw.headersSent) return undefined
    passage?.withdraw(reply)
    if (passage?.answer) {
      const { body } = passage.answer
      passage.answer = undefined
      const sent = body && toPayload(body)
      return passage.entries.some((entry) => entry.exchange.answersToo) ? tell(passage, request, reply, sent) : sent
    }
    if (!isSafe(request.method) && !passage?.entries.some((entry) => entry.invalidates)) {
      passage = makePassage(reply)
      followInvalidation(invalidation, passage, request, reply)
    }
    if (!passage) {
      early.check(request)
      return undefined
    }
    const body = unwrapResponse(reply, payload)
    // Fastify has an error of its own for what is no payload.
    return isPayload(body) ? tell(passage, request, reply, body) : undefined
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
    const told = tellExchange(passage, entry, request, reply, payload)
    if (isPromise(told)) return told.then((next) => tell(passage, request, reply, next))
    payload = told
  }
  return payload
}
