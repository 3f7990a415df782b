import type { IncomingMessage } from 'node:http'
import { bodyOf } from '../door/answer.ts'
import { below } from '../door/request.ts'
import type { Host } from './host.ts'

/** What of Koa's context the door touches: a shape, so that nobody needs Koa's types who does not use it. */
export interface KoaContext {
  readonly req: IncomingMessage
  readonly ip: string
  readonly url: string
  readonly originalUrl: string
  readonly request: object
  status: number
  body: unknown
  set(name: string, value: string): void
}

/** For Koa: `app.use(door.koa)`. */
export type KoaDoor = (ctx: KoaContext, next: () => Promise<unknown>) => Promise<void>

/** @param only - the method that is taken, at its whole URL; all others go on */
export function koaDoor({ path, answer }: Host, only?: string): KoaDoor {
  return async (ctx, next) => {
    const url = only ? ctx.originalUrl : ctx.url
    const target = only === undefined || ctx.req.method === only ? below(path, url) : undefined
    if (target === undefined) {
      await next()
      return
    }
    const { body: parsed } = ctx.request as { body?: unknown }
    const reply = await answer({ raw: ctx.req, native: ctx, target, ip: ctx.ip, parsed })
    const { status, fields } = reply
    ctx.status = status
    ctx.body = bodyOf(reply)
    // Behind the body, which has a type of its own in Koa's mind.
    for (let i = 0; i < fields.length; i += 2) ctx.set(fields[i]!, fields[i + 1]!)
  }
}
