import { type AnyFunction, isPromise, type Pipeline } from '@sluice/core'
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { askStages, exchangesOf, type Stage } from '../stages/exchanges.ts'
import type { RoutePlan } from '../stages/route-plan.ts'
import { isSafe } from './on-send.ts'
import { makeHook } from './stage-hook.ts'

type Handler = (this: unknown, request: FastifyRequest, reply: FastifyReply) => unknown

/**
 * Puts a route's stages in their place: between the last preHandler hook and the handler. A hook of our own could not be
 * there, for others may be added behind it until the application is ready; so it is the handler that is wrapped, and
 * whatever authentication runs in hooks has run.
 */
export function wrapHandler(handler: Handler, stages: readonly Stage[]): Handler {
  function sluiceHandler(this: unknown, request: FastifyRequest, reply: FastifyReply): unknown {
    const go = askStages(stages, request, reply)
    if (!isPromise(go)) return go ? runBehind(handler, this, request, reply) : undefined
    return go.then((on) => {
      const result = on ? runBehind(handler, this, request, reply) : undefined
      // A handler that answers `undefined` sends by itself, at its time, so there is the reply to wait for: a promise of
      // `undefined` would have Fastify send that.
      return result === undefined ? reply : result
    })
  }
  Object.defineProperty(sluiceHandler, 'name', { value: handler.name || 'sluiceHandler' })
  return mark(sluiceHandler, handler)
}

/** Runs a handler as the stages that were asked want it to run. */
function runBehind(handler: AnyFunction, self: unknown, ...args: [FastifyRequest, FastifyReply]): unknown {
  const within = exchangesOf(args[1])?.within
  return within ? within(() => handler.apply(self, args)) : handler.apply(self, args)
}

/**
 * Puts a pipeline in front of one handler, whatever route it will be of. The hooks of the plugin see to the rest, for
 * they look at the reply for exchanges and not at the route.
 */
export function wrapPipeline(pipeline: Pipeline, handler: AnyFunction): AnyFunction {
  const stages: readonly Stage[] = [{ pipeline, invalidates: pipeline.name !== 'limit' }]
  // Unlike a route's own this one is not marked as ours: the application put it there, and there it stays.
  return function (this: unknown, ...args: [FastifyRequest, FastifyReply]): unknown {
    const [request, reply] = args
    const run = (): unknown => runBehind(handler, this, ...args)
    const go = askStages(stages, request, reply)
    // The reply is a promise of its end: whoever awaits the handler, an outer wrapper say, is not given `undefined` to send.
    if (!isPromise(go)) return go ? run() : reply
    return go.then((on) => (on ? (run() ?? reply) : reply))
  }
}

/**
 * On functions that we put into a route, with the one they stand for. A route made of another's options (an alias, say)
 * brings them along, and a request that asks one store twice would wait for itself.
 */
const made: unique symbol = Symbol('sluice.made')

function mark<F extends object>(fn: F, original: unknown): F {
  return Object.defineProperty(fn, made, { value: original })
}

function isOurs(fn: unknown): boolean {
  return Object.hasOwn(fn as object, made)
}

function unwrap(handler: Handler): Handler {
  return isOurs(handler) ? (handler as Handler & { [made]: Handler })[made] : handler
}

/** HEAD routes that Fastify makes count the length of no payload as 0; a 304 has none to count (RFC 9110 §8.6). */
function makeHeadLength() {
  return function sluiceHeadLength(_: FastifyRequest, reply: FastifyReply, __: unknown, done: () => void): void {
    if (reply.statusCode === 304 || reply.statusCode === 204) reply.removeHeader('content-length')
    done()
  }
}

/** Puts what a route asked for into its options. */
export function applyPlan(options: RouteOptions, plan: RoutePlan, onResponse: () => object): void {
  options.handler = unwrap(options.handler as Handler) as never
  const { guards, early } = plan
  setHook(
    options,
    'onRequest',
    early.length ? makeHook('sluiceOnRequest', () => early) : undefined,
    guards.length ? makeHook('sluiceGuard', () => guards) : undefined,
  )
  if (plan.stages.length) options.handler = wrapHandler(options.handler as Handler, plan.stages) as never
  const methods = [options.method].flat()
  setHook(options, 'onSend', methods.includes('HEAD') ? makeHeadLength() : undefined)
  setHook(options, 'onResponse', methods.every(isSafe) ? undefined : onResponse())
}

/** Ours around the route's own hooks, without a change to an array that other routes may share. */
function setHook(
  options: RouteOptions,
  name: 'onRequest' | 'onSend' | 'onResponse',
  behind: object | undefined,
  before?: object,
): void {
  const there = options[name] as object | object[] | undefined
  const hooks = [there ?? []].flat().filter((other) => !isOurs(other))
  if (before) hooks.unshift(mark(before, undefined))
  if (behind) hooks.push(mark(behind, undefined))
  if (there !== undefined || hooks.length) options[name] = hooks as never
}
