import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FrontNote, RefreshTicket, RequestProperty, RequestView, SentHead } from '@sluice/core'
import { notesOn, parseQuery, splitTarget } from '@sluice/core'
import { placeNoted } from './front/place.ts'
import { sentHead } from './front/sent-head.ts'
import { refreshWith, ticketIn } from './refresh/refresh.ts'
import { whenOver } from './response/ending.ts'
import { fieldsBehind } from './watch/fields/overlay.ts'
import { type FieldsOwner, fieldsRoot, fieldText, fieldTexts } from './watch/set-fields.ts'

/** Anything node's HTTP servers hand out: HTTP/1.1, or HTTP/2 through the compatibility API. */
export type NodeRequest = IncomingMessage & { originalUrl?: string }

/** A request of plain node:http. The frameworks' views extend it with their own ideas of host, address and route. */
export class NodeRequestView implements RequestView {
  protected readonly request: NodeRequest
  readonly method: string
  readonly path: string
  readonly query: string
  readonly rewritten: string | undefined
  readonly absolute: string | undefined
  /** The authority of a target in absolute form. */
  protected readonly ownAuthority: string | undefined
  readonly ticket: object | undefined
  /** The fields as the client sent them, whatever is laid over them for the handler. */
  protected readonly headers: NodeRequest['headers']

  /** The response to it, where the framework has one at hand. */
  protected readonly response: ServerResponse | undefined

  /** @param target - the request target as the client sent it, where the framework keeps it elsewhere */
  constructor(
    request: NodeRequest,
    response?: ServerResponse,
    target: string = request.originalUrl ?? request.url ?? '/',
  ) {
    this.request = request
    this.response = response
    this.method = request.method ?? 'GET'
    const notes = notesOn(request)
    this.headers = fieldsBehind(request, notes) as NodeRequest['headers']
    this.ticket = ticketIn(notes)
    // Routers that strip their prefix from `url` keep the whole target elsewhere.
    const { path, query, authority } = splitTarget(target)
    this.path = path
    this.query = query
    this.absolute = authority === undefined ? undefined : target.slice(0, target.indexOf('://') + 3 + authority.length)
    this.ownAuthority = authority?.slice(authority.lastIndexOf('@') + 1)
    this.rewritten = request.url === target ? undefined : request.url
  }

  get scheme(): string {
    return (this.request.socket as { encrypted?: boolean } | undefined)?.encrypted ? 'https' : 'http'
  }

  get authority(): string {
    return this.ownAuthority ?? this.header(':authority') ?? this.header('host') ?? ''
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

  get incoming(): object {
    return this.request
  }

  get keyedFields(): readonly string[] {
    return none
  }

  get queryParsed(): boolean | 'validated' {
    const { query } = this.request as { query?: unknown }
    return query !== undefined && query !== null
  }

  get content(): 'none' | 'read' | 'unread' {
    const { headers, request } = this
    const empty = headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0'
    // HTTP/2 has content without either field.
    if (empty && (request.httpVersionMajor < 2 || !hasContentOver2(request))) return 'none'
    // A body that parsers passed by is not what they left in `req.body`: Express 4 leaves `{}` there.
    return request.readableDidRead ? 'read' : 'unread'
  }

  header(name: string): string | undefined {
    const value: unknown = this.headers[name]
    if (typeof value === 'string' || value === undefined) return value
    // A field may be called what every object has.
    if (!Object.hasOwn(this.headers, name)) return undefined
    // Schemas of Fastify's turn values into numbers.
    return fieldText(value)
  }

  fieldNames(): readonly string[] {
    return Object.keys(this.headers)
  }

  root(name: string): object | undefined {
    return name === 'req' ? this.request : responseRoot('res', name, this.response)
  }

  get frontNote(): FrontNote | undefined {
    return placeNoted(this.request)
  }

  get varySet(): string | undefined {
    return fieldText(this.response?.getHeader('vary'))
  }

  get addressOf(): (request: object) => string | undefined {
    return ofSocket
  }

  whenSent(listener: (head: SentHead) => void): void {
    const { response } = this
    response?.once('finish', () => listener(sentHead(response)))
  }

  property(name: RequestProperty): unknown {
    if (name === 'query') return (this.request as { query?: unknown }).query ?? parseQuery(this.query)
    const request = this.request as unknown as Record<string, unknown>
    // Not all authentication leaves what it found in `user`: express-jwt and its like say `auth`.
    return name === 'user' ? (request.user ?? request.auth) : request[name]
  }

  refresh(ticket: RefreshTicket): Promise<void> {
    return refreshWith(this.request, this.headers, ticket, undefined)
  }

  onGone(listener: () => void): () => void {
    const { response } = this
    return response ? whenOver(response, listener) : () => {}
  }
}

/** A response, or the fields on it, where that is what a root is called. */
export function responseRoot(called: string, name: string, response: FieldsOwner | undefined): object | undefined {
  if (name === called) return response
  return response && name === fieldsRoot(called) ? fieldTexts(response) : undefined
}

const hasContentOver2 = (request: NodeRequest): boolean =>
  (request as { stream?: { endAfterHeaders?: boolean } }).stream?.endAfterHeaders === false

const ofSocket = (request: object): string | undefined => (request as NodeRequest).socket?.remoteAddress

const none: readonly string[] = Object.freeze([])
