import { IncomingMessage } from 'node:http'
import { Http2ServerRequest } from 'node:http2'
import { isCarried } from '../../carrier.ts'
import { stateOf } from '../state.ts'

export type Headers = Record<string, string | string[] | undefined>

/** Node's own requests have their fields from accessors of their prototype, and so from those of its stand-in. */
const isNodeRequest = (object: object): boolean =>
  object instanceof IncomingMessage || object instanceof Http2ServerRequest

/** Whether a request has this from an accessor of ours behind it. What is added to a request is dear where a framework has changed it. */
export const takesBelow = (request: object, name: string): boolean =>
  (isCarried(request) || stateOf(request) !== undefined) && isNodeRequest(request) && !Object.hasOwn(request, name)

export function define(object: object, property: string, value: unknown): void {
  Object.defineProperty(object, property, { configurable: true, enumerable: true, writable: true, value })
}
