import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SluiceError } from '@sluice/core'

/** What can be warmed: an application, a server, a listener, or the URL of one that runs. */
export type WarmTarget = string | URL | RequestListener | Server | KoaLike | FastifyLike

/** A Koa application. */
export interface KoaLike {
  callback(): (...args: never[]) => unknown
}

/** A Fastify application. */
export interface FastifyLike {
  ready(): PromiseLike<unknown>
  routing(...args: never[]): unknown
}

export interface OpenTarget {
  readonly base: URL
  /** It was given as a URL, so its host is one that clients may use too. */
  readonly named: boolean
  close(): Promise<void>
}

/** Where requests can be sent. An application that does not listen is given a port of its own for as long as it takes. */
export async function openTarget(target: WarmTarget): Promise<OpenTarget> {
  if (typeof target === 'string' || target instanceof URL) {
    return { base: readBase(String(target)), named: true, close: () => Promise.resolve() }
  }
  if (isServer(target)) {
    return target.listening ? { base: addressOf(target), named: false, close: () => Promise.resolve() } : listen(target)
  }
  return listen(createServer(await listenerOf(target)))
}

function readBase(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') throw noTarget(JSON.stringify(text))
  return url
}

async function listenerOf(target: Exclude<WarmTarget, string | URL | Server>): Promise<RequestListener> {
  if (typeof target === 'function') return target
  const { callback, ready, routing } = (target ?? {}) as Partial<KoaLike & FastifyLike>
  if (typeof callback === 'function') return callback.call(target) as RequestListener
  if (typeof ready === 'function' && typeof routing === 'function') {
    await ready.call(target)
    return ((request, response) => routing.call(target, request as never, response as never)) as RequestListener
  }
  throw noTarget(String(target))
}

function isServer(target: unknown): target is Server {
  const { listen: starts, listening } = (target ?? {}) as Partial<Server>
  return typeof target === 'object' && typeof starts === 'function' && typeof listening === 'boolean'
}

async function listen(server: Server): Promise<OpenTarget> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    base: addressOf(server),
    named: false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function addressOf(server: Server): URL {
  const address = server.address() as AddressInfo | string | null
  if (typeof address !== 'object' || address === null) throw noTarget('a server on a pipe')
  const host =
    address.family === 'IPv6' ? (address.address === '::' ? '[::1]' : `[${address.address}]`) : address.address
  const scheme = 'setSecureContext' in server ? 'https' : 'http'
  return new URL(`${scheme}://${host === '0.0.0.0' ? '127.0.0.1' : host}:${address.port}`)
}

function noTarget(received: string): SluiceError {
  return new SluiceError(
    'ERR_SLUICE_OPTION',
    `What is to be warmed must be an application, a server or an http(s) URL; received ${received}.`,
  )
}
