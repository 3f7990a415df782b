import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Duplex, pipeline, Readable } from 'node:stream'
import type { BodyDecoding } from '@sluice/core'

/**
 * Lets whoever reads the request read its body decoded. The request stays the object it is, with all its ways to be read:
 * what the connection pushes into it goes through the decoder first.
 */
export function decodeBody(request: IncomingMessage, response: ServerResponse, decoding: BodyDecoding): void {
  // A body parser in front has read it: there is nothing left to decode.
  if (request.readableEnded || request.destroyed) return
  const { push, _read: read } = request
  const [first, last] = joined(decoding.stages)
  let received = 0
  let delivered = 0
  let failed = false

  const fail = (reason: 'too-large' | 'malformed', cause?: unknown): void => {
    if (failed || request.destroyed) return
    failed = true
    for (const stage of decoding.stages) stage.destroy()
    const error = decoding.failed(reason, cause)
    // Not the connection: it is needed for the answer, and what the client still sends is read and dropped, as node does
    // with a body nobody wants. A client that sends first and reads then would find a connection that was reset.
    request._destroy = (given, done) => done(given)
    const isHeard = request.listenerCount('error') > 0
    request.destroy(isHeard ? error : undefined)
    if (!isHeard || request.complete) setImmediate(answer)
    // The decoder may have had the connection wait.
    read.call(request, request.readableHighWaterMark)
  }

  /** Readers that wait for the rest of the body (body-parser) would leave the client waiting. */
  const answer = (): void => {
    if (!response.headersSent) response.end()
  }

  const feed = (chunk: Uint8Array | null): boolean => {
    received += chunk?.byteLength ?? 0
    if (failed) {
      if (chunk === null || received > 2 * decoding.maxBytes) setImmediate(answer)
      return true
    }
    if (chunk === null) {
      first.end()
      return false
    }
    if (received <= decoding.maxBytes) return first.write(chunk)
    fail('too-large')
    return true
  }

  const early = request.readableLength > 0 ? (request.read(request.readableLength) as Buffer) : undefined
  // All of it is here, its end too: a stream that has ended takes nothing more, so this one begins anew.
  if (request.complete) (Readable as unknown as (this: Readable) => void).call(request)
  request.push = feed as Readable['push']
  request._read = (size) => {
    last.resume()
    if (!first.writableNeedDrain) read.call(request, size)
  }
  first.on('drain', () => read.call(request, request.readableHighWaterMark))
  last.on('data', (chunk: Uint8Array) => {
    if (failed) return
    delivered += chunk.byteLength
    if (delivered > decoding.maxBytes) fail('too-large')
    else if (!push.call(request, chunk)) last.pause()
  })
  last.on('end', () => failed || push.call(request, null))
  for (const stage of decoding.stages) stage.on('error', (error) => fail('malformed', error))
  last.pause()
  if (early) feed(early)
  if (request.complete) feed(null)
}

/** The first and the last of a chain. */
function joined(stages: readonly Duplex[]): readonly [Duplex, Duplex] {
  if (stages.length > 1) pipeline(stages as Duplex[], () => {})
  return [stages[0]!, stages.at(-1)!]
}
