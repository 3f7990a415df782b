import type { IncomingMessage } from 'node:http'
import type { FrontNote } from '@sluice/core'

const placeKey = Symbol('sluice.place')

/** The place alone: a GET that the door has put nothing on, which most are. It costs no object until somebody asks. */
type Placed = { [placeKey]?: FrontNote | string }

const nothing: readonly never[] = Object.freeze([])

/**
 * What a request asks for, by all that frameworks make scheme, authority, path and query of. What proxies say counts by whose
 * word it is: whether a framework believes it depends on that.
 */
export function placeOf(request: IncomingMessage): string {
  const { headers } = request
  const socket = request.socket as { encrypted?: boolean; remoteAddress?: string; localPort?: number } | undefined
  const authority = headers.host ?? headers[':authority'] ?? ''
  const place = `${socket?.encrypted ? 's' : ''}${socket?.localPort ?? ''} ${authority as string}\n${request.url}`
  const host = headers['x-forwarded-host']
  const proto = headers['x-forwarded-proto']
  const forwarded = headers.forwarded
  if (host === undefined && proto === undefined && forwarded === undefined) return place
  return `${place}\n${JSON.stringify([host, proto, forwarded, socket?.remoteAddress])}`
}

/** Leaves on a request that takes the ordinary way what it was at the door. */
export function notePlace(request: IncomingMessage, place: string, fields: readonly string[]): void {
  const { method } = request
  ;(request as Placed)[placeKey] =
    fields.length === 0 && method === 'GET' ? place : new NoteOf(request, place, method, fields)
}

export function placeNoted(request: IncomingMessage): FrontNote | undefined {
  const noted = (request as Placed)[placeKey]
  return typeof noted === 'string' ? new NoteOf(request, noted, 'GET', nothing) : noted
}

class NoteOf implements FrontNote {
  readonly place: string
  readonly fields: readonly string[]
  readonly #request: IncomingMessage
  readonly #method: string | undefined

  constructor(request: IncomingMessage, place: string, method: string | undefined, fields: readonly string[]) {
    this.#request = request
    this.#method = method
    this.place = place
    this.fields = fields
  }

  changed(): string | undefined {
    const { method, headers, rawHeaders } = this.#request
    if (method !== this.#method) return 'method'
    const lines = new Map<string, string | undefined>()
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i]!.toLowerCase()
      // What node makes of several lines is node's to say.
      lines.set(name, lines.has(name) ? undefined : rawHeaders[i + 1])
    }
    for (const [name, line] of lines) {
      const value = headers[name]
      if (value === undefined || (line !== undefined && value !== line && `${value}` !== line)) return name
    }
    // Where it was not sent it stands there all the same: of HTTP/2's `:authority`.
    return Object.keys(headers).find((name) => !lines.has(name) && name !== 'host')
  }
}
