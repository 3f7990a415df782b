import { type Reply, setFields } from '@sluice/node'
import type { Context } from 'koa'
import { emptyStatuses } from './body.ts'

/**
 * Makes a reply the context's own, for Koa to send when the middleware in front are done: they may still read and change
 * it. What is on the response counts as set by earlier middleware.
 */
export function putReply(ctx: Context, reply: Reply): void {
  // The same status again would replace a reason phrase of the handler's.
  if (ctx.status !== reply.status || !isExplicit(ctx)) ctx.status = reply.status
  if (reply.body === undefined || emptyStatuses.has(reply.status)) {
    setFields(ctx.res, reply.fields)
    ctx.body = emptyStatuses.has(reply.status) ? null : Buffer.alloc(0)
    return
  }
  setFields(ctx.res, reply.fields)
  const typed = ctx.res.hasHeader('Content-Type')
  ctx.body = asBuffer(reply.body)
  // Koa names every Buffer's type; an answer without one stays without.
  if (!typed) ctx.remove('Content-Type')
}

function isExplicit(ctx: Context): boolean {
  return (ctx.response as { _explicitStatus?: boolean })._explicitStatus === true
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
