import { type Exchange, isPromise, type MaybePromise, type Pipeline } from '@sluice/core'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { tellExchange } from '../reply/obey-plan.ts'
import { isPayload, toPayload, unwrapResponse, withoutContent } from '../reply/payload.ts'
import { FastifyView } from '../request/fastify-view.ts'
import { exchangesFor, exchangesOf, type ReplyExchanges } from '../stages/exchanges.ts'
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
    // Most responses are none of our business, and this hook is there for all of them.
    if (early.done && exchangesOf(reply) === null && isSafe(request.method)) return done(null, undefined)
    const next = process(request, reply, payload)
    // What hooks behind this one read (a session that saves itself) is not the handler's.
    const goOn = (sent: unknown): void => {
      const exchanges = exchangesOf(reply)
      if (exchanges) exchanges.quiet(() => done(null, sent))
      else done(null, sent)
    }
    if (!isPromise(next)) return goOn(next)
    // Fastify sees to what is thrown behind a hook where the promise it was given fails. Of one that does not it hears
    // by `done`.
    return next.then((sent) => new Promise<never>((_, reject) => failingTo(reject, () => goOn(sent))))
  }

  /** The payload to send; `undefined` for the one that was given. */
  function process(request: FastifyRequest, reply: FastifyReply, payload: unknown): MaybePromise<unknown> {
    let exchanges = exchangesOf(reply)
    // Somebody has written to the raw response: there is no head left to decide on.
    if (reply.raw.headersSent) return undefined
    exchanges?.arrived(payload)
    exchanges?.withdraw(reply)
    if (exchanges?.answer) {
      const { body } = exchanges.answer
      exchanges.answer = undefined
      const sent = body && toPayload(body)
      return exchanges.entries.some((entry) => entry.exchange.answersToo) ? tell(exchanges, request, reply, sent) : sent
    }
    if (!isSafe(request.method) && !exchanges?.entries.some((entry) => entry.invalidates)) {
      exchanges = exchangesFor(reply)
      addInvalidation(invalidation, exchanges, request, reply)
    }
    if (!exchanges) {
      early.check(request)
      return undefined
    }
    const body = withoutContent(reply, unwrapResponse(reply, payload))
    // Fastify has an error of its own for what is no payload.
    return isPayload(body) ? tell(exchanges, request, reply, body) : undefined
  }
}

function failingTo(reject: (error: unknown) => void, run: () => void): void {
  try {
    run()
  } catch (error) {
    reject(error)
  }
}

/** Methods that change nothing; of others the pipeline decides. */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

function addInvalidation(
  invalidation: Pipeline,
  exchanges: ReplyExchanges,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const exchange = openInvalidation(invalidation, request)
  if (exchange) exchanges.add(exchange, reply, true)
}

/** The exchange of a pipeline that waits for nothing. */
export function openInvalidation(invalidation: Pipeline, request: FastifyRequest): Exchange | undefined {
  const opening = invalidation.open(new FastifyView(request))
  return !isPromise(opening) && opening.kind === 'proceed' ? opening.exchange : undefined
}

/** Tells the exchanges of the head, from the innermost to the outermost. The payload that is to be sent. */
function tell(
  exchanges: ReplyExchanges,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): MaybePromise<unknown> {
  for (let i = exchanges.entries.length - 1; i >= 0; i--) {
    const entry = exchanges.entries[i]!
    if (entry.told) continue
    entry.told = true
    const told = tellExchange(exchanges, entry, request, reply, payload)
    if (isPromise(told)) return told.then((next) => tell(exchanges, request, reply, next))
    payload = told
  }
  return payload
}
