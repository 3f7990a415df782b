import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Fields } from '@sluice/core'
import { place } from './methods.ts'

const methods = ['setHeader', 'appendHeader', 'removeHeader'] as const

/**
 * Notes which fields of a response are set or removed from now on: a handler that says what earlier middleware has said
 * already says it itself. `undefined` where there is nothing yet that it could repeat.
 */
export function watchWritten(response: ServerResponse, before: Fields): ReadonlySet<string> | undefined {
  if (before.names().next().done) return undefined
  const written = new Set<string>()
  for (const name of methods) {
    const method = response[name] as (...args: unknown[]) => unknown
    const noting = function (this: ServerResponse, ...args: unknown[]): unknown {
      written.add(String(args[0]).toLowerCase())
      return method.apply(this, args)
    }
    place(response, name, noting)
  }
  return written
}

/** The reason phrase that somebody has given a response; `undefined` for the one its status usually has. */
export function reasonOf(response: ServerResponse): string | undefined {
  // HTTP/2 has none, and warns of whoever asks.
  if (isHttp2(response)) return undefined
  const { statusMessage, statusCode } = response
  return statusMessage && statusMessage !== STATUS_CODES[statusCode] ? statusMessage : undefined
}

/** Gives a response a status and its reason phrase, of which the one that is there is that of the status that is there. */
export function setStatus(response: ServerResponse, status: number, reason: string | undefined): void {
  if (!isHttp2(response) && (reason !== undefined || status !== response.statusCode)) {
    // An empty one, which node fills in.
    response.statusMessage = reason ?? ''
  }
  response.statusCode = status
}

function isHttp2(response: ServerResponse): boolean {
  return response.req?.httpVersionMajor >= 2
}
