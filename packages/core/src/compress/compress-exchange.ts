import type { Duplex } from 'node:stream'
import { chain, type MaybePromise } from '../base/maybe-promise.ts'
import { RequestContext, ResponseContext } from '../exchange/context.ts'
import type { Encoder } from '../exchange/encoder.ts'
import type { BodyPlan, Exchange, RequestChange, ResponseHead } from '../exchange/exchange.ts'
import { addVary } from '../exchange/merge-fields.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { parseCacheControl } from '../http/caching/cache-control.ts'
import { Fields } from '../http/fields/fields.ts'
import { codedTag, isEntityTag } from '../http/selection/etag.ts'
import type { BodyEncoder } from './encode.ts'
import type { CompressPolicy } from './options.ts'
import { padGzip, padGzipStream } from './pad.ts'
import { confirmedTag, decodedTagFields } from './tags.ts'
import { bareType } from './types.ts'

/** A whole body above this is encoded piece by piece, so that the client has its beginning early. Bytes. */
const wholeBytes = 1024 * 1024

/** What is shared by the requests of one compressor. */
export interface Compressor {
  readonly policy: CompressPolicy
  readonly recipe: BodyEncoder
  negotiate(acceptEncoding: string | undefined): string
  accepts(acceptEncoding: string | undefined, coding: string): boolean
  /** Tells of a function of the application's that threw. */
  attempt<T>(option: string, fn: () => T): T | undefined
}

/** Compresses the answer to one request, unless something behind it has done so already. */
export class CompressExchange implements Exchange, Encoder {
  readonly recipe: BodyEncoder
  readonly fickle: boolean
  readonly request: RequestChange | undefined
  /** Stored answers come encoded, but for what has to be new each time. */
  readonly answersToo: boolean
  readonly #compressor: Compressor
  readonly #view: RequestView
  readonly #ifNoneMatch: string | undefined
  #coding: string | undefined
  #skipped = false
  #transform: Duplex | undefined

  constructor(compressor: Compressor, view: RequestView) {
    this.#compressor = compressor
    this.#view = view
    this.recipe = compressor.recipe
    this.fickle = compressor.policy.filter !== undefined
    this.answersToo = compressor.policy.pad > 0
    this.#ifNoneMatch = view.header('if-none-match')
    const fields = decodedTagFields((name) => view.header(name), compressor.policy.available)
    this.request = fields && { fields }
  }

  /** What a cache behind may send. Padding is new for each answer, so there it has to send the identity form. */
  get coding(): string {
    return this.#compressor.policy.pad > 0 ? 'identity' : this.#wanted
  }

  /** Found out when it is asked for: many requests have another answer than a body. */
  get #wanted(): string {
    if (this.#isSkipped) return 'identity'
    this.#coding ??= this.#compressor.negotiate(this.#view.header('accept-encoding'))
    return this.#coding
  }

