import {
  applyTouched,
  decodeBody,
  type Exchange,
  Fields,
  intercept,
  joinControls,
  type Reply,
  type ResponseHead,
  restoreFields,
} from '@sluice/node'
import type { Context, Next } from 'koa'
import { changeRequest } from '../request/watch.ts'
import { bodyOf, discard, type KoaBody } from './body.ts'
import { closedOnce, type Followed } from './followed.ts'
import { isAnswered, putReply } from './reply.ts'
import { putBytes, sendOn } from './send-on.ts'

/** Runs the middleware behind on behalf of an exchange, and lets it have its say in what they leave on the context. */
export async function follow(ctx: Context, given: Exchange, next: Next): Promise<void> {
  const exchange = closedOnce(given)
  const before = Fields.from(ctx.res.getHeaders())
  if (given.control) ctx.sluice = joinControls(ctx.sluice, given.control)
  const changeBack = given.request ? changeRequest(ctx, given.request) : () => {}
  if (given.request?.decode) decodeBody(ctx.req, ctx.res, given.request.decode)
  // For what is written to `ctx.res` past Koa.
  const release = intercept(ctx.res, ctx.method, exchange)
  try {
    await next()
    if (isWrittenElsewhere(ctx)) return
    release()
    if ((await settle(ctx, exchange, before)) === 'done') changeBack()
  } catch (error) {
    changeBack()
    const elsewhere = isWrittenElsewhere(ctx)
    if (!elsewhere) release()
    const reply = elsewhere ? undefined : await exchange.onError?.(error)
    if (!reply) {
      exchange.onClose('failed')
      throw error
    }
    replace(ctx, before, reply)
  }
}

/** Somebody writes to the response, or has said that he will. */
function isWrittenElsewhere(ctx: Context): boolean {
  return ctx.respond === false || ctx.headerSent || ctx.res.writableEnded
}

/** `running`: the handler's stream is still being read, and what it reads of the request is the exchange's affair. */
async function settle(ctx: Context, exchange: Followed, before: Fields): Promise<'done' | 'running'> {
  const body = bodyOf(ctx)
  // Nobody answered: what is in front of us may still do so (a page for 404), and is asked each time.
  if (body.kind === 'whole' && body.filler && !isAnswered(ctx)) exchange.control?.skip('unanswered')
  const head = headOf(ctx, body, before)
  const plan = exchange.onHead(head)
  // A copy is taken from the start: a stream that breaks while we wait needs somebody who listens.
  const recoded = plan.mode === 'recode' && body.kind === 'whole' ? await plan.recode(body.bytes()) : undefined
  if (plan.mode !== 'replace' && plan.mode !== 'hold') {
    if (head.status !== ctx.status) ctx.status = head.status
    applyTouched(ctx.res, head.fields)
    if (recoded && body.kind === 'whole' && recoded !== body.bytes()) putBytes(ctx, recoded)
    sendOn(ctx, exchange, head, body, plan)
  }
  const settled = exchange.settled?.()
  if (settled) await settled
  if (plan.mode === 'replace') replace(ctx, before, plan.reply)
  if (plan.mode === 'hold' && body.kind === 'whole') {
    replace(ctx, before, await exchange.onBody!(head, body.bytes()))
  }
  return plan.mode === 'tee' && body.kind === 'pieces' ? 'running' : 'done'
}

function headOf(ctx: Context, body: KoaBody, before: Fields): ResponseHead {
  const headers = ctx.res.getHeaders()
  const fields = Fields.from(body.kind === 'whole' ? { ...headers, ...body.fields } : headers)
  return {
    status: ctx.status,
    fields,
    before,
    body: body.kind,
    // Only where it is asked for: JSON is not written twice for a response that goes on as it is.
    get length() {
      return body.kind === 'whole' ? body.bytes().byteLength : undefined
    },
  }
}

function replace(ctx: Context, before: Fields, reply: Reply): void {
  discard(ctx.body)
  restoreFields(ctx.res, before)
  putReply(ctx, reply)
}
