import { isPromise } from '@sluice/core'
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { passStages, type Stage } from './passage.ts'
import type { RoutePlan } from './route-plan.ts'

type Handler = (this: unknown, request: FastifyRequest, reply: FastifyReply) => unknown

/**
 * Puts a route's stages in their place: between the last preHandler hook and the handler. A hook of our own could not be
 * there, for others may be added behind it until the application is ready; so it is the handler that is wrapped, and
 * whatever authentication runs in hooks has run.
 */
export function wrapHandler(handler: Handler, stages: readonly Stage[]): Handler {
  function sluiceHandler(this: unknown, request: FastifyRequest, reply: FastifyReply): unknown {
    const go = passStages(stages, request, reply)
    if (!isPromise(go)) return go ? handler.call(this, request, reply) : undefined
    return go.then((on) => {
      const result = on ? handler.call(this, request, reply) : undefined
      // A handler that answers `undefined` sends by itself, at its time, so there is the reply to wait for: a promise of
      // `undefined` would have Fastify send that.
      return result === undefined ? reply : result
    })
  }
  return Object.defineProperty(sluiceHandler, 'name', { value: handler.name || 'sluiceHandler' })
}

/** The look-up of a route with `phase: 'onRequest'`. */
export function makeOnRequest(stages: readonly Stage[]) {
  return function sluiceOnRequest(
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: Error | null) => void,
  ): void {
    const go = passStages(stages, request, reply)
    if (isPromise(go)) {
      go.then(
        (on) => {
          if (on) done()
        },
        (error) => done(error),
      )
    } else if (go) done()
  }
}

/** HEAD routes that Fastify makes count the length of no payload as 0; a 304 has none to count (RFC 9110 §8.6). */
export function sluiceHeadLength(
  _request: FastifyRequest,
  reply: FastifyReply,
  _payload: unknown,
  done: (error?: Error | null) => void,
): void {
  if (reply.statusCode === 304 || reply.statusCode === 204) reply.removeHeader('content-length')
  done()
}

/** Adds to a route's hooks, without a change to an array that other routes may share. */
export function addHook<Hook>(there: Hook | Hook[] | undefined, hook: Hook): Hook[] {
  return [...(there === undefined ? [] : Array.isArray(there) ? there : [there]), hook]
}

export function applyPlan(options: RouteOptions, plan: RoutePlan): void {
  if (plan.early.length) options.onRequest = addHook(options.onRequest, makeOnRequest(plan.early)) as never
  if (plan.stages.length) options.handler = wrapHandler(options.handler as Handler, plan.stages) as never
  const methods = [options.method].flat()
  if (methods.includes('HEAD')) options.onSend = addHook(options.onSend, sluiceHeadLength as never)
}
