import type { ServerResponse } from 'node:http'
import {
  type BodyPlan,
  chain,
  type Exchange,
  Fields,
  isPromise,
  type MaybePromise,
  type Reply,
  type ResponseHead,
} from '@sluice/core'
import { fieldsSetOn } from '../watch/set-fields.ts'
import { BodyCopy } from './body-copy.ts'
import { type Ending, endingOf } from './ending.ts'
import { alsoSentWhen } from './headers-sent.ts'
import { isLive } from './live.ts'
import { place } from './methods.ts'
import { watchEnd } from './outermost-end.ts'
import { applyTouched, restoreFields, sendReply } from './send-reply.ts'
import { sendThrough, type Through } from './send-through.ts'
import { reasonOf, setStatus, watchWritten } from './written-fields.ts'

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

/** How long a head that was flushed waits for the first byte of its body: some flush it because the body takes minutes. */
const longestHoldMs = 100

/** What a host has found out already, where it lets an exchange have its say in other ways too (Koa). */
export interface Begun {
  /** What was on the response when the exchange began. */
  readonly before: Fields
  readonly written: ReadonlySet<string> | undefined
  readonly ending: Ending
}

/** Looks at a response on which an exchange begins. The exchange is told of its end from here on. */
export function begin(response: ServerResponse, exchange: Exchange): Begun {
  const before = Fields.from(fieldsSetOn(response))
  const ending = endingOf(response, (outcome) => exchange.onClose(outcome))
  // Who never sees a body stores none, and does not ask.
  const written = exchange.onBody && watchWritten(response, before)
  return { before, written, ending }
}

