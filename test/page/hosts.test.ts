import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { createSluice, type PaginateOptions, pageOf, paginateArray } from '@sluice/node'
import { type AppSpec, type Ctx, describeHosts, type TestApp, type TestHost } from '../hosts/harness/host.ts'
import { links } from './links-of.ts'

interface City {
  readonly id: number
  readonly name: string
  readonly size: number
}

const cities: readonly City[] = Array.from({ length: 45 }, (_, i) => ({
  id: i + 1,
  name: `City ${i + 1}`,
  size: (i * 7) % 10,
}))

/** What a handler over a database does with pages and offsets. */
const listed = (c: Ctx): void => {
  const { limit, offset } = c.page
  c.send(c.page.reply(cities.slice(offset, offset + limit), { total: cities.length }) as object)
}
const fromArray = (c: Ctx): void => c.send(paginateArray(c.page, cities) as object)
const byCursor: PaginateOptions = { style: 'cursor', sort: ['-size', 'id'] }

const resolve = (path: string, reference: string): string => {
  const url = new URL(reference, `http://x${path}`)
  return url.pathname + url.search
}

/** Follows one relation until it ends; the items of every page. */
async function walk(app: TestApp, start: string, rel: 'next' | 'prev'): Promise<City[][]> {
  const pages: City[][] = []
  for (let path: string | undefined = start; path !== undefined; ) {
    const answer = await app.get(path)
    expect(answer.status).toBe(200)
    pages.push(answer.json())
    const next: string | undefined = links(answer.header('link'))[rel]
    path = next && resolve(path, next)
  }
  return pages
}

