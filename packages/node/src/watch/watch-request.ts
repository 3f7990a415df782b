import type { IncomingMessage } from 'node:http'
import type { RequestChange } from '@sluice/core'
import { overlayHeaders } from './fields/overlay.ts'
import { nodeRequest } from './known-objects.ts'
import { watchObject } from './object.ts'
import { RequestWatch } from './request-watch.ts'
import { watchSocket } from './socket.ts'
import type { KnownObject } from './state.ts'

const req = nodeRequest('req')

/**
 * Lets the stages behind see a node request as an exchange wants them to, and tells the exchange what they read of it.
 *
 * @param native - the framework's own request: what everything that is watched of it is found by
 * @param known - how the framework calls it. Default: `req`
 * @returns the watch, where anybody wants to know
 */
export function changeNodeRequest(
  request: IncomingMessage,
  change: RequestChange,
  native: object = request,
  known: KnownObject = req,
): RequestWatch | undefined {
  const watch = change.reads && RequestWatch.of(native)
  if (change.reads) watch!.listen(change.reads)
  if (watch) {
    watch.visibleCookies = change.cookies
    // Before its fields: as long as it is the request that node has made, all requests take the same shape.
    watchObject(watch, request, known)
  }
  overlayHeaders(request, change, watch)
  if (!watch) return undefined
  const letGo = watchSocket(request.socket, watch)
  request.once('close', letGo)
  return watch
}
