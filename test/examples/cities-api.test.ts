import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { get as httpGet, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { lockDirectory } from '../../examples/cities-api/src/data/lock.ts'
import { Program } from './support/program.ts'
import { keepCities } from './support/stored-cities.ts'

/** Three processes, and one load of 135,000 rows: seconds here, and several times that on a slow machine. */
jest.setTimeout(120_000)

const shell = promisify(execFile)
const paris = 2988507
const gentilly = 3016292
const programs: Program[] = []
let dataDirectory: string

/** All share one data directory, one after the other: it is loaded once, and each later start is a second start. */
function run(framework: string, env: Readonly<Record<string, string>> = {}): Program {
  const program = new Program('cities-api/src/main.ts', [framework], { PORT: '0', DATA_DIR: dataDirectory, ...env })
  programs.push(program)
  return program
}

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'cities-api-test-'))
})

afterAll(async () => {
  await Promise.all(programs.map((program) => program.end('SIGKILL')))
  await rm(dataDirectory, { recursive: true, force: true })
})

test('stored data that is damaged is made again, and a start that is killed while it loads leaves nothing half-loaded behind', async () => {
  await mkdir(join(dataDirectory, 'cities-api-pglite'))
  await writeFile(join(dataDirectory, 'cities-api-pglite', 'PG_VERSION'), '99')
  const first = run('express')
  await first.said(/cannot be opened: creating it anew/)
  await first.said(/Loading cities: 25 %/)
  expect(await first.end('SIGKILL')).toBeNull()

  const second = run('express')
  await second.said(/Loading cities: 100 %/)
  const [, base] = await second.said(/listens on (\S+)\n/)
  const { body } = await ask(`${base}/cities`)
  expect(body.total).toBe(135_233)
  expect(await second.end('SIGTERM')).toBe(0)
  await keepCities(dataDirectory)
})