describeHosts('pagination', (host) => {
  const boot = (paginate: PaginateOptions, handler = listed, more: Partial<AppSpec['routes'][number]> = {}) =>
    host.boot({ routes: [{ path: '/cities', paginate, handler, ...more }] })

  describe('page', () => {
    test('the first page: items, X-Total-Count, and Link with first, next and last (RFC 8288)', async () => {
      const app = await boot({})
      const answer = await app.get('/cities')
      expect(answer.json()).toEqual(cities.slice(0, 20))
      expect(answer.header('x-total-count')).toBe('45')
      expect(links(answer.header('link'))).toEqual({ first: '?page=1', next: '?page=2', last: '?page=3' })
    })

    test('the last page has prev and no next', async () => {
      const app = await boot({})
      const answer = await app.get('/cities?page=3')
      expect(answer.json()).toEqual(cities.slice(40))
      expect(links(answer.header('link'))).toEqual({ first: '?page=1', prev: '?page=2', last: '?page=3' })
    })

    test('links keep the other query parameters and the limit, as they were sent', async () => {
      const app = await boot({})
      const { next } = links((await app.get('/cities?q=S%C3%A3o+x&limit=7&tag=a&tag=b&page=2')).header('link'))
      expect(next).toBe('?q=S%C3%A3o+x&tag=a&tag=b&limit=7&page=3')
    })

    test('links are references without a host, so that no Host field can poison a stored answer', async () => {
      const app = await boot({}, listed, { cache: { ttl: '1m' } })
      const first = await app.get('/cities', { host: 'evil.example' })
      expect(first.header('link')).not.toMatch(/evil|http/)
      expect(first.stored).toBe(true)
    })

    test('what a client puts into the query cannot end a reference or a field', async () => {
      const app = await boot({})
      const { header } = await raw(app, '/cities?q=a>;rel="next",<http://evil.example/&page=1')
      expect(links(header('link')).next).toBe('?q=a%3E;rel=%22next%22,%3Chttp://evil.example/&page=2')
    })

    test('following next sees every item once', async () => {
      const app = await boot({ defaultLimit: 10 })
      expect((await walk(app, '/cities', 'next')).flat()).toEqual(cities)
    })

    test('a page behind the last is empty, and prev leads back to the last', async () => {
      const app = await boot({})
      const answer = await app.get('/cities?page=9')
      expect(answer.json()).toEqual([])
      expect(links(answer.header('link'))).toEqual({ first: '?page=1', prev: '?page=3', last: '?page=3' })
    })

    test('HEAD has the same fields', async () => {
      const app = await boot({})
      const head = await app.request('/cities?page=2', { method: 'HEAD' })
      const get = await app.get('/cities?page=2')
      expect(head.status).toBe(200)
      for (const name of ['link', 'x-total-count']) expect(head.header(name)).toBe(get.header(name))
    })

    test('a Link of the handler stays', async () => {
      const app = await boot({}, (c) => {
        c.set('Link', '</style.css>; rel="preload"')
        listed(c)
      })
      expect((await app.get('/cities')).header('link')).toMatch(/preload.*rel="first"/)
    })

    test('an error after reply has neither Link nor X-Total-Count', async () => {
      const app = await boot({}, (c) => {
        c.page.reply(cities.slice(0, 20), { total: 45 })
        throw new Error('later')
      })
      const answer = await app.get('/cities')
      expect(answer.status).toBe(500)
      expect(answer.header('link')).toBeUndefined()
      expect(answer.header('x-total-count')).toBeUndefined()
    })

    test('an absolute base is a setting, and never what the client says', async () => {
      const app = await boot({ baseUrl: 'https://api.example.com/v1/' })
      expect(links((await app.get('/cities')).header('link')).next).toBe('https://api.example.com/v1/cities?page=2')
    })

    test('an envelope has the items, where they stand, and the links', async () => {
      const app = await boot({ envelope: true, defaultLimit: 20 })
      expect((await app.get('/cities?page=2')).json()).toEqual({
        data: cities.slice(20, 40),
        page: { style: 'page', limit: 20, number: 2, offset: 20, total: 45, pages: 3, hasNext: true, hasPrev: true },
        links: { first: '?page=1', prev: '?page=1', next: '?page=3', last: '?page=3' },
      })
    })

    test('an envelope of one’s own', async () => {
      const app = await boot({ envelope: (found, { total, pages }) => ({ found: found.length, total, pages }) })
      expect((await app.get('/cities?page=3')).json()).toEqual({ found: 5, total: 45, pages: 3 })
    })
  })

  describe('offset', () => {
    test('limit and offset reach the query, and Link leads on', async () => {
      const app = await boot({ style: 'offset' })
      const answer = await app.get('/cities?offset=15&limit=10')
      expect(answer.json()).toEqual(cities.slice(15, 25))
      expect(links(answer.header('link'))).toEqual({
        first: '?limit=10&offset=0',
        prev: '?limit=10&offset=5',
        next: '?limit=10&offset=25',
        last: '?limit=10&offset=40',
      })
    })

    test('deep offsets can be refused, and no link leads there', async () => {
      const app = await boot({ style: 'offset', maxOffset: 20 })
      const refused = await app.get('/cities?offset=21')
      expect(refused.status).toBe(400)
      expect(refused.json()).toMatchObject({
        parameter: 'offset',
        detail: '"offset" must be a whole number from 0 to 20.',
      })
      expect(Object.keys(links((await app.get('/cities?offset=20')).header('link')))).toEqual(['first', 'prev'])
    })
  })

  describe('cursor', () => {
    const sorted = cities.toSorted((a, b) => b.size - a.size || a.id - b.id)

    test('next from the first page, and prev from the last, see every item once and in order', async () => {
      const app = await boot({ ...byCursor, defaultLimit: 7 }, fromArray)
      expect((await walk(app, '/cities', 'next')).flat()).toEqual(sorted)
      const { last } = links((await app.get('/cities')).header('link'))
      const back = await walk(app, resolve('/cities', last!), 'prev')
      expect(back.toReversed().flat()).toEqual(sorted)
    })

    test('next and prev are inverse', async () => {
      const app = await boot({ ...byCursor, defaultLimit: 10 }, fromArray)
      const first = await app.get('/cities')
      const second = await app.get(resolve('/cities', links(first.header('link')).next!))
      const again = await app.get(resolve('/cities', links(second.header('link')).prev!))
      expect(again.json()).toEqual(first.json())
      expect(links(again.header('link'))).not.toHaveProperty('prev')
    })

    test('a cursor of another route, another order, another server or a changed one is refused', async () => {
      const routes: AppSpec['routes'] = [
        { path: '/cities', paginate: byCursor, handler: fromArray },
        { path: '/others', paginate: byCursor, handler: fromArray },
        { path: '/turned', paginate: { style: 'cursor', sort: ['size', 'id'] }, handler: fromArray },
      ]
      const app = await host.boot({ routes })
      const other = await host.boot({ routes })
      const next = links((await app.get('/cities')).header('link')).next!
      expect((await app.get(`/cities${next}`)).status).toBe(200)
      const at = next.length - 12
      const changed = `${next.slice(0, at)}${next[at] === 'A' ? 'B' : 'A'}${next.slice(at + 1)}`
      for (const [to, path] of [
        [app, `/others${next}`],
        [app, `/turned${next}`],
        [app, `/cities${changed}`],
        [app, `/cities${next}A`],
        [app, '/cities?cursor='],
        [other, `/cities${next}`],
      ] as const) {
        const answer = await to.get(path)
        expect([path, answer.status, answer.json().parameter]).toEqual([path, 400, 'cursor'])
      }
    })

    test('processes with one secret believe each other', async () => {
      const spec = {
        routes: [{ path: '/cities', paginate: byCursor, handler: fromArray }],
        sluice: { secret: 'shared by all processes' },
      }
      const [one, two] = [await host.boot(spec), await host.boot(spec)]
      const next = links((await one.get('/cities')).header('link')).next!
      expect((await two.get(`/cities${next}`)).json()).toEqual((await one.get(`/cities${next}`)).json())
    })

    const [oldSecret, newSecret] = ['old'.repeat(6), 'new'.repeat(6)] as const

    test('a secret can be replaced: the first signs, each is believed', async () => {
      const spec = (secret: string[]) => ({
        routes: [{ path: '/c', paginate: { ...byCursor, secret }, handler: fromArray }],
      })
      const [before, after, later] = [
        await host.boot(spec([oldSecret])),
        await host.boot(spec([newSecret, oldSecret])),
        await host.boot(spec([newSecret])),
      ]
      const old = links((await before.get('/c')).header('link')).next!
      const fresh = links((await after.get('/c')).header('link')).next!
      expect((await after.get(`/c${old}`)).status).toBe(200)
      expect((await later.get(`/c${fresh}`)).status).toBe(200)
      expect((await later.get(`/c${old}`)).status).toBe(400)
    })

    test('inserts and deletes between two pages make no item appear twice or go missing', async () => {
      let list = [...sorted]
      const app = await boot({ ...byCursor, defaultLimit: 10 }, (c) => c.send(paginateArray(c.page, list) as object))
      const first = await app.get('/cities')
      list = [{ id: 900, name: 'New', size: 99 }, ...list.filter(({ id }) => id !== first.json()[9].id)]
      const rest = await walk(app, resolve('/cities', links(first.header('link')).next!), 'next')
      expect([...first.json(), ...rest.flat()]).toEqual(sorted)
    })
  })

  describe('sort', () => {
    const paginate: PaginateOptions = { style: 'cursor', sort: { largest: ['-size', 'id'], name: ['name', 'id'] } }

    test('clients choose between named orders; the first is the default, and links keep the choice', async () => {
      const app = await boot(paginate, fromArray)
      expect((await app.get('/cities')).json()[0].size).toBe(9)
      const byName = await app.get('/cities?sort=name')
      expect(byName.json()[1].name).toBe('City 10')
      expect(links(byName.header('link')).next).toMatch(/^\?sort=name&cursor=/)
    })

    test('a cursor is bound to its order', async () => {
      const app = await boot(paginate, fromArray)
      const next = links((await app.get('/cities?sort=name')).header('link')).next!
      const answer = await app.get(`/cities${next.replace('sort=name', 'sort=largest')}`)
      expect([answer.status, answer.json().parameter]).toEqual([400, 'cursor'])
    })
  })

  test.each([
    ['page=0', 'page', {}],
    ['page=-1', 'page', {}],
    ['page=1.5', 'page', {}],
    ['page=1e2', 'page', {}],
    ['page=0x5', 'page', {}],
    ['page=', 'page', {}],
    ['page=%201', 'page', {}],
    ['page=two', 'page', {}],
    ['page=1&page=2', 'page', {}],
    ['page=99999999999999999999', 'page', {}],
    ['p=x', 'p', { params: { page: 'p' } }],
    ['limit=0', 'limit', {}],
    ['limit=101', 'limit', {}],
    ['limit=11', 'limit', { maxLimit: 10 }],
    ['page=7', 'page', { maxOffset: 100 }],
    ['sort=id;drop', 'sort', { sort: { name: ['name', 'id'] } }],
    ['count=yes', 'count', { count: 'asked' }],
    ['cursor=AAAA', 'cursor', byCursor],
    ['cursor=%00', 'cursor', byCursor],
    [`cursor=${'A'.repeat(3000)}`, 'cursor', byCursor],
  ] as [string, string, PaginateOptions][])(
    '?%s is 400 problem+json naming %s, is not stored, and the handler does not run',
    async (query, parameter, paginate) => {
      let runs = 0
      const app = await boot(paginate, () => void runs++, { cache: { ttl: '1m' } })
      for (let time = 0; time < 2; time++) {
        const answer = await app.get(`/cities?${query}`)
        expect(answer.status).toBe(400)
        expect(answer.header('content-type')).toBe('application/problem+json')
        expect(answer.json()).toMatchObject({ type: 'about:blank', title: 'Bad Request', status: 400, parameter })
        expect(answer.json().detail).toContain(`"${parameter}" m`)
        expect(answer.stored || answer.cache === 'hit').toBe(false)
      }
      expect(runs).toBe(0)
    },
  )

  test('a client that asks for too many gets as many as there may be, where the list says clamp', async () => {
    const app = await boot({ maxLimit: 10, overLimit: 'clamp' })
    const answer = await app.get('/cities?limit=5000')
    expect(answer.json()).toHaveLength(10)
    expect(links(answer.header('link')).next).toBe('?limit=10&page=2')
  })

  test('count: the handler counts when it is asked to', async () => {
    const app = await boot({ count: 'asked' }, (c) => {
      const { take, offset, count } = c.page
      c.send(c.page.reply(cities.slice(offset, offset + take), count ? { total: 45 } : {}) as object)
    })
    const without = await app.get('/cities?page=2')
    expect(without.header('x-total-count')).toBeUndefined()
    expect(links(without.header('link'))).toEqual({ first: '?page=1', prev: '?page=1', next: '?page=3' })
    const counted = await app.get('/cities?count=true')
    expect(counted.header('x-total-count')).toBe('45')
    expect(links(counted.header('link')).next).toBe('?count=true&page=2')
  })

  describe('with the cache', () => {
    const cached = (query: string[] | undefined, paginate: PaginateOptions = {}) =>
      host.boot({
        routes: [{ path: '/cities', cache: { ttl: '1m', ...(query && { query }) }, paginate, handler: listed }],
      })

    test('a hit has the items, the Link and the count of its miss', async () => {
      const app = await cached(undefined)
      const [miss, hit] = [await app.get('/cities?page=2'), await app.get('/cities?page=2')]
      expect([miss.stored, hit.cache]).toEqual([true, 'hit'])
      expect(hit.json()).toEqual(miss.json())
      for (const name of ['link', 'x-total-count']) expect(hit.header(name)).toBe(miss.header(name))
      expect((await app.get('/cities?page=3')).json()).toEqual(cities.slice(40))
    })

    test('what the key leaves out stands in no stored link', async () => {
      const app = await cached(['page', 'limit', 'q'])
      const miss = await app.get('/cities?q=a&token=secret&q.x=1')
      expect([miss.stored, links(miss.header('link')).next]).toEqual([true, '?q=a&q.x=1&page=2'])
      expect((await app.get('/cities?q=a&q.x=1&token=other')).cache).toBe('hit')
    })

    test('only parameters that are to be kept stand in links', async () => {
      const app = await cached(undefined, { keep: ['q'] })
      expect(links((await app.get('/cities?q=a&token=secret')).header('link')).next).toBe('?q=a&page=2')
    })
  })
})

