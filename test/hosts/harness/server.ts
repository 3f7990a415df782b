import http, { type RequestListener, type Server } from 'node:http'
import http2 from 'node:http2'
import type { Front } from '@sluice/node'
import type { AppSpec } from './app.ts'
import { testCertificate } from './certificate.ts'

/** The server an application asked for, with this listener. */
export function serverOf(spec: AppSpec, app: unknown, sluice: Front): Server {
  const { front } = spec
  const listener = front ? sluice.front(app as RequestListener, front === true ? {} : front) : app
  if (!spec.http2) return http.createServer(listener as never)
  const server =
    spec.http2 === 'secure'
      ? http2.createSecureServer(testCertificate, listener as never)
      : http2.createServer(listener as never)
  return server as unknown as Server
}
