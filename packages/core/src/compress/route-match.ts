import { optionError } from '../base/errors.ts'
import type { RequestContext } from '../exchange/context.ts'

/** Routes, as options name them. */
export type RouteMatch = readonly (string | RegExp)[] | ((c: RequestContext) => boolean)

/**
 * Whether a request is for one of the routes: by its pattern where that is known by now, or by its path.
 *
 * @throws SluiceError for what is no {@link RouteMatch}
 */
export function routeMatcher(routes: RouteMatch): (c: RequestContext) => boolean {
  if (typeof routes === 'function') return routes
  if (!Array.isArray(routes) || !routes.every(isRoute)) {
    throw optionError(
      'compress.skip',
      'must be an array of route patterns, paths and regular expressions, or a function',
      routes,
    )
  }
  const tests = routes.map(testOf)
  return (c) => tests.some((test) => test(c))
}

const isRoute = (route: unknown): boolean =>
  route instanceof RegExp || (typeof route === 'string' && route.startsWith('/'))

function testOf(route: string | RegExp): (c: RequestContext) => boolean {
  if (route instanceof RegExp) {
    const pattern = new RegExp(route.source, route.flags.replace(/[gy]/g, ''))
    return (c) => pattern.test(c.path)
  }
  const wanted = route.toLowerCase()
  if (wanted.endsWith('*')) {
    const start = wanted.slice(0, -1)
    return (c) => plainPath(c.path).startsWith(start)
  }
  // Routers take `/Login/` for `/login` unless told not to: what is to be left alone is left alone however it is written.
  return (c) => c.route?.toLowerCase() === wanted || plainPath(c.path) === wanted
}

function plainPath(path: string): string {
  let decoded = path
  try {
    decoded = decodeURIComponent(path)
  } catch {
    // Not a path of any route then.
  }
  const lower = decoded.toLowerCase()
  return lower.length > 1 && lower.endsWith('/') ? lower.slice(0, -1) : lower
}
