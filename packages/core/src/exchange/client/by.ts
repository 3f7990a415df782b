import { createHash } from 'node:crypto'
import { optionError } from '../../base/errors.ts'
import type { RequestContext } from '../context.ts'
import { clientAddress } from './client-address.ts'

/**
 * Who or what a request is counted or stored for. Any function of the request serves; those of {@link by} also say what
 * they cover, and treat missing, hostile and spoofed values safely.
 *
 * `undefined` means that it cannot be told: a limiter then uses a shared bucket, a cache does not take the user's
 * identity as covered.
 */
export type KeyFunction = (c: RequestContext) => string | undefined | PromiseLike<string | undefined>

/** Joins parts so that no two lists of parts give the same text: each is preceded by its length. */
export function joinParts(parts: readonly (string | undefined)[]): string {
  let joined = ''
  for (const part of parts) joined += part === undefined ? '-;' : `${part.length}:${part};`
  return joined
}

/** 256 bits of SHA-256, as base64url: short, of fixed length, and it does not show what it was made of. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function ip(c: RequestContext): string | undefined {
  return clientAddress(c.ip, c.forStoring ? { ipv6Prefix: 128 } : undefined)
}

/**
 * The signed-in user, as the application's authentication left it: `user.id`, else `sub`, `_id`, `uid`, `username`,
 * `email`; a string or number is taken as it is. `undefined` for nobody: an anonymous request is not a user.
 */
function user(c: RequestContext): string | undefined {
  const name = userName(c.user)
  if (name !== undefined) c.coverIdentity()
  return name
}

function userName(found: unknown): string | undefined {
  if (found === undefined || found === null || found === false || found === '') return undefined
  if (typeof found !== 'object') return `${typeof found}:${String(found)}`
  for (const name of ['id', 'sub', '_id', 'uid', 'username', 'email']) {
    const value = (found as Record<string, unknown>)[name]
    if (value !== undefined && value !== null && value !== '') return `${name}:${String(value)}`
  }
  return undefined
}

/**
 * The matched route pattern and the method. Where no pattern is known (a 404, or before the router has matched) all paths
 * are one: told apart by the raw URL, who makes URLs up would get a fresh limit with each.
 */
function route(c: RequestContext): string {
  return joinParts([c.method === 'HEAD' ? 'GET' : c.method, c.route])
}

/** A request field. The same for everybody who does not send it. Fields are the client's word: do not limit by them alone. */
function header(name: string): KeyFunction {
  if (typeof name !== 'string' || !/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) {
    throw optionError('by.header(name)', 'must be a field name', name)
  }
  const lower = name.toLowerCase()
  return Object.assign((c: RequestContext) => c.header(lower) ?? '', { field: lower })
}

/**
 * A value of the request, hashed: `by.hash('body.email')`. Text is trimmed and lower-cased first, so that `Bob@x.org`
 * and `bob@x.org` are one. The path starts at `body`, `query`, `params`, `user`, `session` or `cookies`.
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
      let value: unknown = c[root as (typeof roots)[number]]
      for (const name of rest) {
        if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
        value = (value as Record<string, unknown>)[name]
      }
      if (typeof value === 'string') return digest(value.trim().toLowerCase())
      return typeof value === 'number' || typeof value === 'boolean' ? digest(String(value)) : undefined
    },
    late ? isLate : {},
  )
}

/** Several together: `by(by.user, by.route)`. A part that cannot be told keeps its place. */
function combine(...parts: readonly KeyFunction[]): KeyFunction {
  for (const part of parts)
    if (typeof part !== 'function') throw optionError('by(...)', 'must be given functions', part)
  const all: KeyFunction = (c) => {
    const values = parts.map((part) => part(c))
    return values.some((v) => typeof v === 'object' && v !== null)
      ? Promise.all(values).then(joinParts)
      : joinParts(values as (string | undefined)[])
  }
  return parts.some(readsLate) ? Object.assign(all, isLate) : all
}

const isLate = Object.freeze({ late: true })

/**
 * Whether a function of {@link by} reads what is there only when authentication has run or the body was read. Of functions
 * of one's own this cannot be told.
 */
export function readsLate(key: KeyFunction): boolean {
  return (key as { readonly late?: boolean }).late === true
}

/**
 * Key functions for limits (`key: by.user`) and caches (`varyBy: by.user`).
 *
 * @example
 * ```ts
 * limits: { search: { rate: '100/min', key: by(by.user, by.route) } }
 * sluice.cache('1m', { varyBy: by.header('accept-language') })
 * ```
 */
export const by: typeof combine & {
  readonly ip: typeof ip
  readonly user: typeof user
  readonly route: typeof route
  readonly header: typeof header
  readonly hash: typeof hash
} = Object.freeze(Object.assign(combine, { ip, user: Object.assign(user, isLate), route, header, hash }))
