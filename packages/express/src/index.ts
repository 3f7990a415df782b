/** Sluice for Express 4 and 5. */
import {
  createSurface,
  type Page,
  type ReadObserver,
  type ResponseControl,
  type Sluice,
  type SluiceOptions,
} from '@sluice/core'
import { identityProperties, mount, type Warmer, warm, watchProperties, watchProperty, wrapHandler } from '@sluice/node'
import type { Request, RequestHandler, Response } from 'express'
import { ExpressView } from './express-view.ts'

export * from '@sluice/core'
export {
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
export type ExpressSluice = Sluice<RequestHandler> & Warmer

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
  return {
    ...createSurface(
      options,
      (pipeline) => mount<Request, Response>(pipeline, host) as RequestHandler,
      (pipeline, handler) => wrapHandler<Request, Response>(pipeline, host, handler),
    ),
    warm,
  }
}

const localsOfIdentity = Object.freeze({ user: '@user', session: '@session' })

const host = {
  view: (request: Request) => new ExpressView(request),
  watch(request: Request, response: Response, reads: ReadObserver): void {
    watchProperties(request, { ...identityProperties, ip: '@ip', ips: '@ip' }, reads)
    // Templates look at which names are there, so only those that are.
    for (const [name, told] of Object.entries(localsOfIdentity)) {
      if (name in response.locals) watchProperty(response.locals, name, told, reads)
    }
  },
}