describeHosts(
  'pages behind a key without page parameters',
  (host: TestHost) => {
    test.each([
      ['a TTL of the route', { ttl: '1m', query: ['q'] }],
      ['the handler’s own Cache-Control, where the guard is off', { query: ['q'] }],
      ['the guard switched off', { ttl: '1m', query: ['q'], guard: 'off' }],
    ] as const)('with %s: not stored, said why, and never one page for another', async (_, cache) => {
      const app = await host.boot({
        routes: [
          {
            path: '/cities',
            cache,
            paginate: {},
            handler(c) {
              c.set('Cache-Control', 'max-age=60')
              listed(c)
            },
          },
        ],
      })
      const seen: string[] = []
      app.sluice.on('guard', ({ fields, advice }) => seen.push(`${fields}: ${advice}`))
      const one = await app.get('/cities')
      expect([one.stored, one.detail]).toEqual([false, 'unkeyed-query'])
      expect((await app.get('/cities?page=2')).json()).toEqual(cities.slice(20, 40))
      expect(seen[0]).toBe("?page,?limit: Add 'page', 'limit' to the `query` of its cache.")
    })
  },
  // Fastify knows both at start-up and throws there: test/fastify/routes.test.ts.
  (kind) => kind.framework !== 'fastify',
)

test('a cache mounted behind paginate stores nothing, for its hits would have no Link; it says so', async () => {
  const sluice = createSluice()
  const [pages, cache] = [sluice.paginate(), sluice.cache('1m')]
  const server = createServer((req, res) =>
    pages(req, res, () => cache(req, res, () => res.end(JSON.stringify(pageOf(req).reply([1], { total: 1 }))))),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    for (let time = 0; time < 2; time++) {
      const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      expect(answer.headers.get('cache-status')).toBe('Sluice; fwd=uri-miss; detail=behind-paginate')
      expect(answer.headers.get('link')).toContain('rel="first"')
    }
  } finally {
    server.close()
    await sluice.close()
  }
})

test('a request without a page is a mistake that is named', () => {
  expect(() => pageOf({})).toThrow(/mount sluice\.paginate\(\) in front/)
})

/** A request that a URL parser would have changed. */
async function raw(app: TestApp, path: string): Promise<{ header(name: string): string | undefined }> {
  const { connect } = await import('node:net')
  const text = await new Promise<string>((done, failed) => {
    const chunks: Buffer[] = []
    const socket = connect(app.port, '127.0.0.1', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    })
    socket.on('data', (chunk) => chunks.push(chunk)).on('end', () => done(Buffer.concat(chunks).toString()))
    socket.on('error', failed)
  })
  return { header: (name) => new RegExp(`^${name}: (.*)\r$`, 'im').exec(text)?.[1] }
}
