import type { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { FastifyReply } from 'fastify'

/** What an `onSend` hook is given, sorted by how its body comes. */
export type Payload =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | { readonly kind: 'pieces'; readonly stream: NodeJS.ReadableStream | ReadableStream }

/** Whether Fastify can send it. A stream that somebody else reads already is none. */
export function isPayload(payload: unknown): boolean {
  if (payload === undefined || payload === null || typeof payload === 'string') return true
  if (typeof payload !== 'object') return false
  const { pipe, getReader, locked } = payload as { pipe?: unknown; getReader?: unknown; locked?: unknown }
  if (typeof getReader === 'function') return locked !== true
  return payload instanceof Uint8Array || typeof pipe === 'function'
}

export function readPayload(payload: unknown): Payload {
  if (payload === undefined || payload === null) return { kind: 'whole', bytes: empty }
  if (typeof payload === 'string') return { kind: 'whole', bytes: Buffer.from(payload) }
  if (payload instanceof Uint8Array) return { kind: 'whole', bytes: payload }
  return { kind: 'pieces', stream: payload as NodeJS.ReadableStream }
}

/**
 * A fetch `Response` given to `reply.send`: its status and fields go to the reply, its body is what is left. Fastify does
 * this after the hooks; the exchange has to know them before.
 */
export function unwrapResponse(reply: FastifyReply, payload: unknown): unknown {
  if (Object.prototype.toString.call(payload) !== '[object Response]') return payload
  const response = payload as Response
  // Fastify has an error of its own for this.
  if (response.bodyUsed) return payload
  reply.code(response.status)
  for (const [name, value] of response.headers) reply.header(name, value)
  return response.body ?? empty
}

/**
 * The payload of a status that has no content (RFC 9110 §6.4.1): none. Fastify sends none either, and reads a stream to
 * its end for what that may do beside.
 */
export function withoutContent(reply: FastifyReply, payload: unknown): unknown {
  const { statusCode } = reply
  if ((statusCode !== 204 && statusCode !== 304) || payload === undefined || payload === null) return payload
  if (statusCode === 204) for (const name of ['content-type', 'content-length']) reply.removeHeader(name)
  const { resume, cancel } = payload as { resume?: () => void; cancel?: () => Promise<void> }
  if (typeof resume === 'function') {
    ;(payload as Readable).on('error', () => {})
    resume.call(payload)
  } else if (typeof cancel === 'function') cancel.call(payload).catch(() => {})
  return null
}

/** A body as Fastify sends it. */
export function toPayload(body: Uint8Array): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

/** Lets go of a body that will not be sent. */
export function discard(payload: unknown): void {
  if (typeof payload !== 'object' || payload === null || payload instanceof Uint8Array) return
  const { destroy, cancel } = payload as { destroy?: () => void; cancel?: () => Promise<void> }
  if (typeof destroy === 'function') {
    // What it has to say about being destroyed concerns nobody any more.
    ;(payload as Readable).on('error', () => {})
    destroy.call(payload)
  } else if (typeof cancel === 'function') cancel.call(payload).catch(() => {})
}

const empty: Buffer = Buffer.alloc(0)
