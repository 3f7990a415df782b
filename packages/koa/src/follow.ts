import {
  applyTouched,
  type BodyPlan,
  type Exchange,
  Fields,
  intercept,
  isPromise,
  type MaybePromise,
  type Outcome,
  overlayHeaders,
  type Reply,
  type ResponseHead,
  restoreFields,
} from '@sluice/node'
import type { Context, Next } from 'koa'
import { bodyOf, discard, type KoaBody, takesWebStreams } from './body.ts'
import { joinControls } from './control.ts'
import { putReply } from './reply.ts'
import { tee } from './tee.ts'
import { watchContext } from './watch.ts'

/** Runs the middleware behind on behalf of an exchange, and lets it have its say in what they leave on the context. */
export async function follow(ctx: Context, given: Exchange, next: Next): Promise<void> {
  const exchange = closedOnce(given)
  const before = Fields.from(ctx.res.getHeaders())
  if (given.control) ctx.sluice = joinControls(ctx.sluice, given.control)
  if (given.request) {
    // Koa remembers it; made now, it is not taken for a read of the field it comes from.
    void ctx.ip
    overlayHeaders(ctx.req, given.request)
    if (given.request.reads) watchContext(ctx, given.request.reads)
  }
  // For what is written to `ctx.res` past Koa.
  const release = intercept(ctx.res, ctx.method, exchange)
  try {
    await next()
    if (isWrittenElsewhere(ctx)) return
    release()
    await settle(ctx, exchange, before)
  } catch (error) {
    if (isWrittenElsewhere(ctx)) {
      exchange.onClose('failed')
      throw error
    }
    release()
    const reply = await exchange.onError?.(error)
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

async function settle(ctx: Context, exchange: Exchange, before: Fields): Promise<void> {
  const body = bodyOf(ctx)
  // Nobody answered: what is in front of us may still do so (a page for 404), and is asked each time.
  if (body.kind === 'whole' && body.filler && !isAnswered(ctx)) exchange.control?.skip('unanswered')
  const head = headOf(ctx, body, before)
  const plan = exchange.onHead(head)
  const settled = exchange.settled?.()
  if (plan.mode === 'replace') {
    if (settled) await settled
    replace(ctx, before, plan.reply)
    return
  }
  if (plan.mode === 'hold' && body.kind === 'whole') {
    const answer: MaybePromise<Reply> = exchange.onBody!(head, body.bytes())
    const reply = isPromise(answer) ? await answer : answer
    if (settled) await settled
    replace(ctx, before, reply)
    return
  }
  if (head.status !== ctx.status) ctx.status = head.status
  applyTouched(ctx.res, head.fields)
  sendOn(ctx, exchange, head, body, plan)
  if (settled) await settled
}

function headOf(ctx: Context, body: KoaBody, before: Fields): ResponseHead {
  const headers = ctx.res.getHeaders()
  const fields = Fields.from(body.kind === 'whole' ? { ...headers, ...body.fields } : headers)
  return {
    status: ctx.status,
    fields,
    before,
    body: body.kind,
    get length() {
      return body.kind === 'whole' ? body.bytes().byteLength : undefined
    },
  }
}

function isAnswered(ctx: Context): boolean {
  return (ctx.response as { _explicitStatus?: boolean })._explicitStatus === true
}

/** The handler's body goes on: as it is, copied beside, or through a transform. */
function sendOn(ctx: Context, exchange: Exchange, head: ResponseHead, body: KoaBody, plan: BodyPlan): void {
  if (plan.mode === 'through') {
    const broken = (error: Error | undefined): void => breakOff(ctx, exchange, error)
    if (body.kind === 'whole') plan.transform.end(body.bytes())
    else tee(body.source(), 0, () => {}, broken).pipe(plan.transform)
    putStream(ctx, plan.transform)
    return
  }
  if (plan.mode !== 'tee') return
  if (body.kind === 'whole') {
    if (body.bytes().byteLength <= plan.limit) tell(ctx, exchange, head, body.bytes())
    return
  }
  const copy = tee(
    body.source(),
    plan.limit,
    (bytes) => tell(ctx, exchange, head, bytes),
    (error) => breakOff(ctx, exchange, error),
  )
  putStream(ctx, copy)
}

/** Sets a stream as the body, and nothing else: Koa drops the length when one stream takes another's place. */
function putStream(ctx: Context, stream: NodeJS.ReadableStream): void {
  const length = ctx.res.getHeader('Content-Length')
  const typed = ctx.res.hasHeader('Content-Type')
  ctx.body = stream
  if (length !== undefined) ctx.res.setHeader('Content-Length', length)
  if (!typed) ctx.remove('Content-Type')
}

/** Hands a copied body over. Nobody waits for what becomes of it, but an error is the application's to see. */
function tell(ctx: Context, exchange: Exchange, head: ResponseHead, bytes: Buffer): void {
  // A client that went away may have ended the handler's work early: what came is then not the whole.
  if (ctx.res.closed && !ctx.res.writableFinished) return
  const report = (error: unknown): void => {
    ctx.app.emit('error', error, ctx)
  }
  try {
    const done = exchange.onBody?.(head, bytes)
    if (isPromise(done)) done.then(undefined, report)
  } catch (error) {
    report(error)
  }
}

/** The handler's stream broke off. Koa 2 would leave the client waiting for the rest. */
function breakOff(ctx: Context, exchange: Exchange, error: Error | undefined): void {
  if (error) exchange.onClose('failed')
  if (error && ctx.res.headersSent && !takesWebStreams(ctx)) ctx.res.destroy()
}

function replace(ctx: Context, before: Fields, reply: Reply): void {
  discard(ctx.body)
  restoreFields(ctx.res, before)
  putReply(ctx, reply)
}

/** The exchange, told only once how it ended. */
function closedOnce(exchange: Exchange): Exchange {
  let closed = false
  return {
    request: exchange.request,
    control: exchange.control,
    onHead: (head) => exchange.onHead(head),
    onBody: (head, bytes) => exchange.onBody!(head, bytes),
    onError: (error) => exchange.onError?.(error),
    settled: () => exchange.settled?.(),
    onClose(outcome: Outcome) {
      if (closed) return
      closed = true
      exchange.onClose(outcome)
    },
  }
}
