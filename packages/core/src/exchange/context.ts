import type { Fields } from '../http/fields/fields.ts'
import { cookiePairs, cookiesOf, watchedCookies } from './client/cookies.ts'
import type { Identity } from './client/identity.ts'
import { recorded } from './client/recorded.ts'
import { isSomebody, userName } from './client/user-name.ts'
import type { RequestProperty, RequestView } from './request-view.ts'

/** Why something of a request cannot be part of a key. */
export type KeyRefusal = 'identity' | 'no-key'

/**
 * What the functions of a configuration are given: `key`, `varyBy`, `unless`, `rate`, `cost`, `skip`, …
 *
 * `query`, `params`, `body`, `user` and `session` are the framework's own (an Express query parser's result, a Fastify
 * schema's coerced values); they are typed loosely because their shape is the application's.
 *
 * What is read through it is remembered, so that a key function covers what it reads: a handler may then read it too.
 * By name: a field in lower case, `cookie.theme`, `@ip`, `@body`; `cookie` for all cookies; `@user.plan` and
 * `@session.cart.id` where only that was read, `@user` and `@session` for all of it or where there is none.
 */
export class RequestContext {
  readonly #view: RequestView
  readonly #reads: Set<string> | undefined
  readonly #identity: Identity | undefined
  #refusal: KeyRefusal | undefined

  /**
   * @param reads - where to note what is read; given where the key of a stored response is being made
   * @param identity - how the instance names its users
   */
  constructor(view: RequestView, reads?: Set<string>, identity?: Identity) {
    this.#view = view
    this.#reads = reads
    this.#identity = identity
  }

  /** With numbers where the query has digits. */
  get inNumbers(): RequestContext {
    return new NumericContext(this.#view, this.#reads, this.#identity)
  }
  get method(): string {
    return this.#view.method
  }
  /** The key of a stored response is being made: what it is made of must be exact. A limiter groups what is one client. */
  get forStoring(): boolean {
    return this.#reads !== undefined
  }
  /** Raw path, without the query. */
  get path(): string {
    return this.#view.path
  }
  /** Host and port as the framework has them. */
  get authority(): string {
    return this.#view.authority
  }
  /** The matched route pattern, where it is known by now. */
  get route(): string | undefined {
    return this.#view.route
  }
  /** The client's address as the framework has it. */
  get ip(): string | undefined {
    this.#reads?.add('@ip')
    return this.#view.clientIp
  }
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  get query(): any {
    return this.#view.property('query') ?? {}
  }
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  get params(): any {
    return this.#view.property('params') ?? {}
  }
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  get body(): any {
    this.#reads?.add('@body')
    return this.#view.property('body')
  }
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  get user(): any {
    return this.#recorded('user')
  }
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  get session(): any {
    return this.#recorded('session')
  }
  #recorded(name: 'user' | 'session'): unknown {
    const value = this.#view.property(name)
    return this.#reads ? recorded(value, `@${name}`, this.#reads) : value
  }
  /** By name: the framework's own, else as they were sent. Reading one covers that one. */
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  get cookies(): any {
    const cookies = cookiesOf(this.#view)
    return this.#reads ? watchedCookies(cookies, this.#reads) : cookies
  }
  /** The pairs of one cookie as they were sent, for `by.cookie`. */
  cookiePairs(name: string): readonly string[] {
    this.#reads?.add(`cookie.${name}`)
    return cookiePairs(this.#view.header('cookie'), name)
  }
  /** The name of who is signed in, for `by.user`; `undefined` for nobody and where it cannot be told. */
  identify(): string | undefined {
    const user = this.#view.property('user')
    if (!isSomebody(user)) {
      this.#reads?.add('@user')
      return undefined
    }
    const name = this.#identity ? this.#identity.nameOf(user, this.forStoring) : userName(user, this.forStoring)
    if (name === undefined) return this.refuse('identity')
    this.coverIdentity()
    return name
  }
  /** What stands at a path, for `by.hash`. Of own members only: a path comes from the configuration, but names from clients. */
  at(root: RequestProperty, path: readonly string[]): unknown {
    const name = root === 'cookies' ? `cookie.${path[0]}` : `@${root}.${path.join('.')}`
    if (root !== 'query' && root !== 'params') this.#reads?.add(name)
    let value: unknown = root === 'cookies' ? cookiesOf(this.#view) : this.#view.property(root)
    for (const member of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, member)) return undefined
      value = (value as Record<string, unknown>)[member]
    }
    return value
  }
  /** Notes that a key made from this names the user: for `by.user`, and for key functions of one's own that do the same. */
  coverIdentity(): void {
    this.#reads?.add('@identity')
  }
  /** Notes that what the key is to be made of cannot be told exactly: nothing is stored, and the reason is said. */
  refuse(reason: KeyRefusal): undefined {
    this.#refusal ??= reason
  }
  /** The reason given first; `undefined` where there is none. */
  get refusal(): KeyRefusal | undefined {
    return this.#refusal
  }
  /** A request field, by its name in any case. */
  header(name: string): string | undefined {
    const lower = name.toLowerCase()
    this.#reads?.add(lower)
    return this.#view.header(lower)
  }
  /** Express's or node's `req`, Koa's `ctx`, Fastify's `request`. What is read of it directly covers nothing. */
  // biome-ignore lint/suspicious/noExplicitAny: the framework's own object
  get native(): any {
    return this.#view.native
  }
}

/** The same request, with whole numbers of its query and its parameters as numbers: for functions that calculate. */
export class NumericContext extends RequestContext {
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  override get query(): any {
    return numbersOf(super.query)
  }
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  override get params(): any {
    return numbersOf(super.params)
  }
}

function numbersOf(values: object): object {
  const result: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(values)) {
    result[name] = typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value
  }
  return result
}

/** What `tags`, `storeIf` and `countIf` are given: the response, and the request it answers. */
export class ResponseContext {
  readonly status: number
  readonly request: RequestContext
  readonly #fields: Fields
  readonly #body: Uint8Array | undefined

  constructor(view: RequestView, status: number, fields: Fields, body?: Uint8Array) {
    this.request = new RequestContext(view)
    this.status = status
    this.#fields = fields
    this.#body = body
  }

  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  get params(): any {
    return this.request.params
  }
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  get query(): any {
    return this.request.query
  }
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  get user(): any {
    return this.request.user
  }
  /** A response field, by its name in any case. */
  header(name: string): string | undefined {
    return this.#fields.get(name)
  }
  /** The bytes of the body; `undefined` where it is not known (a stream that is still running, or too large). */
  get body(): Uint8Array | undefined {
    return this.#body
  }
  /** The body parsed as JSON; `undefined` where there is none or it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: the shape belongs to the application
  json(): any {
    if (!this.#body) return undefined
    try {
      return JSON.parse(new TextDecoder().decode(this.#body))
    } catch {
      return undefined
    }
  }
}
