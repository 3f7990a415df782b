import type { IncomingMessage } from 'node:http'

const placeKey = Symbol('sluice.place')

type Placed = { [placeKey]?: string }

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

/** Leaves it on a request that takes the ordinary way. */
export function notePlace(request: IncomingMessage, place: string): void {
  ;(request as Placed)[placeKey] = place
}

export const placeNoted = (request: object): string | undefined => (request as Placed)[placeKey]
