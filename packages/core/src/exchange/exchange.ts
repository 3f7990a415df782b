import type { MaybePromise } from '../base/maybe-promise.ts'
import type { Fields } from '../http/fields/fields.ts'
import type { ReadObserver } from './reads/read-observer.ts'
import type { RefusalError } from './refusal-error.ts'
import type { RequestView } from './request-view.ts'

/**
 * The conversation between a host (node:http, Express, Koa, Fastify) and the core. Core never reads or writes: it is
 * told of a request, of the head of its response and of the body, and answers with what the host is to do.
 */
export interface Pipeline {
  /** What the pipeline is for, for function names and messages: `cache`, `limit`. */
  readonly name: string
  /** A value, and not a promise, where nothing has to be waited for. */
  open(request: RequestView): MaybePromise<Opening>
  /**
   * What becomes of it where a stored answer is sent before the framework has seen the request: it `runs` there too, it has
   * nothing to say of such a request and is `skipped`, or why neither will do. Absent: it must not be left out.
   */
  readonly atFront?: AtFront | undefined
}

export type AtFront = 'runs' | 'skipped' | { readonly reason: string }

export type Opening =
  /** The answer is here; the handler does not run. */
  | { readonly kind: 'reply'; readonly reply: Reply }
  /**
   * The application answers, in its own error handling; the handler does not run. The fields of the error are put on the
   * response now, so that they are on the answer whatever makes it, and the host fails with the error as its framework has
   * it. `reply`: what is sent where there is no error handling (plain node:http).
   */
  | { readonly kind: 'error'; readonly error: RefusalError; readonly reply: Reply }
  /**
   * Go on to the next stage. `fields`, a flat list of names and values in which no name repeats, are put on the response
   * now (they count as set before the handler); `exchange`, where there is one, is told of the response.
   */
  | {
      readonly kind: 'proceed'
      readonly exchange?: Exchange | undefined
      readonly fields?: readonly string[] | undefined
    }

/** A whole answer. It carries the representation for HEAD too; the transport drops the body and keeps its length. */
export interface Reply {
  readonly status: number
  /**
   * Flat list of alternating names and values, repeated fields repeated. They are laid over what was on the response
   * when the exchange began (`ResponseHead.before`): a field replaces its namesake there, except `vary` and
   * `cache-status`, which are merged, and `set-cookie`, which is added. What the handler set since is dropped.
   */
  readonly fields: readonly string[]
  /** `undefined` for answers that have no content (304, 204). Not to be written to: a store may hold the same bytes. */
  readonly body: Uint8Array | undefined
  /** The reason phrase (RFC 9112 §4), where it is another than the status usually has. HTTP/2 has none. */
  readonly reason?: string | undefined
  /** Fields of earlier middleware that this answer is without, in lower case: the handler took them away. */
  readonly without?: readonly string[] | undefined
}

/** The head of a response, when it is known and not sent. `status` and `fields` may be edited until `onHead` returns. */
export interface ResponseHead {
  status: number
  /** Everything that will be sent, whoever set it. */
  readonly fields: Fields
  /** What was on the response when the exchange began: the work of earlier middleware. Applied afresh on each hit. */
  readonly before: Fields
  /**
   * The names of those fields that were set or removed since then, in lower case: what is in `before` with the same value
   * may be the handler's own word all the same. Absent where the host cannot tell.
   */
  readonly written?: ReadonlySet<string> | undefined
  /** The handler's own reason phrase; `undefined` where it is the one the status usually has, and on HTTP/2. */
  readonly reason?: string | undefined
  /** `whole`: the body is there, in one piece (an empty one too). `pieces`: it will come as it is produced. */
  readonly body: 'whole' | 'pieces'
  /** The length of a whole body in bytes; of one in pieces `undefined`. */
  readonly length: number | undefined
  /** To know its length the body has to be written first, and again when it is sent: not to be asked for out of curiosity. */
  readonly isLengthDear?: boolean | undefined
  /** The head goes out before the handler has written anything of its body: it may still read what shapes that. */
  readonly early?: boolean | undefined
}

