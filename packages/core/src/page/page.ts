import { SluiceError, show } from '../base/errors.ts'
import { type Cursor, type CursorCodec, type CursorValue, placeOf } from './keyset/cursor.ts'
import { type Keyset, keysetOf } from './keyset/keyset.ts'
import type { Order, OrderColumn } from './keyset/sort.ts'
import { linkField, type PageLinks } from './links.ts'
import type { PagePolicy } from './options.ts'
import type { ReplyAbout, ReplyInfo } from './reply-info.ts'

/** The page a client asked for: `req.page`, `ctx.page`, `request.page` behind `sluice.paginate()`. */
export interface Page {
  readonly style: 'page' | 'offset' | 'cursor'
  /** How many items it holds at most. */
  readonly limit: number
  /**
   * `limit + 1`: ask your database for so many. The one too many is never sent, and tells whether there are more; a
   * count of the whole list is then not needed for that.
   */
  readonly take: number
  /** How many items stand before it. 0 for cursors. */
  readonly offset: number
  /** From 1. 1 for cursors. */
  readonly number: number
  /** Whether the total is wanted. */
  readonly count: boolean
  /** The columns of the order; empty where the list has none. */
  readonly sort: readonly OrderColumn[]
  /** The name of the order the client chose, where there are several. */
  readonly sortName: string | undefined
  /** The place a cursor stands for; `undefined` on the first page, and for other styles. */
  readonly cursor: Cursor | undefined
  /** What a keyset query needs; `undefined` for other styles. */
  readonly keyset: Keyset | undefined
  /**
   * Sets `Link` (RFC 8288) and, with a total, `X-Total-Count` on the response, and answers what is to be sent: the items
   * or their envelope. Give it the rows in the order the query brought them.
   *
   * @throws SluiceError `ERR_SLUICE_INPUT` for items that lack a column of the order, and for nonsense in `about`
   * @example
   * ```ts
   * const { limit, offset } = req.page
   * const [items, total] = await Promise.all([list(limit, offset), count()])
   * res.json(req.page.reply(items, { total }))
   * ```
   */
  reply<T>(items: readonly T[], about?: ReplyAbout): readonly T[] | object
}

/** What a page is made of. */
export interface PageRequest {
  readonly policy: PagePolicy
  readonly limit: number
  readonly offset: number
  readonly count: boolean
  readonly order: Order | undefined
  readonly cursor: Cursor | undefined
  readonly codec: CursorCodec
  readonly route: string
  /** What every link begins with, up to the parameter that says which page. */
  linkStem(): string
}

/** One page, and what its answer will carry. */
export class PageState implements Page {
  readonly style: 'page' | 'offset' | 'cursor'
  readonly limit: number
  readonly offset: number
  readonly count: boolean
  /** Set by `reply`: names and values. */
  fields: readonly (readonly [name: string, value: string])[] = []
  readonly #asked: PageRequest
  /** `take` was read: a page without one item too many is the last. */
  #tookOneMore = false
  #linkStem: string | undefined

  constructor(asked: PageRequest) {
    this.#asked = asked
    this.style = asked.policy.style
    this.limit = asked.limit
    this.offset = asked.offset
    this.count = asked.count
  }

  get take(): number {
    this.#tookOneMore = true
    return this.limit + 1
  }

  get number(): number {
    return Math.floor(this.offset / this.limit) + 1
  }

  get sort(): readonly OrderColumn[] {
    return this.#asked.order?.columns ?? []
  }

  get sortName(): string | undefined {
    return this.#asked.order?.name
  }

  get cursor(): Cursor | undefined {
    return this.#asked.cursor
  }

  get keyset(): Keyset | undefined {
    const { order, cursor } = this.#asked
    return this.style === 'cursor' ? keysetOf(order!, cursor) : undefined
  }

  reply<T>(items: readonly T[], about: ReplyAbout = {}): readonly T[] | object {
    if (!Array.isArray(items)) throw misuse('an array of items', items)
    const { total } = about
    if (total !== undefined && !(Number.isSafeInteger(total) && total >= 0)) {
      throw misuse('a `total` that is a whole number of 0 or more', total)
    }
    const shown = items.length > this.limit ? items.slice(0, this.limit) : items
    const more = about.hasMore ?? this.#hasMore(items.length, total)
    const info = this.style === 'cursor' ? this.#byCursor(shown, total, more) : this.#byOffset(shown, total, more)
    const link = linkField(info.links)
    this.fields = [
      ...(link === undefined ? [] : [['Link', link] as const]),
      ...(total === undefined ? [] : [['X-Total-Count', String(total)] as const]),
    ]
    const ordered = this.cursor?.side === 'before' ? [...shown].reverse() : shown
    const { envelope } = this.#asked.policy
    if (envelope === false) return ordered
    if (envelope !== true) return envelope(ordered, info)
    const { links, ...page } = info
    return { data: ordered, page, links }
  }

