import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

type Callback = (error?: Error | null) => void
type Chunk = string | Uint8Array

/** The response's own methods, as they were before anybody replaced them for this. */
export interface RawResponse {
  write(chunk: Uint8Array): boolean
  end(): unknown
}

/** A body on its way through a transform (node's word: data passes through it), as seen from the handler's side. */
export interface Through {
  write(chunk: Chunk, encoding: BufferEncoding | undefined, callback: Callback | undefined): boolean
  end(chunk: Chunk | undefined, encoding: BufferEncoding | undefined, callback: Callback | undefined): void
  /** Sends on what the transform holds back. */
  flush(): void
}

/**
 * Sends what a handler writes through a transform, at the pace of the slowest: the handler is told to wait while the
 * transform is full, and the transform while the connection is. Listeners for `drain` are told when the handler may go
 * on, whenever they were added, and not when only the connection could.
 */
export function sendThrough(response: ServerResponse, transform: Duplex, raw: RawResponse): Through {
  const emit = response.emit
  let ended = false
  let connectionFull = false

  transform.on('data', (chunk: Uint8Array) => {
    if (raw.write(chunk)) return
    connectionFull = true
    transform.pause()
  })
  transform.on('end', () => raw.end())
  transform.on('error', (error) => {
    // Half of an encoded body is of no use: the connection has to show that it broke off.
    if (!response.writableEnded) response.destroy(error)
  })
  transform.on('drain', () => emit.call(response, 'drain'))
  response.emit = ((name: string, ...args: unknown[]): boolean => {
    if (name === 'drain' && connectionFull) {
      connectionFull = false
      transform.resume()
      // The handler waits for the transform.
      return true
    }
    return (emit as (...all: unknown[]) => boolean).call(response, name, ...args)
  }) as ServerResponse['emit']

  return {
    write(chunk, encoding, callback) {
      if (ended) {
        afterEnd(callback)
        return false
      }
      return encoding === undefined ? transform.write(chunk, callback) : transform.write(chunk, encoding, callback)
    },
    end(chunk, encoding, callback) {
      if (callback) {
        if (response.writableFinished) process.nextTick(callback)
        else response.once('finish', callback)
      }
      if (ended) return
      ended = true
      if (chunk !== undefined && encoding !== undefined) transform.end(chunk, encoding)
      else transform.end(chunk)
    },
    flush() {
      const { flush } = transform as { flush?: () => void }
      if (!ended && !transform.destroyed) flush?.call(transform)
    },
  }
}

/** What node answers to a write after the end, but told only to who asks: the answer that was sent is right. */
function afterEnd(callback: Callback | undefined): void {
  if (!callback) return
  const error = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' })
  process.nextTick(() => callback(error))
}
