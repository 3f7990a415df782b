import { optionError } from '../../base/errors.ts'
import { checkOptions, rule } from '../../base/options.ts'

/** One column of an order. */
export interface SortColumn {
  /**
   * The column as your SQL writes it: `population`, `c.name`, `lower(name)`. It is put into the SQL as it stands, so it
   * must never come from a client.
   */
  readonly column: string
  /** Default `'asc'`. */
  readonly direction?: 'asc' | 'desc' | undefined
  /** Where nulls stand. Needed where there are any; without it a null is an error. Default: there are none. */
  readonly nulls?: 'first' | 'last' | undefined
  /** The column's value in an item. Default: the member named like the column (`name` for `c.name`). */
  readonly of?: ((item: never) => unknown) | undefined
}

/**
 * An order: columns, the most significant first. `'-population'` is short for descending. Together they must tell every
 * two items apart, so the last is a unique one (`id`).
 */
export type Sort = readonly (string | SortColumn)[]

/** A column of an order, resolved. */
export interface OrderColumn {
  readonly column: string
  readonly direction: 'asc' | 'desc'
  readonly nulls: 'first' | 'last' | undefined
  readonly of: (item: unknown) => unknown
}

/** An order as it is used, with what cursors are bound to. */
export interface Order {
  readonly name: string | undefined
  readonly columns: readonly OrderColumn[]
  readonly signature: string
}

/**
 * The orders of a list, the default first: one, or several that clients choose from by name.
 *
 * @throws SluiceError for anything that is no order
 */
export function resolveOrders(sort: Sort | Readonly<Record<string, Sort>> | undefined): readonly Order[] {
  if (sort === undefined) return []
  if (Array.isArray(sort)) return [resolveOrder('paginate.sort', undefined, sort)]
  if (typeof sort !== 'object' || sort === null || Object.keys(sort).length === 0) {
    throw optionError('paginate.sort', "must be an order such as ['-population', 'id'], or an object of them", sort)
  }
  return Object.entries(sort).map(([name, one]) => resolveOrder(`paginate.sort.${name}`, name, one))
}

function resolveOrder(option: string, name: string | undefined, sort: Sort): Order {
  if (!Array.isArray(sort) || sort.length === 0) {
    throw optionError(option, "must be columns, such as ['-population', 'id']", sort)
  }
  const columns = sort.map((given, i) => resolveColumn(`${option}[${i}]`, given))
  const repeated = columns.find(({ column }, i) => columns.findIndex((c) => c.column === column) !== i)
  if (repeated) throw optionError(option, 'must name each column once', repeated.column)
  // The positions in the list stand for the columns in a cursor: another list is another signature.
  const signature = JSON.stringify(columns.map((c) => [c.column, c.direction, c.nulls ?? null]))
  return { name, columns, signature }
}

function resolveColumn(option: string, given: string | SortColumn): OrderColumn {
  if (typeof given === 'string') {
    const descending = given.startsWith('-')
    const column = descending ? given.slice(1) : given
    if (column.trim() === '') throw optionError(option, 'must name a column', given)
    return { column, direction: descending ? 'desc' : 'asc', nulls: undefined, of: memberOf(column) }
  }
  checkOptions<SortColumn>(option, given, {
    column: rule.string,
    direction: rule.oneOf('asc', 'desc'),
    nulls: rule.oneOf('first', 'last'),
    of: rule.function,
  })
  if (given.column === undefined) throw optionError(`${option}.column`, 'must be given', undefined)
  const { column, direction = 'asc', nulls, of } = given
  return { column, direction, nulls, of: (of as (item: unknown) => unknown) ?? memberOf(column) }
}

function memberOf(column: string): (item: unknown) => unknown {
  const name = column.slice(column.lastIndexOf('.') + 1)
  return (item) => (item as Record<string, unknown> | null | undefined)?.[name]
}
