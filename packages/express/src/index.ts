/** Sluice for Express 4 and 5. */
import {
  createSurface,
  type Page,
  type RequestChange,
  type ResponseControl,
  type Sluice,
  type SluiceOptions,
} from '@sluice/core'
import {
  canBeWatched,
  carryFields,
  carryMethods,
  changeNodeRequest,
  completed,
  type Front,
  mount,
  type RequestWatch,
  type Warmer,
  watchedValue,
  watchResponse,
  wrapHandler,
} from '@sluice/node'
import type { Request, RequestHandler, Response } from 'express'
import { addressOf, ExpressView } from './express-view.ts'

export * from '@sluice/core'
export {
  type Front,
  type FrontOptions,
  progressLine,
  type WarmCounts,
  type WarmOptions,
  type WarmProgress,
  type WarmSource,
  type WarmTarget,
  warm,
} from '@sluice/node'

declare global {
  namespace Express {
    interface Request {
      /** The page the client asked for. There where a `sluice.paginate()` is mounted in front. */
      page: Page
    }
    interface Response {
      /** What this handler can say of its own response. There where a `sluice.cache()` is mounted in front of it. */
      sluice: ResponseControl
    }
  }
}

/** Sluice on Express: its members answer request handlers. */
export type ExpressSluice = Sluice<RequestHandler> & Warmer & Front

/**
 * @throws SluiceError when an option is wrong
 * @example
 * ```ts
 * import express from 'express'
 * import { createSluice } from '@sluice/express'
 *
 * const app = express()
 * const sluice = createSluice()
 * app.get('/cities', sluice.cache('5m', { tags: ['cities'] }), (req, res) => res.json([{ id: 1, name: 'Oslo' }]))
 * app.listen(3000)
 * ```
 */
export function createSluice(options?: SluiceOptions): ExpressSluice {
  return completed(
    createSurface(
      options,
      (pipeline) => mount<Request, Response>(pipeline, host) as RequestHandler,
      (pipeline, handler) => wrapHandler<Request, Response>(pipeline, host, handler),
      (request: Request) => new ExpressView(request),
    ),
    (app) => ('request' in app ? addressOf(app) : undefined),
  )
}

const host = {
  handlesErrors: true,
  carry(request: Request, response: Response): void {
    const [ofRequests, ofResponses] = [outermost(request), outermost(response)]
    if (!ofRequests || !ofResponses) return
    carryFields(ofRequests)
    carryMethods(ofResponses)
  },
  view: (request: Request) => new ExpressView(request),
  change(request: Request, change: RequestChange, response: Response): void {
    const watch = changeNodeRequest(request, change)
    if (!watch) return
    response.locals = watchedLocals(watch, response.locals)
    watchResponse(watch, response)
  },
}

/** The prototype of the outermost application: Express puts each mounted one's behind that of the one it is mounted in. */
function outermost(object: object): object | undefined {
  let found: object | undefined
  for (let at = Object.getPrototypeOf(object) as object | null; at; at = Object.getPrototypeOf(at) as object | null) {
    if (Object.hasOwn(at, 'app')) found = at
  }
  return found
}

/** Which of the locals are looked into: those in which a user or a session stands. */
const followed: ReadonlySet<string> = new Set(['user', 'auth', 'session'])

function watchedLocals(watch: RequestWatch, locals: Response['locals']): Response['locals'] {
  const at = { root: 'res.locals', path: [] }
  if (!canBeWatched(locals)) {
    watch.hidden(at.root, at.path, locals)
    return locals
  }
  return watchedValue(watch, locals, at, ([first]) => followed.has(first ?? '')) as Response['locals']
}
