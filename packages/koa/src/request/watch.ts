import {
  identityProperties,
  overlayHeaders,
  type ReadObserver,
  type RequestChange,
  watchProperties,
  watchProperty,
} from '@sluice/node'
import type { Context } from 'koa'

/** Where authentication and session middleware leave what they found, on the context and on its state. */
const names: Readonly<Record<string, string>> = Object.freeze({ user: '@user', auth: '@user', session: '@session' })

/**
 * Lets the middleware behind see the request as the exchange wants them to. The answer gives the middleware in front
 * their request back: they have conditions to check and lines to log.
 */
export function changeRequest(ctx: Context, change: RequestChange): () => void {
  const { headers } = ctx.req
  // Koa remembers it: made now, whoever reads it has read the address, and not also the field it came from.
  void ctx.ip
  overlayHeaders(ctx.req, change)
  lookInto(ctx, ctx.req.headers)
  if (change.reads) watchContext(ctx, change.reads)
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
function watchContext(ctx: Context, reads: ReadObserver): void {
  ctx.state = watchState(ctx.state, reads)
  watchProperties(ctx, names, reads)
  // Passport, and whatever comes through koa-connect.
  watchProperties(ctx.req, identityProperties, reads)
  watchProperty(ctx.request, 'ip', '@ip', reads)
}

/** A proxy, and no accessors: templates are given the state, and must find in it what there is and nothing else. */
function watchState(state: object, reads: ReadObserver): object {
  const note = (name: string | symbol): void => {
    if (typeof name === 'string' && Object.hasOwn(names, name)) reads.read(names[name]!)
  }
  return new Proxy(state, {
    get(target, name) {
      note(name)
      return Reflect.get(target, name)
    },
    has(target, name) {
      note(name)
      return Reflect.has(target, name)
    },
    getOwnPropertyDescriptor(target, name) {
      note(name)
      return Reflect.getOwnPropertyDescriptor(target, name)
    },
  })
}
