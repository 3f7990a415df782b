import { SluiceError } from '../base/errors.ts'
import { placeOf } from './keyset/cursor.ts'
import type { KeysetColumn } from './keyset/keyset.ts'
import type { OrderColumn } from './keyset/sort.ts'
import type { Page } from './page.ts'
import type { ReplyAbout } from './reply-info.ts'

/**
 * Answers a page of an array: sorted by the list's order where it has one, cut, and given to `page.reply` with the total.
 * It looks at the whole array each time: for lists of thousands. Texts are compared by their code units.
 *
 * @throws SluiceError `ERR_SLUICE_INPUT` for items that lack a column of the order
 * @example
 * ```ts
 * app.get('/cities', sluice.paginate({ style: 'cursor', sort: ['name', 'id'] }), (req, res) => {
 *   res.json(paginateArray(req.page, cities))
 * })
 * ```
 */
export function paginateArray<T>(page: Page, items: readonly T[]): readonly T[] | object {
  const { offset, limit, keyset, sort } = page
  const about: ReplyAbout = page.count ? { total: items.length } : {}
  if (!keyset) {
    const sorted = sort.length ? sortBy(items, sort) : items
    const rest = sorted.length - offset
    return page.reply(sorted.slice(offset, offset + limit), { ...about, hasMore: rest > limit })
  }
  const columns = sort.map((column, i) => ({ ...column, ...keyset.columns[i]!, of: column.of }))
  const found = keyset.bounded ? items.filter((item) => isBehind(item, columns)) : items
  return page.reply(sortBy(found, columns).slice(0, page.take), about)
}

function sortBy<T>(items: readonly T[], columns: readonly OrderColumn[]): T[] {
  const order = { name: undefined, columns, signature: '' }
  return items
    .map((item) => ({ item, place: placeOf(item, order) }))
    .sort((a, b) => {
      for (const [i, column] of columns.entries()) {
        const compared = compare(a.place[i], b.place[i], column)
        if (compared !== 0) return compared
      }
      return 0
    })
    .map(({ item }) => item)
}

function isBehind(item: unknown, columns: readonly (KeysetColumn & OrderColumn)[]): boolean {
  const place = placeOf(item, { name: undefined, columns, signature: '' })
  for (const [i, column] of columns.entries()) {
    const compared = compare(place[i], column.value, column)
    if (compared !== 0) return compared > 0
  }
  return false
}

function compare(a: unknown, b: unknown, { direction, nulls, column }: OrderColumn): number {
  if (a === null || b === null) {
    if (a === b) return 0
    return (a === null) === (nulls === 'first') ? -1 : 1
  }
  const [left, right] = [comparable(a), comparable(b)]
  if (typeof left !== typeof right && !(isNumeric(left) && isNumeric(right))) {
    throw new SluiceError(
      'ERR_SLUICE_INPUT',
      `The column \`${column}\` holds a ${typeof left} here and a ${typeof right} there. Make them of one type.`,
    )
  }
  const compared = left < right ? -1 : left > right ? 1 : 0
  return direction === 'asc' ? compared : -compared
}

const isNumeric = (value: unknown): boolean => typeof value === 'number' || typeof value === 'bigint'

function comparable(value: unknown): string | number | bigint | boolean {
  return value instanceof Date ? value.getTime() : (value as string)
}
