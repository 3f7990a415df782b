import { type OperatorAccess, type Reply, splitTarget } from '@sluice/core'
import { isLoopback } from '../door/admit.ts'
import { bad, json } from '../door/answer.ts'
import type { Passage } from '../door/passage.ts'
import { header, hostOf } from '../door/request.ts'

/** `GET /why?url=/cities/7[&method=GET]`, or `?route=/cities/:id`. */
export async function why({ access, query, request }: Passage): Promise<Reply> {
  const [url, route] = [query.get('url'), query.get('route')]
  const method = (query.get('method') ?? 'GET').toUpperCase()
  if ((url === null) === (route === null)) bad('Say which: /why?url=/cities/7 or /why?route=/cities/:id')
  if (!/^[A-Z]{1,20}$/.test(method)) bad('`method` must be a method, such as GET.')
  const { path } = splitTarget((url ?? route)!.split('#', 1)[0]!)
  if (!path.startsWith('/')) bad('A URL begins with / or http(s)://, a route with /.')
  const told = access.why(route === null ? { method, path } : { method, path, route })
  const hint = told.stored === undefined && {
    hint: 'This process has seen no answer of it, or none for long. Ask for it once, and then again here; or give the route.',
  }
  const held = url === null ? undefined : await heldUnder(url, { access, query, request })
  return json({
    ...(url === null ? {} : { url }),
    ...told,
    stored: told.stored ?? null,
    ...hint,
    ...(held && { held: held.answers, ...(held.note === undefined ? {} : { note: held.note }) }),
  })
}

/**
 * What is stored under a URL. What stands in front of one that has no host is that of `&origin=`, for a server behind a proxy cannot
 * tell it; else of the request itself.
 */
export function heldUnder(
  url: string,
  { access, query, request }: Pick<Passage, 'access' | 'query' | 'request'>,
): ReturnType<OperatorAccess['find']> {
  const origin = splitTarget(query.get('origin') ?? '')
  const { socket } = request.raw
  const isSecure = (socket as { encrypted?: boolean } | undefined)?.encrypted === true
  return access.find(url, {
    scheme: origin.scheme ?? (isSecure ? 'https' : 'http'),
    authority: origin.authority ?? hostOf(request),
    localPort: socket?.localPort,
  })
}

/** `GET /stats`. */
export async function stats({ access, sluice }: Passage): Promise<Reply> {
  const { uptime, pid, memoryUsage, version } = process
  return json({
    at: new Date(access.now()).toISOString(),
    process: { pid, node: version, uptimeSeconds: Math.round(uptime()), rssBytes: memoryUsage.rss() },
    backend: access.backend,
    ...sluice.stats(),
  })
}

const inspectMs = 2_000

/** `GET /doctor`: what can be told of the environment from in here, for the command of that name to judge. */
export async function examine({ access, request }: Passage): Promise<Reply> {
  const { backend, hasSecret } = access
  const remote = request.raw.socket?.remoteAddress
  const proxied = ['x-forwarded-for', 'forwarded'].some((name) => header(request, name) !== undefined)
  let server: object | undefined
  try {
    server = await access.inspect(inspectMs)
  } catch (error) {
    server = { error: (error as Error).message }
  }
  return json({
    at: new Date(access.now()).toISOString(),
    node: process.versions.node,
    env: process.env.NODE_ENV ?? null,
    backend,
    hasSecret,
    client: {
      /** Whether somebody in between has added an address, and whether the framework goes by it. */
      proxied,
      isBelieved: proxied && request.ip !== undefined && request.ip !== remote,
      isLoopback: isLoopback(remote ?? ''),
    },
    ...(server ? { server } : {}),
  })
}
