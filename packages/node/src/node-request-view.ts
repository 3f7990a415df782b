import type { IncomingMessage } from 'node:http'
import type { RequestProperty, RequestView } from '@sluice/core'
import { splitTarget } from '@sluice/core'
import { refreshWith, ticketOf } from './refresh/refresh.ts'
import { fieldsBehind } from './watch/fields.ts'

/** Anything node's HTTP servers hand out: HTTP/1.1, or HTTP/2 through the compatibility API. */
export type NodeRequest = IncomingMessage & { originalUrl?: string }

/** A request of plain node:http. The frameworks' views extend it with their own ideas of host, address and route. */
export class NodeRequestView implements RequestView {
  protected readonly request: NodeRequest
  readonly method: string
  readonly path: string
  readonly query: string
  readonly rewritten: string | undefined
  readonly ticket: object | undefined
  /** The fields as the client sent them, whatever is laid over them for the handler. */
  protected readonly headers: NodeRequest['headers']

  /** @param target - the request target as the client sent it, where the framework keeps it elsewhere */
  constructor(request: NodeRequest, target: string = request.originalUrl ?? request.url ?? '/') {
    this.request = request
    this.method = request.method ?? 'GET'
    this.headers = fieldsBehind(request.headers) as NodeRequest['headers']
    this.ticket = ticketOf(request)
    // Routers that strip their prefix from `url` keep the whole target elsewhere.
    const { path, query } = splitTarget(target)
    this.path = path
    this.query = query
    this.rewritten = request.url === target ? undefined : request.url
  }

  get scheme(): string {
    return (this.request.socket as { encrypted?: boolean } | undefined)?.encrypted ? 'https' : 'http'
  }

  get authority(): string {
    return this.header(':authority') ?? this.header('host') ?? ''
  }

  get localPort(): number | undefined {
    return this.request.socket?.localPort
  }

  get clientIp(): string | undefined {
    return this.request.socket?.remoteAddress
  }

  get route(): string | undefined {
    return undefined
  }

  get native(): object {
    return this.request
  }

  get keyedFields(): readonly string[] {
    return none
  }

  header(name: string): string | undefined {
    // A field may be called what every object has.
    const value: unknown = Object.hasOwn(this.headers, name) ? this.headers[name] : undefined
    if (typeof value === 'string' || value === undefined) return value
    // Schemas of Fastify's turn values into numbers.
    return Array.isArray(value) ? value.join(', ') : String(value)
  }

  fieldNames(): readonly string[] {
    return Object.keys(this.headers)
  }

  root(name: string): object | undefined {
    return name === 'req' ? this.request : undefined
  }

  property(name: RequestProperty): unknown {
    if (name === 'query') return (this.request as { query?: unknown }).query ?? queryObject(this.query)
    return (this.request as unknown as Record<string, unknown>)[name]
  }

  refresh(ticket: object): Promise<void> {
    return refreshWith(this.request, this.headers, ticket, undefined)
  }
}

const none: readonly string[] = Object.freeze([])

/** The query as plain node has it: nobody parsed it yet. Repeated names give arrays. No prototype, so any name works. */
function queryObject(query: string): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = Object.create(null)
  for (const [name, value] of new URLSearchParams(query)) {
    const known = result[name]
    result[name] = known === undefined ? value : Array.isArray(known) ? [...known, value] : [known, value]
  }
  return result
}
