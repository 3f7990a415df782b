import { optionError } from '../../base/errors.ts'
import type { RequestContext } from '../context.ts'
import { canonicalText } from './canonical.ts'
import { clientAddress } from './client-address.ts'
import { cookieName } from './cookies.ts'
import { folded } from './fold.ts'
import { bareUser, naturalRoute, naturalUser } from './natural-key.ts'
import { digest, joinParts } from './parts.ts'
import { routeParts } from './route-name.ts'

export { digest, joinParts } from './parts.ts'

/**
 * Who or what a request is counted or stored for. Any function of the request serves; those of {@link by} also say what
 * they cover, and treat missing, hostile and spoofed values safely.
 *
 * `undefined` means that it cannot be told: a limiter then uses a shared bucket, a cache does not take the user's
 * identity as covered.
 */
export type KeyFunction = (c: RequestContext) => string | undefined | PromiseLike<string | undefined>

/** The client's address. For limits in its canonical form, IPv6 by /64; for what is stored exactly as the handler sees it. */
function ip(c: RequestContext): string | undefined {
  return c.forStoring ? c.ip : clientAddress(c.ip)
}

/**
 * The signed-in user, as the application's authentication left it: by `id`, else `sub`, `_id`, `uid`, `userId`, `uuid`,
 * `username`, `login` or `email`, of any kind that can be compared (ObjectId, UUID, bytes, bigint …), within its issuer,
 * tenant, organisation or realm and, for what is stored, with its scopes and roles. `undefined` for nobody: an anonymous
 * request is not a user.
 *
 * Where somebody is signed in and no name can be told, responses are not stored and limits count by address; a warning
 * (`SLUICE_IDENTITY`) says once what to declare as `identity`.
 */
function user(c: RequestContext): string | undefined {
  const name = c.identify()
  return name === undefined || c.forStoring ? name : bareUser(name)
}

/**
 * The matched route pattern and the method. Where no pattern is known (a 404, or before the router has matched) all paths
 * are one: told apart by the raw URL, who makes URLs up would get a fresh limit with each.
 */
function route(c: RequestContext): string {
  return joinParts(routeParts(c))
}

/** A request field; absent is not the same as empty. The same for everybody who does not send it. Fields are the client's word: do not limit by them alone. */
function header(name: string): KeyFunction {
  if (typeof name !== 'string' || !/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) {
    throw optionError('by.header(name)', 'must be a field name', name)
  }
  const lower = name.toLowerCase()
  return raw(Object.assign((c: RequestContext) => c.header(lower) ?? (c.forStoring ? undefined : ''), { field: lower }))
}

/**
 * One cookie, read from the request's own Cookie field: no cookie parser is needed. Covers that cookie and no other.
 *
 * @throws SluiceError for what is no cookie name (RFC 6265 §4.1.1)
 */
function cookie(name: string): KeyFunction {
  if (typeof name !== 'string' || !cookieName.test(name)) {
    throw optionError('by.cookie(name)', 'must be a cookie name', name)
  }
  const cookieKey: KeyFunction = (c) => {
    const pairs = c.cookiePairs(name)
    return pairs.length === 0 ? undefined : joinParts(pairs)
  }
  return raw(Object.assign(cookieKey, { natural: (given: string) => joinParts([`${name}=${given}`]) }))
}

/**
 * A value of the request, hashed: `by.hash('body.email')`. For limits text is trimmed, composed (NFC) and lower-cased first, so
 * that `Bob@x.org` and `bob@x.org` are one; for what is stored it is taken as it is. The path starts at `body`, `query`,
 * `params`, `user`, `session` or `cookies`. Covers what stands at the path, and nothing beside it.
 */
function hash(path: string): KeyFunction {
  const [root, ...rest] = String(path).split('.')
  const roots = ['body', 'query', 'params', 'user', 'session', 'cookies'] as const
  if (!roots.includes(root as never) || rest.length === 0) {
    throw optionError('by.hash(path)', `must be a path such as 'body.email', starting at ${roots.join(', ')}`, path)
  }
  const late = root !== 'query' && root !== 'params'
  return Object.assign(
    (c: RequestContext) => {
      const value = c.at(root as (typeof roots)[number], rest)
      return c.forStoring ? exactHash(c, value) : foldedHash(value)
    },
    late ? isLate : {},
    { natural: (given: string) => digest(folded(given)) },
  )
}

function exactHash(c: RequestContext, value: unknown): string | undefined {
  if (value === undefined) return undefined
  const text = canonicalText(value)
  return text === undefined ? c.refuse('no-key') : digest(text)
}

function foldedHash(value: unknown): string | undefined {
  if (typeof value === 'string') return digest(folded(value))
  return typeof value === 'number' || typeof value === 'boolean' ? digest(String(value)) : undefined
}

/**
 * Several together: `by(by.user, by.route)`. A part that cannot be told keeps its place; for limits, where nobody is signed
 * in or no name was found, the client’s address is counted beside them.
 */
function combine(...parts: readonly KeyFunction[]): KeyFunction {
  for (const part of parts)
    if (typeof part !== 'function') throw optionError('by(...)', 'must be given functions', part)
  const all: KeyFunction = (c) => {
    const values = parts.map((part) => part(c))
    // Behind all the others, where no part of that number of them can be taken for it.
    if (!c.forStoring && values.some((value, i) => value === undefined && parts[i] === user)) values.push(ip(c))
    return values.some((v) => typeof v === 'object' && v !== null)
      ? Promise.all(values).then(joinParts)
      : joinParts(values as (string | undefined)[])
  }
  return Object.assign(all, parts.some(readsLate) ? isLate : {}, { parts })
}

const isLate = Object.freeze({ late: true })

/**
 * Whether a function of {@link by} reads what is there only when authentication has run or the body was read. Of functions
 * of one's own this cannot be told.
 */
export function readsLate(key: KeyFunction): boolean {
  return (key as { readonly late?: boolean }).late === true
}

/** Whether a function of {@link by} asks for nothing but what a request says by itself: address, fields, cookies, its route. */
export function isOfRawRequest(key: KeyFunction): boolean {
  const { parts } = key as { readonly parts?: readonly KeyFunction[] }
  if (parts) return parts.every(isOfRawRequest)
  return key === ip || key === route || rawKeys.has(key)
}

const rawKeys = new WeakSet<KeyFunction>()

/** Notes that it is one. */
function raw<T extends KeyFunction>(key: T): T {
  rawKeys.add(key)
  return key
}

/**
 * Key functions for limits (`key: by.user`) and caches (`varyBy: by.user`).
 *
 * @example
 * ```ts
 * limits: { search: { rate: '100/min', key: by(by.user, by.route) } }
 * sluice.cache('1m', { varyBy: [by.header('accept-language'), by.cookie('theme')] })
 * ```
 */
export const by: typeof combine & {
  readonly ip: typeof ip
  readonly user: typeof user
  readonly route: typeof route
  readonly header: typeof header
  readonly cookie: typeof cookie
  readonly hash: typeof hash
} = Object.freeze(
  Object.assign(combine, {
    ip,
    user: Object.assign(user, isLate, { natural: naturalUser }),
    route: Object.assign(route, { natural: (given: string) => joinParts(naturalRoute(given)) }),
    header,
    cookie,
    hash,
  }),
)
