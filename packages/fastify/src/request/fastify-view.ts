import {
  fieldText,
  NodeRequestView,
  type RefreshTicket,
  type RequestProperty,
  type RequestView,
  refreshWith,
  responseRoot,
} from '@sluice/node'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A request with Fastify's own ideas of host, protocol, address and route: its `trustProxy` setting included. */
export class FastifyView extends NodeRequestView implements RequestView {
  readonly #request: FastifyRequest
  readonly #route: string | undefined
  #scheme: string | undefined
  #authority: string | undefined
  /** Told of what is read of the request while it is not there (yet). */
  missing: ((name: RequestProperty) => void) | undefined

  readonly #reply: FastifyReply | undefined

  /** @param route - the pattern, where it is known without asking Fastify */
  constructor(request: FastifyRequest, reply?: FastifyReply, route?: string) {
    super(request.raw, reply?.raw)
    this.#request = request
    this.#reply = reply
    this.#route = route
  }

  override get scheme(): string {
    // Behind a proxy this is a header: only the two words it may say are taken into a key.
    this.#scheme ??= this.#request.protocol === 'https' ? 'https' : 'http'
    return this.#scheme
  }

  override get authority(): string {
    // Read once: Fastify looks it up in the fields each time, and a handler may have changed those.
    this.#authority ??= (this.#believed('x-forwarded-host') ? undefined : this.ownAuthority) ?? this.#request.host
    return this.#authority
  }

  override get clientIp(): string | undefined {
    return this.#request.ip
  }

  override get route(): string | undefined {
    return this.#route ?? this.#request.routeOptions.url
  }

  override get native(): object {
    return this.#request
  }

  override get queryParsed(): boolean | 'validated' {
    const { schema } = this.#request.routeOptions as { schema?: { querystring?: unknown; query?: unknown } }
    return schema?.querystring === undefined && schema?.query === undefined ? true : 'validated'
  }

  override get keyedFields(): readonly string[] {
    // Fastify tells `ips` only where it trusts a proxy at all.
    return this.#request.ips === undefined ? super.keyedFields : this.#forwarded()
  }

  override get varySet(): string | undefined {
    return fieldText(this.#reply?.getHeader('vary'))
  }

  override get addressOf(): (request: object) => string | undefined {
    // Fastify makes a class of requests for each `trustProxy`.
    const made = Object.getPrototypeOf(this.#request) as object
    let known = addresses.get(made)
    if (!known) {
      known = (raw) => (Object.create(made, { raw: { value: raw } }) as FastifyRequest).ip
      addresses.set(made, known)
    }
    return known
  }

  override property(name: RequestProperty): unknown {
    const value = this.#found(name)
    if (this.missing && (value === undefined || value === null)) this.missing(name)
    return value
  }

  override root(name: string): object | undefined {
    if (name === 'request') return this.#request
    if (name === 'request.raw') return this.#request.raw
    return responseRoot('reply', name, this.#reply) ?? responseRoot('reply.raw', name, this.response)
  }

  /** Middleware of Express and Connect leaves what it finds on the raw request. */
  #found(name: RequestProperty): unknown {
    const request = this.#request as unknown as Record<string, unknown>
    if (name === 'user') return request.user ?? request.auth ?? super.property('user')
    return name === 'session' ? (request.session ?? super.property('session')) : request[name]
  }

  override refresh(ticket: RefreshTicket): Promise<void> {
    // Injected requests came by no server: they go through the same function as those that did.
    return refreshWith(this.request, this.headers, ticket, this.#request.server.routing as never)
  }

  /** Whether Fastify was told to believe proxies, and one has sent this field. */
  #believed(name: string): boolean {
    return this.#request.ips !== undefined && this.header(name) !== undefined
  }

  /** The fields that say what the key says already. One that says more, or was not believed, is not among them. */
  #forwarded(): readonly string[] {
    const host = this.header('x-forwarded-host')
    const proto = this.header('x-forwarded-proto')
    return [
      ...(host === undefined || host === this.authority ? ['x-forwarded-host'] : []),
      ...(proto === undefined || proto === this.scheme ? ['x-forwarded-proto'] : []),
    ]
  }
}

/** One for each class of requests. */
const addresses = new WeakMap<object, (request: object) => string | undefined>()