describe.each(['express', 'koa', 'fastify'])('cities-api on %s', (framework) => {
  let program: Program
  let base: string

  beforeAll(async () => {
    program = run(framework, { NODE_ENV: 'development' })
    base = (await program.said(/listens on (\S+)\n[\s\S]*Ctrl-C/))[1]!
  })

  const get = (path: string, headers: Record<string, string> = {}) => ask(base + path, { headers })
  const patch = (id: number | string, body: string, type = 'application/json') =>
    ask(`${base}/cities/${id}`, { method: 'PATCH', body, headers: { 'content-type': type } })

  test('finds the data that an earlier start loaded', () => {
    expect(program.output).not.toMatch(/Loading|Creating/)
  })

  test('a search is a miss, then a hit with the same bytes and an Age, then a 304', async () => {
    const miss = await get('/cities?q=haven')
    expect(miss).toMatchObject({ status: 200, cacheStatus: 'Sluice; fwd=uri-miss; stored' })
    const hit = await get('/cities?q=haven')
    expect(hit.cacheStatus).toMatch(/^Sluice; hit; ttl=\d+$/)
    expect(hit.headers.get('age')).toMatch(/^\d+$/)
    expect(hit.text).toBe(miss.text)
    expect(hit.headers.get('etag')).toBe(miss.headers.get('etag'))
    const known = await get('/cities?q=haven', { 'if-none-match': hit.headers.get('etag')! })
    expect(known).toMatchObject({ status: 304, text: '' })
    expect(known.cacheStatus).toMatch(/^Sluice; hit/)
  })

  test('its curl lines, which are also the README’s, show a miss, a hit and a 304', async () => {
    const printed = curlLines(program.output)
    for (const path of ['README.md', 'examples/cities-api/README.md']) {
      const readme = await readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
      expect(curlLines(readme.replaceAll('http://localhost:3000', base)).slice(0, 3)).toEqual(printed)
    }

    const heads: string[] = []
    for (const line of printed) heads.push((await shell('sh', ['-c', line])).stdout)
    const [miss, hit, notModified] = heads
    expect(miss).toMatch(/^HTTP\/1.1 200 [\s\S]*^cache-status: Sluice; fwd=uri-miss; stored/im)
    expect(hit).toMatch(/^HTTP\/1.1 200 [\s\S]*^cache-status: Sluice; hit/im)
    expect(notModified).toMatch(/^HTTP\/1.1 304 [\s\S]*^cache-status: Sluice; hit/im)
  })

  test('parameters that do not shape the answer find the same page', async () => {
    const { text } = await get('/cities?country=NL&limit=50')
    const hit = await get('/cities?utm_source=mail&limit=50&country=NL')
    expect(hit.cacheStatus).toMatch(/^Sluice; hit/)
    expect(hit.text).toBe(text)
  })

  test('searches by country and part of the name, the largest first, in pages', async () => {
    const first = await get('/cities?country=de&q=BURG')
    const { next } = links(first)
    expect(first.body.links.next).toBe(next)
    expect(first.headers.get('x-total-count')).toBe(String(first.body.total))
    const { body: second } = await get(`/cities${next}`)
    expect(first.body.cities[0].name).toBe('Hamburg')
    const cities = [...first.body.cities, ...second.cities]
    expect(new Set(cities.map((city) => city.id)).size).toBe(40)
    expect(cities.every((city) => city.country === 'DE' && /burg/i.test(city.name))).toBe(true)
    const populations = cities.map((city) => city.population)
    expect(populations).toEqual(populations.toSorted((a, b) => b - a))
  })

  test('next from the first page and prev from the last show every city once, and a page is found again', async () => {
    const walk = async (start: string, rel: 'next' | 'prev') => {
      const pages: number[][] = []
      for (let path: string | undefined = start; path !== undefined; ) {
        const answer = await get(`/cities${path}`)
        pages.push(answer.body.cities.map((city: { id: number }) => city.id))
        path = links(answer)[rel]
      }
      return pages
    }
    const start = '?country=LU&limit=30'
    const there = (await walk(start, 'next')).flat()
    expect(there).toHaveLength((await get(`/cities${start}`)).body.total)
    expect(new Set(there).size).toBe(there.length)
    const back = await walk(links(await get(`/cities${start}`)).last!, 'prev')
    expect(back.toReversed().flat()).toEqual(there)
    expect((await get(`/cities${links(await get(`/cities${start}`)).next}`)).cacheStatus).toMatch(/^Sluice; hit/)
  })

  test('a city that changes place between two pages is not shown twice', async () => {
    const path = '/cities?country=AD&limit=3'
    const first = await get(path)
    const [{ id, population }] = first.body.cities
    const second = `/cities${links(first).next}`
    const before = (await get(second)).body.cities
    await patch(before[0].id, JSON.stringify({ population: population + 1 }))
    const after = (await get(second)).body.cities
    expect(after[0].id).toBe(before[1].id)
    expect((await get(path)).body.cities.map((city: { id: number }) => city.id).slice(0, 2)).toEqual([before[0].id, id])
    await patch(before[0].id, JSON.stringify({ population: before[0].population }))
  })

  test('one entry answers in br, gzip and identity, each with an ETag that fits', async () => {
    const path = '/cities?country=IT&limit=100'
    const forms = []
    for (const coding of ['br', 'gzip', 'identity'])
      forms.push(await getRaw(base + path, { 'accept-encoding': coding }))
    const [br, gzip, identity] = forms
    expect(forms.map(({ headers }) => headers['content-encoding'])).toEqual(['br', 'gzip', undefined])
    expect(forms.map(({ headers }) => headers['cache-status'])).toEqual([
      'Sluice; fwd=uri-miss; stored',
      expect.stringMatching(/^Sluice; hit/),
      expect.stringMatching(/^Sluice; hit/),
    ])
    const bytes = identity!.body.toString()
    expect(brotliDecompressSync(br!.body).toString()).toBe(bytes)
    expect(gunzipSync(gzip!.body).toString()).toBe(bytes)
    expect(JSON.parse(bytes).cities).toHaveLength(100)
    // Express's own are weak, and a weak one may stand for all forms (RFC 9110 §8.8.1); a strong one is of one form.
    expect(new Set(forms.map(({ headers }) => headers.etag)).size).toBe(framework === 'express' ? 1 : 3)
    for (const { headers } of forms) expect(headers.vary).toMatch(/\baccept-encoding\b/i)
    // A client that has one form of it has it.
    for (const [i, coding] of ['br', 'gzip', 'identity'].entries()) {
      const fields = { 'accept-encoding': coding, 'if-none-match': forms[i]!.headers.etag! }
      expect((await getRaw(base + path, fields)).status).toBe(304)
    }
  })

  test('the countries come from a wrapped handler, stored and compressed as from middleware', async () => {
    const miss = await getRaw(`${base}/countries`, { 'accept-encoding': 'gzip' })
    const hit = await getRaw(`${base}/countries?utm_source=mail`, { 'accept-encoding': 'gzip' })
    expect(miss.headers).toMatchObject({ 'cache-status': 'Sluice; fwd=uri-miss; stored', 'content-encoding': 'gzip' })
    expect(hit.headers).toMatchObject({ 'cache-status': expect.stringMatching(/^Sluice; hit; ttl=3[56]\d\d$/) })
    expect(hit.headers['content-encoding']).toBe('gzip')
    expect(hit.body).toEqual(miss.body)
  })

  test('the pages of a search share one count, which a change purges with them', async () => {
    const counted = async () => (await get('/')).body.totals.misses
    const before = await counted()
    const first = await get('/cities?country=SM&limit=2')
    const { next } = links(first)
    expect((await get(`/cities${next}`)).body.total).toBe(first.body.total)
    expect((await get('/cities?country=SM&limit=3')).body.total).toBe(first.body.total)
    expect((await counted()) - before).toBe(1)

    const search = `/cities?country=SM&q=unheard-of-${framework}`
    expect((await get(search)).body.total).toBe(0)
    const [{ id, name }] = first.body.cities
    await patch(id, JSON.stringify({ name: `Unheard-of-${framework}` }))
    expect((await get(search)).body).toMatchObject({ total: 1, cities: [{ id }] })
    await patch(id, JSON.stringify({ name }))
    expect((await get(search)).body.total).toBe(0)
  })

  test('a PATCH may come compressed, up to what it may decode to, and is logged after its answer', async () => {
    const send = (body: Uint8Array<ArrayBuffer>, coding: string) =>
      ask(`${base}/cities/2643743`, {
        method: 'PATCH',
        body,
        headers: { 'content-type': 'application/json', 'content-encoding': coding },
      })
    const { population } = (await get('/cities/2643743')).body
    const changed = await send(gzipSync(JSON.stringify({ population: population + 1 })), 'gzip')
    expect(changed).toMatchObject({ status: 200, body: { name: 'London', population: population + 1 } })
    expect((await get('/cities/2643743')).body.population).toBe(population + 1)
    await program.said(new RegExp(`^PATCH /cities/2643743: now London, ${population + 1} people$`, 'm'))

    const bomb = await send(gzipSync(JSON.stringify({ name: 'a'.repeat(1_000_000) })), 'gzip')
    expect(bomb).toMatchObject({ status: 413, body: { status: 413 } })
    const unknown = await send(Buffer.from('{}'), 'rot13')
    expect(unknown).toMatchObject({ status: 415, body: { status: 415 } })
    expect((await patch(2643743, JSON.stringify({ population }))).status).toBe(200)
  })

  test('fields selects of each city, and is stored by itself', async () => {
    const path = '/cities?country=MC&fields=id,name'
    const { body } = await get(path)
    expect(body.cities.length).toBeGreaterThan(0)
    for (const city of body.cities) expect(Object.keys(city)).toEqual(['id', 'name'])
    expect(body.links.first).toContain('fields=id,name')
    expect((await get(path)).cacheStatus).toMatch(/^Sluice; hit/)
    expect((await get('/cities?country=MC')).body.cities[0]).toHaveProperty('population')
  })

  test('N+1: 247 queries one by one, 2 in a batch, and the same answer', async () => {
    const [batched, single] = [await get('/countries/largest'), await get('/countries/largest?lookup=single')]
    expect([batched.body.queries, single.body.queries]).toEqual([2, 247])
    expect(batched.body.countries).toEqual(single.body.countries)
    expect(batched.body.countries).toContainEqual({ country: 'CN', largest: 'Shanghai' })
    expect(program.output).toContain('GET /countries/largest: 2 queries for 246 countries')
    expect(program.output).toContain('GET /countries/largest: 247 queries for 246 countries')
  })

  test('% and _ in a search mean themselves', async () => {
    expect((await get('/cities?q=%25')).body).toMatchObject({ total: 0, cities: [] })
    expect((await get('/cities?q=_')).body).toMatchObject({ total: 0 })
  })

  test('ten searches at once ask the database once', async () => {
    const before = (await get('/')).body.cache
    const answers = await Promise.all(Array.from({ length: 10 }, () => get('/cities?q=castle')))
    const after = (await get('/')).body.cache
    expect(after.misses - before.misses).toBe(1)
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
  })

  test('PATCH changes the row and everything that shows it is fresh at once', async () => {
    const shown = [`/cities/${paris}`, `/cities/${paris}/nearby`, '/cities?q=paris', '/countries']
    for (const path of shown) await get(path)
    for (const path of shown) expect((await get(path)).cacheStatus).toMatch(/^Sluice; hit/)
    const untouched = '/cities/2643743'
    await get(untouched)

    const { population } = (await get(`/cities/${paris}`)).body
    const changed = await patch(paris, JSON.stringify({ population: population + 1 }))
    expect(changed).toMatchObject({ status: 200, body: { id: paris, population: population + 1 } })

    for (const path of shown) expect((await get(path)).cacheStatus).toBe('Sluice; fwd=uri-miss; stored')
    expect((await get(`/cities/${paris}`)).body.population).toBe(population + 1)
    expect((await get('/cities?q=paris')).body.cities[0]).toMatchObject({ id: paris, population: population + 1 })
    expect((await get(`/cities/${paris}/nearby`)).body.city.population).toBe(population + 1)
    expect((await get(untouched)).cacheStatus).toMatch(/^Sluice; hit/)
  })

  test('a change of a neighbour is seen in the neighbourhood', async () => {
    await get(`/cities/${paris}/nearby`)
    await patch(gentilly, JSON.stringify({ name: `Gentilly (${framework})` }))
    const { body, cacheStatus } = await get(`/cities/${paris}/nearby`)
    expect(cacheStatus).toBe('Sluice; fwd=uri-miss; stored')
    expect(body.nearby.map((city: { name: string }) => city.name)).toContain(`Gentilly (${framework})`)
  })

  test.each([
    ['not JSON', '{"population":', 'application/json', 400],
    ['another type', 'population=1', 'application/x-www-form-urlencoded', [400, 415]],
    ['no object', '[1]', 'application/json', 400],
    ['nothing to change', '{}', 'application/json', 400],
    ['an unknown field', '{"population": 1, "country": "XX"}', 'application/json', 400],
    ['a fraction', '{"population": 1.5}', 'application/json', 400],
    ['more than an integer', '{"population": 3e9}', 'application/json', 400],
    ['a name that is blank', '{"name": "  "}', 'application/json', 400],
    ['a name with a NUL', '{"name": "a\\u0000b"}', 'application/json', 400],
  ])('a PATCH with %s is refused as a problem, and purges nothing', async (_what, body, type, status) => {
    await get(`/cities/${paris}`)
    const refused = await patch(paris, body, type)
    expect([status].flat()).toContain(refused.status)
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(refused.body).toMatchObject({
      status: refused.status,
      title: expect.any(String),
      detail: expect.any(String),
    })
    expect((await get(`/cities/${paris}`)).cacheStatus).toMatch(/^Sluice; hit/)
  })

  test('nearby answers the ten nearest, the nearest first', async () => {
    const { body } = await get(`/cities/${paris}/nearby`)
    const distances = body.nearby.map((city: { km: number }) => city.km)
    expect(distances).toHaveLength(10)
    expect(distances).toEqual(distances.toSorted((a: number, b: number) => a - b))
    expect(distances[0]).toBe(4.4)
    // Fiji, at the date line: its nearest are on both sides of it.
    const fiji = (await get('/cities?country=FJ&q=labasa')).body.cities[0]
    expect((await get(`/cities/${fiji.id}/nearby`)).body.nearby[0].km).toBeLessThan(200)
  })

  test('countries counts all rows', async () => {
    const { body } = await get('/countries')
    expect(body).toHaveLength(246)
    expect(body.reduce((sum: number, country: { cities: number }) => sum + country.cities, 0)).toBe(135_233)
    expect(body).toContainEqual(expect.objectContaining({ country: 'CN', largest: 'Shanghai' }))
  })

  test.each([
    ['GET', '/cities/1', 404],
    ['GET', '/cities/abc', 404],
    ['GET', '/cities/99999999999', 404],
    ['GET', '/cities/1/nearby', 404],
    ['GET', '/nothing', 404],
    ['PATCH', '/cities/1', 404],
    ['GET', '/cities?limit=0', 400],
    ['GET', '/cities?limit=101', 400],
    ['GET', '/cities?cursor=x', 400],
    ['GET', '/cities?fields=a(', 400],
    ['GET', '/countries/largest?lookup=all', 400],
    ['GET', '/cities?country=Germany', 400],
    ['GET', '/cities?q=a&q=b', 400],
    ['GET', '/cities?q=%00', 400],
    ['GET', `/cities?q=${'a'.repeat(101)}`, 400],
  ])('%s %s is a problem of status %i, and is not stored', async (method, path, status) => {
    const body = method === 'PATCH' ? '{"population": 1}' : null
    for (let time = 0; time < 2; time++) {
      const answer = await ask(base + path, { method, body, headers: { 'content-type': 'application/json' } })
      expect(answer).toMatchObject({ status, body: { type: 'about:blank', status } })
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(answer.cacheStatus ?? '').not.toMatch(/hit|stored/)
    }
  })

  test('GET /metrics has what happened by route, as text or OpenMetrics', async () => {
    await get('/cities/2988507')
    await get('/cities/2988507')
    const metrics = async (accept: string) => {
      const response = await fetch(`${base}/metrics`, { headers: { accept } })
      return `${response.headers.get('content-type')} ${response.headers.get('cache-control')}\n${await response.text()}`
    }
    const text = await metrics('text/plain')
    expect(text).toMatch(/^text\/plain.* no-store\n/)
    expect(text).toMatch(/^sluice_requests_total\{route="\/cities\/:id",method="GET",result="hit"\} [1-9]/m)
    expect(text).toMatch(/^sluice_fill_duration_seconds_count\{route="\/cities",background="false"\} [1-9]/m)
    expect(text).toMatch(/^sluice_limit_decisions_total\{policy="address",result="allowed"\} [1-9]/m)
    expect(await metrics('application/openmetrics-text')).toMatch(/^application\/openmetrics-text.*\n[\s\S]*\n# EOF\n$/)
  })

  test('GET / lists the routes and counts the hits', async () => {
    const { body } = await get('/')
    expect(Object.keys(body.routes)).toContain('PATCH /cities/:id')
    expect(body.cache.hits).toBeGreaterThan(0)
  })

  test('operators purge at /ops, in development and on this machine', async () => {
    await get('/cities?q=oxford')
    expect((await get('/cities?q=oxford')).cacheStatus).toMatch(/^Sluice; hit/)
    const purged = await ask(`${base}/ops/cities`, { method: 'PURGE' })
    expect(purged).toMatchObject({ status: 200, body: { mode: 'purge', what: ['url:/cities'] } })
    expect((await get('/cities?q=oxford')).cacheStatus).toMatch(/fwd=uri-miss/)
    expect((await get('/ops/stats', { 'x-forwarded-for': '127.0.0.1' })).status).toBe(403)
  })

  test('the live page is at /sluice, open in development on this machine alone', async () => {
    const page = await fetch(`${base}/sluice`)
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect((await get('/sluice/routes?sort=hitRate')).body.rows).toEqual(
      expect.arrayContaining([expect.objectContaining({ route: '/cities', hit: expect.any(Number) })]),
    )
    expect((await get('/sluice/frame')).body).toMatchObject({ backend: 'memory', actions: ['purge', 'limits', 'bans'] })
    expect((await get('/sluice', { 'x-forwarded-for': '127.0.0.1' })).status).toBe(403)
  })

  test('SIGTERM ends it with exit code 0 though somebody looks at the page, and nothing is said of errors', async () => {
    const live = await fetch(`${base}/sluice/live`)
    expect(live.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const [code, sent] = await Promise.all([program.end('SIGTERM'), live.text()])
    expect(code).toBe(0)
    expect(sent).toMatch(/^retry: 2000\n\nevent: frame\n/)
    expect(program.errors).toBe('')
  })
})

describe.each(['express', 'koa', 'fastify'])('WARM=1 and the limits of cities-api on %s', (framework) => {
  let program: Program
  let base: string
  // Of the 14 the warming and its test may have taken four.
  const rates = { LIMIT_ADDRESS: '40 per 2 seconds', LIMIT_SEARCH: '14 per 2 seconds', LIMIT_LOGIN: '3 per 2 seconds' }

  beforeAll(async () => {
    program = run(framework, { ...rates, PASSWORD: 'sesame', WARM: '1' })
    base = (await program.said(/listens on (\S+)\n[\s\S]*Ctrl-C/))[1]!
  })

  const search = () => ask(`${base}/cities?q=spring`)
  const login = (password: string) =>
    ask(`${base}/login`, {
      method: 'POST',
      body: JSON.stringify({ user: 'ada', password }),
      headers: { 'content-type': 'application/json' },
    })
  const refused = (policy: string) => ({
    status: 429,
    body: { type: expect.stringMatching(/#quota-exceeded$/), status: 429, 'violated-policies': [policy] },
  })
  const waitAsTold = async ({ headers }: { headers: Headers }) => {
    const seconds = headers.get('retry-after')
    expect(seconds).toMatch(/^[1-4]$/)
    await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1_000))
  }

  test('the most asked pages are filled, compressed too, so that the first client finds them', async () => {
    await program.said(/^Warmed the cache: 5 of 5 pages stored$/m)
    for (const path of ['/cities', '/cities?country=US', `/cities/${paris}/nearby`, '/countries']) {
      const { headers } = await getRaw(base + path, { 'accept-encoding': 'br' })
      expect(headers['cache-status']).toMatch(/^Sluice; hit/)
      expect(headers['content-encoding']).toBe('br')
    }
    expect((await ask(`${base}/cities/${paris}`)).cacheStatus).toMatch(/^Sluice; hit/)
  })

  test('a search by name takes five units: two are answered, from the database and from memory, and the third is not', async () => {
    const answers = await Promise.all([search(), search(), search()])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 429])
    const third = answers.find(({ status }) => status === 429)!
    expect(third).toMatchObject(refused('search'))
    expect(third.cacheStatus).toBeNull()
    await waitAsTold(third)
    expect(await search()).toMatchObject({ status: 200, cacheStatus: expect.stringMatching(/hit/) })
  })

  test('a login counts failures only, is shut after three, and opens when it said', async () => {
    for (let i = 0; i < 6; i++) expect(await login('sesame')).toMatchObject({ status: 200, body: { user: 'ada' } })
    const guesses = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(login))
    expect(guesses.map(({ status }) => status).sort()).toEqual([401, 401, 401, 429, 429])
    const shut = await login('sesame')
    expect(shut).toMatchObject(refused('login'))
    await waitAsTold(shut)
    expect((await login('sesame')).status).toBe(200)
  })

  test('an address is driven to 429, for what is not there too, waits as long as told, and gets in', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(`${base}/nothing/${i}`)))
    const shut = answers.filter(({ status }) => status === 429)
    expect(shut.length).toBeGreaterThanOrEqual(10)
    expect(shut[0]).toMatchObject(refused('address'))
    await waitAsTold(shut.at(-1)!)
    const back = await ask(`${base}/cities/${paris}`)
    expect(back.status).toBe(200)
    expect(back.headers.get('ratelimit')).toMatch(/^"address";r=\d+;t=\d+$/)
  })

  test('SIGTERM ends it with exit code 0, and nothing is said of errors', async () => {
    expect(await program.end('SIGTERM')).toBe(0)
    expect(program.errors).toBe('')
  })
})

