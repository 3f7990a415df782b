import { afterEach, describe, expect, test } from '@jest/globals'
import { admin, bearer } from '@sluice/admin'
import { createSluice } from '@sluice/express'
import { createSluice as createKoaSluice } from '@sluice/koa'
import express from 'express'
import Koa from 'koa'
import request from 'supertest'
import { type AppSpec, describeHosts, type TestApp } from '../hosts/harness/host.ts'

const secret = 'correct horse battery staple'
const token = { authorization: `Bearer correct-horse-battery` }
const authorize = bearer('correct-horse-battery')
const asJson = { ...token, 'content-type': 'application/json' }
const routes = [{ path: '/a', handler: (c: { send(body: string): void }) => c.send('a') }]

const nodeEnv = process.env.NODE_ENV
afterEach(() => {
  process.env.NODE_ENV = nodeEnv
})

const post = (app: TestApp, path: string, headers: Record<string, string>, body = '{"tags":["a"]}') =>
  app.request(path, { method: 'POST', headers, body })

describeHosts("an operator's door that is shut", (host) => {
  const boot = (options: NonNullable<AppSpec['door']>['options'], more: Partial<AppSpec> = {}) =>
    host.boot({ routes, door: { options: options ?? {}, purge: true }, ...more } as AppSpec)

  test('without `authorize` there is none outside development', async () => {
    for (const env of ['production', 'test', '']) {
      process.env.NODE_ENV = env
      await expect(boot({})).rejects.toThrow(/`admin\.authorize` must be a function/)
    }
  })

  test('says 401 to who sends nothing and 403 to who sends something else, whatever is asked', async () => {
    const app = await boot({ authorize })
    const audits: unknown[] = []
    app.sluice.on('audit', (event) => audits.push(event))
    for (const path of [
      '/ops',
      '/ops/',
      '/ops/stats',
      '/ops/nothing',
      '/ops/purge',
      '/ops/../ops/stats',
      '/ops//stats',
      '/ops/%2e%2e/stats',
    ]) {
      const answer = await app.get(path)
      expect([path, answer.status, answer.header('content-type')]).toEqual([path, 401, 'application/problem+json'])
      expect(answer.header('www-authenticate')).toMatch(/^Bearer/)
      expect(answer.header('cache-control')).toBe('no-store')
      expect(answer.json()).toMatchObject({ status: 401, detail: expect.any(String) })
    }
    for (const sent of [
      'Bearer wrong',
      'Bearer',
      'Basic correct-horse-battery',
      'Bearer correct-horse-batter',
      'correct-horse-battery',
    ]) {
      const answer = await app.get('/ops/stats', { authorization: sent })
      expect([sent, answer.status, answer.json().status]).toEqual([sent, 403, 403])
    }
    expect((await post(app, '/ops/purge', { 'content-type': 'application/json' })).status).toBe(401)
    expect((await app.request('/a', { method: 'PURGE' })).status).toBe(401)
    expect(audits).toEqual([])
  })

  test.each([
    ['false', () => false, 403],
    ['undefined', () => undefined, 403],
    ['1', () => 1, 403],
    ['an empty name', () => '', 403],
    ['an object without a name', () => ({}), 403],
    ['a promise of false', async () => false, 403],
    ['true', () => true, 200],
    ['a name', async () => 'ann', 200],
    ['a user', () => ({ id: 7 }), 200],
  ])('authorize answers %s', async (_what, answer, status) => {
    const app = await boot({ authorize: answer })
    expect((await app.get('/ops/stats', { authorization: 'x' })).status).toBe(status)
  })

  test('an `authorize` that fails lets nobody in, and is reported', async () => {
    const app = await boot({
      authorize: () => {
        throw new Error(secret)
      },
    })
    const errors: string[] = []
    app.sluice.on('error', ({ error }) => errors.push(error.code))
    const answer = await app.get('/ops/stats', token)
    expect([answer.status, answer.text.includes(secret)]).toEqual([403, false])
    expect((await app.get('/ops/stats')).status).toBe(401)
    expect(errors).toEqual(['ERR_SLUICE_CALLBACK', 'ERR_SLUICE_CALLBACK'])
  })

  test('in development without `authorize` it opens on this machine, and to nobody behind a proxy or a rebound name', async () => {
    process.env.NODE_ENV = 'development'
    const app = await boot({})
    expect((await app.get('/ops/stats')).status).toBe(200)
    expect((await app.get('/ops/stats', { host: 'localhost:3000' })).status).toBe(200)
    for (const [name, value] of [
      ['x-forwarded-for', '127.0.0.1'],
      ['forwarded', 'for=127.0.0.1'],
      ['x-real-ip', '127.0.0.1'],
      ['x-forwarded-for', ''],
      ['via', '1.1 nginx'],
      ['host', 'attacker.example'],
      ['sec-fetch-site', 'cross-site'],
      ['origin', 'https://attacker.example'],
      ['host', 'localhost.attacker.example'],
      ['host', '127.0.0.1.attacker.example'],
    ] as const) {
      expect([name, value, (await app.get('/ops/stats', { [name]: value })).status]).toEqual([name, value, 403])
    }
    process.env.NODE_ENV = 'production'
    const closed = await boot({ authorize })
    expect((await closed.get('/ops/stats')).status).toBe(401)
  })

  test('with a trusted proxy a forwarded loopback address opens nothing', async () => {
    process.env.NODE_ENV = 'development'
    const app = await boot({}, { proxy: true })
    expect((await app.get('/ops/stats', { 'x-forwarded-for': '127.0.0.1' })).status).toBe(403)
  })

  test('a form of another site changes nothing, whoever it comes from', async () => {
    const app = await boot({ authorize })
    const audits: unknown[] = []
    app.sluice.on('audit', (event) => audits.push(event))
    const cases: [Record<string, string>, number][] = [
      [{ 'content-type': 'application/x-www-form-urlencoded' }, 415],
      [{ 'content-type': 'text/plain' }, 415],
      [{ 'content-type': 'text/plain; application/json' }, 415],
      [{ 'content-type': 'multipart/form-data; boundary=x' }, 415],
      [{}, 415],
      [{ 'content-type': 'application/json', 'sec-fetch-site': 'cross-site' }, 403],
      [{ 'content-type': 'application/json', 'sec-fetch-site': 'same-site' }, 403],
      [{ 'content-type': 'application/json', origin: 'https://evil.example' }, 403],
      [{ 'content-type': 'application/json', origin: 'null' }, 403],
      [{ 'content-type': 'application/json', origin: `http://127.0.0.1:1` }, 403],
    ]
    for (const [headers, status] of cases) {
      const answer = await post(app, '/ops/purge', { ...token, ...headers })
      expect([headers, answer.status, answer.json().status]).toEqual([headers, status, status])
    }
    const purge = { ...token, 'sec-fetch-site': 'cross-site' }
    expect((await app.request('/a', { method: 'PURGE', headers: purge })).status).toBe(403)
    expect(audits).toEqual([])
    const own = { ...asJson, origin: `http://127.0.0.1:${app.port}`, 'sec-fetch-site': 'same-origin' }
    expect((await post(app, '/ops/purge', own)).status).toBe(200)
    expect(
      (await post(app, '/ops/purge', { ...asJson, 'content-type': 'application/json; charset=utf-8' })).status,
    ).toBe(200)
  })

  test.each([
    ['{"tags":[]}', 'Nothing is named'],
    ['{}', 'Nothing is named'],
    ['', 'Nothing is named'],
    ['[]', 'must be a JSON object'],
    ['{"tags":[""]}', 'not empty'],
    ['{"tags":[7]}', 'not empty'],
    ['{"tag":["a"]}', 'There is no member "tag"'],
    ['{"urls":["cities"]}', 'begins with /'],
    ['{"routes":[7]}', 'A route is a pattern'],
    ['{"routes":[{"route":"/a","params":{"id":{}}}]}', 'A route is a pattern'],
    ['{"all":true}', '"confirm":"everything"'],
    ['{"all":true,"confirm":"yes"}', '"confirm":"everything"'],
    ['{"all":true,"confirm":"everything","tags":["a"]}', 'stands alone'],
    ['{"tags":["a"],"soft":"yes"}', '`soft` must be true or false'],
    [JSON.stringify({ tags: Array.from({ length: 1_001 }, (_, i) => `t${i}`) }), '1000 may be'],
  ])('POST /purge %s is a 400 that says what to do', async (body, detail) => {
    const app = await boot({ authorize })
    const audits: unknown[] = []
    app.sluice.on('audit', (event) => audits.push(event))
    const answer = await post(app, '/ops/purge', asJson, body)
    expect([answer.status, answer.json().detail]).toEqual([400, expect.stringContaining(detail)])
    expect(answer.header('content-type')).toBe('application/problem+json')
    expect(audits).toEqual([])
  })

  test('other bad input is a 4xx', async () => {
    const app = await boot({ authorize })
    const cases: [string, string, string, number][] = [
      ['POST', '/ops/purge', '{"tags":', 400],
      ['POST', '/ops/limits/reset', '{}', 400],
      ['POST', '/ops/limits/reset', '{"policy":"none"}', 400],
      ['POST', '/ops/bans/lift', '{"policy":"none"}', 400],
      ['POST', '/ops/stats', '{}', 405],
      ['GET', '/ops/purge', '', 405],
      ['DELETE', '/ops/purge', '', 405],
      ['GET', '/ops/limits/peek', '', 400],
      ['GET', '/ops/why', '', 400],
      ['GET', '/ops/why?url=cities', '', 400],
      ['GET', '/ops/why?url=/a&method=G%20T', '', 400],
      ['GET', '/ops/bans?policy=none', '', 400],
      ['GET', '/ops/nothing', '', 404],
      // Express 4 takes one slash more for part of the mount.
      ['GET', '/ops//stats', '', host.name === 'Express 4' ? 200 : 404],
      ['GET', '/ops/stats/', '', 404],
      ['GET', '/ops/STATS', '', 404],
      ['GET', '/ops/%73tats', '', 404],
      ['GET', '/ops/constructor', '', 404],
      ['PURGE', '/ops/', '', 400],
    ]
    for (const [method, path, body, status] of cases) {
      const answer = await app.request(path, { method, headers: asJson, ...(body && { body }) })
      expect([method, path, answer.status]).toEqual([method, path, status])
      if (status !== 200) expect(answer.json().detail).toEqual(expect.any(String))
    }
    expect((await app.get('/ops/purge', token)).header('allow')).toBe('POST')
    // Beside the mount is not below it.
    expect((await app.get('/opsx/stats', token)).status).toBe(404)
    expect((await app.get('/a', token)).text).toBe('a')
  })

  test('a body that is too large is refused, told or untold, and not kept', async () => {
    const app = await boot({ authorize })
    const large = JSON.stringify({ tags: ['a'.repeat(100_000)] })
    const told = await post(app, '/ops/purge', asJson, large)
    expect([told.status, told.json().detail]).toEqual([413, expect.stringContaining('65536 bytes')])
    const chunk = 'a'.repeat(70_000)
    const untold = await app.client.raw(
      `POST /ops/purge HTTP/1.1\r\nHost: h\r\nAuthorization: ${token.authorization}\r\nContent-Type: application/json\r\n` +
        `Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`,
    )
    expect(untold).toMatch(/^HTTP\/1\.1 413 /)
    const coded = await post(app, '/ops/purge', { ...asJson, 'content-encoding': 'gzip' }, 'x')
    expect(coded.status).toBe(415)
  })
})

