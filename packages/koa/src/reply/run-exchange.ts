import {
  applyTouched,
  type Begun,
  begin,
  decodeBody,
  type Exchange,
  Fields,
  fieldsSetOn,
  firstPiece,
  intercept,
  isLive,
  joinControls,
  type Reply,
  type ResponseHead,
  reasonOf,
  restoreFields,
} from '@sluice/node'
import type { Context, Next } from 'koa'
import { changeRequest } from '../request/watch.ts'
import { bodyOf, discard, type KoaBody } from './body.ts'
import { isAnswered, putReply } from './reply.ts'
import { putBytes, sendOn } from './send-on.ts'

/** Runs the middleware behind on behalf of an exchange, and lets it have its say in what they leave on the context. */
export async function runExchange(ctx: Context, exchange: Exchange, next: Next): Promise<void> {
  const begun = begin(ctx.res, exchange)
  if (exchange.control) ctx.sluice = joinControls(ctx.sluice, exchange.control)
  const changeBack = exchange.request ? changeRequest(ctx, exchange.request) : () => {}
  if (exchange.request?.decode) decodeBody(ctx.req, ctx.res, exchange.request.decode)
  // For what is written to `ctx.res` past Koa.
  const release = intercept(ctx.res, ctx.method, exchange, begun)
  try {
    await (exchange.within ? exchange.within(next) : next())
    if (isWrittenElsewhere(ctx)) return
    const body = bodyOf(ctx)
    if (body.kind === 'pieces' && exchange.request?.reads && ctx.method !== 'HEAD' && !isLive(ctx.res)) {
      // What the stream reads until it has brought something still decides what everybody is told of the answer.
      await firstPiece(body.source(), ctx.res)
      // Koa has answered in place of a stream that failed.
      if (isWrittenElsewhere(ctx)) return
    }
    release()
    // The client is gone, and its stream with it: what Koa ends now is nobody's answer.
    if (body.kind === 'pieces' && begun.ending.outcome) return changeBack()
    if ((await settle(ctx, exchange, body, begun)) === 'done') changeBack()
  } catch (error) {
    changeBack()
    const elsewhere = isWrittenElsewhere(ctx)
    if (!elsewhere) release()
    const reply = elsewhere ? undefined : await exchange.onError?.(error)
    if (!reply) {
      begun.ending.close('failed')
      throw error
    }
    replace(ctx, begun.before, reply)
  }
}

/** Somebody writes to the response, or has said that he will. */
function isWrittenElsewhere(ctx: Context): boolean {
  return ctx.respond === false || ctx.headerSent || ctx.res.writableEnded
}

/** `running`: the handler's stream is still being read, and what it reads of the request is the exchange's affair. */
async function settle(ctx: Context, exchange: Exchange, body: KoaBody, begun: Begun): Promise<'done' | 'running'> {
  const { before } = begun
  // Nobody answered: what is in front of us may still do so (a page for 404), and is asked each time.
  if (body.kind === 'whole' && body.filler && !isAnswered(ctx)) exchange.control?.skip('unanswered')
  const head = new KoaHead(ctx, body, begun)
  const plan = exchange.onHead(head)
  // Of a buffer its owner may use again: what is stored, or is still to be worked on, must not change with it.
  const own = (): Buffer => (body.kind === 'whole' && body.given ? Buffer.from(body.bytes()) : bytesOf(body))
  // A copy is taken from the start: a stream that breaks while we wait needs somebody who listens.
  const given = plan.mode === 'recode' ? own() : undefined
  const recoded = plan.mode === 'recode' ? await plan.recode(given!) : undefined
  if (plan.mode !== 'replace' && plan.mode !== 'hold') {
    if (head.status !== ctx.status) ctx.status = head.status
    applyTouched(ctx.res, head.fields)
    if (recoded && recoded !== given) putBytes(ctx, recoded)
    sendOn(ctx, exchange, begun.ending, head, body, plan)
  }
  const held = plan.mode === 'hold' ? own() : undefined
  const settled = exchange.settled?.()
  if (settled) await settled
  if (plan.mode === 'replace') replace(ctx, before, plan.reply)
  if (held) replace(ctx, before, await exchange.onBody!(head, held))
  return plan.mode === 'tee' && body.kind === 'pieces' ? 'running' : 'done'
}

function bytesOf(body: KoaBody): Buffer {
  return body.kind === 'whole' ? body.bytes() : Buffer.alloc(0)
}

/** A class for its accessor: see `ResponseEnding` of @sluice/node. */
class KoaHead implements ResponseHead {
  status: number
  readonly fields: Fields
  readonly before: Fields
  readonly written: ReadonlySet<string> | undefined
  readonly reason: string | undefined
  readonly body: 'whole' | 'pieces'
  readonly isLengthDear: boolean
  readonly #body: KoaBody

  constructor(ctx: Context, body: KoaBody, { before, written }: Begun) {
    const headers = fieldsSetOn(ctx.res)
    this.status = ctx.status
    this.fields = Fields.from(body.kind === 'whole' ? { ...headers, ...body.fields } : headers)
    this.before = before
    this.written = written
    this.reason = reasonOf(ctx.res)
    this.body = body.kind
    this.isLengthDear = body.kind === 'whole' && !body.given
    this.#body = body
  }

  /** Only where it is asked for: JSON is not written twice for a response that goes on as it is. */
  get length(): number | undefined {
    return this.#body.kind === 'whole' ? this.#body.bytes().byteLength : undefined
  }
}

function replace(ctx: Context, before: Fields, reply: Reply): void {
  discard(ctx.body)
  restoreFields(ctx.res, before)
  putReply(ctx, reply)
}
