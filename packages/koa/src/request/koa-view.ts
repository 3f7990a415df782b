import {
  NodeRequestView,
  type RefreshTicket,
  type RequestProperty,
  type RequestView,
  refreshWith,
  responseRoot,
} from '@sluice/node'
import type { Context } from 'koa'
import { cookiesOf } from './cookies.ts'
import { routeOf } from './route.ts'

/** A request with Koa's own ideas of host, protocol, address and route: `app.proxy` included. */
export class KoaView extends NodeRequestView implements RequestView {
  readonly #ctx: Context

  constructor(ctx: Context) {
    super(ctx.req, ctx.res, ctx.originalUrl)
    this.#ctx = ctx
  }

  override get scheme(): string {
    // Behind a proxy this is a header: only the two words it may say are taken into a key.
    return this.#ctx.request.protocol === 'https' ? 'https' : 'http'
  }

  override get authority(): string {
    const forwarded = this.#forwarded('x-forwarded-host') !== undefined
    return (forwarded ? undefined : this.ownAuthority) ?? this.#ctx.request.host
  }

  override get localPort(): number | undefined {
    // The port of a host that a proxy names is not ours: it stays in the key.
    return this.#forwarded('x-forwarded-host') === undefined ? super.localPort : undefined
  }

  override get clientIp(): string | undefined {
    return this.#ctx.ip || undefined
  }

  override get route(): string | undefined {
    return routeOf(this.#ctx)
  }

  override get native(): object {
    return this.#ctx
  }

  override get queryParsed(): boolean {
    return true
  }

  override get keyedFields(): readonly string[] {
    const host = this.#forwarded('x-forwarded-host')
    const protocols = this.#forwarded('x-forwarded-proto')
    if (!this.#ctx.app.proxy) return super.keyedFields
    // What the key has of such a field is what Koa made of it. Where it says more, whoever reads it may see the rest.
    const keyed: string[] = []
    if (host === undefined || host === this.authority) keyed.push('x-forwarded-host')
    if (protocols === undefined || plainProtocols.test(protocols)) keyed.push('x-forwarded-proto')
    return keyed
  }

  override get addressOf(): (request: object) => string | undefined {
    return addressOf(this.#ctx.app)
  }

  override property(name: RequestProperty): unknown {
    const ctx = this.#ctx
    switch (name) {
      case 'user':
        return ctx.state.user ?? ctx.user ?? ctx.state.auth ?? ctx.auth ?? super.property('user')
      case 'session':
        return ctx.session ?? ctx.state.session ?? super.property('session')
      case 'cookies':
        return cookiesOf(ctx, this.header('cookie'))
      case 'body':
        return (ctx.request as { body?: unknown }).body
      case 'params':
        return ctx.params
      case 'query':
        return ctx.query
    }
  }

  override root(name: string): object | undefined {
    const ctx = this.#ctx
    if (name === 'ctx') return ctx
    if (name === 'ctx.state') return ctx.state
    if (name === 'ctx.request') return ctx.request
    if (name === 'ctx.response') return ctx.response
    return name === 'ctx.req' ? ctx.req : responseRoot('ctx.res', name, ctx.res)
  }

  override refresh(ticket: RefreshTicket): Promise<void> {
    // A mounted application shares the context of the one it is mounted in, so this is the outermost.
    const { app, req, originalUrl } = this.#ctx
    return refreshWith(req, this.headers, ticket, app.callback(), originalUrl)
  }

  /** A field that only counts when Koa was told to believe proxies. */
  #forwarded(name: string): string | undefined {
    return this.#ctx.app.proxy ? this.header(name) || undefined : undefined
  }
}

/** Tells the client's address of a raw request as this application would. */
export function addressOf(app: Context['app']): (request: object) => string | undefined {
  let known = addresses.get(app)
  if (!known) {
    // Its own getter, on a request that Koa has not seen.
    known = (raw) => (Object.create(app.request, { app: { value: app }, req: { value: raw } }) as Context).ip
    addresses.set(app, known)
  }
  return known
}

/** One for each application. */
const addresses = new WeakMap<object, (request: object) => string | undefined>()

const plainProtocols = /^(?:https?)(?:[ \t]*,[ \t]*https?)*$/
