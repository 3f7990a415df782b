import { ServerResponse, STATUS_CODES } from 'node:http'
import type { Reply } from '@sluice/core'

/** A head and a body in one piece, as they go out. */
interface Rendered {
  readonly status: number
  readonly body: Uint8Array | undefined
  readonly keepAlive: string
  readonly head: string
  readonly whole: Buffer
  readonly headOnly: Buffer
}

/** Parts of node's response that are its own affair. What uses them is tried out before: see `self-test.ts`. */
interface Internals {
  _header: string | null
  _headerSent: boolean
  _send(data: Uint8Array, encoding?: BufferEncoding): boolean
  _keepAliveTimeout?: number
  _defaultKeepAlive?: boolean
  maxRequestsOnConnectionReached?: boolean
  shouldKeepAlive: boolean
}

/** Larger bodies are not copied behind their heads each second. */
const largestBody = 64 * 1024

/** As they were before anybody wanted to see heads on their way out. */
const { writeHead, end } = ServerResponse.prototype

/** By the list of fields, which is the same for the same answer within a second. */
const rendered = new WeakMap<readonly string[], Rendered>()

/**
 * Whether the response may be written past `writeHead`: nobody has put fields on it or wants to see its head, and its
 * connection stays open.
 */
export function takesOneBuffer(response: ServerResponse, reply: Reply): boolean {
  const { shouldKeepAlive, maxRequestsOnConnectionReached } = response as unknown as Internals
  const { req } = response
  return (
    shouldKeepAlive &&
    !maxRequestsOnConnectionReached &&
    req.httpVersionMinor === 1 &&
    req.httpVersionMajor === 1 &&
    response.writeHead === writeHead &&
    response.end === end &&
    (reply.body === undefined || reply.body.byteLength <= largestBody) &&
    isServing(req.socket) &&
    response.getHeaderNames().length === 0
  )
}

/** What a server that is being closed, or that counts requests, says of the connection is node's own to say. */
function isServing(socket: object): boolean {
  const { server } = socket as { server?: { listening?: boolean; maxRequestsPerSocket?: number | null } }
  return server?.listening === true && !server.maxRequestsPerSocket
}

/** Sends an answer in one piece. Its fields must stay the same list where they are the same. */
export function writeOneBuffer(response: ServerResponse, reply: Reply, isHead: boolean): void {
  const internals = response as ServerResponse & Internals
  const keepAlive = keepAliveOf(internals)
  let form = rendered.get(reply.fields)
  if (!form || form.status !== reply.status || form.body !== reply.body || form.keepAlive !== keepAlive) {
    form = render(reply, keepAlive)
    rendered.set(reply.fields, form)
  }
  response.statusCode = reply.status
  if (reply.reason !== undefined) response.statusMessage = reply.reason
  internals._header = form.head
  internals._headerSent = true
  // Given to `end` it would be followed by an empty piece, and two pieces are another way to the kernel, half as fast.
  internals._send(isHead ? form.headOnly : form.whole)
  response.end()
}

function keepAliveOf({ _keepAliveTimeout, _defaultKeepAlive }: Internals): string {
  const timeout = Math.floor((_keepAliveTimeout ?? 0) / 1000)
  return _keepAliveTimeout && _defaultKeepAlive ? `Keep-Alive: timeout=${timeout}\r\n` : ''
}

function render({ status, reason, fields, body }: Reply, keepAlive: string): Rendered {
  let head = `HTTP/1.1 ${status} ${reason ?? STATUS_CODES[status] ?? 'unknown'}\r\n`
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`
  head += `Connection: keep-alive\r\n${keepAlive}\r\n`
  const headOnly = Buffer.from(head, 'latin1')
  const whole = body ? Buffer.concat([headOnly, body]) : headOnly
  return { status, body, keepAlive, head, whole, headOnly }
}
