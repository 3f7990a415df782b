import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type AnyFunction,
  chain,
  type Exchange,
  isPromise,
  joinControls,
  notesFor,
  notesOn,
  type Opening,
  type Pipeline,
  type RequestChange,
  type RequestView,
  type ResponseControl,
  runBehind,
} from '@sluice/core'
import { isCarried } from './carrier.ts'
import { decodeBody } from './decode-body.ts'
import { intercept } from './response/intercept.ts'
import { place } from './response/methods.ts'
import { sendReply } from './response/send-reply.ts'

/** Middleware as Connect, Express and everything in their wake have it. */
export type Middleware<
  Request extends IncomingMessage = IncomingMessage,
  Response extends ServerResponse = ServerResponse,
> = (request: Request, response: Response, next: (error?: unknown) => void) => void

/** What a framework adds to the mounting: its view of a request, and how it is changed and watched. */
export interface MountHost<Request extends IncomingMessage, Response extends ServerResponse> {
  view(request: Request, response: Response): RequestView
  /** Lets the stages behind see the request as an exchange wants them to, and tells it what they read of it. */
  change(request: Request, change: RequestChange, response: Response): void
  /** Has the prototypes of the application carry what is put on a response and changed of a request. */
  carry?(request: Request, response: Response): void
  /**
   * `next(error)` leads to the application's own error handling. Where it does not, a refusal that asks for that is answered
   * as any other: `next`, whatever it is given, may be the handler.
   */
  readonly handlesErrors?: boolean | undefined
}

/** Turns a pipeline into middleware that writes to a `ServerResponse`. */
export function mount<Request extends IncomingMessage, Response extends ServerResponse>(
  pipeline: Pipeline,
  host: MountHost<Request, Response>,
): Middleware<Request, Response> {
  const middleware: Middleware<Request, Response> = (request, response, next) => {
    if (response.headersSent) return next()
    const obey = (opening: Opening): void => {
      const go = goesOn(pipeline, opening, request, response, host)
      if (go === true) runBehind(opening, next)
      else if (go) next(go)
    }
    const opening = pipeline.open(host.view(request, response))
    if (isPromise(opening)) opening.then(obey).then(undefined, next)
    else obey(opening)
  }
  const title = `sluice${pipeline.name[0]!.toUpperCase()}${pipeline.name.slice(1)}`
  return Object.defineProperty(middleware, 'name', { value: title })
}

/**
 * Puts a pipeline in front of one handler. What the handler throws, now or later, goes to `next`, on Express 4 too; with
 * no `next` (plain node:http) it is the caller's.
 */
export function wrapHandler<Request extends IncomingMessage, Response extends ServerResponse>(
  pipeline: Pipeline,
  host: MountHost<Request, Response>,
  handler: AnyFunction,
): AnyFunction {
  return function (this: unknown, ...args: [Request, Response, ((error?: unknown) => void)?]): unknown {
    const [request, response, next] = args
    const run = (): unknown => handler.apply(this, args)
    return failingTo(next, () => {
      if (response.headersSent) return run()
      const obey = (opening: Opening): unknown => {
        const go = goesOn(pipeline, opening, request, response, host)
        if (go === true) return runBehind(opening, run)
        if (go) throw go
        return undefined
      }
      return chain(pipeline.open(host.view(request, response)), obey)
    })
  }
}

function failingTo(next: ((error?: unknown) => void) | undefined, run: () => unknown): unknown {
  if (typeof next !== 'function') return run()
  try {
    const result = run()
    return isPromise(result) ? result.then(undefined, next) : result
  } catch (error) {
    return next(error)
  }
}

/**
 * Does what the pipeline says. `false`: that was the answer, and what comes after does not run; an error: the application
 * answers it.
 */
function goesOn<Request extends IncomingMessage, Response extends ServerResponse>(
  pipeline: Pipeline,
  opening: Opening,
  request: Request,
  response: Response,
  host: MountHost<Request, Response>,
): boolean | Error {
  // While it waited, somebody has answered (a timeout).
  if (response.headersSent) {
    if (opening.kind === 'proceed') opening.exchange?.onClose('aborted')
    return false
  }
  // A cache around this one does not know what its answers are tagged with.
  if (pipeline.name === 'cache' && notesOn(request)?.[controlled]) controlOf(response)?.skip('nested')
  if (opening.kind === 'reply') {
    sendReply(response, opening.reply, request.method ?? 'GET')
    return false
  }
  if (opening.kind === 'error') {
    if (!host.handlesErrors) {
      sendReply(response, opening.reply, request.method ?? 'GET')
      return false
    }
    // Whatever the application makes of it, a cache around this does not keep it.
    if (notesOn(request)?.[controlled]) controlOf(response)?.skip('no-store')
    for (const [name, value] of Object.entries(opening.error.headers)) response.setHeader(name, value)
    return opening.error
  }
  const { fields } = opening
  if (fields) for (let i = 0; i < fields.length; i += 2) response.setHeader(fields[i]!, fields[i + 1]!)
  if (opening.exchange) attach(opening.exchange, request, response, host)
  return true
}

type Controlled = { sluice?: ResponseControl }

const controlOf = (response: object): ResponseControl | undefined => (response as Controlled).sluice

/** The response of this request has a control. */
const controlled = Symbol.for('sluice.controlled')

/** Lets the exchange see the request's handler and its response. */
function attach<Request extends IncomingMessage, Response extends ServerResponse>(
  exchange: Exchange,
  request: Request,
  response: Response,
  host: MountHost<Request, Response>,
): void {
  const { request: change, control } = exchange
  if (host.carry && !isCarried(response)) host.carry(request, response)
  if (control) {
    place(response, 'sluice', joinControls(controlOf(response), control))
    notesFor(request)[controlled] = true
  }
  // Before the request and its response are watched: with that they get prototypes of their own, and what is added to an object
  // afterwards gives each of them a shape of its own.
  intercept(response, request.method ?? 'GET', exchange)
  if (!change) return
  host.change(request, change, response)
  if (change.decode) decodeBody(request, response, change.decode)
}
