import { identityProperties, type ReadObserver, watchProperties, watchProperty } from '@sluice/node'
import type { Context } from 'koa'

/** Where authentication and session middleware leave what they found, on the context and on its state. */
const names: Readonly<Record<string, string>> = Object.freeze({ user: '@user', auth: '@user', session: '@session' })

/** Tells the observer of what is read that was made of the request. Header fields are watched on `ctx.req` already. */
export function watchContext(ctx: Context, reads: ReadObserver): void {
  ctx.state = watchState(ctx.state, reads)
  watchProperties(ctx, names, reads)
  // Passport, and whatever comes through koa-connect.
  watchProperties(ctx.req, identityProperties, reads)
  watchProperty(ctx.request, 'ip', '@ip', reads)
  // An object that an earlier stage had made looks into the fields as they were then.
  const accept = ctx.request.accept as unknown as { headers?: object }
  if (accept.headers) accept.headers = ctx.req.headers
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
