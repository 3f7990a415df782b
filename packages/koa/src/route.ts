import type { Context } from 'koa'

/** What @koa/router and koa-router leave on the context: the layers whose path matched, and the one that runs. */
interface Routed {
  readonly matched?: readonly { readonly path: unknown; readonly methods: readonly string[] }[]
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
  const own = !matched || routes.some((layer) => layer.path === running)
  const path = own ? running : routes.findLast((layer) => layer.methods.includes(ctx.method))?.path
  return path === undefined ? undefined : `${mountedAt(ctx)}${String(path)}`
}

/** What koa-mount has taken off the front of the path. */
function mountedAt(ctx: Context): string {
  const [whole = ''] = ctx.originalUrl.split('?', 1)
  const { path } = ctx
  if (whole.endsWith(path)) return whole.slice(0, whole.length - path.length)
  return path === '/' && whole.startsWith('/') ? whole : ''
}
