import type { Context } from 'koa'

interface Layer {
  readonly path: unknown
  readonly methods: readonly string[]
  match?(path: string): boolean
}

/** What @koa/router and koa-router leave on the context: the layers whose path matched, and the one that runs. */
interface Routed {
  readonly matched?: readonly Layer[]
  readonly _matchedRoute?: unknown
}

/**
 * The pattern of the matched route, with the prefixes of the routers and mounts around it; `undefined` before routing.
 *
 * A layer made by `router.use()` is a match too, but not a route: there the route is the last one of this method that
 * matched, which is the rule of the routers themselves.
 */
export function routeOf(ctx: Context): string | undefined {
  const { matched, _matchedRoute: running } = ctx as Routed
  if (running === undefined) return undefined
  const routes = (matched ?? []).filter((layer) => layer.methods.length > 0)
  const own = routes.find((layer) => layer.path === running)
  const layer = own ?? routes.findLast(({ methods }) => methods.includes(ctx.method))
  if (!layer && matched) return undefined
  return `${mountedAt(ctx, layer)}${String((layer ?? { path: running }).path)}`
}

/** What koa-mount takes off the front of the path, and puts back when the mounted application is done. */
function mountedAt(ctx: Context, layer: Layer | undefined): string {
  const [whole = ''] = ctx.originalUrl.split('?', 1)
  const { path, mountPath } = ctx
  if (path === '/' && whole !== '/' && !whole.endsWith('/')) return whole
  if (whole !== path) return whole.endsWith(path) ? whole.slice(0, whole.length - path.length) : ''
  const isMounted = typeof mountPath === 'string' && whole.startsWith(mountPath) && layer?.match?.(whole) === false
  return isMounted ? mountPath.replace(/\/$/, '') : ''
}