  /**
   * The route may be known only once the request has found it, so a no is not remembered. A function that fails cannot
   * say that the route is safe.
   */
  get #isSkipped(): boolean {
    const { skip } = this.#compressor.policy
    if (!skip) return false
    this.#skipped ||= this.#compressor.attempt('skip', () => Boolean(skip(new RequestContext(this.#view)))) ?? true
    return this.#skipped
  }

  accepts(coding: string): boolean {
    return this.#compressor.accepts(this.#view.header('accept-encoding'), coding)
  }

  wants(status: number, field: (name: string) => string | undefined, length: number | undefined): boolean {
    const { policy } = this.#compressor
    if (!mayEncode(status, field) || !policy.compressible(field('content-type'))) return false
    if (length !== undefined && length < policy.threshold) return false
    if (!policy.filter) return true
    const names = ['content-type', 'cache-control', 'etag', 'content-language', 'content-disposition']
    const fields = Fields.fromFlat(names.flatMap((name) => [name, field(name) ?? ''].slice(0, field(name) ? 2 : 0)))
    if (this.#filtered(status, fields)) return true
    // A form that is stored already is not for this request either.
    this.#coding = 'identity'
    return false
  }

  onHead(head: ResponseHead): BodyPlan {
    const { policy, recipe } = this.#compressor
    const { fields, status } = head
    const field = (name: string): string | undefined => fields.get(name)
    if (status === 304) this.#confirm(head)
    // Whether this answer is compressed or not, another client's may be (RFC 9110 §12.5.5). A 304 no longer has a type.
    if (status === 304 || policy.compressible(fields.get('content-type'))) addVary(fields, 'Accept-Encoding')
    if (this.#view.method === 'HEAD' || this.#view.method === 'CONNECT') return pass
    const coding = this.#wanted
    if (coding === 'identity' || !mayEncode(status, field) || !policy.compressible(fields.get('content-type')))
      return pass
    const length = head.length ?? declaredLength(fields)
    if (length !== undefined && length < policy.threshold) return pass
    if (policy.filter && !this.#filtered(status, fields)) return pass
    if (head.body === 'whole' && length !== undefined && length <= wholeBytes) {
      return { mode: 'recode', recode: (body) => this.#recode(head, body, coding) }
    }
    encoded(fields, coding)
    const eager = bareType(fields.get('content-type')!) === 'text/event-stream'
    const stream = recipe.stream(coding, eager)
    this.#transform = policy.pad > 0 ? padGzipStream(stream, policy.pad) : stream
    return { mode: 'through', transform: this.#transform }
  }

  onClose(): void {
    // Whoever stopped sending may have left it in the middle: the memory of zlib is not the garbage collector's.
    this.#transform?.destroy()
  }

  #recode(head: ResponseHead, body: Uint8Array, coding: string): MaybePromise<Uint8Array> {
    const { policy, recipe } = this.#compressor
    return chain(recipe.encode(body, coding), (result) => {
      if (!result) return body
      encoded(head.fields, coding)
      return policy.pad > 0 ? padGzip(result, policy.pad) : result
    })
  }

  #filtered(status: number, fields: Fields): boolean {
    const { filter } = this.#compressor.policy
    const said = this.#compressor.attempt('filter', () => filter!(new ResponseContext(this.#view, status, fields)))
    return said !== false && said !== undefined
  }

  /** The handler confirmed its own tag; the client knows the response by that of the form it has. */
  #confirm({ fields }: ResponseHead): void {
    const tag = fields.get('etag')
    if (tag === undefined) return
    const confirmed = confirmedTag(tag, this.#ifNoneMatch, this.#compressor.policy.available)
    if (confirmed !== tag) fields.set('etag', confirmed)
  }
}

const pass: BodyPlan = Object.freeze({ mode: 'pass' })

/** Whether a response has a body that is its own and may be encoded. */
function mayEncode(status: number, field: (name: string) => string | undefined): boolean {
  if (status < 200 || status === 204 || status === 205 || status === 206 || status === 304) return false
  // A part of a body is not one (RFC 9110 §14.4).
  if (field('content-range') !== undefined) return false
  const there = field('content-encoding')
  if (there !== undefined && there.trim() !== '' && there.trim().toLowerCase() !== 'identity') return false
  const control = field('cache-control')
  // RFC 9111 §5.2.2.6: the directive as a whole, and not a word that has it in it.
  return control === undefined || !parseCacheControl(control).has('no-transform')
}

/** Makes a head that of the encoded body. */
function encoded(fields: Fields, coding: string): void {
  fields.set('content-encoding', coding)
  const tag = fields.get('etag')
  if (tag !== undefined && isEntityTag(tag)) fields.set('etag', codedTag(tag, coding))
  for (const name of ofIdentity) fields.delete(name)
}

/** What a handler says of the bytes it sends is not true of others. Ranges would be of these too (RFC 9110 §14.3). */
const ofIdentity = ['content-length', 'accept-ranges', 'content-md5', 'content-digest', 'repr-digest', 'digest']

function declaredLength(fields: Fields): number | undefined {
  const declared = fields.get('content-length')
  return declared !== undefined && /^[0-9]+$/.test(declared) ? Number(declared) : undefined
}
