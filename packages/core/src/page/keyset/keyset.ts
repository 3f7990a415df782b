import { SluiceError } from '../../base/errors.ts'
import type { Cursor, CursorValue } from './cursor.ts'
import type { Order } from './sort.ts'

/** A column of a keyset query, in the direction the query runs: turned round where it goes back from a place. */
export interface KeysetColumn {
  readonly column: string
  readonly direction: 'asc' | 'desc'
  /** `undefined`: the column has no nulls. */
  readonly nulls: 'first' | 'last' | undefined
  /** What the place to go on from holds here; `undefined` where the query begins at an end of the list. */
  readonly value: CursorValue | undefined
}

/**
 * What a keyset query needs: order by these columns, and take what comes behind these values. The same for every
 * database; {@link keysetSql} writes it for some.
 */
export interface Keyset {
  readonly columns: readonly KeysetColumn[]
  /** Whether there is a place to go on from. */
  readonly bounded: boolean
  /** The query runs backwards; `page.reply` turns the rows round again. */
  readonly reversed: boolean
}

export function keysetOf(order: Order, cursor: Cursor | undefined): Keyset {
  const reversed = cursor?.side === 'before'
  const columns = order.columns.map(({ column, direction, nulls }, i) => ({
    column,
    direction: reversed ? turned[direction] : direction,
    nulls: reversed && nulls ? turned[nulls] : nulls,
    value: cursor?.values?.[i],
  }))
  return { columns, bounded: cursor?.values !== undefined, reversed }
}

const turned = { asc: 'desc', desc: 'asc', first: 'last', last: 'first' } as const

/** How a database wants its parameters: `$1` (PostgreSQL, PGlite) or `?` (SQLite). */
export type KeysetDialect = 'postgres' | 'sqlite'

/** Options of {@link keysetSql}. */
export interface KeysetSqlOptions {
  /** Default `'postgres'`. */
  readonly dialect?: KeysetDialect | undefined
  /** The parameters that stand before those of the fragment: with two of them, it begins at `$3`. Default: none. */
  readonly params?: readonly unknown[] | undefined
}

/** Fragments of one query. */
export interface KeysetSql {
  /** A condition, in parentheses where it needs them; `true` (SQLite: `1`) where the query begins at an end. */
  readonly where: string
  /** What comes after `order by`. */
  readonly orderBy: string
  /** What comes after `limit`: one row more than the page holds, so that it can be told whether there are more. */
  readonly limit: string
  /** All parameters: those given, then those of the fragments. */
  readonly params: unknown[]
}

/**
 * Writes a keyset query in SQL. It reads only the rows of its page, however deep that is, with an index on the columns
 * in their order.
 *
 * @throws SluiceError for a page without cursors (other styles have `limit` and `offset`)
 * @example
 * ```ts
 * const { where, orderBy, limit, params } = keysetSql(req.page, { params: [country] })
 * const cities = await query(
 *   `select id, name, population from cities where country = $1 and ${where} order by ${orderBy} limit ${limit}`,
 *   params,
 * )
 * res.json(req.page.reply(cities))
 * ```
 */
export function keysetSql(
  page: { readonly keyset: Keyset | undefined; readonly take: number },
  options: KeysetSqlOptions = {},
): KeysetSql {
  const { keyset } = page
  if (!keyset) {
    throw new SluiceError('ERR_SLUICE_OPTION', "keysetSql needs a page of `paginate({ style: 'cursor', sort })`.")
  }
  const { dialect = 'postgres', params: before = [] } = options
  const params = [...before]
  const bind = (value: unknown): string => {
    params.push(value)
    return dialect === 'sqlite' ? '?' : `$${params.length}`
  }
  const where = keyset.bounded ? `(${condition(keyset.columns, bind)})` : dialect === 'sqlite' ? '1' : 'true'
  const orderBy = keyset.columns
    .map((c) => `${c.column} ${c.direction}${c.nulls ? ` nulls ${c.nulls}` : ''}`)
    .join(', ')
  return { where, orderBy, limit: bind(page.take), params }
}

type Bind = (value: unknown) => string

function condition(columns: readonly KeysetColumn[], bind: Bind): string {
  const plain = columns.every((c) => c.nulls === undefined && c.direction === columns[0]!.direction)
  if (plain && columns.length > 1) {
    // The form that every planner turns into a range of an index.
    const names = columns.map((c) => c.column).join(', ')
    const values = columns.map((c) => bind(c.value)).join(', ')
    return `(${names}) ${behind(columns[0]!)} (${values})`
  }
  return mixed(columns, bind)
}

/**
 * Behind in the first column, or equal there and behind in the rest. Parameters are bound in the order they stand in the
 * text: `?` has no number.
 */
function mixed([column, ...rest]: readonly KeysetColumn[], bind: Bind): string {
  const { column: name, nulls, value } = column!
  if (rest.length === 0) return strictlyBehind(column!, bind) ?? 'false'
  // Says nothing new, but a planner that makes no range of an `or` makes one of this.
  const bound = nulls === undefined ? `${name} ${behind(column!)}= ${bind(value)} and ` : ''
  const strict = strictlyBehind(column!, bind)
  const same = `(${equal(column!, bind)} and (${mixed(rest, bind)}))`
  if (strict === undefined) return same
  return bound === '' ? `${strict} or ${same}` : `${bound}(${strict} or ${same})`
}

const behind = ({ direction }: KeysetColumn): string => (direction === 'asc' ? '>' : '<')

/** `undefined` where nothing is behind. */
function strictlyBehind(c: KeysetColumn, bind: Bind): string | undefined {
  if (c.value === null) return c.nulls === 'first' ? `${c.column} is not null` : undefined
  const beyond = `${c.column} ${behind(c)} ${bind(c.value)}`
  return c.nulls === 'last' ? `(${beyond} or ${c.column} is null)` : beyond
}

const equal = (c: KeysetColumn, bind: Bind): string =>
  c.value === null ? `${c.column} is null` : `${c.column} = ${bind(c.value)}`
