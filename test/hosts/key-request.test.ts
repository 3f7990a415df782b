import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { CacheOptions } from '@sluice/core'
import { createSluice } from '@sluice/node'
import { Client } from './harness/client.ts'
import { counted } from './harness/handlers.ts'
import { describeHosts, type Step } from './harness/host.ts'

const host: Step = (c) => {
  c.set('Cache-Control', 'max-age=60')
  c.send(`host ${c.header('host')}`)
}

const rows: readonly (readonly [string, CacheOptions])[] = [
  ['a TTL', { ttl: '1m' }],
  ['the handler’s own fields', {}],
]

describe('a target in absolute form: node:http', () => {
  let close: (() => unknown) | undefined
  afterEach(async () => void (await close?.()))

  test('counts its own authority', async () => {
    const sluice = createSluice()
    const cached = sluice.cache('1m', { public: true })
    const server = http.createServer((req, res) =>
      cached(req, res, () => void res.end(`${req.url} ${req.headers.host}`)),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = new Client((server.address() as AddressInfo).port)
    close = () => {
      client.close()
      server.close()
      return sluice.close()
    }
    const get = async (path: string, name: string) => client.request(path, { headers: { host: name } })
    expect((await get('http://other/x', 'a')).text).toBe('http://other/x a')
    expect((await get('/x', 'other')).text).toBe('/x other')
    expect((await get('http://other/x', 'other')).text).toBe('http://other/x other')
    expect((await get('HTTP://other/x', 'other')).text).toBe('HTTP://other/x other')
    expect((await get('http://me@other/x', 'other')).text).toBe('http://me@other/x other')
    expect((await get('http://other/x', 'other')).cache).toBe('hit')
    await sluice.purge({ url: 'http://other/x' })
    expect((await get('http://other/x', 'other')).cache).not.toBe('hit')
    expect((await get('/x', 'other')).cache).not.toBe('hit')
  })
})

describeHosts(
  'a target in absolute form',
  (kind) => {
    test.each(rows)('counts its own authority, and poisons nobody who comes by the field: %s', async (_, cache) => {
      const app = await kind.boot({ routes: [{ path: '/x', cache, handler: host }] })
      const get = (path: string, name: string) => app.get(path, { host: name })
      const targets = [
        ['http://victim/x', 'evil'],
        ['/x', 'victim'],
        ['/x', 'evil'],
        ['http://victim/x', 'victim'],
        ['http://evil/x', 'victim'],
        ['https://victim/x', 'evil'],
        ['http://victim:81/x', 'evil'],
      ] as const
      for (let round = 0; round < 2; round++) {
        for (const [path, name] of targets) expect((await get(path, name)).text).toBe(`host ${name}`)
      }
    })

    test('is found by its URL', async () => {
      const app = await kind.boot({ routes: [{ path: '/x', cache: { ttl: '1m' }, handler: counted() }] })
      const get = () => app.get('http://other/x?a=1', { host: 'a' })
      await get()
      expect((await get()).cache).toBe('hit')
      await app.sluice.purge({ url: 'http://elsewhere/x' })
      expect((await get()).cache).toBe('hit')
      await app.sluice.purge({ url: 'http://other/x' })
      expect((await get()).text).toBe('run 2')
      await app.sluice.purge({ url: '/x' })
      expect((await get()).text).toBe('run 3')
    })

    test('an unsafe request invalidates both that it may be for', async () => {
      const app = await kind.boot({
        routes: [
          { path: '/x', cache: { ttl: '1m' }, handler: counted() },
          { path: '/x', method: 'POST', invalidate: [], handler: (c) => c.send('done') },
        ],
      })
      for (const [path, name] of [
        ['http://a/x', 'b'],
        ['/x', 'b'],
        ['/x', 'a'],
      ] as const) {
        const before = await app.get('/x', { host: name })
        expect((await app.get('/x', { host: name })).text).toBe(before.text)
        await app.request('http://a/x', { method: 'POST', headers: { host: 'b' } })
        expect([path, (await app.get('/x', { host: name })).text === before.text]).toEqual([path, false])
      }
    })
  },
  ({ framework }) => framework !== 'node',
)

describeHosts('a body', (kind) => {
  const json = { 'content-type': 'application/json' }
  const withBody = (method: string, body: string) => ({ method, headers: json, body })

  test.each(['GET', 'HEAD'])(
    'of a %s is part of the key where it was read, and nothing is stored where not',
    async (method) => {
      const app = await kind.boot({ routes: [{ path: '/x', cache: { ttl: '1m' }, handler: counted() }] })
      const one = await app.request('/x', withBody(method, '{"a":1}'))
      expect(one.status).toBe(200)
      const plain = await app.get('/x')
      expect(plain.cache).toBe('uri-miss')
      expect((await app.request('/x', withBody(method, '{"a":2}'))).cache).not.toBe('hit')
      // Fastify reads no body of a GET.
      const again = await app.request('/x', withBody('GET', '{"a":1}'))
      if (kind.framework === 'fastify') expect([again.cache, again.detail]).toEqual(['bypass', 'body-unread'])
      else expect(again.cache).toBe(method === 'GET' ? 'hit' : 'uri-miss')
      expect((await app.get('/x')).cache).toBe('hit')
    },
  )

  test('that nobody has read is no part of a key: nothing is stored', async () => {
    const app = await kind.boot({
      routes: [{ path: '/x', cache: { ttl: '1m', methods: ['GET', 'POST', 'QUERY'] }, handler: counted() }],
    })
    const raw = (body: string) =>
      app.client.raw(
        'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n' +
          `Content-Type: application/octet-stream\r\n\r\n${body.length}\r\n${body}\r\n0\r\n\r\n`,
      )
    for (const body of ['a', 'b', 'a']) {
      const answer = await raw(body)
      expect(answer).toMatch(/^HTTP\/1.1 200/)
      expect(answer).toContain('fwd=bypass; detail=body-unread')
    }
  })

  test('of another type than the parser knows is not the empty one that it leaves behind', async () => {
    const app = await kind.boot({
      routes: [{ path: '/x', method: 'POST', cache: { ttl: '1m', methods: ['GET', 'POST'] }, handler: counted() }],
    })
    const post = async (body: string, type: string) =>
      (await app.request('/x', { method: 'POST', headers: { 'content-type': type }, body })).cache
    for (const type of ['application/octet-stream', 'application/x-unknown', 'multipart/form-data; boundary=x']) {
      expect(await post('first', type)).not.toBe('hit')
      expect(await post('other', type)).not.toBe('hit')
    }
  })

  test('is compared as it is: no normal form, no lost halves', async () => {
    const app = await kind.boot({
      routes: [{ path: '/x', method: 'POST', cache: { ttl: '1m', methods: ['GET', 'POST'] }, handler: counted() }],
    })
    const post = async (body: string) => (await app.request('/x', withBody('POST', body))).cache
    const bodies = [
      '{"a":"é"}',
      '{"a":"e\\u0301"}',
      '{"a":"\\ud800"}',
      '{"a":"\\ud801"}',
      '{"a":1}',
      '{"a":"1"}',
      '[1]',
      '{}',
      '[]',
    ]
    for (const body of bodies) expect([body, await post(body)]).toEqual([body, 'uri-miss'])
    for (const body of bodies) expect([body, await post(body)]).toEqual([body, 'hit'])
  })
})