describe('a cache in front of everything', () => {
  test('of Express neither stores the door nor lets anybody through', async () => {
    const sluice = createSluice()
    const app = express()
    app.use(sluice.cache('1h'))
    app.use('/ops', admin(sluice, { authorize }))
    for (let i = 0; i < 3; i++) {
      const answer = await request(app).get('/ops/stats').set(token)
      expect([answer.status, answer.body.cache.entries]).toEqual([200, 0])
      expect(answer.headers['cache-status']).toMatch(/fwd=/)
      expect((await request(app).get('/ops/stats')).status).toBe(401)
    }
    await sluice.close()
  })

  test('of Koa neither', async () => {
    const sluice = createKoaSluice()
    const app = new Koa()
    app.use(sluice.cache('1h'))
    app.use(admin(sluice, { authorize, path: '/ops' }).koa)
    for (let i = 0; i < 3; i++) {
      const answer = await request(app.callback()).get('/ops/stats').set(token)
      expect([answer.status, answer.body.cache.entries]).toEqual([200, 0])
      expect((await request(app.callback()).get('/ops/stats')).status).toBe(401)
    }
    await sluice.close()
  })
})

describe('options that make no sense', () => {
  const sluice = createSluice()
  test.each([
    ['an unknown one', { authorise: () => true }, /no option `admin.authorise`. Did you mean `authorize`/],
    ['authorize', { authorize: 'me' }, /`admin.authorize` must be a function/],
    ['actions', { authorize, actions: ['stats'] }, /`admin.actions` must be true or false, or a list/],
    ['path', { authorize, path: 'ops/' }, /`admin.path` must be a path such as '\/ops'/],
  ])('%s', (_what, options, message) => {
    expect(() => admin(sluice, options as never)).toThrow(message)
  })

  test('no instance, and a token that can be guessed', () => {
    expect(() => admin({} as never, { authorize })).toThrow(/must be given what `createSluice` answered/)
    expect(() => bearer('short')).toThrow(/at least 16 characters/)
    expect(() => bearer(undefined)).toThrow(/at least 16 characters/)
    expect(() => bearer('short')).not.toThrow(/short/)
  })
})
