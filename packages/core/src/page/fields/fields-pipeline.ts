import type { BodyPlan, Exchange, Opening, Pipeline, Reply, ResponseHead } from '../../exchange/exchange.ts'
import { hideQuery, queryWatches } from '../../exchange/reads/query-watch.ts'
import type { RequestView } from '../../exchange/request-view.ts'
import { badInput, InputError, QueryInput } from '../input.ts'
import { type FieldsOptions, type FieldsPolicy, resolveFieldsPolicy } from './fields-options.ts'
import { applyMask, compileMask, type Mask } from './mask.ts'

/** One `sluice.fields(...)`: sends of a JSON answer what the client selected. */
export class FieldsPipeline implements Pipeline {
  readonly name = 'fields'
  /** The query parameters it reads: for the `query` of a cache in front. */
  readonly params: readonly string[]
  readonly #policy: FieldsPolicy

  /** @throws SluiceError when an option is wrong */
  constructor(options: FieldsOptions | undefined) {
    this.#policy = resolveFieldsPolicy(options)
    this.params = Object.freeze([this.#policy.param])
  }

  open(view: RequestView): Opening {
    const { param, store } = this.#policy
    for (const watch of queryWatches(view)) watch.read(param)
    if (store === 'whole') hideQuery(view, [param])
    try {
      const mask = this.#mask(view)
      return mask ? { kind: 'proceed', exchange: new FieldsExchange(mask, this.#policy.at, view.method) } : proceed
    } catch (error) {
      if (error instanceof InputError) return { kind: 'reply', reply: badInput(error) }
      throw error
    }
  }

  #mask(view: RequestView): Mask | undefined {
    const { param, maxLength, maxDepth } = this.#policy
    const text = new QueryInput(view).text(param)
    if (text === undefined) return undefined
    if (text.length > maxLength) throw new InputError(param, `must be at most ${maxLength} characters long`)
    const mask = compileMask(text, maxDepth)
    if (typeof mask === 'string') throw new InputError(param, mask)
    return mask
  }
}

const proceed: Opening = Object.freeze({ kind: 'proceed' })

/** JSON, under whatever name (RFC 6839 §3.1); a problem is about the request, and is not what was selected from. */
const json = /^application\/(?!problem\+json)(?:[\w.-]+\+)?json\s*(?:;|$)/i

/** About the bytes of the whole body, which are not sent. */
const ofTheBytes: ReadonlySet<string> = new Set([
  'content-length',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
])

class FieldsExchange implements Exchange {
  /** What a cache behind has stored is whole. */
  readonly answersToo = true
  readonly #mask: Mask
  readonly #at: string | undefined
  readonly #method: string

  constructor(mask: Mask, at: string | undefined, method: string) {
    this.#mask = mask
    this.#at = at
    this.#method = method
  }

  onHead(head: ResponseHead): BodyPlan {
    if (!isWholeJson(head)) return { mode: 'pass' }
    if (!head.length) {
      // The host answers HEAD without having made the body: its length would be that of the whole.
      if (this.#method === 'HEAD') head.fields.delete('content-length')
      return { mode: 'pass' }
    }
    return { mode: 'hold' }
  }

  onBody(head: ResponseHead, body: Uint8Array): Reply {
    const trimmed = this.#trim(body) ?? body
    const fields: string[] = []
    for (const name of head.fields.names()) {
      if (trimmed !== body && ofTheBytes.has(name)) continue
      // A reply adds its cookies to those that were there.
      const before = name === 'set-cookie' ? head.before.lines(name) : []
      for (const line of head.fields.lines(name)) if (!before.includes(line)) fields.push(name, line)
    }
    if (trimmed !== body) fields.push('content-length', String(trimmed.byteLength))
    return { status: head.status, fields, body: trimmed }
  }

  onClose(): void {}

  /** `undefined` for what is no JSON after all. */
  #trim(body: Uint8Array): Uint8Array | undefined {
    let value: unknown
    try {
      value = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString())
    } catch {
      return undefined
    }
    return Buffer.from(JSON.stringify(this.#select(value)))
  }

  #select(value: unknown): unknown {
    const at = this.#at
    if (at === undefined) return applyMask(value, this.#mask) ?? value
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, at)) return value
    const inner = (value as Record<string, unknown>)[at]
    return { ...value, [at]: applyMask(inner, this.#mask) ?? inner }
  }
}

/** A 304 or 206 has no whole body, an encoded one cannot be read, and a stream is not waited for. */
function isWholeJson({ status, fields, body }: ResponseHead): boolean {
  return (
    status >= 200 &&
    status < 300 &&
    status !== 206 &&
    body === 'whole' &&
    json.test(fields.get('content-type') ?? '') &&
    (fields.get('content-encoding') ?? 'identity').toLowerCase() === 'identity'
  )
}