export type BodyPlan =
  /** Send it on and tell no more (but `onClose`). */
  | { readonly mode: 'pass' }
  /** Send it on as it comes and copy it beside, up to `limit` bytes; past that the copy is dropped, which is told once. */
  | { readonly mode: 'tee'; readonly limit: number; readonly dropped?: (() => void) | undefined }
  /** For a whole body: give it to `onBody` and send what that answers. */
  | { readonly mode: 'hold' }
  /** Drop the handler's head and body and send this in their place. */
  | { readonly mode: 'replace'; readonly reply: Reply }
  /**
   * For a whole body: send what `recode` makes of it. The head, which `recode` may still edit, is applied after it; its
   * Content-Length is the host's to set. Never rejects.
   */
  | { readonly mode: 'recode'; readonly recode: (body: Uint8Array) => MaybePromise<Uint8Array> }
  /**
   * Send it on through a transform (compression). The exchange destroys it in `onClose`. Node's own word: a stream whose
   * output is made of its input is one that data passes through.
   */
  | { readonly mode: 'through'; readonly transform: import('node:stream').Duplex }

/** How a response ended. `aborted`: the client went away first. `failed`: the handler threw, or its body broke off. */
export type Outcome = 'sent' | 'aborted' | 'failed'

/** One request that went on to the handler. Calls come in the order of the members; all but `onClose` may not come. */
export interface Exchange {
  /** What the stages behind see changed in the request, and who wants to know what they read of it. */
  readonly request?: RequestChange | undefined
  /**
   * Has its say also in answers that stages behind it give without the handler. Hosts that see every response through
   * the same door tell every exchange; others only these.
   */
  readonly answersToo?: boolean | undefined
  /** What `res.sluice`, `ctx.sluice` or `reply.sluice` is for the handler. */
  readonly control?: ResponseControl | undefined
  /** Synchronous, once. A purge that must be over before anything is sent goes into `settled`. */
  onHead(head: ResponseHead): BodyPlan
  /** Once, after `hold`, or after `tee` when the body came to its end within the limit (the answer is then ignored). */
  onBody?(head: ResponseHead, body: Uint8Array): MaybePromise<Reply>
  /** Instead of `onHead`, on hosts that see the exception (Koa). A reply replaces it; `undefined` lets it go on. */
  onError?(error: unknown): MaybePromise<Reply | undefined>
  /** Once, always. */
  onClose(outcome: Outcome): void
  /**
   * Runs what writes to the connection. What is read of the request in there is not the handler's: sessions that save
   * themselves when a head is written, compressors and loggers in front of the cache hang on the same calls. Absent where
   * nobody wants to know of reads.
   */
  quiet?<T>(run: () => T): T
  /** Runs what stands behind: the stages behind it, and the handler. So that what they do can be drawn below it. */
  readonly within?: (<T>(run: () => T) => T) | undefined
  /** Asked for after `onHead`: while this promise is pending the host holds the head and the body back. Never rejects. */
  settled?(): PromiseLike<void> | undefined
}

export interface RequestChange {
  /** Request fields as the handler is to see them; `undefined` hides one. Names in lower case. */
  readonly fields?: Readonly<Record<string, string | undefined>> | undefined
  readonly reads?: ReadObserver | undefined
  /** The cookies the handler is to see; all others are hidden from it. `undefined`: it sees all. */
  readonly cookies?: readonly string[] | undefined
  /** Reads the body decoded. Only where nothing has read it yet. */
  readonly decode?: BodyDecoding | undefined
}

/** How a request body is decoded on its way to the handler. */
export interface BodyDecoding {
  /** The bytes go through these, one after the other. The exchange destroys them in `onClose`. */
  readonly stages: readonly import('node:stream').Duplex[]
  /** What may come in and what may come out, in bytes. */
  readonly maxBytes: number
  /**
   * It cannot go on. The error is for who reads the body; if nobody does, the host ends the response. Either way the
   * exchange is then asked in `onHead` or `onError`, and has the answer.
   */
  failed(reason: 'too-large' | 'malformed', cause?: unknown): Error
}

/** What a handler can say about its own response. On routes without a cache it does nothing. */
export interface ResponseControl {
  /** Store this response for that long, whatever the route says. 0: do not store. */
  ttl(ttl: import('../base/units.ts').Duration): void
  /** Add tags to this response. */
  tag(...tags: readonly string[]): void
  /** Do not store this response; the reason appears in `Cache-Status` and in `stats()`. */
  skip(reason?: string): void
}
