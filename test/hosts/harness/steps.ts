import type { ServerResponse } from 'node:http'
import { finished } from 'node:stream/promises'
import type { Ctx } from './app.ts'

/** Marks a context whose step has answered: what comes after it does not run. */
export interface Answering extends Ctx {
  answered: boolean
}

/** Writes pieces as a careful handler does: it waits while the connection is full, and stops when the client is gone. */
export async function writePieces(res: ServerResponse, pieces: AsyncIterable<string | Uint8Array>): Promise<void> {
  try {
    for await (const piece of pieces) {
      if (res.destroyed) return
      if (!res.write(piece)) await Promise.race([once(res, 'drain'), once(res, 'close')])
    }
    res.end()
  } catch {
    // What a stream pipeline does: the body broke off, so the connection must show it.
    res.destroy()
  }
  await finished(res).catch(() => {})
}

const once = (emitter: ServerResponse, event: string): Promise<void> =>
  new Promise((resolve) => void emitter.once(event, () => resolve()))

/** A body and the type it has where nobody said another. */
export function typed(body: string | Uint8Array | object): { type: string; body: string | Uint8Array } {
  if (typeof body === 'string') return { type: 'text/plain; charset=utf-8', body }
  if (body instanceof Uint8Array) return { type: 'application/octet-stream', body }
  return { type: 'application/json; charset=utf-8', body: JSON.stringify(body) }
}

/** The same bytes as the Buffer that frameworks want: not a copy of one, for what a handler may do with it later. */
export function asBuffer(body: Uint8Array): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.from(body)
}

export function cookieIn(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const [n, value] = pair.trim().split('=')
    if (n === name) return value
  }
  return undefined
}