describe('what makes a start impossible is told in one sentence, with exit code 1', () => {
  test.each<[string, string, Record<string, string>, RegExp]>([
    ['an unknown framework', 'hapi', {}, /^Unknown argument "hapi": choose one of express, koa, fastify\.\n$/],
    ['a PORT that is none', 'express', { PORT: '99999' }, /^PORT must be a number from 0 to 65535, not "99999"\.\n$/],
    ['a DATABASE_URL that is none', 'express', { DATABASE_URL: 'localhost' }, /^DATABASE_URL must look like \S+\.\n$/],
    [
      'a database that is not there',
      'express',
      { DATABASE_URL: 'postgres://me:secret@127.0.0.1:1/cities' },
      /^Cannot use the database of DATABASE_URL, 127\.0\.0\.1:1\/cities \(.*ECONNREFUSED.*\): correct it, .*\.\n$/,
    ],
    [
      'a limit that is none',
      'koa',
      { LIMIT_LOGIN: '5 per moon' },
      /^Rate "5 per moon" of `limits\.login\.rate` does not parse at position 7: .*\n {2}5 per moon\n {8}\^\n$/,
    ],
    [
      'a HOST that is not ours',
      'express',
      { HOST: '192.0.2.1' },
      /^This machine does not have the address 192\.0\.2\.1: .*\n$/,
    ],
  ])('%s', async (_what, framework, env, sentence) => {
    const program = run(framework, env)
    expect(await program.end()).toBe(1)
    expect(program.errors).toMatch(sentence)
  })

  test('a busy port, before anything is loaded', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const program = run('fastify', { HOST: '127.0.0.1', PORT: String(port), DATA_DIR: join(dataDirectory, 'unused') })
    const code = await program.end()
    server.close()
    expect(code).toBe(1)
    expect(program.errors).toMatch(new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is in use: stop .*\\.\\n$`))
    expect(program.output).toBe('')
  })
})

test('a data directory belongs to one process at a time, and is free again after it', async () => {
  const unlock = await lockDirectory(dataDirectory)
  expect(unlock).toBeDefined()
  expect(await lockDirectory(dataDirectory)).toBeUndefined()
  await unlock?.()
  const again = await lockDirectory(dataDirectory)
  expect(again).toBeDefined()
  await again?.()
})

test('a second process works on a copy in memory and says so', async () => {
  const unlock = await lockDirectory(dataDirectory)
  const second = run('express')
  await second.said(/Another cities-api uses the stored data/)
  await second.said(/with PGlite in memory, listens on/)
  expect(await second.end('SIGINT')).toBe(0)
  await unlock?.()
})

/** The references of `Link` by their relation. */
function links(answer: { readonly headers: Headers }): Record<string, string> {
  const found = [...(answer.headers.get('link') ?? '').matchAll(/<([^>]*)>; rel="(\w+)"/g)]
  return Object.fromEntries(found.map(([, href, rel]) => [rel, href]))
}

/** As it came over the wire: `fetch` would decode it. */
function getRaw(url: string, headers: Readonly<Record<string, string>>) {
  return new Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
    const request = httpGet(url, { headers, agent: false }, async (response) => {
      const body = Buffer.concat(await response.toArray())
      resolve({ status: response.statusCode, headers: response.headers, body })
    })
    request.on('error', reject)
  })
}

async function ask(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init)
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    cacheStatus: response.headers.get('cache-status'),
    text,
    // biome-ignore lint/suspicious/noExplicitAny: each route answers its own
    body: (text && JSON.parse(text)) as any,
  }
}

function curlLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('curl '))
}
