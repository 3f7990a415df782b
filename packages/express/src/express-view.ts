import { NodeRequestView, type RefreshTicket, type RequestProperty, type RequestView, refreshWith } from '@sluice/node'
import type { Request } from 'express'
import { routePattern } from './route-pattern.ts'

/** A request with Express's own ideas of host, protocol, address and route: its `trust proxy` setting included. */
export class ExpressView extends NodeRequestView implements RequestView {
  readonly #request: Request

  constructor(request: Request) {
    super(request, request.res)
    this.#request = request
  }

  /** Whether Express believes what the nearest proxy says. */
  get #trusts(): boolean {
    const trust = this.#request.app?.get('trust proxy fn') as ((address?: string, hop?: number) => boolean) | undefined
    return trust?.(this.#request.socket?.remoteAddress, 0) === true
  }

  override get scheme(): string {
    // Behind a proxy this is a header: only the two words it may say are taken into a key.
    return this.#request.protocol === 'https' ? 'https' : 'http'
  }

  override get authority(): string {
    // `req.host` warns in Express 4 and `req.hostname` has no port, so this follows their rule by hand.
    const forwarded = this.#forwarded('x-forwarded-host')
    return forwarded === undefined ? super.authority : forwarded.split(',', 1)[0]!.trim()
  }

  override get localPort(): number | undefined {
    // The port of a host that a proxy names is not ours: it stays in the key.
    return this.#forwarded('x-forwarded-host') === undefined ? super.localPort : undefined
  }

  override get clientIp(): string | undefined {
    return this.#request.ip
  }

  override get route(): string | undefined {
    return routePattern(this.#request)
  }

  override get queryParsed(): boolean | 'validated' {
    // Switched off, Express leaves an empty object.
    return this.#request.app?.get('query parser') !== false && super.queryParsed
  }

  override get addressOf(): (request: object) => string | undefined {
    return addressOf(this.#request.app)
  }

  override property(name: RequestProperty): unknown {
    const found = super.property(name)
    if (found !== undefined || (name !== 'user' && name !== 'session')) return found
    // Where templates look for it.
    return this.#request.res?.locals?.[name]
  }

  override get keyedFields(): readonly string[] {
    if (!this.#trusts) return super.keyedFields
    // What the key has of such a field is what Express made of it. Where it says more, whoever reads it may see the rest.
    const host = this.header('x-forwarded-host')
    const protocols = this.header('x-forwarded-proto')
    const keyed: string[] = []
    if (host === undefined || host === this.authority) keyed.push('x-forwarded-host')
    if (protocols === undefined || plainProtocols.test(protocols)) keyed.push('x-forwarded-proto')
    return keyed
  }

  /** A field that only counts when Express was told to believe the nearest proxy. */
  #forwarded(name: string): string | undefined {
    const value = this.header(name)
    return value !== undefined && this.#trusts ? value : undefined
  }

  override root(name: string): object | undefined {
    return name === 'res.locals' ? this.#request.res?.locals : super.root(name)
  }

  override refresh(ticket: RefreshTicket): Promise<void> {
    let app = this.#request.app as { parent?: unknown } | undefined
    while (app?.parent) app = app.parent as { parent?: unknown }
    return refreshWith(this.#request, this.headers, ticket, app as never)
  }
}

/** Tells the client's address of a raw request as this application would. */
export function addressOf(app: object): (request: object) => string | undefined {
  let known = addresses.get(app)
  if (!known) {
    const { request } = app as { request: object }
    // Its own getter, on a request that Express has not seen.
    known = (raw) => Reflect.get(request, 'ip', withApp(raw, app)) as string | undefined
    addresses.set(app, known)
  }
  return known
}

const withApp = (raw: object, app: object): object => Object.create(raw, { app: { value: app } }) as object

/** One for each application. */
const addresses = new WeakMap<object, (request: object) => string | undefined>()

const plainProtocols = /^https?(?:[ \t]*,[ \t]*https?)*$/
