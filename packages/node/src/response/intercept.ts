import type { ServerResponse } from 'node:http'
import {
  type BodyPlan,
  chain,
  type Exchange,
  Fields,
  isPromise,
  type MaybePromise,
  type Outcome,
  type Reply,
  type ResponseHead,
} from '@sluice/core'
import { alsoSentWhen } from './headers-sent.ts'
import { applyTouched, restoreFields, sendReply } from './send-reply.ts'
import { sendThrough, type Through } from './through.ts'

type Callback = (error?: Error | null) => void
type Chunk = string | Uint8Array

/**
 * Lets an exchange have its say in a response that somebody writes through `writeHead`, `write` and `end`.
 *
 * Each response is in one of these states. Methods stay replaced to the end, and only look at the state: whoever
 * replaced them after us (a compressor) keeps working.
 */
type State =
  /** Nothing sent: the head can still change. */
  | 'open'
  /** The handler's calls go on to the connection. */
  | 'pass'
  /** The same, and the body is copied beside. */
  | 'tee'
  /** The body goes through a transform first. */
  | 'through'
  /** The handler's calls are swallowed: another answer was sent in place of its own. */
  | 'replaced'
  /** The answer is being made: calls wait in a queue. */
  | 'waiting'

/** @returns lets go: what is written from now on is not the exchange's affair, unless it has begun already */
export function intercept(response: ServerResponse, method: string, exchange: Exchange): () => void {
  const before = Fields.from(response.getHeaders())
  const writeHead = response.writeHead as (...args: unknown[]) => ServerResponse
  const write = response.write as (...args: unknown[]) => boolean
  const end = response.end as (...args: unknown[]) => ServerResponse
  const flushHeaders = response.flushHeaders
  const flush = Object.getOwnPropertyDescriptor(response, 'flush')?.value as (() => void) | undefined
  let state: State = 'open'
  let headWritten = false
  let head: ResponseHead | undefined
  let copied: Buffer[] = []
  let copiedBytes = 0
  let limit = 0
  let through: Through | undefined
  const queue: (() => void)[] = []
  /** A `write` was answered with `false` because of us. */
  let heldBack = false
  let closed = false
  let isHeldBack = false

  /** To the handler the head it wrote is sent, though it still waits here. Only where it waits: this is dear. */
  const holdBack = (): void => {
    if (isHeldBack) return
    isHeldBack = true
    alsoSentWhen(response, () => headWritten || state === 'waiting' || state === 'replaced')
  }
  const close = (outcome: Outcome): void => {
    if (closed) return
    closed = true
    exchange.onClose(outcome)
  }
  response.once('finish', () => close('sent'))
  response.once('close', () => close(response.writableFinished ? 'sent' : 'aborted'))
  // The client went away while a store was asked: that event was before our time.
  if (isGone(response)) close(response.writableFinished ? 'sent' : 'aborted')

  /** The head is known: ask what to do with the body. */
  const decide = (body: ResponseHead['body'], length: number | undefined): BodyPlan => {
    head = { status: response.statusCode, fields: Fields.from(response.getHeaders()), before, body, length }
    const plan = exchange.onHead(head)
    if (plan.mode === 'replace') {
      state = 'replaced'
    } else if (plan.mode !== 'hold' && plan.mode !== 'recode') {
      applyHead(head)
      state = plan.mode
      if (plan.mode === 'tee') limit = plan.limit
      if (plan.mode === 'through') {
        // From here on it is for the handler as if it were sent: a field set later is an error, as ever.
        writeHead.call(response, response.statusCode)
        through = sendThrough(response, plan.transform, {
          write: (chunk) => write.call(response, chunk),
          end: () => void end.call(response),
        })
      }
    }
    return plan
  }

  const applyHead = (made: ResponseHead): void => {
    response.statusCode = made.status
    applyTouched(response, made.fields)
  }

  /** Sends a whole body as something else, under the handler's own head. */
  const sendRecoded = (recoded: MaybePromise<Uint8Array>, body: Uint8Array, callback: Callback | undefined): void => {
    if (isPromise(recoded)) holdBack()
    state = 'waiting'
    void chain(recoded, (bytes) => {
      state = 'pass'
      applyHead(head!)
      if (bytes !== body) response.setHeader('Content-Length', bytes.byteLength)
      end.call(response, bytes, undefined, callback)
      release()
    })
  }

  /** Runs `act` when whatever must be over before anything is sent (a purge) is over. */
  const whenSettled = (act: () => void): void => {
    const settled = exchange.settled?.()
    if (!settled) {
      act()
      return
    }
    holdBack()
    const then = state
    state = 'waiting'
    void settled.then(() => {
      state = then
      act()
      release()
    })
  }

  const release = (): void => {
    for (const call of queue.splice(0)) call()
    if (!heldBack) return
    heldBack = false
    // Whoever was told to wait is told to go on, unless the connection is full: then it does so itself.
    if (!response.writableNeedDrain && !response.writableEnded) response.emit('drain')
  }

  const sendInstead = (reply: MaybePromise<Reply>, callback?: Callback): void => {
    if (isPromise(reply)) holdBack()
    state = 'replaced'
    void chain(reply, (answer) => {
      if (callback) response.once('finish', callback)
      restoreFields(response, before)
      passThrough(() => sendReply(response, answer, method))
    })
  }

  /** Calls of ours reach the connection whatever the state. */
  const passThrough = (act: () => void): void => {
    const then = state
    state = 'pass'
    try {
      act()
    } finally {
      state = then
    }
  }

  const copy = (chunk: Chunk | undefined, encoding: BufferEncoding | undefined): void => {
    if (state !== 'tee' || chunk === undefined || limit < 0) return
    const bytes = toBytes(chunk, encoding)
    copiedBytes += bytes.byteLength
    if (copiedBytes <= limit) copied.push(Buffer.from(bytes))
    else {
      // Too large to store: it goes on, the copy does not.
      limit = -1
      copied = []
    }
  }

  const patched = {
    writeHead(this: ServerResponse, status: number, reason?: unknown, fields?: unknown): ServerResponse {
      if (state === 'replaced') return response
      if (state === 'pass' || state === 'tee' || state === 'through')
        return writeHead.call(response, status, reason, fields)
      // Not sent yet, as node does not either: the head waits for the first piece of the body.
      holdBack()
      headWritten = true
      response.statusCode = status
      if (typeof reason === 'string') response.statusMessage = reason
      putHead(response, typeof reason === 'string' ? fields : (fields ?? reason))
      return response
    },

    write(this: ServerResponse, chunk: Chunk, encoding?: BufferEncoding | Callback, callback?: Callback): boolean {
      if (state === 'waiting') {
        queue.push(() => patched.write.call(response, chunk, encoding, callback))
        heldBack = true
        return false
      }
      if (state === 'open') {
        const plan = decide('pieces', undefined)
        if (plan.mode === 'replace') sendInstead(plan.reply)
        let accepted = true
        whenSettled(() => {
          accepted = patched.write.call(response, chunk, encoding, callback)
        })
        if ((state as State) !== 'waiting') return accepted
        heldBack = true
        return false
      }
      if (state === 'replaced') {
        done(typeof encoding === 'function' ? encoding : callback)
        return true
      }
      if (state === 'through') {
        const [named, told] = typeof encoding === 'function' ? [undefined, encoding] : [encoding, callback]
        return through!.write(chunk, named, told)
      }
      copy(chunk, typeof encoding === 'string' ? encoding : undefined)
      return write.call(response, chunk, encoding, callback)
    },

    end(
      this: ServerResponse,
      chunk?: Chunk | Callback | null,
      encoding?: BufferEncoding | Callback,
      callback?: Callback,
    ): ServerResponse {
      if (typeof chunk === 'function') return patched.end.call(response, undefined, undefined, chunk)
      if (typeof encoding === 'function') return patched.end.call(response, chunk, undefined, encoding)
      if (state === 'waiting') {
        queue.push(() => patched.end.call(response, chunk, encoding, callback))
        return response
      }
      if (state === 'replaced') {
        done(callback)
        return response
      }
      if (state === 'open') {
        const body = chunk === undefined || chunk === null ? empty : toBytes(chunk, encoding)
        const plan = decide('whole', body.byteLength)
        whenSettled(() => {
          if (plan.mode === 'hold') sendInstead(exchange.onBody!(head!, body), callback)
          else if (plan.mode === 'replace') sendInstead(plan.reply, callback)
          else if (plan.mode === 'recode') sendRecoded(plan.recode(body), body, callback)
          else patched.end.call(response, chunk, encoding, callback)
        })
        return response
      }
      if (state === 'through') {
        through!.end(chunk ?? undefined, encoding, callback)
        return response
      }
      copy(chunk ?? undefined, encoding)
      // A client that went away may have ended the handler's work early: what came is then not the whole.
      if (state === 'tee' && limit >= 0 && !closed) void exchange.onBody?.(head!, Buffer.concat(copied))
      state = 'pass'
      return end.call(response, chunk ?? undefined, encoding, callback)
    },

    flushHeaders(this: ServerResponse): void {
      if (state === 'waiting') {
        queue.push(() => patched.flushHeaders.call(response))
        return
      }
      if (state === 'open') {
        const plan = decide('pieces', undefined)
        if (plan.mode === 'replace') sendInstead(plan.reply)
        whenSettled(() => patched.flushHeaders.call(response))
        return
      }
      if (state !== 'replaced') flushHeaders.call(response)
    },

    /** Known from `compression`: sends on what a compressor holds back. Nothing is, where nothing is compressed. */
    flush(this: ServerResponse): void {
      if (state === 'waiting') queue.push(() => patched.flush.call(response))
      else if (state === 'through') through!.flush()
      else flush?.call(response)
    },
  }
  Object.assign(response, patched)
  return () => {
    if (state === 'open' && !headWritten) state = 'pass'
  }
}

/** Of HTTP/2 the stream says it. */
function isGone(response: ServerResponse): boolean {
  return response.destroyed || (response as { stream?: { destroyed: boolean } }).stream?.destroyed === true
}

const empty: Uint8Array = new Uint8Array(0)

function toBytes(chunk: Chunk, encoding: BufferEncoding | undefined): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}

function done(callback: Callback | undefined): void {
  if (callback) queueMicrotask(() => callback())
}

/** The fields given to `writeHead`: an object, or a flat list in which names may repeat. */
function putHead(response: ServerResponse, fields: unknown): void {
  if (Array.isArray(fields)) {
    const flat = Array.isArray(fields[0]) ? fields.flat() : fields
    for (let i = 0; i < flat.length; i += 2) response.removeHeader(flat[i])
    for (let i = 0; i < flat.length; i += 2) response.appendHeader(flat[i], flat[i + 1])
  } else if (typeof fields === 'object' && fields !== null) {
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) response.setHeader(name, value as string)
    }
  }
}
