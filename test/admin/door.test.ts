import { expect, test } from '@jest/globals'
import type { AuditEvent } from '@sluice/core'
import { type AppSpec, describeHosts, type TestApp } from '../hosts/harness/host.ts'

const token = { authorization: 'Bearer letmein' }
const asJson = { ...token, 'content-type': 'application/json' }

/** Express and node have `req.headers`, Koa and Fastify the like. */
const authorize = (request: { headers: Record<string, unknown> }) =>
  request.headers.authorization === 'Bearer letmein' && { name: 'ann' }

function spec(over: Partial<AppSpec> = {}): AppSpec & { made: () => number } {
  let made = 0
  return {
    made: () => made,
    door: { options: { authorize }, purge: true },
    routes: [
      {
        path: '/cities/:id',
        cache: { ttl: '1h', tags: (r) => ['cities', `city:${r.params.id}`], staleWhileRevalidate: '1d' },
        handler: (c) => c.send({ id: c.params.id, made: ++made }),
      },
    ],
    ...over,
  }
}

const post = (app: TestApp, path: string, body: unknown, headers: Record<string, string> = asJson) =>
  app.request(path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })

async function fill(app: TestApp, ...paths: string[]): Promise<void> {
  for (const path of paths) {
    expect((await app.get(path)).cache).toBe('uri-miss')
    expect((await app.get(path)).cache).toBe('hit')
  }
}

