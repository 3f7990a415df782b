import { IncomingMessage, type RequestListener, type Server, ServerResponse } from 'node:http'
import { type Notes, notesFor, notesOn, type RefreshTicket } from '@sluice/core'
import { withLateErrors } from './late-errors.ts'
import { asHttp2, NoConnection } from './no-connection.ts'

/** Marks a request that Sluice made itself. A symbol of this module's own: nobody outside can set it. */
const ticketKey = Symbol('sluice.ticket')

/** The ticket a request was made with; `undefined` for a client's. */
export function ticketOf(request: object): object | undefined {
  return ticketIn(notesOn(request))
}

/** The same, of what was left on the request. */
export function ticketIn(notes: Notes | undefined): object | undefined {
  return notes?.[ticketKey] as object | undefined
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
 * application does happens again too. To the application it looks like the request it repeats, HTTP/2 included. Resolves
 * when the response has ended, however it did: what goes wrong in there, now or later, ends this response and nothing else.
 */
export async function refreshWith(
  request: IncomingMessage & { originalUrl?: string },
  headers: IncomingMessage['headers'],
  ticket: RefreshTicket,
  listener: RequestListener | undefined,
  target: string = request.originalUrl ?? request.url ?? '/',
): Promise<void> {
  const socket = new NoConnection(request.socket)
  const { server } = socket as { server?: Server }
  if (!server && !listener) return
  const again = new IncomingMessage(socket)
  again.method = 'GET'
  again.url = target
  again.httpVersion = request.httpVersion
  again.httpVersionMajor = request.httpVersionMajor
  again.httpVersionMinor = request.httpVersionMinor
  again.headers = refreshHeaders(headers, target)
  again.rawHeaders = Object.entries(again.headers).flatMap(([name, value]) => [name, String(value)])
  again.complete = true
  again.push(null)
  notesFor(again)[ticketKey] = ticket
  const response = new ServerResponse(again)
  // A write after the end is an event that somebody has to hear.
  response.on('error', () => {})
  response.assignSocket(socket)
  if (request.httpVersionMajor >= 2) asHttp2(again, response, request, socket)
  const ended = new Promise<void>((resolve) => response.once('close', resolve))
  response.once('finish', () => socket.destroy())
  const send = (): Promise<void> => {
    try {
      if (server) server.emit('request', again, response)
      else listener!(again, response)
    } catch {
      // A listener that throws would have failed a client's request too: here only the wait for it ends.
      socket.destroy()
    }
    return ended
  }
  const { within } = ticket
  await withLateErrors(within ? () => within(send) : send, (error) => {
    socket.destroy()
    tell(target, error)
  })
}

function tell(target: string, error: unknown): void {
  const [path] = target.split('?', 1)
  const message = `A background refresh of ${path} failed where nobody caught it; for a client's request this would have ended the process.`
  const detail = error instanceof Error ? error.stack : String(error)
  process.emitWarning(message, { code: 'SLUICE_REFRESH_FAILED', ...(detail === undefined ? {} : { detail }) })
}

function refreshHeaders(headers: IncomingMessage['headers'], target: string): IncomingMessage['headers'] {
  const kept: IncomingMessage['headers'] = {}
  for (const [name, value] of Object.entries(headers)) if (!dropped.has(name)) kept[name] = value
  // A HEAD is refreshed as a GET, and below a mount the target is not the client's.
  if (':method' in kept) kept[':method'] = 'GET'
  if (':path' in kept) kept[':path'] = target
  return kept
}