  #hasMore(length: number, total: number | undefined): boolean {
    if (length > this.limit) return true
    if (total !== undefined && this.style !== 'cursor') return this.offset + length < total
    // A full page of a handler that asked for no more says nothing: better a link to an empty page than a lost one.
    return this.#tookOneMore ? false : length === this.limit
  }

  #byOffset(shown: readonly unknown[], total: number | undefined, more: boolean): ReplyInfo {
    const { limit, offset } = this
    const { maxOffset } = this.#asked.policy
    const pages = total === undefined ? undefined : Math.max(1, Math.ceil(total / limit))
    const lastOffset = pages === undefined ? undefined : (pages - 1) * limit
    const before = Math.max(0, offset - limit)
    const next = offset + limit
    const hasNext = more && shown.length > 0
    const reachable = (at: number): string | undefined => (at <= maxOffset ? this.#offsetLink(at) : undefined)
    return {
      style: this.style,
      limit,
      ...(this.style === 'page' && { number: this.number }),
      offset,
      ...(total !== undefined && { total, pages }),
      hasNext,
      hasPrev: offset > 0,
      links: {
        first: this.#offsetLink(0),
        ...(offset > 0 && { prev: this.#offsetLink(Math.min(before, lastOffset ?? before)) }),
        ...(hasNext && { next: reachable(next) }),
        ...(lastOffset !== undefined && { last: reachable(lastOffset) }),
      },
    }
  }

  #byCursor(shown: readonly unknown[], total: number | undefined, more: boolean): ReplyInfo {
    const { cursor } = this.#asked
    const back = cursor?.side === 'before'
    // In the direction of the query there are more where it said so; against it, where it went on from somewhere.
    const behind = cursor?.values !== undefined
    const hasNext = back ? behind : more
    const hasPrev = back ? more : behind
    const first = back ? shown.at(-1) : shown[0]
    const last = back ? shown[0] : shown.at(-1)
    const empty = shown.length === 0
    // Where everything on this side is gone, its other end is the nearest place there is.
    const prev = hasPrev
      ? this.#cursorOf({ side: 'before', values: empty ? undefined : this.#place(first) })
      : undefined
    const next = hasNext && !empty ? this.#cursorOf({ side: 'after', values: this.#place(last) }) : undefined
    const links: PageLinks = {
      first: this.#cursorLink(undefined),
      ...(prev !== undefined && { prev: this.#cursorLink(prev) }),
      ...(hasNext && { next: this.#cursorLink(next) }),
      last: this.#cursorLink(this.#cursorOf({ side: 'before', values: undefined })),
    }
    return {
      style: 'cursor',
      limit: this.limit,
      ...(total !== undefined && { total }),
      hasNext,
      hasPrev,
      links,
      cursors: { ...(prev !== undefined && { prev }), ...(next !== undefined && { next }) },
    }
  }

  #place(item: unknown): CursorValue[] {
    return placeOf(item, this.#asked.order!)
  }

  #cursorOf(cursor: Cursor): string {
    const { codec, route, order } = this.#asked
    return codec.encode(cursor, route, order!)
  }

  #cursorLink(cursor: string | undefined): string {
    return cursor === undefined ? this.#stem : this.#link(this.#asked.policy.names.cursor, cursor)
  }

  #offsetLink(offset: number): string {
    const { names } = this.#asked.policy
    if (this.style === 'offset') return this.#link(names.offset, offset)
    return this.#link(names.page, Math.floor(offset / this.limit) + 1)
  }

  /** Neither the names nor the values have anything to encode. */
  #link(name: string, value: string | number): string {
    const stem = this.#stem
    return `${stem}${stem.endsWith('?') ? '' : '&'}${name}=${value}`
  }

  get #stem(): string {
    this.#linkStem ??= this.#asked.linkStem()
    return this.#linkStem
  }
}

function misuse(rule: string, received: unknown): SluiceError {
  return new SluiceError('ERR_SLUICE_INPUT', `page.reply() must be given ${rule}; it was given ${show(received)}.`)
}
