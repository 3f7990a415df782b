import { Fields, keepPrivateBesideCookies, type Reply, removeFields, setFields } from '@sluice/node'
import type { Context } from 'koa'
import { emptyStatuses, fillerType } from './body.ts'

/**
 * Makes a reply the context's own, for Koa to send when the middleware in front are done: they may still read and change
 * it. What is on the response counts as set by earlier middleware.
 */
export function putReply(ctx: Context, reply: Reply): void {
  // Not through the context, which hands each of these on to the response: every hit comes here.
  const { res, response } = ctx
  const { status, fields, body, reason, without } = reply
  // The same status again would replace a reason phrase of the handler's.
  if (res.statusCode !== status || !isAnswered(ctx)) response.status = status
  if (reason !== undefined && ctx.req.httpVersionMajor < 2) res.statusMessage = reason
  if (without) removeFields(res, without)
  if (isFiller(ctx, reply)) {
    setFields(res, withoutContent(fields))
    return
  }
  if (body === undefined || emptyStatuses.has(status)) {
    setFields(res, fields)
    response.body = emptyStatuses.has(status) ? null : Buffer.alloc(0)
    return
  }
  // Koa counts the body itself.
  setFields(res, fields, 'Content-Length')
  // Sessions set their cookie when everything behind them is done.
  if (res.getHeader('set-cookie') !== undefined || 'session' in ctx) keepPrivateBesideCookies(res)
  const typed = res.hasHeader('Content-Type')
  response.body = asBuffer(body)
  // Koa names every Buffer's type; an answer without one stays without.
  if (!typed) res.removeHeader('Content-Type')
}

/** Somebody has set a status or a body: what Koa keeps track of to tell its own 404 from a handler's. */
export function isAnswered(ctx: Context): boolean {
  return (ctx.response as { _explicitStatus?: boolean })._explicitStatus === true
}

/**
 * An error without a body, for which Koa wrote the status. It is left to Koa again: middleware in front that puts a page
 * in place of a bare 404 looks whether there is a body, and must find the same on a hit as on a miss.
 */
function isFiller(ctx: Context, reply: Reply): boolean {
  const { status, body } = reply
  if (status < 400 || body === undefined || body.byteLength > 40 || (ctx.body ?? undefined) !== undefined) return false
  if (Fields.fromFlat(reply.fields).get('content-type') !== fillerType) return false
  const text = asBuffer(body).toString()
  return text === ctx.message || text === String(status)
}

/** Without what describes the content: Koa, or whoever makes the page, says it of theirs. */
function withoutContent(fields: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (!contentFields.has(fields[i]!.toLowerCase())) kept.push(fields[i]!, fields[i + 1]!)
  }
  return kept
}

const contentFields: ReadonlySet<string> = new Set(['content-type', 'content-length', 'etag'])

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
