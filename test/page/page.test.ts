import { describe, expect, test } from '@jest/globals'
import { isSluiceError, type PaginateOptions, paginateArray } from '@sluice/core'
import fc from 'fast-check'
import { type Cursor, CursorCodec, type CursorValue } from '../../packages/core/src/page/keyset/cursor.ts'
import { resolveOrders } from '../../packages/core/src/page/keyset/sort.ts'
import { resolvePagePolicy } from '../../packages/core/src/page/options.ts'
import { list } from './pages.ts'

describe('options', () => {
  test.each<[string, object, RegExp]>([
    ['an unknown option', { pageSize: 5 }, /There is no option `paginate\.pageSize`/],
    ['an unknown style', { style: 'keyset' }, /`paginate\.style` must be one of "page", "offset", "cursor"/],
    ['a limit of 0', { defaultLimit: 0 }, /`paginate\.defaultLimit` must be a whole number above 0/],
    ['a default above the maximum', { defaultLimit: 50, maxLimit: 20 }, /must be at most maxLimit \(20\); received 50/],
    ['cursors without an order', { style: 'cursor' }, /`paginate\.sort` must be given for cursors/],
    ['cursors with maxOffset', { style: 'cursor', sort: ['id'], maxOffset: 5 }, /`paginate\.maxOffset` is for pages/],
    ['a negative maxOffset', { maxOffset: -1 }, /`paginate\.maxOffset`/],
    ['no columns', { sort: [] }, /`paginate\.sort` must be columns/],
    ['an order that is none', { sort: 'name' }, /`paginate\.sort` must be an order/],
    ['no orders', { sort: {} }, /`paginate\.sort` must be an order/],
    ['a nameless column', { sort: ['-'] }, /`paginate\.sort\[0\]` must name a column/],
    ['a column twice', { sort: ['id', '-id'] }, /must name each column once; received "id"/],
    ['a direction that is none', { sort: [{ column: 'id', direction: 'up' }] }, /`paginate\.sort\[0\]\.direction`/],
    ['a column without its name', { sort: [{ direction: 'asc' }] }, /`paginate\.sort\[0\]\.column` must be given/],
    ['a misspelt key of a column', { sort: { a: [{ colunm: 'id' }] } }, /`paginate\.sort\.a\[0\]\.colunm`.*`column`/],
    ['two parameters of one name', { params: { page: 'p', limit: 'p' } }, /`paginate\.params` must be different names/],
    ['a parameter with a comma', { params: { page: 'a,b' } }, /`paginate\.params\.page` must be a name/],
    ['an unknown parameter', { params: { size: 's' } }, /`paginate\.params\.size`/],
    ['an empty secret', { secret: '' }, /`paginate\.secret` must be a non-empty string/],
    ['no secrets', { secret: [] }, /`paginate\.secret`/],
    ['a base that is a path', { baseUrl: '/v1' }, /`paginate\.baseUrl` must begin with 'https:/],
    ['an envelope that is none', { envelope: 'data' }, /`paginate\.envelope` must be true or false, or a function/],
  ])('%s throws at start-up and says what is wrong', (_, options, message) => {
    expect(() => resolvePagePolicy(options)).toThrow(message)
  })

  test.each<[PaginateOptions, string[]]>([
    [{}, ['page', 'limit']],
    [{ style: 'offset', count: 'asked' }, ['offset', 'limit', 'count']],
    [{ style: 'cursor', sort: ['id'] }, ['cursor', 'limit']],
    [{ style: 'cursor', sort: { id: ['id'] }, params: { cursor: 'after' } }, ['after', 'limit', 'sort']],
  ])('%j reads the parameters %j', (options, own) => {
    expect(resolvePagePolicy(options).own).toEqual(own)
  })

  test.each<[PaginateOptions, number, number]>([
    [{}, 20, 100],
    [{ maxLimit: 10 }, 10, 10],
    [{ defaultLimit: 500 }, 500, 500],
  ])('%j: %i items where the client does not say, at most %i', (options, defaultLimit, maxLimit) => {
    expect(resolvePagePolicy(options)).toMatchObject({ defaultLimit, maxLimit })
  })
})

describe('whether there are more', () => {
  const items = (n: number) => Array.from({ length: n }, (_, i) => i)
  test.each<[string, (page: ReturnType<ReturnType<typeof list>>) => Record<string, string>, boolean]>([
    ['one row too many', ({ reply }) => reply(items(4)).links, true],
    ['a total beyond', ({ reply }) => reply(items(3), { total: 4 }).links, true],
    ['a total that is reached', ({ reply }) => reply(items(3), { total: 3 }).links, false],
    ['hasMore', ({ reply }) => reply(items(3), { hasMore: true }).links, true],
    ['hasMore: false, whatever the total', ({ reply }) => reply(items(3), { hasMore: false, total: 9 }).links, false],
    [
      'no row too many, where one was asked for',
      ({ page, reply }) => reply(items(Math.min(3, page.take))).links,
      false,
    ],
    ['a full page, where no more was asked for', ({ reply }) => reply(items(3)).links, true],
    ['a page that is not full', ({ reply }) => reply(items(2)).links, false],
    ['an empty page', ({ reply }) => reply([]).links, false],
  ])('%s', (_, said, more) => {
    expect('next' in said(list({ defaultLimit: 3 })())).toBe(more)
  })

  test('the one too many is never sent', () => {
    expect(list({ defaultLimit: 3 })().reply(items(4)).sent).toEqual([0, 1, 2])
  })

  test('the items are sent as they are, and not changed', () => {
    const given = Object.freeze(items(3))
    expect(list({ defaultLimit: 3 })().reply(given).sent).toBe(given)
  })

  test.each([[-1], [1.5], [Number.NaN], ['5']])('a total of %p is a mistake of the handler', (total) => {
    expect(() => list({})().reply([], { total: total as number })).toThrow(/`total`/)
  })

  test('items that are none are a mistake of the handler', () => {
    expect(() => list({})().reply({ rows: [] } as never)).toThrow(/an array of items; it was given an object/)
  })
})

describe('an empty page of a cursor leads back to where there is something', () => {
  const at = list({ style: 'cursor', sort: ['id'], defaultLimit: 2 })
  const { next } = at().reply([{ id: 1 }, { id: 2 }], { hasMore: true }).links
  test('forwards, where the rest was deleted: prev is the end of the list', () => {
    const { links } = at(next).reply([])
    expect(links).toEqual({ first: '?', prev: links.last, last: links.last })
    expect(at(links.prev).page.keyset).toMatchObject({ reversed: true, bounded: false })
  })
  test('backwards, where everything before was deleted: next is the beginning', () => {
    const { prev } = at(next).reply([{ id: 3 }]).links
    expect(at(prev).reply([]).links).toMatchObject({ first: '?', next: '?' })
  })
})

describe('cursors', () => {
  const codec = new CursorCodec(['secret'])
  const order = resolveOrders(['a', 'b', 'id'])[0]!
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? 0 : n)),
    fc.bigInt(),
    fc.boolean(),
    fc.date({ noInvalidDate: true }),
    fc.constant(null),
  )
  const place: fc.Arbitrary<Cursor> = fc.record({
    side: fc.constantFrom('after' as const, 'before' as const),
    values: fc.option(fc.tuple(value, value, value) as fc.Arbitrary<readonly CursorValue[]>, { nil: undefined }),
  })

  test('any place comes back as it was, and fits into a URL as it is', () => {
    fc.assert(
      fc.property(place, (cursor) => {
        const text = codec.encode(cursor, '/a', order)
        expect(text).toMatch(/^[\w-]+$/)
        expect(codec.decode(text, '/a', order)).toEqual(cursor)
      }),
    )
  })

  test('one changed bit, one byte less, one byte more: refused', () => {
    fc.assert(
      fc.property(place, fc.nat(), fc.nat({ max: 7 }), (cursor, at, bit) => {
        const bytes = Buffer.from(codec.encode(cursor, '/a', order), 'base64url')
        const changed = Buffer.from(bytes)
        changed[at % bytes.length]! ^= 1 << bit
        for (const forged of [changed, bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.of(0)])]) {
          expect(codec.decode(forged.toString('base64url'), '/a', order)).toBeUndefined()
        }
      }),
    )
  })

  test('whatever a client sends is refused and does not throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.string({ unit: 'binary' })), (text) => {
        expect(codec.decode(text, '/a', order)).toBeUndefined()
      }),
    )
  })

  test('bound to route, columns, direction, nulls and secret', () => {
    const text = codec.encode({ side: 'after', values: ['x', 1, 2] }, '/a', order)
    expect(codec.decode(text, '/b', order)).toBeUndefined()
    for (const other of [
      ['a', 'b'],
      ['b', 'a', 'id'],
      ['-a', 'b', 'id'],
      ['a', { column: 'b', nulls: 'last' as const }, 'id'],
    ]) {
      expect(codec.decode(text, '/a', resolveOrders(other)[0]!)).toBeUndefined()
    }
    expect(new CursorCodec(['other']).decode(text, '/a', order)).toBeUndefined()
    expect(codec.decode(text, '/a', resolveOrders({ named: ['a', 'b', 'id'] })[0]!)).toBeDefined()
  })

  test('it does not show what it is signed with, and its values only to who decodes it', () => {
    const text = codec.encode({ side: 'after', values: ['Oslo', 1, 2] }, '/a', order)
    expect(text).not.toMatch(/Oslo|secret/)
    expect(Buffer.from(text, 'base64url').toString('latin1')).not.toMatch(/secret/)
  })

  test.each([[Number.NaN], [Number.POSITIVE_INFINITY], [{}], [[1]], [new Date(Number.NaN)], [Buffer.from('a')]])(
    'a value that cannot stand in one says so: %p',
    (bad) => {
      const at = list({ style: 'cursor', sort: ['a', 'id'] })
      expect(() => at().reply([{ a: bad, id: 1 }], { hasMore: true })).toThrow(
        /column `a` holds .* cannot stand in a cursor/,
      )
    },
  )

  test('one too long for a URL says so', () => {
    const at = list({ style: 'cursor', sort: ['a', 'id'] })
    expect(() => at().reply([{ a: 'x'.repeat(2_000), id: 1 }], { hasMore: true })).toThrow(
      /shorter columns than `a`, `id`/,
    )
  })

  test('an item without the column, and a null in a column without nulls, say what to write', () => {
    const at = list({ style: 'cursor', sort: ['c.size', 'id'] })
    expect(() => at().reply([{ id: 1 }], { hasMore: true })).toThrow(/has no `c\.size`.*column: 'c\.size', of:/)
    expect(() => at().reply([{ size: null, id: 1 }], { hasMore: true })).toThrow(/holds nulls.*nulls: 'last'/)
    try {
      at().reply([{ id: 1 }], { hasMore: true })
    } catch (error) {
      expect(isSluiceError(error) && error.code).toBe('ERR_SLUICE_INPUT')
    }
  })

  test('`of` says where a value is', () => {
    const at = list({ style: 'cursor', sort: [{ column: 'lower(name)', of: (c: { n: string }) => c.n }, 'id'] })
    const { next } = at().reply([{ n: 'x', id: 1 }], { hasMore: true }).links
    expect(at(next).page.cursor).toEqual({ side: 'after', values: ['x', 1] })
  })
})

