import type { IncomingMessage } from 'node:http'
import type { RequestChange, ResponseControl } from '@sluice/core'
import { identityProperties, overlayHeaders, watchProperties } from '@sluice/node'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Lets the handler see the request as an exchange wants it to, and tells the exchange what it reads of it. */
export function changeRequest(request: FastifyRequest, change: RequestChange): void {
  const { raw } = request
  if (change.reads) {
    // Fastify works these out of the fields at each access; whoever reads them has read the address, not the fields.
    pin(request, 'ip')
    pin(request, 'ips')
  }
  // With a schema for headers the request has an object of its own, in which the raw fields and the coerced ones are.
  if (request.headers !== raw.headers) overlayHeaders(request as unknown as IncomingMessage, change)
  overlayHeaders(raw as IncomingMessage, change)
  if (change.reads) watchProperties(request, watched, change.reads)
}

const watched = Object.freeze({ ...identityProperties, ip: '@ip', ips: '@ip' })

function pin(request: FastifyRequest, name: 'ip' | 'ips'): void {
  if (Object.hasOwn(request, name)) return
  Object.defineProperty(request, name, { configurable: true, writable: true, value: request[name] })
}

/**
 * Cookies that the handler sets through a plugin (@fastify/cookie) become a field only in a hook that may run after ours,
 * so the call itself is what says that this response is somebody's own.
 */
export function watchCookies(reply: FastifyReply, control: ResponseControl): void {
  const methods = reply as unknown as Record<string, unknown>
  for (const name of ['setCookie', 'cookie', 'clearCookie']) {
    const method = methods[name]
    if (typeof method !== 'function') continue
    methods[name] = (...args: unknown[]): unknown => {
      control.skip('set-cookie')
      return method.apply(reply, args)
    }
  }
}
