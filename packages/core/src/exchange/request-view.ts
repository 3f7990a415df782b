/**
 * A request as core sees it. A host makes one per request; members are read lazily, and none is read twice, so a host
 * may compute them on access.
 */
export interface RequestView {
  /** As sent, case kept (methods are case-sensitive, RFC 9110 §9.1). */
  readonly method: string
  /** `http` or `https`, as the framework has it (its proxy setting included). */
  readonly scheme: string
  /** Host and port, as the framework has it. `''` where there is none (HTTP/1.0). */
  readonly authority: string
  /** The port this server was reached at; `undefined` where it cannot be told. */
  readonly localPort: number | undefined
  /** Raw path, percent-encoding and all, without the query; as the client sent it, also under a mounted router. */
  readonly path: string
  /** Raw query without the `?`; `''` where there is none. */
  readonly query: string
  /**
   * What stands in front of the path of a target in absolute form (`GET http://other/x`), as it was sent; `undefined` for
   * one in origin form. Its authority is the request's (RFC 9112 §3.2.2), but handlers may look at the Host field.
   */
  readonly absolute?: string | undefined
  /** What routers see in place of path and query, where it is something else: below a mount, after a rewrite. */
  readonly rewritten?: string | undefined
  /** The framework's own idea of the client's address. */
  readonly clientIp: string | undefined
  /** The matched route pattern (`/cities/:id`), where it is known by now. Ask again when the response is there. */
  readonly route: string | undefined
  /** The combined value of a request field as the client sent it. `name` in lower case. */
  header(name: string): string | undefined
  /** The names of all request fields, in lower case. */
  fieldNames?(): readonly string[]
  /** An object that the framework or middleware keeps values on, by the name users know it by: `req`, `res.locals`, `ctx.state`. */
  root?(name: string): object | undefined
  /** What the framework has parsed or attached, under the name Express gives it. */
  property(name: RequestProperty): unknown
  /**
   * Whether `property('query')` is what the application's parser made; `false` where it has none, and whoever reads the
   * query parses it by himself. `'validated'`: a schema has changed it since, so that it may lack what was sent. Absent: it
   * is, where there is any.
   */
  readonly queryParsed?: boolean | 'validated' | undefined
  /**
   * Whether the request has content, and whether somebody has read it by now: only of that `property('body')` can have
   * been made. Absent: told by the fields and by `property('body')`.
   */
  readonly content?: 'none' | 'read' | 'unread' | undefined
  /** The fields whose values `scheme` and `authority` were made of, in lower case: reading these adds nothing. */
  readonly keyedFields: readonly string[]
  /** Express's or node's `req`, Koa's `ctx`, Fastify's `request`. Also the identity that state is kept under. */
  readonly native: object
  /** Node's own request, whatever the framework made of it. Absent: `native`. */
  readonly incoming?: object | undefined
  /** The refresh this request was made for by {@link RequestView.refresh}; `undefined` for a client's request. */
  readonly ticket: object | undefined
  /** What a front door in front of the application has noted on the request; `undefined` where there is none. */
  readonly frontNote?: FrontNote | undefined
  /** `Vary`, as middleware in front has put it on the response so far. */
  readonly varySet?: string | undefined
  /** Tells the client's address of any raw request to the same application, as the framework would. Holds no request. */
  readonly addressOf?: ((request: object) => string | undefined) | undefined
  /** Tells, once, of the head that was sent in the end, whoever shaped it on its way out. Absent where the host cannot. */
  whenSent?(listener: (head: SentHead) => void): void
  /**
   * Makes this request again inside the process, through the whole application and without a client: how a stale entry
   * is refreshed in the background. The pipeline finds `ticket` on the new request's view. Resolves when that response
   * has ended, however it did; never rejects. Absent where the host cannot.
   */
  refresh?(ticket: RefreshTicket): Promise<void>
  /**
   * Calls back, once, when nobody waits for the answer any more: the client has gone, or somebody else has answered. At
   * once where that is so already. What it answers stops listening. For who lets a request wait before there is an
   * exchange; nothing is listened to before it is called. Absent where the host cannot tell.
   */
  onGone?(listener: () => void): () => void
}

/** A refresh, as a host is to make it. Of the context of the request that began it nothing is there, but what `within` puts there. */
export interface RefreshTicket {
  /** Runs the new request. */
  readonly within?: (<T>(run: () => T) => T) | undefined
}

/** What a front door knows of a request that takes the ordinary way. */
export interface FrontNote {
  /** What the raw request asks for. */
  readonly place: string
  /** The fields that the door has put on the answer, names and values. */
  readonly fields: readonly string[]
  /** What of the raw request is no longer as it was at the door: `method`, or the name of a field. */
  changed(): string | undefined
}

/** The head of a response as it went out. */
export interface SentHead {
  readonly status: number
  /** Flat list of alternating names and values. */
  readonly fields: readonly string[]
}

export type RequestProperty = 'user' | 'session' | 'cookies' | 'body' | 'params' | 'query'