/** @returns lets go: what is written from now on is not the exchange's affair, unless it has begun already */
export function intercept(
  response: ServerResponse,
  method: string,
  exchange: Exchange,
  { before, written, ending }: Begun = begin(response, exchange),
): () => void {
  const raw = rawMethods(response, exchange)
  const { flush } = response as { flush?: () => void }
  let state: State = 'open'
  let headWritten = false
  let head: ResponseHead | undefined
  let copy: BodyCopy | undefined
  let through: Through | undefined
  const queue: (() => void)[] = []
  /** A `write` was answered with `false` because of us. */
  let heldBack = false
  let isHeldBack = false
  /** A head that was to be flushed, and waits for the first byte of its body. */
  let early: NodeJS.Timeout | undefined

  /** To the handler the head it wrote is sent, though it still waits here. Only where it waits: this is dear. */
  const holdBack = (): void => {
    if (isHeldBack) return
    isHeldBack = true
    alsoSentWhen(response, () => headWritten || state === 'waiting' || state === 'replaced')
  }

  /** The head is known: ask what to do with the body. */
  const decide = (body: ResponseHead['body'], length: number | undefined, isEarly = false): BodyPlan => {
    clearTimeout(early)
    const fields = Fields.from(fieldsSetOn(response))
    head = {
      status: response.statusCode,
      fields,
      before,
      written,
      reason: reasonOf(response),
      body,
      length,
      early: isEarly,
    }
    const plan = exchange.onHead(head)
    if (plan.mode === 'replace') {
      state = 'replaced'
    } else if (plan.mode !== 'hold' && plan.mode !== 'recode') {
      applyHead(head)
      state = plan.mode
      if (plan.mode === 'tee') copy = new BodyCopy(plan)
      if (plan.mode === 'through') {
        // From here on it is for the handler as if it were sent: a field set later is an error, as ever.
        raw.writeHead(response.statusCode)
        through = sendThrough(response, plan.transform, raw)
      }
    }
    return plan
  }

  const applyHead = (made: ResponseHead): void => {
    if (made.status !== response.statusCode) setStatus(response, made.status, undefined)
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
      raw.end(bytes, undefined, callback)
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
      passThrough(() => sendReply(response, answer, method, raw))
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

  /** The head goes out in front of the body. */
  const flushEarly = (): void => {
    if (state !== 'open' || ending.outcome) return
    const plan = decide('pieces', undefined, true)
    if (plan.mode === 'replace') sendInstead(plan.reply)
    whenSettled(() => patched.flushHeaders.call(response))
  }

  const copyBeside = (chunk: Chunk | undefined, encoding: BufferEncoding | undefined): void => {
    // Such an answer has no content, whatever is written.
    if (state !== 'tee' || chunk === undefined || isEmptyStatus(response.statusCode)) return
    copy!.add(toBytes(chunk, encoding))
  }

  const patched = {
    writeHead(this: ServerResponse, status: number, reason?: unknown, fields?: unknown): ServerResponse {
      if (state === 'replaced') return response
      if (state === 'pass' || state === 'tee' || state === 'through') return raw.writeHead(status, reason, fields)
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
        const own = ownChunk(chunk)
        queue.push(() => patched.write.call(response, own, encoding, callback))
        heldBack = true
        return false
      }
      if (state === 'open') {
        const plan = decide('pieces', undefined)
        if (plan.mode === 'replace') sendInstead(plan.reply)
        let accepted = true
        const own = exchange.settled ? ownChunk(chunk) : chunk
        whenSettled(() => {
          accepted = patched.write.call(response, own, encoding, callback)
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
        return through!.write(ownChunk(chunk), named, told)
      }
      copyBeside(chunk, typeof encoding === 'string' ? encoding : undefined)
      return raw.write(chunk, encoding, callback)
    },

    end(
      this: ServerResponse,
      chunk?: Chunk | Callback | null,
      encoding?: BufferEncoding | Callback,
      callback?: Callback,
    ): ServerResponse {
      arrived(chunk)
      if (typeof chunk === 'function') return patched.end.call(response, undefined, undefined, chunk)
      if (typeof encoding === 'function') return patched.end.call(response, chunk, undefined, encoding)
      if (state === 'waiting') {
        const own = ownChunk(chunk)
        queue.push(() => patched.end.call(response, own, encoding, callback))
        return response
      }
      if (state === 'replaced') {
        done(callback)
        return response
      }
      if (state === 'open') {
        const given = chunk === undefined || chunk === null ? empty : toBytes(chunk, encoding)
        const plan = decide('whole', given.byteLength)
        // What is stored, or is still to be worked on, must not change with a buffer that its owner uses again.
        const later = plan.mode === 'hold' || plan.mode === 'recode' || exchange.settled !== undefined
        const body = later && given === chunk ? Buffer.from(given) : given
        whenSettled(() => {
          if (plan.mode === 'hold') sendInstead(exchange.onBody!(head!, body), callback)
          else if (plan.mode === 'replace') sendInstead(plan.reply, callback)
          else if (plan.mode === 'recode') sendRecoded(plan.recode(body), body, callback)
          else if (given === chunk) patched.end.call(response, body, undefined, callback)
          else patched.end.call(response, chunk, encoding, callback)
        })
        return response
      }
      if (state === 'through') {
        through!.end(ownChunk(chunk) ?? undefined, encoding, callback)
        return response
      }
      copyBeside(chunk ?? undefined, encoding)
      // A client that went away may have ended the handler's work early: what came is then not the whole.
      const bytes = ending.outcome ? undefined : copy?.bytes
      if (state === 'tee' && bytes) void exchange.onBody?.(head!, bytes)
      state = 'pass'
      return raw.end(chunk ?? undefined, encoding, callback)
    },

    flushHeaders(this: ServerResponse): void {
      if (state === 'waiting') {
        queue.push(() => patched.flushHeaders.call(response))
        return
      }
      if (state === 'open' && exchange.request?.reads && !isLive(response)) {
        // Until the handler's first byte: what it reads before that still decides what everybody is told of the answer.
        holdBack()
        headWritten = true
        early ??= setTimeout(flushEarly, longestHoldMs)
        return
      }
      if (state === 'open') {
        flushEarly()
        return
      }
      if (state !== 'replaced') raw.flushHeaders()
    },

    /** Known from `compression`: sends on what a compressor holds back. Nothing is, where nothing is compressed. */
    flush(this: ServerResponse): void {
      if (state === 'waiting') queue.push(() => patched.flush.call(response))
      else if (state === 'through') through!.flush()
      else flush?.call(response)
    },
  }
  place(response, 'writeHead', patched.writeHead)
  place(response, 'write', patched.write)
  place(response, 'flushHeaders', patched.flushHeaders)
  place(response, 'flush', patched.flush)
  const arrived = watchEnd(response, exchange, patched.end as ServerResponse['end'])
  return () => {
    if (state === 'open' && !headWritten) state = 'pass'
  }
}

/** The response's methods as they were before us: the way to the connection, and whoever stands on it in front of us. */
function rawMethods(response: ServerResponse, exchange: Exchange): RawMethods {
  const wrapped: Record<string, unknown> = {}
  for (const name of ['writeHead', 'write', 'end', 'flushHeaders'] as const) {
    const method = response[name] as (...args: unknown[]) => unknown
    const call = (...args: unknown[]): unknown => method.apply(response, args)
    wrapped[name] = exchange.quiet ? (...args: unknown[]) => exchange.quiet!(() => call(...args)) : call
  }
  return wrapped as unknown as RawMethods
}

/** For hosts that see a response in other ways: what is written to it from now on is written in quiet. */
export function writeQuietly(response: ServerResponse, exchange: Exchange): void {
  if (exchange.quiet) Object.assign(response, rawMethods(response, exchange))
}

interface RawMethods {
  writeHead(status: number, reason?: unknown, fields?: unknown): ServerResponse
  write(chunk: Chunk, encoding?: BufferEncoding | Callback, callback?: Callback): boolean
  end(chunk?: Chunk, encoding?: BufferEncoding, callback?: Callback): ServerResponse
  flushHeaders(): void
}

const empty: Uint8Array = new Uint8Array(0)

function toBytes(chunk: Chunk, encoding: BufferEncoding | undefined): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}

/** A chunk that waits, as it is now. */
function ownChunk<T extends Chunk | null | undefined>(chunk: T): T {
  return chunk instanceof Uint8Array ? (Buffer.from(chunk) as unknown as T) : chunk
}

/** Statuses whose answers have no content (RFC 9110 §6.4.1): node sends none of what is written. */
function isEmptyStatus(status: number): boolean {
  return status === 204 || status === 304
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
