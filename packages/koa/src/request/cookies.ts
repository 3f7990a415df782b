import type { RequestWatch } from '@sluice/node'
import type { Context } from 'koa'

/**
 * Cookies by name, as the other frameworks' parsers give them, and with `get(name, options)` as Koa has it: a
 * configuration can be shared.
 *
 * @param header - the field as the client sent it
 */
export function cookiesOf(ctx: Context, header: string | undefined): object {
  const cookies: object = Object.create({
    get: (name: string, options?: { signed: boolean }) => ctx.cookies.get(name, options),
  })
  for (const pair of header?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    const name = pair.slice(0, equals).trim()
    // RFC 6265 §5.4: the more specific cookie comes first.
    if (equals < 1 || Object.hasOwn(cookies, name)) continue
    const value = unquote(pair.slice(equals + 1).trim())
    Object.defineProperty(cookies, name, { value, enumerable: true })
  }
  return cookies
}

function unquote(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}

type CookieJar = Context['cookies']

/** Koa's cookies, of which it is told which were read by name; who reads the field itself is seen there. */
export function watchedCookies(watch: RequestWatch, value: unknown): unknown {
  const jar = value as CookieJar | undefined
  if (typeof jar?.get !== 'function') return value
  const get: CookieJar['get'] = (name, options) => {
    watch.cookie(name)
    return watch.silently(() => jar.get(name, options))
  }
  // Everything else, setting above all, is as it was.
  return Object.create(jar, { get: { value: get, enumerable: true } }) as CookieJar
}
