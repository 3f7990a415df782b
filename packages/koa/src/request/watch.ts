import {
  canBeWatched,
  changeNodeRequest,
  headersOf,
  type KnownObject,
  nodeRequest,
  nodeResponse,
  type RequestChange,
  type RequestWatch,
  watchedValue,
  watchObject,
  watchResponse,
} from '@sluice/node'
import type { Context } from 'koa'
import { watchedCookies } from './cookies.ts'

const knownReq = nodeRequest('ctx.req')
const knownRes = nodeResponse('ctx.res')

/** What Koa keeps on its objects, and what of the request is in the key. */
const ofKoa: readonly string[] = (
  'app req res ctx request response originalUrl state respond body status message length type lastModified etag ' +
  'headerSent writable query querystring idempotent socket search method path url accept header headers charset ' +
  'rawBody _accept _querycache memoizedURL sluice page compress mountPath matched _matchedRoute _matchedRouteName ' +
  'router routerPath newRouterPath routerName params captures sessionOptions'
).split(' ')

const derived = new Set(['host', 'hostname', 'URL', 'href', 'origin', 'protocol', 'secure', 'subdomains'])
const address = new Set(['ip', 'ips'])
const delivery = new Set(['fresh', 'stale'])

const knownContext: KnownObject = {
  root: 'ctx',
  own: new Set(ofKoa),
  derived,
  address,
  delivery,
  stands: { cookies: watchedCookies },
}

const knownRequest: KnownObject = {
  root: 'ctx.request',
  own: new Set(ofKoa),
  derived,
  address,
  delivery,
  stands: {},
}

const ofResponse: readonly string[] =
  '_body _explicitStatus _explicitNullBody _explicitContentLength attachment redirect back vary has get set append'.split(
    ' ',
  )

const knownResponse: KnownObject = {
  ...knownRequest,
  root: 'ctx.response',
  own: new Set([...ofKoa, ...ofResponse]),
  answers: true,
}

/** Which parts of the state are looked into: those in which a user or a session stands. */
const followed: ReadonlySet<string> = new Set(['user', 'auth', 'session'])

/**
 * Lets the middleware behind see the request as the exchange wants them to. The answer gives the middleware in front
 * their request back: they have conditions to check and lines to log.
 */
export function changeRequest(ctx: Context, change: RequestChange): () => void {
  const headers = headersOf(ctx.req) as Context['req']['headers']
  // Koa remembers it: made now, whoever reads it has read the address, and not also the field it came from.
  void ctx.ip
  const watch = changeNodeRequest(ctx.req, change, ctx, knownReq)
  const renew = (): void => lookInto(ctx, headersOf(ctx.req))
  if (watch) watch.trusting(renew)
  else renew()
  if (watch) watchContext(ctx, watch)
  return () => {
    ctx.req.headers = headers
    lookInto(ctx, headers)
  }
}

/** Content negotiation keeps the fields it was made with. */
function lookInto(ctx: Context, headers: object): void {
  const accept = ctx.request.accept as unknown as { headers?: object } | undefined
  if (accept?.headers) accept.headers = headers
}

/** Tells the observer of what is read that was made of the request. Header fields are watched on `ctx.req` already. */
function watchContext(ctx: Context, watch: RequestWatch): void {
  const at = { root: 'ctx.state', path: [] }
  if (canBeWatched(ctx.state)) ctx.state = watchedValue(watch, ctx.state, at, ([first]) => followed.has(first ?? ''))
  else watch.hidden(at.root, at.path, ctx.state)
  watchObject(watch, ctx.request, knownRequest)
  watchObject(watch, ctx, knownContext)
  watchObject(watch, ctx.response, knownResponse)
  watchResponse(watch, ctx.res, knownRes)
}
