import { Fields, type Pipeline } from '@sluice/core'
import { fieldsSetOn } from '@sluice/node'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { exchangesOf } from '../stages/exchanges.ts'
import { isSafe, openInvalidation } from './on-send.ts'

/**
 * For unsafe requests whose handler wrote to the raw response: no `onSend` hook ran, so what they changed is invalidated
 * now. Later than it should be, for the client has its answer; the handler left no earlier moment.
 */
export function makeOnResponse(invalidation: Pipeline) {
  return function sluiceOnResponse(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    if (!isSafe(request.method)) invalidateLate(request, reply)
    done()
  }

  function invalidateLate(request: FastifyRequest, reply: FastifyReply): void {
    const exchanges = exchangesOf(reply)
    const entry = exchanges?.entries.find((e) => e.invalidates)
    if (entry?.told || exchanges?.touched) return
    if (entry) entry.told = true
    const exchange = entry?.exchange ?? openInvalidation(invalidation, request)
    const fields = Fields.from(fieldsSetOn(reply.raw))
    exchange?.onHead({ status: reply.statusCode, fields, before: Fields.from(), body: 'whole', length: 0 })
  }
}
