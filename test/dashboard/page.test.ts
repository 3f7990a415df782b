import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { AuditEvent } from '@sluice/core'
import { dashboard } from '@sluice/dashboard'
import { createSluice } from '@sluice/express'
import type { FindAnswer, Frame, RoutesAnswer } from '../../packages/dashboard/src/page/contract.ts'
import { type AppSpec, describeHosts, type Opened, type TestApp } from '../hosts/harness/host.ts'

const token = { authorization: 'Bearer letmein' }
const asJson = { ...token, 'content-type': 'application/json' }

const authorize = (request: { headers: Record<string, unknown> }) =>
  request.headers.authorization === 'Bearer letmein' && { name: 'ann' }

function spec(over: Partial<AppSpec> = {}): AppSpec {
  return {
    door: { page: { authorize, actions: true } },
    sluice: { limits: { few: '3/min', kept: { rate: '100/min', ban: 'by-hand' } } },
    routes: [
      {
        path: '/cities/:id',
        cache: { ttl: '1h', tags: (r) => ['cities', `city:${r.params.id}`] },
        handler: (c) => c.send({ id: c.params.id }),
      },
      { path: '/mine', cache: { ttl: '1h' }, handler: (c) => c.send(String(c.header('cookie'))) },
    ],
    ...over,
  }
}

/** Of one route: who is refused there can still be let in at the door. */
const limited: Partial<AppSpec> = { routes: spec().routes.map((route) => ({ ...route, limit: ['few'] })) }

const frameOf = async (app: TestApp, since = ''): Promise<Frame> =>
  (await app.get(`/ops/frame${since}`, token)).json() as Frame
const post = (app: TestApp, path: string, body: unknown) =>
  app.request(path, { method: 'POST', headers: asJson, body: JSON.stringify(body) })

const nodeEnv = process.env.NODE_ENV
afterEach(() => {
  process.env.NODE_ENV = nodeEnv
})