describe('paginateArray', () => {
  const rows = [5, 3, null, 1, 3].map((size, i) => ({ id: i + 1, size }))
  test('pages and offsets cut what is sorted; without an order what is there', () => {
    expect(paginateArray(list({ defaultLimit: 2 })('?page=2').page, rows)).toEqual(rows.slice(2, 4))
    const sort = [{ column: 'size', nulls: 'first' as const }, 'id']
    const sorted = paginateArray(list({ style: 'offset', sort })().page, rows) as typeof rows
    expect(sorted.map(({ id }) => id)).toEqual([3, 4, 2, 5, 1])
  })
  test('the array is not changed', () => {
    const frozen = Object.freeze([...rows].slice(0, 2))
    expect(() => paginateArray(list({ sort: ['size', 'id'] })().page, frozen)).not.toThrow()
  })
  test('columns of mixed types have no order', () => {
    const mixed = [{ id: 1 }, { id: 'a' }]
    expect(() => paginateArray(list({ sort: ['id'] })().page, mixed)).toThrow(/column `id` holds a \w+ here/)
  })
  test('no total where none is wanted', () => {
    const { page } = list({ count: 'never', envelope: true })()
    expect(paginateArray(page, rows)).not.toHaveProperty('page.total')
  })
  test('random orders, there and back: each item once', () => {
    const item = fc.record({ a: fc.option(fc.integer({ min: 0, max: 2 })), b: fc.constantFrom('x', 'y', 'Z') })
    const direction = fc.constantFrom('asc' as const, 'desc' as const)
    const nulls = fc.constantFrom('first' as const, 'last' as const)
    fc.assert(
      fc.property(
        fc.array(item, { maxLength: 15 }),
        direction,
        nulls,
        direction,
        fc.integer({ min: 1, max: 4 }),
        (...given) => {
          const [items, first, place, second, size] = given
          const all = items.map((one, i) => ({ ...one, id: i }))
          const at = list({
            style: 'cursor',
            defaultLimit: size,
            sort: [{ column: 'a', direction: first, nulls: place }, { column: 'b', direction: second }, 'id'],
          })
          const walk = (start: string | undefined, rel: 'next' | 'prev'): number[][] => {
            const { sent, links } = at(start).array(all)
            const ids = (sent as typeof all).map(({ id }) => id)
            return links[rel] === undefined ? [ids] : [ids, ...walk(links[rel], rel)]
          }
          const there = walk(undefined, 'next').flat()
          expect([...there].sort((a, b) => a - b)).toEqual(all.map(({ id }) => id))
          const back = walk(at().reply([]).links.last, 'prev')
          expect(back.toReversed().flat()).toEqual(there)
        },
      ),
    )
  })
})
