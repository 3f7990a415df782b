import Stream, { Readable } from 'node:stream'
import type { Context } from 'koa'

/** What Koa is going to send for a context, told without sending it. */
export type KoaBody =
  | {
      readonly kind: 'whole'
      /** The bytes; made when they are asked for, and once. Throws where Koa would (JSON that cannot be written). */
      bytes(): Buffer
      /** Fields that Koa sets (`undefined`: removes) when it sends this. */
      readonly fields: Readonly<Record<string, string | undefined>>
      /** There is no body, and Koa writes the status in its place. */
      readonly filler: boolean
      /** These are the handler's own bytes, which it may change. */
      readonly given: boolean
    }
  | { readonly kind: 'pieces'; readonly source: () => Readable }

/** Statuses without content, whatever `ctx.body` says. */
export const emptyStatuses: ReadonlySet<number> = new Set([204, 205, 304])

/** The type of the text that Koa writes where there is no body. */
export const fillerType = 'text/plain; charset=utf-8'

const noContent = { 'content-type': undefined, 'content-length': undefined, 'transfer-encoding': undefined }

/** Follows the order in which Koa's `respond` looks at a context (Koa 2 and 3). */
export function bodyOf(ctx: Context): KoaBody {
  const body: unknown = ctx.body
  if (emptyStatuses.has(ctx.status)) return whole(() => empty, noContent)
  if (body === null || body === undefined) {
    if ((ctx.response as { _explicitNullBody?: boolean })._explicitNullBody) return whole(() => empty, noContent)
    const text = ctx.req.httpVersionMajor >= 2 ? String(ctx.status) : ctx.message || String(ctx.status)
    const bytes = Buffer.from(text)
    const fields = { 'content-type': fillerType, 'content-length': String(bytes.byteLength) }
    return { ...whole(() => bytes, fields), filler: true }
  }
  if (Buffer.isBuffer(body)) return { ...whole(() => body, {}), given: true }
  if (typeof body === 'string') return whole(() => Buffer.from(body), {})
  const source = sourceOf(ctx, body)
  if (source) return { kind: 'pieces', source: once(source) }
  // Koa counts the length again, whatever the handler said.
  return whole(() => Buffer.from(JSON.stringify(body)), { 'content-length': undefined })
}

/** How the body is read as a stream; `undefined` for what Koa writes as JSON. */
function sourceOf(ctx: Context, body: unknown): (() => Readable) | undefined {
  if (isStream(body)) return () => body as Readable
  if (!takesWebStreams(ctx)) return undefined
  if (body instanceof Blob) return () => Readable.from(body.stream() as AsyncIterable<Uint8Array>)
  if (body instanceof ReadableStream) return () => Readable.from(body as AsyncIterable<Uint8Array>)
  if (body instanceof Response) return () => Readable.from((body.body ?? []) as AsyncIterable<Uint8Array>)
  return undefined
}

/** Koa 3 sends them; Koa 2 writes `{}`. It is told by a method that came with them. */
function takesWebStreams(ctx: Context): boolean {
  return typeof (ctx.response as { back?: unknown }).back === 'function'
}

/** Streams of node, also those of another copy of its library. */
function isStream(body: unknown): boolean {
  if (body instanceof Stream) return true
  const like = body as Partial<Readable> | null
  return (
    typeof like === 'object' &&
    like?.readable === true &&
    typeof like.pipe === 'function' &&
    typeof like.read === 'function' &&
    typeof like.readableObjectMode === 'boolean' &&
    typeof like.destroy === 'function' &&
    typeof like.destroyed === 'boolean'
  )
}

/** Lets go of a body that will not be sent. */
export function discard(body: unknown): void {
  const stream = body as Partial<Readable> | null | undefined
  if (isStream(stream) && typeof stream?.destroy === 'function') {
    stream.on?.('error', () => {})
    stream.destroy()
  } else if (body instanceof ReadableStream && !body.locked) {
    void body.cancel().catch(() => {})
  } else if (body instanceof Response && body.body && !body.bodyUsed) {
    void body.body.cancel().catch(() => {})
  }
}

const empty = Buffer.alloc(0)

/** A web stream is read once, so that it is made a stream of node's once. */
function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

function whole(make: () => Buffer, fields: Readonly<Record<string, string | undefined>>): KoaBody & { kind: 'whole' } {
  return { kind: 'whole', bytes: once(make), fields, filler: false, given: false }
}
