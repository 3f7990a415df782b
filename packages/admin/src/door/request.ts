import type { IncomingMessage } from 'node:http'

/** A request to the door, as every host hands it in. */
export interface DoorRequest {
  readonly raw: IncomingMessage
  /** What the framework calls a request: `req`, `ctx`, `request`. For `authorize`. */
  readonly native: object
  /** Path and query below the mount, as they were sent. */
  readonly target: string
  /** The framework's own idea of the client's address. */
  readonly ip: string | undefined
  /** What a body parser in front has made of the body; `undefined` where nobody has read it. */
  readonly parsed: unknown
}

/** A request field, its lines joined; `undefined` where there is none. */
export function header({ raw }: Pick<DoorRequest, 'raw'>, name: string): string | undefined {
  const value = raw.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** The host that was asked, with its port: `:authority` over HTTP/2. */
export function hostOf(request: Pick<DoorRequest, 'raw'>): string {
  return header(request, ':authority') ?? header(request, 'host') ?? ''
}

/**
 * What of a target lies below a mount; `undefined` for what does not. Compared as it was sent: another spelling of the mount is
 * not the mount.
 */
export function below(mount: string, target: string): string | undefined {
  if (mount === '') return target
  if (!target.startsWith(mount)) return undefined
  const rest = target.slice(mount.length)
  if (rest === '' || rest.startsWith('?')) return `/${rest}`
  return rest.startsWith('/') ? rest : undefined
}
