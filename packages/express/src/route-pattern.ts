import type { Request } from 'express'

/** What of Express's routers this reads: those of 4 and 5 are built alike, and neither tells whole patterns. */
interface Layer {
  readonly route?: object | undefined
  readonly handle?: { readonly stack?: readonly Layer[] } | undefined
  /** The pattern it was mounted at, where the router remembers it (from 2.3). */
  readonly rawPath?: unknown
  /** What Express 4 made of the pattern, and the names in it. */
  readonly regexp?: RegExp & { readonly fast_slash?: boolean }
  readonly keys?: readonly { readonly name: string | number }[]
  /** Of the path it matched last. */
  readonly path?: string | undefined
  readonly params?: Readonly<Record<string, string>> | undefined
  /** From router 2.3 on it answers what it matched and keeps nothing. */
  match(path: string): boolean | { readonly path: string }
}

interface App {
  readonly parent?: App | undefined
  readonly mountpath?: string | readonly string[] | undefined
  /** Of Express 4, whose `router` throws. */
  readonly _router?: { readonly stack?: readonly Layer[] } | undefined
  readonly router?: { readonly stack?: readonly Layer[] } | undefined
}

/** The routers on the way to a route, from the outermost; one route may be reached on several ways. */
type Way = readonly Layer[]

const waysTo = new WeakMap<object, readonly Way[]>()

/**
 * The pattern of the matched route with those of the routers and applications it is mounted in, `/tenants/:tenant/users/:id`:
 * never the client's spelling of it, as `req.baseUrl` has it (`/TENANTS/7`, `/%74enants/8`). `undefined` before routing.
 */
export function routePattern(request: Request): string | undefined {
  const route = request.route as { readonly path: unknown } | undefined
  if (route === undefined) return undefined
  const own = String(route.path)
  if (request.baseUrl === '') return own
  const app = request.app as unknown as App
  const way = wayTo(route, app, request.baseUrl)
  // A router that nobody knows the way to: written by hand, or wrapped in a function.
  if (!way) return `${plain(request.baseUrl)}${own}`
  return `${appsAround(app)}${way.map(patternOf).join('')}${own}`
}

function wayTo(route: object, app: App, baseUrl: string): Way | undefined {
  let ways = waysTo.get(route)
  if (!ways) {
    const stack = app._router?.stack ?? (app._router ? undefined : app.router?.stack)
    ways = findWays(route, stack ?? [])
    // Of a route that is not there yet nothing is known later either.
    if (ways.length > 0) waysTo.set(route, ways)
  }
  return ways.length < 2 ? ways[0] : (ways.find((way) => leads(way, baseUrl)) ?? ways[0])
}

function findWays(route: object, stack: readonly Layer[], depth = 0): readonly Way[] {
  // Deeper than anybody nests, and no end to a router that is mounted in itself.
  if (depth > 20) return []
  return stack.flatMap((layer) => {
    if (layer.route === route) return [[]]
    const inner = layer.handle?.stack
    return inner ? findWays(route, inner, depth + 1).map((way) => [layer, ...way]) : []
  })
}

/** Whether a way ends at that path. Asking a layer leaves nothing behind that Express relies on: it asks again itself. */
function leads(way: Way, baseUrl: string): boolean {
  let rest = baseUrl
  for (const layer of way) {
    const match = layer.match(rest || '/')
    if (!match) return false
    rest = rest.slice((typeof match === 'object' ? match.path : (layer.path ?? '')).length)
  }
  return rest === '' || rest === '/'
}

function patternOf(layer: Layer): string {
  const { rawPath, regexp } = layer
  if (rawPath !== undefined) return trimmed(Array.isArray(rawPath) ? rawPath.map(String).join('|') : String(rawPath))
  if (regexp) return regexp.fast_slash ? '' : trimmed(written(regexp, layer.keys ?? []))
  // The values of what it matched last give way to their names.
  const names = Object.entries(layer.params ?? {})
  const segments = (layer.path ?? '').split('/').map((segment) => {
    const text = decoded(segment)
    const name = names.find(([, value]) => value === text)?.[0]
    return name === undefined ? text.toLowerCase() : `:${name}`
  })
  return trimmed(segments.join('/'))
}

/** The pattern Express 4 made a regular expression of; where it was one, that. */
function written({ source }: RegExp, keys: NonNullable<Layer['keys']>): string {
  let next = 0
  const text = source
    .replace(/^\^/, '')
    .replace(/\\\/\?\(\?=\\\/\|\$\)$/, '')
    .replace(/\(\?:\\\/\(\[\^\\?\/\]\+\?\)\)/g, () => `/:${keys[next++]?.name ?? next}`)
    .replace(/\\([/.-])/g, '$1')
  return text
}

function appsAround(app: App): string {
  let around = ''
  for (let one: App | undefined = app; one?.parent; one = one.parent) {
    around = trimmed([one.mountpath ?? ''].flat().join('|')) + around
  }
  return around
}

/** The way a literal path is matched: by its characters, without regard to case. */
function plain(baseUrl: string): string {
  return decoded(baseUrl).toLowerCase().replace(/\/+/g, '/')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const trimmed = (pattern: string): string => pattern.replace(/\/+$/, '')
