import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { keysetSql, type PaginateOptions, paginateArray } from '@sluice/core'
import fc from 'fast-check'
import type { Database } from '../../examples/cities-api/src/data/database.ts'
import { openEmbedded } from '../../examples/cities-api/src/data/embedded.ts'
import { takeCities } from '../examples/support/stored-cities.ts'
import { list } from './pages.ts'

jest.setTimeout(60_000)

const by = (sort: PaginateOptions['sort'], defaultLimit = 3) => list({ style: 'cursor', sort, defaultLimit })

describe('keysetSql', () => {
  const place = (sort: PaginateOptions['sort'], item: object) => {
    const at = by(sort)
    const { next, prev } = (({ links }) => ({ next: links.next, prev: links.prev }))(
      at().reply([item], { hasMore: true }),
    )
    return { next: at(next).page, prev, at }
  }

  test('the first page has no condition, and asks for one row too many', () => {
    expect(keysetSql(by(['-size', 'id'])().page)).toEqual({
      where: 'true',
      orderBy: 'size desc, id asc',
      limit: '$1',
      params: [4],
    })
  })

  test('columns in one direction are compared as a row, which is a range of an index', () => {
    expect(keysetSql(place(['name', 'id'], { name: 'Oslo', id: 7 }).next)).toEqual({
      where: '((name, id) > ($1, $2))',
      orderBy: 'name asc, id asc',
      limit: '$3',
      params: ['Oslo', 7, 4],
    })
  })

  test('columns in two directions, with the bound that lets an index begin in the middle', () => {
    expect(keysetSql(place(['-size', 'id'], { size: 5, id: 7 }).next)).toMatchObject({
      where: '(size <= $1 and (size < $2 or (size = $3 and (id > $4))))',
      params: [5, 5, 5, 7, 4],
    })
  })

  test('parameters of one’s own come first', () => {
    const { where, limit, params } = keysetSql(place(['id'], { id: 7 }).next, { params: ['NL', '%a%'] })
    expect([where, limit, params]).toEqual(['(id > $3)', '$4', ['NL', '%a%', 7, 4]])
  })

  test('back: every direction and every place of nulls turned round', () => {
    const sort = [{ column: 'size', direction: 'desc', nulls: 'last' }, 'id'] as const
    const at = by(sort)
    const second = at(at().reply([{ size: 5, id: 1 }], { hasMore: true }).links.next)
    const prev = at(second.reply([{ size: null, id: 2 }]).links.prev).page
    expect(keysetSql(prev)).toEqual({
      where: '(size is not null or (size is null and (id < $1)))',
      orderBy: 'size asc nulls first, id desc',
      limit: '$2',
      params: [2, 4],
    })
  })

  test('SQLite’s parameters', () => {
    expect(keysetSql(place(['name', 'id'], { name: 'a', id: 1 }).next, { dialect: 'sqlite' })).toMatchObject({
      where: '((name, id) > (?, ?))',
      limit: '?',
    })
    expect(keysetSql(by(['id'])().page, { dialect: 'sqlite' }).where).toBe('1')
  })

  test('a page without cursors has no keyset', () => {
    expect(() => keysetSql(list({})().page)).toThrow(/style: 'cursor'/)
  })
})

