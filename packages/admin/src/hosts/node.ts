import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import { sendReply } from '@sluice/node'
import type { StreamedAnswer } from '../door/answer.ts'
import { below } from '../door/request.ts'
import type { Host } from './host.ts'

/** For Express (`app.use('/ops', door)`) and node:http, which has no `next`: there, what is not below `path` is 404. */
export type NodeDoor = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => void

type ExpressRequest = IncomingMessage & { readonly originalUrl?: string; readonly ip?: string; readonly body?: unknown }

/** @param only - the method that is taken, at its whole URL; all others go on */
export function nodeDoor({ path, answer }: Host, only?: string): NodeDoor {
  return (raw: ExpressRequest, response, next) => {
    // Express cuts a mount off `url`. A URL to purge is meant as the client sent it.
    const url = only ? (raw.originalUrl ?? raw.url ?? '/') : (raw.url ?? '/')
    const target = only === undefined || raw.method === only ? below(path, url) : undefined
    if (target === undefined) {
      if (next) next()
      else response.writeHead(404, { 'Cache-Control': 'no-store' }).end()
      return
    }
    const ip = raw.ip ?? raw.socket?.remoteAddress
    answer({ raw, native: raw, target, ip, parsed: raw.body }).then((reply) => {
      if (response.headersSent || response.destroyed) {
        if ('stream' in reply) reply.stream.destroy()
      } else if ('stream' in reply) sendStream(response, reply)
      else sendReply(response, reply, raw.method ?? 'GET')
    }, next)
  }
}

function sendStream(response: ServerResponse, { status, fields, stream }: StreamedAnswer): void {
  response.statusCode = status
  for (let i = 0; i < fields.length; i += 2) response.setHeader(fields[i]!, fields[i + 1]!)
  response.flushHeaders()
  pipeline(stream, response, () => undefined)
}