describeHosts("an operator's door", (host) => {
  const boot = async (over: Partial<AppSpec> = {}) => {
    const app = await host.boot(spec(over))
    const audits: AuditEvent[] = []
    app.sluice.on('audit', (event) => audits.push(event))
    return { app, audits }
  }

  test.each([false, true])('purges by tag, URL, route and everything (behind parsers: %s)', async (behindParsers) => {
    const { app, audits } = await boot({ door: { options: { authorize }, behindParsers } })
    await fill(app, '/cities/1', '/cities/2', '/cities/3')
    const answer = await post(app, '/ops/purge', { tags: ['city:1'], urls: ['/cities/2'] })
    expect([answer.status, answer.json()]).toEqual([
      200,
      { status: 'ok', mode: 'purge', count: 2, what: ['tag:city:1', 'url:/cities/2'] },
    ])
    expect(answer.header('cache-control')).toBe('no-store')
    expect(answer.header('content-type')).toMatch(/^application\/json/)
    expect((await app.get('/cities/1')).cache).toBe('uri-miss')
    expect((await app.get('/cities/2')).cache).toBe('uri-miss')
    expect((await app.get('/cities/3')).cache).toBe('hit')
    // node:http knows no routes.
    const isRouted = host.framework !== 'node'
    const third = isRouted ? { routes: [{ route: '/cities/:id', params: { id: 3 } }] } : { tags: ['city:3'] }
    await post(app, '/ops/purge', third)
    expect([(await app.get('/cities/3')).cache, (await app.get('/cities/1')).cache]).toEqual(['uri-miss', 'hit'])
    expect((await post(app, '/ops/purge', { all: true, confirm: 'everything' })).status).toBe(200)
    expect((await app.get('/cities/1')).cache).toBe('uri-miss')
    expect(audits.map(({ who, action, what, count }) => ({ who, action, what, count }))).toEqual([
      { who: 'ann', action: 'purge', what: ['tag:city:1', 'url:/cities/2'], count: 2 },
      { who: 'ann', action: 'purge', what: [isRouted ? 'route:/cities/:id {"id":3}' : 'tag:city:3'], count: 1 },
      { who: 'ann', action: 'purge', what: ['everything'], count: 1 },
    ])
    expect(audits[0]!.at).toEqual(new Date(app.clock.wall()))
  })

  test('PURGE of a cached URL makes the next request a miss, below the mount and at the URL itself', async () => {
    const { app, audits } = await boot()
    await fill(app, '/cities/1', '/cities/2')
    const below = await app.request('/ops/cities/1', { method: 'PURGE', headers: token })
    expect([below.status, below.json().what]).toEqual([200, ['url:/cities/1']])
    expect([(await app.get('/cities/1')).cache, (await app.get('/cities/2')).cache]).toEqual(['uri-miss', 'hit'])
    const itself = await app.request('/cities/2', { method: 'PURGE', headers: token })
    expect([itself.status, itself.json().what]).toEqual([200, ['url:/cities/2']])
    expect((await app.get('/cities/2')).cache).toBe('uri-miss')
    expect((await app.request('/cities/1', { method: 'PURGE' })).status).toBe(401)
    expect((await app.get('/cities/1')).cache).toBe('hit')
    expect(audits).toHaveLength(2)
  })

  test('soft: what is stored is stale, served once more and made again behind it', async () => {
    const { app, audits } = await boot()
    await fill(app, '/cities/1', '/cities/2')
    const soft = { ...token, 'fastly-soft-purge': '1' }
    expect((await app.request('/ops/cities/1', { method: 'PURGE', headers: soft })).json().mode).toBe('expire')
    const stale = await app.get('/cities/1')
    expect([stale.json().made, stale.header('cache-status')]).toEqual([1, expect.stringMatching(/hit; ttl=(?:0|-)/)])
    for (let made = 1; made === 1; ) made = (await app.get('/cities/1')).json().made
    expect((await app.get('/cities/1')).cache).toBe('hit')
    await post(app, '/ops/purge', { tags: 'city:2', soft: true })
    expect((await app.get('/cities/2')).json().made).toBe(2)
    expect(audits.map(({ action }) => action)).toEqual(['expire', 'expire'])
  })

  test.each([
    ['surrogate-key', 'city:1 city:2', 'purge'],
    ['xkey', 'city:1, city:2', 'purge'],
    ['xkey-purge', 'city:1 city:2', 'purge'],
    ['xkey-softpurge', 'city:1 city:2', 'expire'],
  ])('a batch of keys in %s', async (name, keys, mode) => {
    const { app, audits } = await boot()
    await fill(app, '/cities/1', '/cities/2', '/cities/3')
    const answer = await app.request('/ops/', { method: 'PURGE', headers: { ...token, [name]: keys } })
    expect([answer.status, answer.json()]).toEqual([
      200,
      { status: 'ok', mode, count: 2, what: ['tag:city:1', 'tag:city:2'] },
    ])
    expect((await app.get('/cities/3')).header('cache-status')).toMatch(/hit; ttl=3/)
    expect((await app.get('/cities/1')).header('cache-status')).not.toMatch(/hit; ttl=3/)
    expect(audits).toMatchObject([{ action: mode, count: 2, who: 'ann' }])
    if (mode === 'purge') {
      expect((await post(app, '/ops/purge', '{}', { ...asJson, [name]: 'city:3' })).json().what).toEqual(['tag:city:3'])
      expect((await app.get('/cities/3')).cache).toBe('uri-miss')
    }
  })

  test('says why something is stored or not, and the figures', async () => {
    const { app } = await boot({
      routes: [
        ...spec().routes,
        {
          path: '/mine',
          cache: { ttl: '1h' },
          handler: (c) => {
            c.set('Cache-Control', 'no-store')
            c.send('mine')
          },
        },
      ],
    })
    await fill(app, '/cities/1')
    await app.get('/mine')
    const stored = await app.get('/ops/why?url=/cities/1?x=1', token)
    expect(stored.json()).toMatchObject({ url: '/cities/1?x=1', stored: true, terms: expect.any(Array) })
    expect((await app.get('/ops/why?url=http://h/mine', token)).json()).toMatchObject({
      stored: false,
      reason: 'no-store',
      remedy: expect.any(String),
    })
    if (host.framework !== 'node') {
      expect(stored.json().route).toBe('GET /cities/:id')
      expect((await app.get('/ops/why?route=/cities/:id', token)).json()).toMatchObject({ stored: true })
    }
    expect((await app.get('/ops/why?url=/nowhere', token)).json()).toMatchObject({
      stored: null,
      hint: expect.any(String),
    })
    const { cache, limits, backend, process: own } = (await app.get('/ops/stats', token)).json()
    expect([cache.hits, cache.entries, backend, own.pid]).toEqual([1, 1, 'memory', process.pid])
    expect(limits).toEqual(expect.any(Object))
    expect((await app.get('/ops', token)).json().routes).toContain('POST /purge')
    const doctor = (await app.get('/ops/doctor', { ...token, 'x-forwarded-for': '192.0.2.1' })).json()
    expect(doctor).toMatchObject({ backend: 'memory', hasSecret: false, client: { proxied: true, isBelieved: false } })
    expect((await app.request('/ops/stats', { method: 'HEAD', headers: token })).text).toBe('')
  })

  test('looks at limits and resets them, by key and as a whole', async () => {
    const { app, audits } = await boot({ sluice: { limits: { search: '2/h' } } })
    for (const key of ['192.0.2.1', '192.0.2.2']) await app.sluice.check('search', { key, cost: 2 })
    const peek = async (key: string) => (await app.get(`/ops/limits/peek?policy=search&key=${key}`, token)).json()
    expect(await peek('192.0.2.1')).toMatchObject({ allowed: false, limit: 2, remaining: 0 })
    expect((await post(app, '/ops/limits/reset', { policy: 'search', key: '192.0.2.1' })).json().count).toBe(1)
    expect([(await peek('192.0.2.1')).remaining, (await peek('192.0.2.2')).remaining]).toEqual([2, 0])
    expect((await post(app, '/ops/limits/reset', { policy: 'search' })).json().count).toBe(1)
    expect((await peek('192.0.2.2')).remaining).toBe(2)
    const unknown = await app.get('/ops/limits/peek?policy=serach&key=a', token)
    expect([unknown.status, unknown.json().detail]).toEqual([400, expect.stringContaining('`search`')])
    expect(audits.map(({ action, what, count }) => [action, what, count])).toEqual([
      ['limits.reset', ['policy:search', 'key:192.0.2.1'], 1],
      ['limits.reset', ['policy:search'], 1],
    ])
  })

  test('lists bans and lifts them', async () => {
    const { app, audits } = await boot({ sluice: { limits: { login: { rate: '5/h', ban: 'by-hand' } } } })
    for (const key of ['192.0.2.1', '192.0.2.2']) await app.sluice.ban('login', { key, for: '1h', reason: 'spam' })
    const list = async () => (await app.get('/ops/bans?policy=login', token)).json().bans
    const bans = await list()
    expect(bans).toHaveLength(2)
    expect(bans[0]).toMatchObject({ policy: 'login', byHand: true, reason: 'spam' })
    const lift = async (whom: object) => (await post(app, '/ops/bans/lift', { policy: 'login', ...whom })).json().lifted
    expect([await lift({ key: '192.0.2.1' }), await lift({ key: '192.0.2.1' })]).toEqual([true, false])
    expect(await lift({ subject: (await list())[0].subject })).toBe(true)
    expect(await list()).toEqual([])
    expect(audits.map(({ action, count }) => [action, count])).toEqual([
      ['bans.lift', 1],
      ['bans.lift', 0],
      ['bans.lift', 1],
    ])
  })

  test('does not count against limits in front of it, unless it stays shut', async () => {
    const { app } = await boot({ limit: ['3/h'] })
    for (let i = 0; i < 5; i++) expect((await app.get('/ops/stats', token)).status).toBe(200)
    for (let i = 0; i < 3; i++) expect((await app.get('/ops/stats')).status).toBe(401)
    expect((await app.get('/ops/stats')).status).toBe(429)
  })

  test('with actions: false nothing can be changed; with a list, what it names', async () => {
    const { app, audits } = await boot({ door: { options: { authorize, actions: ['bans'] }, purge: true } })
    const purge = await post(app, '/ops/purge', { tags: ['a'] })
    expect([purge.status, purge.json().detail]).toEqual([403, expect.stringContaining('`purge`')])
    expect((await app.request('/cities/1', { method: 'PURGE', headers: token })).status).toBe(403)
    expect((await post(app, '/ops/limits/reset', { policy: 'a' })).status).toBe(403)
    expect((await app.get('/ops/stats', token)).status).toBe(200)
    expect(audits).toEqual([])
  })
})
