import { IncomingMessage, type RequestListener, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { notesFor, notesOn } from '@sluice/core'

/** Marks a request that Sluice made itself. A symbol of this module's own: nobody outside can set it. */
const ticketKey = Symbol('sluice.ticket')

/** The ticket a request was made with; `undefined` for a client's. */
export function ticketOf(request: object): object | undefined {
  return notesOn(request)?.[ticketKey] as object | undefined
}

/** Fields of the client's connection and of its own cache: not for a request that has neither. */
const dropped = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'expect',
  'upgrade',
  'http2-settings',
  'range',
  'if-range',
  'if-none-match',
  'if-modified-since',
])

/**
 * Makes a GET again, inside the process and without a client: through all the listeners of the server it came in by, or
 * through `listener` where there is no server (injected requests), so that authentication and everything else the
 * application does happens again too. Resolves when the response has ended, however it did.
 */
export async function refreshWith(
  request: IncomingMessage & { originalUrl?: string },
  headers: IncomingMessage['headers'],
  ticket: object,
  listener: RequestListener | undefined,
  target: string = request.originalUrl ?? request.url ?? '/',
): Promise<void> {
  const server = (request.socket as { server?: Server } | undefined)?.server
  if (!server && !listener) return
  const socket = new NoConnection(request.socket) as unknown as Socket
  const again = new IncomingMessage(socket)
  again.method = 'GET'
  again.url = target
  again.httpVersion = '1.1'
  again.httpVersionMajor = 1
  again.httpVersionMinor = 1
  again.headers = refreshHeaders(headers)
  again.rawHeaders = Object.entries(again.headers).flatMap(([name, value]) => [name, String(value)])
  again.complete = true
  again.push(null)
  notesFor(again)[ticketKey] = ticket
  const response = new ServerResponse(again)
  response.assignSocket(socket)
  const ended = new Promise<void>((resolve) => response.once('close', resolve))
  response.once('finish', () => socket.destroy())
  try {
    if (server) server.emit('request', again, response)
    else listener!(again, response)
  } catch {
    // A listener that throws would have failed a client's request too: here only the wait for it ends.
    socket.destroy()
  }
  await ended
}

function refreshHeaders(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  const kept: IncomingMessage['headers'] = {}
  const authority = headers[':authority']
  if (authority !== undefined) kept.host = String(authority)
  for (const [name, value] of Object.entries(headers)) {
    if (!dropped.has(name) && !name.startsWith(':')) kept[name] = value
  }
  return kept
}

/** Where a response goes that nobody waits for: it says whose address it had, and lets everything written go. */
class NoConnection extends Duplex {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localPort: number | undefined
  readonly encrypted: boolean

  constructor(like: Partial<Socket> | undefined) {
    super()
    this.remoteAddress = like?.remoteAddress
    this.remotePort = like?.remotePort
    this.localPort = like?.localPort
    this.encrypted = (like as { encrypted?: boolean } | undefined)?.encrypted === true
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done()
  }

  setTimeout(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }
}
