import { pipeline, type Readable, Stream } from 'node:stream'
import { type BodyPlan, copyBeside, type Ending, type Exchange, isPromise, type ResponseHead } from '@sluice/node'
import type { Context } from 'koa'
import type { KoaBody } from './body.ts'

/** The handler's body goes on: as it is, copied beside, or through a transform. */
export function sendOn(
  ctx: Context,
  exchange: Exchange,
  ending: Ending,
  head: ResponseHead,
  body: KoaBody,
  plan: BodyPlan,
): void {
  const broken = (): void => breakOff(ctx, ending)
  const whole = (bytes: Buffer): void => handOver(ctx, exchange, ending, head, bytes)
  if (plan.mode === 'through') {
    const { transform } = plan
    if (body.kind === 'whole') transform.end(Buffer.from(body.bytes()))
    else pipeline(body.source(), transform, (error) => error && broken())
    putStream(ctx, transform)
  } else if (plan.mode === 'tee') {
    if (body.kind === 'pieces') putStream(ctx, copyBeside(body.source(), plan, { whole, broken }))
    else if (body.bytes().byteLength <= plan.limit) whole(Buffer.from(body.bytes()))
    else plan.dropped?.()
  } else if (plan.mode === 'pass' && ctx.body instanceof Stream) {
    // On Koa 2 the connection would stay open, and the exchange wait for its end.
    ctx.body.once('error', broken)
  }
}

/** Sets bytes as the body, and nothing else but their length. */
export function putBytes(ctx: Context, bytes: Uint8Array): void {
  const typed = ctx.res.hasHeader('Content-Type')
  ctx.body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!typed) ctx.remove('Content-Type')
}

/** Sets a stream as the body, and nothing else. */
function putStream(ctx: Context, stream: Readable): void {
  const length = ctx.res.getHeader('Content-Length')
  const typed = ctx.res.hasHeader('Content-Type')
  const listeners = new Set(stream.listeners('error'))
  ctx.body = stream
  // Koa drops the length when one stream takes another's place, and names the type where there was none.
  if (length !== undefined) ctx.res.setHeader('Content-Length', length)
  if (!typed) ctx.remove('Content-Type')
  // Koa 2 listens to the handler's stream already: an error is reported once.
  for (const listener of stream.listeners('error')) {
    if (!listeners.has(listener)) stream.off('error', listener as () => void)
  }
}

/** Hands a copied body over. Nobody waits for what becomes of it, but an error is the application's to see. */
function handOver(ctx: Context, exchange: Exchange, ending: Ending, head: ResponseHead, bytes: Buffer): void {
  // A client that went away may have ended the handler's work early: what came is then not the whole.
  if (ending.outcome) return
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

/** The handler's stream broke off, unless it was let go because the client went away. */
function breakOff(ctx: Context, ending: Ending): void {
  if (ending.outcome) return
  ending.close('failed')
  // Koa 2, and compressors that only pipe, would leave the client waiting for the rest. Koa 3 reports it first.
  if (ctx.res.headersSent) setImmediate(() => ctx.res.destroy())
}
