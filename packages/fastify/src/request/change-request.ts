import type { IncomingMessage } from 'node:http'
import type { RequestChange, ResponseControl } from '@sluice/core'
import {
  changeNodeRequest,
  type FieldsOwner,
  headersOf,
  type KnownObject,
  nodeRequest,
  nodeResponse,
  overlayHeaders,
  RequestWatch,
  requestStands,
  watchObject,
  watchResponse,
  watchSetFields,
} from '@sluice/node'
import type { FastifyReply, FastifyRequest } from 'fastify'

const knownRaw = nodeRequest('request.raw')
const knownRawReply = nodeResponse('reply.raw')

/** What Fastify keeps on a request, and what of it is in the key. */
const ofFastify: readonly string[] = (
  'params query body raw server url originalUrl method routeOptions is404 socket signal headers additionalHeaders mediaType ' +
  'validationError page routeSchema routerPath routerMethod routeConfig context isMultipart sessionStore'
).split(' ')

const knownRequest: KnownObject = {
  root: 'request',
  own: new Set(ofFastify),
  derived: new Set(['host', 'hostname', 'port', 'protocol']),
  address: new Set(['ip', 'ips']),
  delivery: new Set(),
  stands: requestStands,
}

/** What Fastify, and plugins that everybody uses, keep on a reply. */
const knownReply: KnownObject = {
  root: 'reply',
  answers: true,
  own: new Set(
    (
      'raw request log server context elapsedTime mediaType sent statusCode routeOptions then code status type send hijack ' +
      'redirect callNotFound header headers getHeader getHeaders hasHeader removeHeader trailer hasTrailer removeTrailer ' +
      'serialize serializer serializeInput getSerializationFunction compileSerializationSchema getDecorator ' +
      'writeEarlyHints setCookie cookie clearCookie sluice'
    ).split(' '),
  ),
  derived: new Set(),
  address: new Set(),
  delivery: new Set(),
  stands: {},
}

/** Lets the handler see the request as an exchange wants it to, and tells the exchange what it reads of it. */
export function changeRequest(request: FastifyRequest, reply: FastifyReply, change: RequestChange): void {
  const { raw } = request
  // With a schema for headers the request has an object of its own, in which the raw fields and the coerced ones are.
  const seen = RequestWatch.on(request)
  const headers: object = seen ? seen.trusting(() => request.headers) : request.headers
  const own = headers !== headersOf(raw)
  const watch = changeNodeRequest(raw as IncomingMessage, change, request, knownRaw)
  if (own) overlayHeaders(request as unknown as IncomingMessage, change, watch)
  if (!watch) return
  watchObject(watch, request, knownRequest)
  watchObject(watch, reply, knownReply)
  watchSetFields(watch, reply as unknown as FieldsOwner, knownReply.root)
  watchResponse(watch, reply.raw, knownRawReply)
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
