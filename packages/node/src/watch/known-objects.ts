import { IncomingMessage, ServerResponse } from 'node:http'
import { Http2ServerRequest } from 'node:http2'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { eachRead } from '@sluice/core'
import type { RequestWatch } from './request-watch.ts'
import type { KnownObject } from './state.ts'

/** Properties that node itself has on a request, and accessors on its prototypes. */
function ofNode(): Set<string | symbol> {
  const request = new IncomingMessage(new Socket())
  const names = new Set<string | symbol>([...Reflect.ownKeys(request), ...Reflect.ownKeys(new ServerResponse(request))])
  // Node looks at streams of all kinds alike, so at a request for what only a response has.
  for (const made of [
    IncomingMessage.prototype,
    Http2ServerRequest.prototype,
    ServerResponse.prototype,
    Duplex.prototype,
  ]) {
    // All the way up but for the last, which every object has.
    for (let at: object | null = made; at; at = Object.getPrototypeOf(at) as object | null) {
      if (Object.getPrototypeOf(at) !== null) for (const key of Reflect.ownKeys(at)) names.add(key)
    }
  }
  names.delete('authority')
  return names
}

/** Where middleware that everybody uses keeps what it needs for itself, and what is in the key anyway. */
const ofMiddleware: readonly string[] = (
  '_handle _eventsCount _writableState __onFinished headers rawHeaders headersDistinct sluice page next baseUrl ' +
  'originalUrl _parsedUrl _parsedOriginalUrl body params query res route app secret _body rawBody _startAt _startTime ' +
  '_passport _sessionManager _userProperty sessionStore sessionOptions sessionKey originalMethod ' +
  'allLogs httpVersion xhr'
).split(' ')

/** A node request, whoever has it: `req` on Express, `ctx.req`, `request.raw`. */
export function nodeRequest(root: string): KnownObject {
  return Object.freeze({
    root,
    own: new Set([...ofNode(), ...ofMiddleware]),
    derived: new Set(['hostname', 'host', 'protocol', 'secure', 'subdomains', 'authority']),
    address: new Set(['ip', 'ips', '_remoteAddress']),
    delivery: new Set(['fresh', 'stale']),
    stands: requestStands,
  })
}

/** What middleware that everybody uses keeps on a response for itself, and what the handler makes of it. */
const onResponses: readonly string[] = (
  'req app locals sluice _startAt _startTime __onFinished __statusCode flush charset responseTime cookie cookies allLogs err ' +
  // Node's servers put these on it, and promises ask for the last.
  '_keepAliveTimeout _maxRequestsPerSocket maxRequestsOnConnectionReached _onPendingData _expect_continue stream then ' +
  // And these `setHeader` asks for, from Node 24 on, where a client may have set them.
  'httpValidation insecureHTTPParser'
).split(' ')

/** A node response, whoever has it: `res` on Express, `ctx.res`, `reply.raw`. */
export function nodeResponse(root: string): KnownObject {
  return Object.freeze({ root, own: new Set([...ofNode(), ...onResponses]), ...nothing })
}

const nothing = Object.freeze({
  answers: true,
  derived: new Set<string>(),
  address: new Set<string>(),
  delivery: new Set<string>(),
  stands: Object.freeze({}),
})

/** What middleware has parsed of the request. Each part has a term of its own. */
export const requestStands: KnownObject['stands'] = Object.freeze({
  cookies: watchCookies,
  signedCookies: watchCookies,
})

function watchCookies(watch: RequestWatch, value: unknown): unknown {
  const { visibleCookies } = watch
  let seen = value
  if (visibleCookies && typeof value === 'object' && value !== null) {
    const kept = Object.entries(value).filter(([name]) => visibleCookies.includes(name))
    seen = Object.assign(
      Object.create(Object.getPrototypeOf(value) as object | null) as object,
      Object.fromEntries(kept),
    )
  }
  return eachNamed(seen, watch)
}

/** Tells which cookies were read by name; who lists them has read the field. */
function eachNamed(value: unknown, watch: RequestWatch): unknown {
  if (typeof value !== 'object' || value === null || !Object.isExtensible(value)) {
    watch.field('cookie')
    return value
  }
  const read = (name: string): void => {
    if (Object.hasOwn(value, name) || !(name in value)) watch.cookie(name)
  }
  return eachRead(value, read, () => watch.field('cookie'))
}
