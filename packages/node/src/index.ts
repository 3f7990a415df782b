/** Sluice for plain node:http, and the bridge the Express adapter is built on. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createSurface, frontAccess, type RequestChange, type Sluice, type SluiceOptions } from '@sluice/core'
import { type FrontOptions, frontListener } from './front/front.ts'
import { type Middleware, mount, wrapHandler } from './mount.ts'
import { NodeRequestView } from './node-request-view.ts'
import { type Warmer, warm } from './warm/warm.ts'
import { changeNodeRequest } from './watch/watch-request.ts'
import { watchResponse } from './watch/watch-response.ts'

export * from '@sluice/core'
export { decodeBody } from './decode-body.ts'
export { type FrontOptions, frontListener } from './front/front.ts'
export { type Middleware, type MountHost, mount, wrapHandler } from './mount.ts'
export { type NodeRequest, NodeRequestView, responseRoot } from './node-request-view.ts'
export { refreshWith, ticketOf } from './refresh/refresh.ts'
export { type CopyListener, copyBeside, firstPiece, nodeStream } from './response/body-copy.ts'
export { type Ending, endingOf } from './response/ending.ts'
export { type Begun, begin, intercept, writeQuietly } from './response/intercept.ts'
export { isLive } from './response/live.ts'
export { carryMethods } from './response/methods.ts'
export {
  applyTouched,
  keepPrivateBesideCookies,
  privately,
  removeFields,
  restoreFields,
  sendReply,
  setFields,
} from './response/send-reply.ts'
export { reasonOf, setStatus, watchWritten } from './response/written-fields.ts'
export { type CommandOutput, runCommand as warmCommand } from './warm/command.ts'
export type { WarmCounts, WarmOptions, WarmProgress } from './warm/options.ts'
export { type LineOutput, progressLine } from './warm/progress-line.ts'
export type { WarmSource } from './warm/source.ts'
export type { FastifyLike, KoaLike, WarmTarget } from './warm/target.ts'
export { type Warmer, warm } from './warm/warm.ts'
export { carryFields, headersOf, overlayHeaders } from './watch/fields/overlay.ts'
export { nodeRequest, nodeResponse, requestStands } from './watch/known-objects.ts'
export { watchObject } from './watch/object.ts'
export { RequestWatch } from './watch/request-watch.ts'
export { type FieldsOwner, fieldsSetOn, fieldText, watchSetFields } from './watch/set-fields.ts'
export type { KnownObject } from './watch/state.ts'
export { canBeWatched, isPlain, watchedValue } from './watch/values.ts'
export { changeNodeRequest } from './watch/watch-request.ts'
export { watchResponse } from './watch/watch-response.ts'

/** Sluice on plain node:http: its members answer `(request, response, next)` functions. */
export type NodeSluice = Sluice<Middleware> & Warmer & Front

/** What answers in front of an application. */
export interface Front {
  /**
   * **What stands in front of a route with `front: true` does not run for a hit.** Answers requests to such routes from the memory
   * of this process before the application has seen them; all others are the application's.
   *
   * @param app - the application: Express's itself, Koa's, any request listener of node's
   * @throws SluiceError when an option is wrong
   * @example
   * ```ts
   * app.get('/cities', sluice.cache('5m', { front: true }), listCities)
   * createServer(sluice.front(app)).listen(3000)
   * ```
   */
  front(app: RequestListener | Callable, options?: FrontOptions): RequestListener
}

/** A Koa application: only it knows whose word it takes for a client's address, which `front({ limit })` must. */
export interface Callable {
  callback(): RequestListener
}

/**
 * @throws SluiceError when an option is wrong
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { createSluice } from '@sluice/node'
 *
 * const sluice = createSluice()
 * const cached = sluice.cache('1m')
 * createServer((req, res) => cached(req, res, () => res.end('hello'))).listen(3000)
 * ```
 */
export function createSluice(options?: SluiceOptions): NodeSluice {
  return completed(
    createSurface(
      options,
      (pipeline) => mount(pipeline, nodeHost),
      (pipeline, handler) => wrapHandler(pipeline, nodeHost, handler),
      (request: IncomingMessage) => new NodeRequestView(request),
    ),
  )
}

/** A surface with what is node's: for frameworks that are given to a server as a listener. */
export function completed<S extends object>(surface: S, addressing?: Addressing): S & Warmer & Front {
  const access = frontAccess(surface)
  return {
    ...surface,
    warm,
    front(app, options) {
      const handler = typeof app === 'function' ? app : app.callback()
      return frontListener({ access, handler, addressOf: addressing?.(app, options) }, options)
    },
  }
}

/** How an application tells the client's address of a raw request. @throws SluiceError where a limit needs that and it cannot be told */
export type Addressing = (app: object, options?: FrontOptions) => ((request: object) => string | undefined) | undefined

const nodeHost = {
  view: (request: IncomingMessage, response: ServerResponse) => new NodeRequestView(request, response),
  change(request: IncomingMessage, change: RequestChange, response: ServerResponse): void {
    const watch = changeNodeRequest(request, change)
    if (watch) watchResponse(watch, response)
  },
}
