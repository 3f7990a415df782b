import type { BodyPlan, Exchange, Opening, Pipeline, ResponseHead } from '../exchange/exchange.ts'
import { QueryParams } from '../exchange/reads/query-params.ts'
import { markPaged, queryWatches } from '../exchange/reads/query-watch.ts'
import type { RequestView } from '../exchange/request-view.ts'
import { badInput, InputError, QueryInput } from './input.ts'
import { type Cursor, CursorCodec } from './keyset/cursor.ts'
import type { Order } from './keyset/sort.ts'
import { keptParameters } from './links.ts'
import { type PagePolicy, type PaginateOptions, resolvePagePolicy } from './options.ts'
import { type Page, PageState } from './page.ts'

/** One `sluice.paginate(...)`: reads where the client is, and says on the answer where it can go. */
export class PaginatePipeline implements Pipeline {
  readonly name = 'paginate'
  /** The query parameters it reads: for the `query` of a cache in front. */
  readonly params: readonly string[]
  readonly #policy: PagePolicy
  readonly #codec: CursorCodec

  /**
   * @param secret - what cursors are signed with where the options do not say
   * @throws SluiceError when an option is wrong
   */
  constructor(options: PaginateOptions | undefined, secret: () => string | Uint8Array) {
    this.#policy = resolvePagePolicy(options)
    this.params = Object.freeze([...this.#policy.own])
    this.#codec = new CursorCodec(this.#policy.secrets ?? [secret()])
  }

  open(view: RequestView): Opening {
    const watches = queryWatches(view)
    for (const watch of watches) for (const name of this.params) watch.read(name)
    try {
      const page = this.#read(view)
      markPaged(view)
      ;(view.native as { page?: Page }).page = page
      return { kind: 'proceed', exchange: new PageExchange(page) }
    } catch (error) {
      if (error instanceof InputError) return { kind: 'reply', reply: badInput(error) }
      throw error
    }
  }

  #read(view: RequestView): PageState {
    const policy = this.#policy
    const { names } = policy
    const input = new QueryInput(view)
    const most = policy.clamp ? Number.MAX_SAFE_INTEGER : policy.maxLimit
    const asked = input.integer(names.limit, 1, most)
    const limit = Math.min(asked ?? policy.defaultLimit, policy.maxLimit)
    const order = this.#order(input)
    const route = `${view.method === 'HEAD' ? 'GET' : view.method} ${view.route ?? view.path}`
    const count = policy.count === 'asked' ? this.#countAsked(input) : undefined
    // What the client said for itself, its links say too.
    const said: string[] = []
    if (order?.name !== undefined && input.text(names.sort) !== undefined) {
      said.push(`${names.sort}=${encodeURIComponent(order.name)}`)
    }
    if (count !== undefined) said.push(`${names.count}=${count}`)
    if (asked !== undefined) said.push(`${names.limit}=${limit}`)
    return new PageState({
      policy,
      limit,
      offset: this.#offset(input, limit),
      count: policy.count === 'always' || count === 'true',
      order,
      cursor: policy.style === 'cursor' ? this.#cursor(input, route, order!) : undefined,
      codec: this.#codec,
      route,
      linkStem: linkStem(view, policy, said),
    })
  }

  #offset(input: QueryInput, limit: number): number {
    const { style, names, maxOffset } = this.#policy
    if (style === 'cursor') return 0
    if (style === 'offset') return input.integer(names.offset, 0, maxOffset) ?? 0
    return ((input.integer(names.page, 1, Math.floor(maxOffset / limit) + 1) ?? 1) - 1) * limit
  }

  #order(input: QueryInput): Order | undefined {
    const { orders, names } = this.#policy
    if (orders[0]?.name === undefined) return orders[0]
    const name = input.text(names.sort)
    if (name === undefined) return orders[0]
    const order = orders.find((one) => one.name === name)
    if (order) return order
    throw new InputError(names.sort, `must be one of ${orders.map((one) => `"${one.name}"`).join(', ')}`)
  }

  #countAsked(input: QueryInput): string | undefined {
    const { names } = this.#policy
    const text = input.text(names.count)
    if (text === undefined || text === 'true' || text === 'false') return text
    throw new InputError(names.count, 'must be true or false')
  }

  #cursor(input: QueryInput, route: string, order: Order): Cursor | undefined {
    const { names } = this.#policy
    const text = input.text(names.cursor)
    if (text === undefined) return undefined
    const cursor = this.#codec.decode(text, route, order)
    if (cursor) return cursor
    throw new InputError(
      names.cursor,
      'must be one that this list gave out, for the same order: begin again without it',
    )
  }
}

/**
 * Asked for only where `reply` is called. It holds on to what it needs of the request and not to the request: on Koa that
 * made five times as much work for the garbage collector, which found them all alive.
 */
function linkStem(view: RequestView, { baseUrl, own, keep }: PagePolicy, said: readonly string[]): () => string {
  const { query } = view
  const target = baseUrl === undefined ? '' : `${baseUrl}${view.path}`
  const watches = queryWatches(view)
  const params = watches.length > 0 && view.queryParsed !== 'validated' ? QueryParams.of(view) : undefined
  const parsed = typeof params === 'object' ? params : undefined
  return () => `${target}?${[...keptParameters(query, parsed, own, keep, watches), ...said].join('&')}`
}

/** Puts what `page.reply` said on the head of the answer. */
class PageExchange implements Exchange {
  readonly #page: PageState

  constructor(page: PageState) {
    this.#page = page
  }

  onHead(head: ResponseHead): BodyPlan {
    // What the handler said before it failed is not about the error.
    if (head.status < 400) {
      for (const [name, value] of this.#page.fields) {
        if (name === 'Link') head.fields.append(name, value)
        else head.fields.set(name, value)
      }
    }
    return { mode: 'pass' }
  }

  onClose(): void {}
}