describeHosts('the page', (host) => {
  const boot = (over: Partial<AppSpec> = {}) => host.boot(spec(over))
  const isRouted = host.framework !== 'node'

  test('is one document, from nowhere else, that nobody stores', async () => {
    const app = await boot()
    for (const path of ['/ops', '/ops/']) {
      const answer = await app.get(path, token)
      expect([answer.status, answer.header('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
      expect(answer.header('cache-control')).toBe('no-store')
      const policy = answer.header('content-security-policy')!
      expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-[\w+/=]*'; style-src 'sha256-/)
      expect(policy).not.toMatch(/unsafe|https?:/)
      expect(answer.text).toMatch(/^<!doctype html>/i)
      for (const [element, directive] of [
        ['script', 'script-src'],
        ['style', 'style-src'],
      ] as const) {
        const [, inner] = new RegExp(`<${element}[^>]*>([\\s\\S]*)</${element}>`).exec(answer.text) ?? []
        if (inner === undefined) continue
        expect(policy).toContain(`${directive} 'sha256-${createHash('sha256').update(inner).digest('base64')}'`)
      }
    }
    const packed = await app.get('/ops', { ...token, 'accept-encoding': 'br, gzip' })
    expect(packed.header('content-encoding')).toBe('gzip')
    expect(String(gunzipSync(packed.body))).toMatch(/^<!doctype html>/i)
    expect(
      (await app.get('/ops', { ...token, 'accept-encoding': 'gzip;q=0' })).header('content-encoding'),
    ).toBeUndefined()
  })

  test('and nothing of it is for who is not let in', async () => {
    const app = await boot()
    for (const path of ['/ops', '/ops/', '/ops/live', '/ops/frame', '/ops/routes', '/ops/find?url=/a', '/ops/stats']) {
      expect([path, (await app.get(path)).status]).toEqual([path, 401])
      expect((await app.get(path, { authorization: 'Bearer no' })).status).toBe(403)
    }
  })

  test('tells of each slot what became of requests, once', async () => {
    const app = await boot()
    await app.get('/cities/1')
    await app.get('/cities/1')
    await app.get('/cities/1')
    await app.clock.advance(4_000)
    const frame = await frameOf(app)
    expect(frame).toMatchObject({ backend: 'memory', joined: false, actions: ['purge', 'limits', 'bans'] })
    const sum = (name: 'hit' | 'miss') => frame.samples.reduce((all, one) => all + one[name], 0)
    expect([sum('hit'), sum('miss')]).toEqual([2, 1])
    expect(frame.totals).toMatchObject({ hit: 2, miss: 1, stored: 1, notStored: 0 })
    expect(frame.memory).toMatchObject({ entries: 1, maxBytes: 64 * 1024 * 1024 })
    expect(frame.processes).toEqual([expect.objectContaining({ isThis: true, pid: process.pid, sluice: '0.1.0' })])
    expect(frame.samples.some(({ fills }) => fills !== null)).toBe(true)
    expect(frame.samples.some(({ lookups }) => lookups !== null)).toBe(true)
    const last = frame.samples.at(-1)!.at
    expect((await frameOf(app, `?since=${last}`)).samples).toEqual([])
    await app.get('/cities/1')
    await app.clock.advance(2_000)
    expect((await frameOf(app, `?since=${last}`)).samples).toEqual([expect.objectContaining({ hit: 1, miss: 0 })])
    expect((await app.get('/ops/frame?since=x', token)).status).toBe(400)
  })

  test('sends what is new to who listens, as it happens', async () => {
    const app = await boot()
    const opened = await app.open('/ops/live', { headers: token })
    const frame = framesOf(opened)
    const first = await frame()
    expect(opened.header('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(opened.header('cache-control')).toBe('no-store, no-transform')
    expect(first.samples).toEqual([])
    await app.get('/cities/7')
    await app.clock.advance(2_000)
    expect((await frame()).samples.at(-1)).toMatchObject({ miss: 1 })
    await app.sluice.purge({ tags: ['cities'] })
    await app.clock.advance(2_000)
    const next = await frame()
    expect(next.samples).toHaveLength(1)
    expect(next.events).toEqual([
      expect.objectContaining({ event: 'invalidated', fields: expect.objectContaining({ tags: 'cities' }) }),
    ])
    await app.sluice.close()
    expect(await opened.piece()).toBeUndefined()
  })

  test('lists routes by what is asked for, with the reason and the line to write', async () => {
    const app = await boot()
    for (const id of ['1', '1', '1', '2']) await app.get(`/cities/${id}`)
    await app.get('/mine', { cookie: 'theme=dark' })
    const { total, rows } = (await app.get('/ops/routes', token)).json() as RoutesAnswer
    if (!isRouted) {
      expect(rows).toEqual([expect.objectContaining({ route: '(unmatched)', requests: 5 })])
      return
    }
    expect([total, rows.map(({ route }) => route)]).toEqual([2, ['/cities/:id', '/mine']])
    expect(rows[0]).toMatchObject({ requests: 4, hit: 2, miss: 2, hitRate: 0.5, terms: [], fillMs: expect.any(Number) })
    expect(rows[0]!.why).toBeUndefined()
    expect((await app.get('/ops/routes?q=MINE&limit=1', token)).json()).toMatchObject({
      total: 1,
      rows: [{ route: '/mine' }],
    })
    const sorted = (await app.get('/ops/routes?sort=hitRate', token)).json() as RoutesAnswer
    expect(sorted.rows.map(({ route }) => route)).toEqual(['/mine', '/cities/:id'])
    expect((await app.get('/ops/routes?limit=1&offset=1', token)).json()).toMatchObject({ total: 2, rows: [{}] })
    for (const wrong of ['sort=best', 'sort=__proto__', 'limit=-1', 'limit=5000', 'offset=1.5']) {
      expect([wrong, (await app.get(`/ops/routes?${wrong}`, token)).status]).toEqual([wrong, 400])
    }
  })

  test('finds what is stored under a URL, and says why something is not', async () => {
    const app = await boot()
    await app.get('/cities/1')
    const found = (await app.get('/ops/find?url=/cities/1', token)).json() as FindAnswer
    expect(found).toMatchObject({ url: '/cities/1', lastStored: true })
    expect(found.entries).toEqual([
      expect.objectContaining({
        status: 200,
        tags: ['cities', 'city:1'],
        codings: ['identity'],
        shared: expect.any(Boolean),
      }),
    ])
    expect(found.entries[0]!.freshForMs).toBeGreaterThan(3_500_000)
    await app.sluice.purge({ url: '/cities/1' })
    expect(((await app.get('/ops/find?url=/cities/1', token)).json() as FindAnswer).entries).toEqual([])
    expect((await app.get('/ops/find?url=/nothing', token)).json()).toMatchObject({ lastStored: null, entries: [] })
    for (const wrong of ['', '?url=', '?url=cities', `?url=/${'a'.repeat(9_000)}`]) {
      expect((await app.get(`/ops/find${wrong}`, token)).status).toBe(400)
    }
  })

  test('names the busiest URLs, the tags and whom limits refuse', async () => {
    const app = await boot(limited)
    for (let i = 0; i < 8; i++) await app.get('/cities/9')
    await app.clock.advance(2_000)
    const frame = await frameOf(app)
    expect(frame.top.hits[0]).toMatchObject({ method: 'GET', url: '/cities/9', value: 2 })
    expect(frame.top.fill[0]).toMatchObject({ url: '/cities/9' })
    expect(frame.tags).toEqual(expect.arrayContaining([{ tag: 'city:9', stored: 1, invalidated: 0 }]))
    const policy = frame.policies.find((one) => one.policy === 'few')
    expect(policy).toMatchObject({ allowed: 3, refused: 5 })
    expect(frame.refusedKeys).toEqual([{ policy: 'few', key: expect.stringMatching(/^[\w-]{22}$/), count: 5 }])
    expect(frame.samples.at(-1)).toMatchObject({ allowed: 3, refused: 5 })
  })

  test('shows keys only where it is told to', async () => {
    const app = await boot({ ...limited, door: { page: { authorize, showKeys: true } } })
    for (let i = 0; i < 5; i++) await app.get('/cities/9')
    expect((await frameOf(app)).refusedKeys).toEqual([{ policy: 'few', key: '127.0.0.1', count: 2 }])
  })

  test('does what its buttons ask for, and tells who did it', async () => {
    const app = await boot()
    const audits: AuditEvent[] = []
    app.sluice.on('audit', (event) => audits.push(event))
    await app.get('/cities/1')
    expect((await app.get('/cities/1')).cache).toBe('hit')
    expect((await post(app, '/ops/purge', { tags: ['city:1'] })).status).toBe(200)
    expect((await app.get('/cities/1')).cache).toBe('uri-miss')
    const banned = await post(app, '/ops/bans/add', { policy: 'kept', key: '203.0.113.9', for: '1h', reason: 'ticket' })
    expect([banned.status, banned.json()]).toEqual([200, expect.objectContaining({ status: 'ok', policy: 'kept' })])
    expect((await app.get('/ops/bans', token)).json().bans).toHaveLength(1)
    expect(audits).toMatchObject([
      { who: 'ann', action: 'purge', what: ['tag:city:1'], count: 1 },
      { who: 'ann', action: 'bans.add', what: ['policy:kept', 'key:203.0.113.9'], count: 1 },
    ])
    for (const wrong of [{}, { policy: 'kept' }, { policy: 'kept', key: 'a' }, { policy: 'no', key: 'a', for: '1h' }]) {
      expect((await post(app, '/ops/bans/add', wrong)).status).toBe(400)
    }
  })

  test('does nothing unless it was said that it may', async () => {
    const app = await boot({ door: { page: { authorize } } })
    await app.get('/cities/1')
    expect((await frameOf(app)).actions).toEqual([])
    for (const path of ['/ops/purge', '/ops/limits/reset', '/ops/bans/add', '/ops/bans/lift']) {
      expect([path, (await post(app, path, { tags: ['cities'] })).status]).toEqual([path, 403])
    }
    expect((await app.get('/cities/1')).cache).toBe('hit')
  })

  test('and nothing that a page of somebody else asks for', async () => {
    const app = await boot()
    const headers = { ...asJson, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
    const body = '{"tags":["cities"]}'
    expect((await app.request('/ops/purge', { method: 'POST', headers, body })).status).toBe(403)
  })

  test('is not charged by the limits of the application', async () => {
    const app = await boot({ limit: ['few'] })
    for (let i = 0; i < 10; i++) expect((await app.get('/ops/frame', token)).status).toBe(200)
    expect((await app.get('/cities/1')).status).toBe(200)
  })
})

describe('without `authorize`', () => {
  test('there is no page outside development', async () => {
    for (const env of ['production', 'test', '']) {
      process.env.NODE_ENV = env
      const sluice = createSluice()
      expect(() => dashboard(sluice)).toThrow(/`dashboard\.authorize` must be a function/)
      await sluice.close()
    }
  })

  test('options that make no sense are told at the start', async () => {
    const sluice = createSluice()
    const wrong = (options: object) => () => dashboard(sluice, { authorize: () => true, ...options })
    expect(wrong({ maxRoutes: 0 })).toThrow(/dashboard\.maxRoutes/)
    expect(wrong({ showKeys: 'yes' })).toThrow(/dashboard\.showKeys/)
    expect(wrong({ action: true })).toThrow(/dashboard\.action\b/)
    expect(wrong({ path: 'sluice/' })).toThrow(/dashboard\.path/)
    expect(() => dashboard({} as never, { authorize: () => true })).toThrow(/dashboard\(sluice\)/)
    await sluice.close()
  })
})

/** The frames of an answer without an end, one by one. */
function framesOf(opened: Opened): () => Promise<Frame> {
  let text = ''
  return async () => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end >= 0) {
        const event = text.slice(0, end)
        text = text.slice(end + 2)
        if (event.startsWith('event: frame')) return JSON.parse(event.slice(event.indexOf('data: ') + 6)) as Frame
        continue
      }
      const piece = await opened.piece()
      if (piece === undefined) throw new Error('The stream has ended.')
      text += piece
    }
  }
}
