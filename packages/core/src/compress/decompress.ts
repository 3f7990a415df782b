import type { Duplex } from 'node:stream'
import { SluiceError } from '../base/errors.ts'
import { checkOptions, rule } from '../base/options.ts'
import { type ByteSize, byteSize } from '../base/units.ts'
import type {
  BodyDecoding,
  BodyPlan,
  Exchange,
  Opening,
  Outcome,
  Pipeline,
  Reply,
  RequestChange,
} from '../exchange/exchange.ts'
import { problem } from '../exchange/problem.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { splitList } from '../http/fields/lists.ts'
import { canonicalName } from '../http/selection/codings.ts'
import { type Coding, codings, makerOf } from './zlib-codings.ts'

/** What `sluice.decompress(options)` is given. */
export interface DecompressOptions {
  /**
   * What a body may be at most, decoded; as it came it may not be larger either. A few kilobytes can decode to gigabytes,
   * so there is always a cap. Default `'1mb'`.
   */
  maxBytes?: ByteSize | undefined
  /** The codings that are accepted. Default: all that this Node can read, `['br', 'zstd', 'gzip', 'deflate']`. */
  encodings?: readonly Coding[] | undefined
}

/** One coding in another is legal (RFC 9110 §8.4) and nobody needs it; each level multiplies what a bomb can do. */
const mostCodings = 2

/** One `sluice.decompress(...)`: request bodies come to the handler decoded. */
export class DecompressPipeline implements Pipeline {
  readonly name = 'decompress'
  /** It is about bodies of requests. */
  readonly atFront = 'skipped'
  readonly #maxBytes: number
  readonly #accepted: readonly string[]

  /** @throws SluiceError when an option is wrong */
  constructor(options: DecompressOptions = {}) {
    checkOptions('decompress', options, {
      maxBytes: rule.readableBy(byteSize),
      encodings: (v) =>
        Array.isArray(v) && v.length > 0 && v.every((coding) => codings.includes(coding))
          ? undefined
          : `must be an array of ${codings.map((coding) => `'${coding}'`).join(', ')}`,
    })
    this.#maxBytes = byteSize('decompress.maxBytes', options.maxBytes ?? '1mb')
    this.#accepted = (options.encodings ?? codings).filter((coding) => makerOf(coding))
  }

  open(view: RequestView): Opening {
    const said = view.header('content-encoding')
    if (said === undefined) return passOn
    const applied = splitList(said)
      .map(canonicalName)
      .filter((coding) => coding !== 'identity')
    if (applied.length === 0) return passOn
    if (applied.length > mostCodings || !applied.every((coding) => this.#accepted.includes(coding))) {
      return { kind: 'reply', reply: unsupported(said, this.#accepted) }
    }
    const length = view.header('content-length')
    // Nothing is sent: then there is nothing to decode either.
    if (length === '0' || (length === undefined && view.header('transfer-encoding') === undefined && !isHttp2(view))) {
      return passOn
    }
    if (length !== undefined && Number(length) > this.#maxBytes)
      return { kind: 'reply', reply: tooLarge(this.#maxBytes) }
    return { kind: 'proceed', exchange: new DecompressExchange(applied, this.#maxBytes) }
  }
}

const passOn: Opening = Object.freeze({ kind: 'proceed' })

/** There a body needs neither field. */
function isHttp2(view: RequestView): boolean {
  return view.header(':authority') !== undefined
}

class DecompressExchange implements Exchange, BodyDecoding {
  readonly request: RequestChange
  readonly stages: readonly Duplex[]
  readonly maxBytes: number
  #answer: Reply | undefined

  constructor(applied: readonly string[], maxBytes: number) {
    // Codings are listed in the order they were applied (RFC 9110 §8.4).
    this.stages = [...applied].reverse().map((coding) => makerOf(coding)!.decoder())
    this.maxBytes = maxBytes
    this.request = {
      // The length is that of other bytes, and nobody is to decode these again.
      fields: { 'content-encoding': undefined, 'content-length': undefined, 'transfer-encoding': 'chunked' },
      decode: this,
    }
  }

  failed(reason: 'too-large' | 'malformed', cause?: unknown): Error {
    this.#answer = reason === 'too-large' ? tooLarge(this.maxBytes) : malformed()
    const { status } = this.#answer
    const what = reason === 'too-large' ? `is larger than ${this.maxBytes} bytes when decoded` : 'cannot be decoded'
    const error = new SluiceError('ERR_SLUICE_INPUT', `The body of the request ${what}.`, { cause })
    // Frameworks read these: no stack in the log for what a client did.
    return Object.assign(error, { status, statusCode: status, expose: true })
  }

  onHead(): BodyPlan {
    // Whatever the handler made of the error, this is what happened.
    return this.#answer ? { mode: 'replace', reply: this.#answer } : { mode: 'pass' }
  }

  onError(): Reply | undefined {
    return this.#answer
  }

  onClose(_: Outcome): void {
    for (const stage of this.stages) stage.destroy()
  }
}

function unsupported(said: string, accepted: readonly string[]): Reply {
  const detail = `This server does not read bodies with Content-Encoding: ${said.slice(0, 100)}.`
  // RFC 9110 §15.5.16: what would have been accepted.
  return problem({ title: 'Unsupported Media Type', status: 415, detail }, ['Accept-Encoding', accepted.join(', ')])
}

function tooLarge(maxBytes: number): Reply {
  const detail = `The decoded body may have at most ${maxBytes} bytes.`
  return problem({ title: 'Content Too Large', status: 413, detail, maxBytes })
}

function malformed(): Reply {
  return problem({
    title: 'Bad Request',
    status: 400,
    detail: 'The body is not what its Content-Encoding says, or was cut short.',
  })
}