describe('over PostgreSQL', () => {
  let directory: string
  let database: Database

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-keyset-'))
    await takeCities(directory)
    database = await openEmbedded(directory, () => {})
    await database.query('create table things (id integer primary key, a integer, b text collate "C", c timestamptz)')
  })
  afterAll(async () => {
    await database?.close()
    await rm(directory, { recursive: true, force: true })
  })

  interface Thing {
    readonly id: number
    readonly a: number | null
    readonly b: string | null
    readonly c: Date
  }

  const thing = fc.record({
    a: fc.option(fc.integer({ min: 0, max: 2 })),
    b: fc.option(fc.constantFrom('', 'a', 'B', 'ä', "'; drop table things; --")),
    c: fc.integer({ min: 0, max: 2 }).map((day) => new Date(Date.UTC(2026, 10, 1 + day))),
  })
  const direction = fc.constantFrom('asc' as const, 'desc' as const)
  const nulls = fc.constantFrom('first' as const, 'last' as const)
  const sort = fc
    .tuple(
      fc.shuffledSubarray([0, 1, 2], { minLength: 0 }),
      fc.tuple(
        fc.record({ column: fc.constant('a'), direction, nulls }),
        fc.record({ column: fc.constant('b'), direction, nulls }),
        fc.record({ column: fc.constant('c'), direction }),
      ),
      fc.record({ column: fc.constant('id'), direction }),
    )
    .map(([order, columns, id]) => [...order.map((i) => columns[i]!), id])

  async function fill(things: readonly Omit<Thing, 'id'>[], firstId = 1): Promise<void> {
    for (const [i, { a, b, c }] of things.entries()) {
      await database.query('insert into things values ($1, $2, $3, $4)', [firstId + i, a, b, c])
    }
  }

  const query = async (page: Parameters<typeof keysetSql>[0]): Promise<Thing[]> => {
    const { where, orderBy, limit, params } = keysetSql(page)
    return database.query<Thing>(`select * from things where ${where} order by ${orderBy} limit ${limit}`, params)
  }

  /** Follows one relation to its end. */
  async function walk(
    at: ReturnType<typeof list>,
    start: string | undefined,
    rel: 'next' | 'prev',
  ): Promise<Thing[][]> {
    const pages: Thing[][] = []
    for (let link = start; pages.length < 50; ) {
      const { page, reply } = at(link)
      const { sent, links } = reply(await query(page))
      pages.push(sent as Thing[])
      if (links[rel] === undefined) return pages
      link = links[rel]
    }
    throw new Error('it does not end')
  }

  test('several columns, both directions, ties and nulls: forwards and backwards see each row once, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(thing, { maxLength: 12 }),
        sort,
        fc.integer({ min: 1, max: 5 }),
        async (things, order, size) => {
          await database.query('truncate things')
          await fill(things)
          const at = by(order, size)
          const orderBy = keysetSql(at().page).orderBy
          const ids = (await database.query<Thing>(`select id from things order by ${orderBy}`)).map(({ id }) => id)
          // The two dialects are one text where the parameters stand in the order of their numbers.
          for (const { page } of [
            at(),
            at(
              at().reply(
                things.map((t, i) => ({ ...t, id: i })),
                { hasMore: true },
              ).links.next,
            ),
          ]) {
            const [numbered, plain] = [keysetSql(page), keysetSql(page, { dialect: 'sqlite' })]
            expect(plain.params).toEqual(numbered.params)
            expect(numbered.where.match(/\$\d+/g) ?? []).toEqual(
              numbered.params.slice(0, -1).map((_, i) => `$${i + 1}`),
            )
          }
          const forwards = await walk(at, undefined, 'next')
          expect(forwards.flat().map(({ id }) => id)).toEqual(ids)
          expect(forwards.slice(0, -1).every((page) => page.length === size)).toBe(true)
          const { last } = at().reply([]).links
          const backwards = await walk(at, last, 'prev')
          expect(
            backwards
              .toReversed()
              .flat()
              .map(({ id }) => id),
          ).toEqual(ids)
          // The same over an array of the same rows.
          const rows = await database.query<Thing>('select * from things')
          const inMemory = paginateArray(at().page, rows) as Thing[]
          expect(inMemory.map(({ id }) => id)).toEqual(ids.slice(0, size))
        },
      ),
      { numRuns: 40 },
    )
  })

  test('stable under inserts and deletes: nothing twice, nothing lost of what was there all the time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(thing, { minLength: 4, maxLength: 12 }),
        fc.array(thing, { maxLength: 6 }),
        sort,
        fc.array(fc.nat(), { maxLength: 3 }),
        async (things, added, order, removed) => {
          await database.query('truncate things')
          await fill(things)
          const at = by(order, 3)
          const first = at()
          const { sent, links } = first.reply(await query(first.page))
          await fill(added, 1_000)
          const gone = removed.map((n) => 1 + (n % things.length))
          await database.query('delete from things where id = any($1)', [gone])
          // More rows than a page holds, so there is a next one.
          const rest = (await walk(at, links.next!, 'next')).flat()
          const seen = [...(sent as Thing[]), ...rest].map(({ id }) => id)
          expect(new Set(seen).size).toBe(seen.length)
          expect(seen).toEqual(expect.arrayContaining(things.map((_, i) => i + 1).filter((id) => !gone.includes(id))))
        },
      ),
      { numRuns: 25 },
    )
  })

  test('offsets are not: a row in front pushes one from the first page onto the second', async () => {
    await database.query('truncate things')
    await fill(Array.from({ length: 6 }, (_, i) => ({ a: i + 1, b: '', c: new Date(0) })))
    const at = list({ style: 'offset', defaultLimit: 3 })
    const read = ({ limit, offset }: { limit: number; offset: number }) =>
      database.query<Thing>('select * from things order by a limit $1 offset $2', [limit, offset])
    const first = await read(at().page)
    await fill([{ a: 0, b: '', c: new Date(0) }], 99)
    const second = await read(at('?offset=3').page)
    expect(first.at(-1)!.id).toBe(second[0]!.id)
  })

  test('a page deep in a list reads an index and no more rows than it shows', async () => {
    await database.query('truncate things')
    await database.query("insert into things select n, n / 10, '', now() from generate_series(1, 20000) n")
    await database.query('create index on things (a desc, id)')
    await database.query('analyze things')
    const at = by(['-a', 'id'], 5)
    const { links } = at().reply([{ a: 300, id: 3005 }], { hasMore: true })
    const { where, orderBy, limit, params } = keysetSql(at(links.next).page)
    const plan = await database.query(
      `explain (analyze, format text) select * from things where ${where} order by ${orderBy} limit ${limit}`,
      params,
    )
    const text = plan.map((row) => Object.values(row)[0]).join('\n')
    expect(text).toMatch(/Index Scan/)
    expect(text).not.toMatch(/Sort/)
    const removed = Number(/Rows Removed by Filter: (\d+)/.exec(text)?.[1] ?? 0)
    expect(removed).toBeLessThan(10)
  })
})
