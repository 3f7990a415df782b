import http, { type Server } from 'node:http'
import http2 from 'node:http2'
import type { AppSpec } from './app.ts'
import { testCertificate } from './certificate.ts'

/** The server an application asked for, with this listener. */
export function serverOf(spec: AppSpec, listener: unknown): Server {
  if (!spec.http2) return http.createServer(listener as never)
  const server =
    spec.http2 === 'secure'
      ? http2.createSecureServer(testCertificate, listener as never)
      : http2.createServer(listener as never)
  return server as unknown as Server
}
