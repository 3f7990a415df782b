import { readHandler } from '../reads/each-read.ts'
import type { RequestView } from '../request-view.ts'

/** Cookie names (RFC 6265 §4.1.1). */
export const cookieName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i

/**
 * Every cookie pair of that name, as it was sent. Parsers take the first or the last, decode or not, and mind spaces or
 * not: whatever they read was made of these.
 */
export function cookiePairs(header: string | undefined, name: string): readonly string[] {
  if (header === undefined) return none
  const pairs: string[] = []
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) pairs.push(pair.startsWith(' ') ? pair.slice(1) : pair)
  }
  return pairs
}

const none: readonly string[] = Object.freeze([])

/** Cookies by name where no parser of the framework has been: as they were sent, the first of a name (RFC 6265 §5.4). */
export function parseCookies(header: string | undefined): Record<string, string> {
  const cookies: Record<string, string> = Object.create(null)
  for (const pair of header?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    const name = pair.slice(0, equals).trim()
    if (equals > 0 && name !== '' && !(name in cookies)) cookies[name] = pair.slice(equals + 1).trim()
  }
  return cookies
}

/** The cookies as the framework has them, or as they were sent. */
export function cookiesOf(view: RequestView): object {
  const parsed = view.property('cookies')
  return typeof parsed === 'object' && parsed !== null ? parsed : parseCookies(view.header('cookie'))
}

/** The same, noting which are looked at: `cookie.NAME`, and `cookie` where it may have been all of them. */
export function watchedCookies(cookies: object, reads: Set<string>): object {
  const note = (name: string): void => {
    if (name !== 'toJSON') reads.add(`cookie.${name}`)
  }
  return new Proxy(cookies, {
    ...readHandler(note, () => reads.add('cookie')),
    get(target, name) {
      const value = Reflect.get(target, name)
      // Koa's `cookies.get(name)`, and `cookies.hasOwnProperty(name)`: it is the argument that is read.
      if (typeof value === 'function') {
        return (...args: unknown[]): unknown => {
          if (typeof args[0] === 'string') note(args[0])
          else reads.add('cookie')
          return value.apply(target, args)
        }
      }
      if (typeof name === 'string') note(name)
      return value
    },
  })
}
