import type { ComponentChildren, VNode } from 'preact'
import { useMemo } from 'preact/hooks'

export interface Column<Row, Sort extends string = string> {
  readonly name: string
  readonly cell: (row: Row) => ComponentChildren
  /** `name`: what the row is of. `actions`: buttons. Else a figure. */
  readonly is?: 'name' | 'actions' | 'text'
  readonly sort?: Sort
  /** Its rows come in rising order. */
  readonly rising?: boolean
}

interface Props<Row, Sort extends string> {
  readonly caption: string
  readonly columns: readonly Column<Row, Sort>[]
  readonly rows: readonly Row[]
  readonly id: (row: Row) => string
  readonly sorted?: Sort
  readonly onSort?: (sort: Sort) => void
}

/** Said although the element is one: a style that makes cards of rows takes that away. */
const as = (role: 'table' | 'rowgroup' | 'row' | 'cell' | 'columnheader' | 'rowheader') => ({ role })

/** A table, and where it is narrow a card for each row. */
export function Table<Row extends object, Sort extends string>({
  caption,
  columns,
  rows,
  id,
  sorted,
  onSort,
}: Props<Row, Sort>) {
  // A row that is the same as before is not looked at again: there may be thousands.
  const known = useMemo(() => new WeakMap<Row, VNode>(), [columns])
  const drawn = (row: Row): VNode => {
    const before = known.get(row)
    if (before) return before
    const now = <TableRow key={id(row)} row={row} columns={columns} />
    known.set(row, now)
    return now
  }
  return (
    <div class="table">
      <table {...as('table')} class={(columns.length > 4 ? 'many' : '') + (onSort ? '' : ' unsorted')}>
        <caption class="unseen">{caption}</caption>
        <colgroup>
          {columns.map(({ name, is }) => (
            <col key={name} class={is ?? 'figure'} />
          ))}
        </colgroup>
        <thead {...as('rowgroup')}>
          <tr {...as('row')}>
            {columns.map(({ name, is, sort, rising }) => (
              <th
                key={name}
                {...as('columnheader')}
                scope="col"
                class={is ?? 'figure'}
                aria-sort={
                  sort === undefined ? undefined : sort !== sorted ? 'none' : rising ? 'ascending' : 'descending'
                }
              >
                {sort === undefined || onSort === undefined ? (
                  is === 'actions' ? (
                    <span class="unseen">{name}</span>
                  ) : (
                    name
                  )
                ) : (
                  <button type="button" class="sort" onClick={() => onSort(sort)}>
                    {name}
                    <span class="arrow" aria-hidden="true">
                      {sort !== sorted ? '' : rising ? '▲' : '▼'}
                    </span>
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody {...as('rowgroup')}>{rows.map(drawn)}</tbody>
      </table>
    </div>
  )
}

function TableRow<Row>({ row, columns }: { readonly row: Row; readonly columns: readonly Column<Row>[] }) {
  return (
    <tr {...as('row')}>
      {columns.map(({ name, is, cell }) =>
        is === 'name' ? (
          <th key={name} {...as('rowheader')} scope="row" class="name">
            {cell(row)}
          </th>
        ) : (
          <td key={name} {...as('cell')} class={is ?? 'figure'} data-name={is === 'actions' ? undefined : name}>
            {cell(row)}
          </td>
        ),
      )}
    </tr>
  )
}
