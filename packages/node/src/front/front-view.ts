import type { RequestListener, ServerResponse } from 'node:http'
import type { FrontAsking, RefreshTicket, SeenAs } from '@sluice/core'
import { type NodeRequest, NodeRequestView } from '../node-request-view.ts'
import { refreshWith } from '../refresh/refresh.ts'

/** What a view is made of. */
export interface FrontRequest {
  readonly request: NodeRequest
  readonly response: ServerResponse
  readonly handler: RequestListener
  /** Of a place that is known. */
  readonly seenAs: SeenAs | undefined
  readonly addressOf: ((request: object) => string | undefined) | undefined
}

/** A request in front of its application: what of it does not show in the raw request is as the framework saw others. */
export class FrontView extends NodeRequestView implements FrontAsking {
  readonly #seenAs: SeenAs | undefined
  readonly #addressOf: FrontRequest['addressOf']
  readonly #handler: RequestListener
  #route: string | undefined
  readonly outgoing: ServerResponse

  constructor({ request, response, handler, seenAs, addressOf }: FrontRequest) {
    super(request, response)
    this.#seenAs = seenAs
    this.#addressOf = seenAs?.addressOf ?? addressOf
    this.#handler = handler
    this.#route = seenAs?.route
    this.outgoing = response
  }

  override get scheme(): string {
    return this.#seenAs?.scheme ?? super.scheme
  }

  override get authority(): string {
    return this.#seenAs?.authority ?? super.authority
  }

  override get localPort(): number | undefined {
    return this.#seenAs ? this.#seenAs.localPort : super.localPort
  }

  override get clientIp(): string | undefined {
    return this.#addressOf ? this.#addressOf(this.request) : super.clientIp
  }

  override get route(): string | undefined {
    return this.#route
  }

  override set route(route: string | undefined) {
    this.#route = route
  }

  /** What a framework keeps on its objects is not there yet: answers that depend on it are not for us to give. */
  override root(): object {
    throw new Error('No framework has seen this request.')
  }

  override property(): undefined {
    return undefined
  }

  override refresh(ticket: RefreshTicket): Promise<void> {
    return refreshWith(this.request, this.headers, ticket, this.#handler)
  }
}
