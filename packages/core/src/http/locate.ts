/** A path and a raw query without its `?`, as {@link RequestView} has them. */
export interface Target {
  readonly path: string
  readonly query: string
}

/** Path and query as one text, as the client sent them. */
export const targetText = ({ path, query }: Target): string => (query === '' ? path : `${path}?${query}`)

/**
 * What a `Location` or `Content-Location` points to, if it is on the same origin (RFC 9111 §4.4): the other URLs an
 * unsafe request may have changed. `undefined` for other origins and for what is no reference.
 *
 * @param base - the request; without an authority only references that have none themselves count
 */
export function sameOriginTarget(
  base: { readonly scheme: string; readonly authority: string; readonly path: string },
  reference: string | undefined,
): Target | undefined {
  if (reference === undefined || reference === '') return undefined
  try {
    // A name that no reference can have stands for the authority of an HTTP/1.0 request (RFC 2606 §2).
    const origin = new URL(`${base.scheme}://${base.authority || 'sluice-no-authority.invalid'}`)
    // A request target of `*` or an absolute form has no path to resolve against.
    const path = base.path.startsWith('/') ? base.path : '/'
    const url = new URL(reference, new URL(origin.origin + path))
    if (url.origin !== origin.origin || !/^https?:$/.test(url.protocol)) return undefined
    return { path: url.pathname, query: url.search.slice(1) }
  } catch {
    // No URL, or a base that is none: there is nothing to invalidate there.
    return undefined
  }
}

/** A request target, taken apart. `authority` and `scheme` only where it is in absolute form. */
export interface RequestTarget extends Target {
  readonly scheme: string | undefined
  readonly authority: string | undefined
}

const slash = 0x2f

/**
 * Takes a request target apart as it was sent (RFC 9112 §3.2), without decoding or normalising anything: origin-form
 * (`/a?b`; a path may begin with `//`), absolute-form (`http://host/a?b`), or `*`. Takes any text.
 */
export function splitTarget(target: string): RequestTarget {
  // §3.2.2. An origin-form begins with a slash, so that `//host/a` is a path and not a reference to a host.
  const absolute = target.charCodeAt(0) === slash ? null : /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(target)
  const rest = absolute ? target.slice(absolute[0].length) : target
  const mark = rest.indexOf('?')
  return {
    scheme: absolute?.[1]?.toLowerCase(),
    authority: absolute?.[2],
    path: (mark < 0 ? rest : rest.slice(0, mark)) || '/',
    query: mark < 0 ? '' : rest.slice(mark + 1),
  }
}

/** Host and port of an authority (RFC 3986 §3.2); the host in lower case, without a port `port` is `undefined`. */
export function splitAuthority(authority: string): { readonly host: string; readonly port: string | undefined } {
  const match = /^(.*?)(?::(\d*))?$/s.exec(authority.toLowerCase())!
  // The colons of a bare IPv6 address are no port's.
  if (match[1]!.includes(':') && !match[1]!.endsWith(']')) return { host: authority.toLowerCase(), port: undefined }
  return { host: match[1]!, port: match[2] || undefined }
}
