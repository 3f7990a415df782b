import { NodeRequestView, type RequestView, refreshWith } from '@sluice/node'
import type { Request } from 'express'

/** A request with Express's own ideas of host, protocol, address and route: its `trust proxy` setting included. */
export class ExpressView extends NodeRequestView implements RequestView {
  readonly #request: Request

  constructor(request: Request) {
    super(request)
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
    const forwarded = this.header('x-forwarded-host')
    // `req.host` warns in Express 4 and `req.hostname` has no port, so this follows their rule by hand.
    if (forwarded !== undefined && this.#trusts) return forwarded.split(',', 1)[0]!.trim()
    return super.authority
  }

  override get clientIp(): string | undefined {
    return this.#request.ip
  }

  override get route(): string | undefined {
    const path: unknown = this.#request.route?.path
    return path === undefined ? undefined : `${this.#request.baseUrl}${String(path)}`
  }

  override get keyedFields(): readonly string[] {
    return this.#trusts ? proxiedFields : super.keyedFields
  }

  override refresh(ticket: object): Promise<void> {
    let app = this.#request.app as { parent?: unknown } | undefined
    while (app?.parent) app = app.parent as { parent?: unknown }
    return refreshWith(this.#request, this.headers, ticket, app as never)
  }
}

const proxiedFields: readonly string[] = Object.freeze(['x-forwarded-host', 'x-forwarded-proto'])
