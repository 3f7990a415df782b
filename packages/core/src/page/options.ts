import { optionError } from '../base/errors.ts'
import { checkOptions, checkSecret, rule } from '../base/options.ts'
import { type Order, resolveOrders, type Sort } from './keyset/sort.ts'
import type { ReplyInfo } from './reply-info.ts'

/** The names of the query parameters. */
export interface PageParams {
  /** Default `'page'`. */
  page?: string | undefined
  /** Default `'limit'`. */
  limit?: string | undefined
  /** Default `'offset'`. */
  offset?: string | undefined
  /** Default `'cursor'`. */
  cursor?: string | undefined
  /** Default `'sort'`. */
  sort?: string | undefined
  /** Default `'count'`. */
  count?: string | undefined
}

/** What `sluice.paginate(...)` is given. */
export interface PaginateOptions {
  /**
   * How clients say where they are: `page` (`?page=3`), `offset` (`?offset=40`), or `cursor` (`?cursor=…`, which stays
   * right while items are added and removed, and costs the same at any depth). Default `'page'`.
   */
  style?: 'page' | 'offset' | 'cursor' | undefined
  /** Items on a page where the client does not say. Default `20`, or `maxLimit` where that is less. */
  defaultLimit?: number | undefined
  /** The most items a client may ask for. Default `100`, or `defaultLimit` where that is more. */
  maxLimit?: number | undefined
  /** What happens to a client that asks for more: 400, or it gets `maxLimit`. Default `'refuse'`. */
  overLimit?: 'refuse' | 'clamp' | undefined
  /** The deepest item that pages and offsets reach; beyond it is 400. A database reads everything before it. Default: none. */
  maxOffset?: number | undefined
  /**
   * Whether the total is wanted (`page.count`): of each answer, of none, or of those that ask with `?count=true`.
   * Default `'always'`.
   */
  count?: 'always' | 'never' | 'asked' | undefined
  /**
   * The order of the list: columns such as `['-population', 'id']`, the last of them unique; or several orders by name,
   * of which the client chooses with `?sort=`, the first being the default. Cursors need it. Default: none.
   */
  sort?: Sort | Readonly<Record<string, Sort>> | undefined
  /**
   * What `page.reply` answers: the array (`false`), `{ data, page, links }` (`true`), or what a function makes of the
   * items. Default `false`.
   */
  envelope?: boolean | ((items: readonly never[], info: ReplyInfo) => object) | undefined
  /**
   * What cursors are signed with; of several the first signs and all are believed. Processes that serve one list, and
   * one process before and after a restart, must share it. Default: that of `createSluice({ secret })`, else random.
   */
  secret?: string | readonly string[] | undefined
  /** The names of the query parameters. */
  params?: PageParams | undefined
  /** What page links begin with: `'https://api.example.com'`. Default: they are relative, and right behind any proxy. */
  baseUrl?: string | undefined
  /** The parameters that page links repeat, beside their own. Default: all that a cache in front has in its key. */
  keep?: readonly string[] | undefined
}

/** The options of one list, resolved once. */
export interface PagePolicy {
  readonly style: 'page' | 'offset' | 'cursor'
  readonly defaultLimit: number
  readonly maxLimit: number
  readonly clamp: boolean
  readonly maxOffset: number
  readonly count: 'always' | 'never' | 'asked'
  readonly orders: readonly Order[]
  readonly envelope: boolean | ((items: readonly unknown[], info: ReplyInfo) => object)
  readonly secrets: readonly string[] | undefined
  readonly names: Readonly<Record<keyof PageParams, string>>
  /** The names this list reads. */
  readonly own: readonly string[]
  readonly baseUrl: string | undefined
  readonly keep: readonly string[] | undefined
}

const name = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[\w.-]+$/.test(value) ? undefined : 'must be a name of letters, digits, ., _ and -'

const secretRule = (value: unknown): string | undefined =>
  rule.string(value) === undefined || (Array.isArray(value) && value.length > 0 && rule.strings(value) === undefined)
    ? undefined
    : 'must be a non-empty string or an array of them'

/** @throws SluiceError when an option is wrong */
export function resolvePagePolicy(options: PaginateOptions = {}): PagePolicy {
  checkOptions<PaginateOptions>('paginate', options, {
    style: rule.oneOf('page', 'offset', 'cursor'),
    defaultLimit: rule.positiveInteger,
    maxLimit: rule.positiveInteger,
    overLimit: rule.oneOf('refuse', 'clamp'),
    maxOffset: (v) =>
      Number.isSafeInteger(v) && (v as number) >= 0 ? undefined : 'must be a whole number of 0 or more',
    count: rule.oneOf('always', 'never', 'asked'),
    sort: rule.any,
    envelope: rule.either(rule.boolean, rule.function),
    secret: secretRule,
    params: rule.object,
    baseUrl: (v) => (typeof v === 'string' && /^https?:\/\/[^/?#]+/.test(v) ? undefined : "must begin with 'https://'"),
    keep: rule.strings,
  })
  const { params = {}, style = 'page', count = 'always', secret } = options
  for (const one of secret === undefined ? [] : [secret].flat()) checkSecret('paginate.secret', one)
  checkOptions<PageParams>('paginate.params', params, {
    page: name,
    limit: name,
    offset: name,
    cursor: name,
    sort: name,
    count: name,
  })
  const names = {
    page: params.page ?? 'page',
    limit: params.limit ?? 'limit',
    offset: params.offset ?? 'offset',
    cursor: params.cursor ?? 'cursor',
    sort: params.sort ?? 'sort',
    count: params.count ?? 'count',
  }
  const defaultLimit = options.defaultLimit ?? Math.min(20, options.maxLimit ?? 20)
  const maxLimit = options.maxLimit ?? Math.max(100, defaultLimit)
  if (defaultLimit > maxLimit) {
    throw optionError('paginate.defaultLimit', `must be at most maxLimit (${maxLimit})`, defaultLimit)
  }
  if (style === 'cursor' && options.sort === undefined) {
    throw optionError('paginate.sort', "must be given for cursors, such as ['-population', 'id']", undefined)
  }
  if (style === 'cursor' && options.maxOffset !== undefined) {
    throw optionError(
      'paginate.maxOffset',
      'is for pages and offsets: cursors cost the same at any depth',
      options.maxOffset,
    )
  }
  const orders = resolveOrders(options.sort)
  const choosesOrder = orders[0]?.name !== undefined
  const own = [
    names[style],
    names.limit,
    ...(choosesOrder ? [names.sort] : []),
    ...(count === 'asked' ? [names.count] : []),
  ]
  const double = own.find((n, i) => own.indexOf(n) !== i)
  if (double !== undefined) throw optionError('paginate.params', 'must be different names', double)
  return Object.freeze({
    style,
    defaultLimit,
    maxLimit,
    clamp: options.overLimit === 'clamp',
    maxOffset: options.maxOffset ?? Number.MAX_SAFE_INTEGER,
    count,
    orders,
    envelope: (options.envelope ?? false) as PagePolicy['envelope'],
    secrets: secret === undefined ? undefined : [secret].flat(),
    names,
    own,
    baseUrl: options.baseUrl?.replace(/\/$/, ''),
    keep: options.keep,
  })
}
