import type { ServerResponse } from 'node:http'
import type { RequestView, SeenAs } from '@sluice/core'
import { type NodeRequest, NodeRequestView } from '../node-request-view.ts'
import { refreshWith } from '../refresh/refresh.ts'

type Handler = (request: NodeRequest, response: ServerResponse) => unknown

/** A request in front of its application: what of it does not show in the raw request is as the framework saw others. */
export class FrontView extends NodeRequestView implements RequestView {
  readonly #seenAs: SeenAs | undefined
  readonly #handler: Handler

  /** @param seenAs - of a place that is known */
  constructor(request: NodeRequest, response: ServerResponse, handler: Handler, seenAs?: SeenAs) {
    super(request, response)
    this.#seenAs = seenAs
    this.#handler = handler
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
    const addressOf = this.#seenAs?.addressOf
    return addressOf ? addressOf(this.request) : super.clientIp
  }

  override get route(): string | undefined {
    return this.#seenAs?.route
  }

  /** What a framework keeps on its objects is not there yet: answers that depend on it are not for us to give. */
  override root(): object {
    throw new Error('No framework has seen this request.')
  }

  override property(): undefined {
    return undefined
  }

  override refresh(ticket: object): Promise<void> {
    return refreshWith(this.request, this.headers, ticket, this.#handler as never)
  }
}
