import { type AnyFunction, isPromise, type Opening, type Pipeline } from '@sluice/node'
import type { Context, Middleware, Next } from 'koa'
import { putReply } from './reply/reply.ts'
import { runExchange } from './reply/run-exchange.ts'
import { KoaView } from './request/koa-view.ts'

/** Turns a pipeline into Koa middleware. */
export function mountKoa(pipeline: Pipeline): Middleware {
  const obey = (opening: Opening, ctx: Context, next: Next): Promise<void> | undefined => {
    // A cache around this one does not know what its answers are tagged with.
    if (pipeline.name === 'cache') ctx.sluice?.skip('nested')
    // While it waited, somebody has answered past Koa (a timeout).
    if (ctx.headerSent) {
      if (opening.kind === 'proceed') opening.exchange?.onClose('aborted')
      return undefined
    }
    if (opening.kind === 'reply') {
      putReply(ctx, opening.reply)
      return undefined
    }
    if (opening.kind === 'error') {
      // Whatever the application makes of it, a cache around this does not keep it.
      ctx.sluice?.skip('no-store')
      for (const [name, value] of Object.entries(opening.error.headers)) ctx.res.setHeader(name, value)
      throw opening.error
    }
    const { fields } = opening
    // Koa's own `set` looks whether the head was sent, for each.
    if (fields) for (let i = 0; i < fields.length; i += 2) ctx.res.setHeader(fields[i]!, fields[i + 1]!)
    return opening.exchange ? runExchange(ctx, opening.exchange, next) : next()
  }
  // Not an async function: a hit makes no promise.
  const middleware = (ctx: Context, next: Next): Promise<void> | undefined => {
    if (ctx.headerSent || ctx.respond === false) return next()
    const opening = pipeline.open(new KoaView(ctx))
    if (!isPromise(opening)) return obey(opening, ctx, next)
    return Promise.resolve(opening).then((opened) => obey(opened, ctx, next))
  }
  const title = `sluice${pipeline.name[0]!.toUpperCase()}${pipeline.name.slice(1)}`
  return Object.defineProperty(middleware, 'name', { value: title }) as Middleware
}

/** Puts a pipeline in front of one handler, or of one middleware that calls `next` itself. */
export function wrapKoa(pipeline: Pipeline, handler: AnyFunction): AnyFunction {
  const middleware = mountKoa(pipeline) as AnyFunction
  return function (this: unknown, ...args: [Context]): unknown {
    return middleware(args[0], () => handler.apply(this, args))
  }
}
