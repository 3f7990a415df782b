import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type Exchange,
  isPromise,
  type Opening,
  type Pipeline,
  type ReadObserver,
  type RequestView,
  type ResponseControl,
} from '@sluice/core'
import { intercept } from './intercept.ts'
import { overlayHeaders } from './overlay-request.ts'
import { sendReply } from './send-reply.ts'

/** Middleware as Connect, Express and everything in their wake have it. */
export type Middleware<
  Request extends IncomingMessage = IncomingMessage,
  Response extends ServerResponse = ServerResponse,
> = (request: Request, response: Response, next: (error?: unknown) => void) => void

/** What a framework adds to the mounting: its view of a request, and where its parsed things are to be watched. */
export interface MountHost<Request extends IncomingMessage, Response extends ServerResponse> {
  view(request: Request, response: Response): RequestView
  /** Watches the properties that hold what was made of the request: reading them is reading it. */
  watch(request: Request, response: Response, reads: ReadObserver): void
}

/** Turns a pipeline into middleware that writes to a `ServerResponse`. */
export function mount<Request extends IncomingMessage, Response extends ServerResponse>(
  pipeline: Pipeline,
  host: MountHost<Request, Response>,
): Middleware<Request, Response> {
  const obey = (opening: Opening, request: Request, response: Response, next: (error?: unknown) => void): void => {
    if (opening.kind === 'reply') {
      sendReply(response, opening.reply, request.method ?? 'GET')
      return
    }
    if (opening.fields) for (const [name, value] of opening.fields) response.setHeader(name, value)
    if (opening.exchange) follow(opening.exchange, request, response, host)
    next()
  }
  const middleware: Middleware<Request, Response> = (request, response, next) => {
    if (response.headersSent) return next()
    const opening = pipeline.open(host.view(request, response))
    if (isPromise(opening)) opening.then((o) => obey(o, request, response, next)).then(undefined, next)
    else obey(opening, request, response, next)
  }
  const title = `sluice${pipeline.name[0]!.toUpperCase()}${pipeline.name.slice(1)}`
  return Object.defineProperty(middleware, 'name', { value: title })
}

/** Lets the exchange see the request's handler and its response. */
function follow<Request extends IncomingMessage, Response extends ServerResponse>(
  exchange: Exchange,
  request: Request,
  response: Response,
  host: MountHost<Request, Response>,
): void {
  const { request: change, control } = exchange
  if (control) (response as { sluice?: ResponseControl }).sluice = control
  if (change) {
    overlayHeaders(request, change)
    if (change.reads) host.watch(request, response, change.reads)
  }
  intercept(response, request.method ?? 'GET', exchange)
}
