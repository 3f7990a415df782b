import { expect, test } from '@jest/globals'
import { by, type CacheOptions } from '@sluice/core'
import fc from 'fast-check'
import { says } from './harness/handlers.ts'
import { describeHosts, type TestApp } from './harness/host.ts'

/** The bytes node lets a header value have: all but controls, and of these the tab. */
const legal = Array.from({ length: 256 }, (_, b) => b).filter((b) => b === 9 || (b >= 32 && b !== 127))

const fields = [
  'Accept-Encoding',
  'Accept-Language',
  'Cache-Control',
  'Pragma',
  'If-None-Match',
  'If-Modified-Since',
  'If-Match',
  'If-Unmodified-Since',
  'If-Range',
  'Range',
  'Authorization',
  'Cookie',
  'Host',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'Forwarded',
] as const

const cache: CacheOptions = {
  ttl: '1m',
  honourRequest: true,
  varyBy: ['accept-language', by.user, by.ip],
  query: ['page', '__proto__', 'constructor'],
}

describeHosts('hostile requests: never an exception, never a 500, never a hang', (host) => {
  const boot = () =>
    host.boot({
      routes: [
        {
          path: '/',
          cache,
          handler: says({ fields: { ETag: '"v1"', 'Last-Modified': 'Sat, 21 Nov 2026 11:00:00 GMT', Vary: 'Accept' } }),
        },
      ],
    })

  /** Sends the line as it is, to a cold and to a warm cache, and gives the statuses. */
  const send = async (app: TestApp, line: Buffer, path = '/'): Promise<number[]> => {
    const statuses: number[] = []
    const hostLine = line.toString('latin1').toLowerCase().startsWith('host:') ? '' : 'Host: a.test\r\n'
    for (let i = 0; i < 2; i++) {
      const answer = await app.client.raw(
        Buffer.concat([
          Buffer.from(`GET ${path} HTTP/1.1\r\n${hostLine}Connection: close\r\n`),
          line,
          Buffer.from('\r\n\r\n'),
        ]),
      )
      statuses.push(Number(answer.slice(9, 12)))
    }
    return statuses
  }
  const fine = (statuses: number[]) =>
    expect(statuses.every((s) => [200, 206, 304, 400, 412, 416, 431, 504].includes(s))).toBe(true)

  test.each(fields)('%s with every byte node lets through', async (name) => {
    const app = await boot()
    fine(await send(app, Buffer.concat([Buffer.from(`${name}: `), Buffer.from(legal)])))
    const errors: unknown[] = []
    app.sluice.on('error', ({ error }) => errors.push(error))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...legal), { maxLength: 40 }), async (bytes) => {
        fine(await send(app, Buffer.concat([Buffer.from(`${name}: `), Buffer.from(bytes)])))
      }),
      { numRuns: 8 },
    )
    expect(errors).toEqual([])
  })

  test.each([
    ['If-None-Match', ['"', '"a', 'W/', 'W/"', '"a"b"', ',,,,', '*, "a"', '"v1""v1"', '\x80"v1"']],
    [
      'Range',
      [
        'bytes',
        'bytes=',
        'bytes=-',
        'bytes=--1',
        'bytes=9-1',
        `bytes=0-${'9'.repeat(400)}`,
        `bytes=${'9'.repeat(400)}-`,
        'bytes=0-0,'.repeat(500),
        'bytes=-0',
        '=0-1',
        'bytes = 0-1',
        'bytes=0x1-2',
        'bytes=1e3-',
      ],
    ],
    ['If-Range', ['"', 'W/"v1"', 'Sat', '99999']],
    ['If-Modified-Since', ['0', '-1', 'Sat, 99 Nov 2026 99:99:99 GMT', 'Sat, 21 Nov 9999999 12:00:00 GMT', '2026']],
    [
      'Cache-Control',
      ['max-age', 'max-age=', 'max-age=-1', `max-age=${'9'.repeat(400)}`, 'max-stale=,', '="', 'no-cache="', '"'],
    ],
    ['Accept-Encoding', ['gzip;q=', ';q=1', 'gzip;q=9', '*;q=0', ',', 'gzip;;;', `${'a,'.repeat(3000)}`]],
    ['Cookie', ['=', ';;;', '__proto__=1', 'a=%', 'a=%E0%A4%A']],
    ['Authorization', ['', 'Bearer', 'Basic', 'Basic !!!']],
  ] as const)('%s that is nonsense', async (name, values) => {
    const app = await boot()
    for (const value of values) fine(await send(app, Buffer.from(`${name}: ${value}`, 'latin1')))
    expect((await app.get('/')).status).toBe(200)
  })

  test('an If-None-Match as long as headers may be', async () => {
    const app = await boot()
    // Node's own limit is 16 kB for all of them.
    for (const value of [`${'"a",'.repeat(3_500)}"v1"`, `"${'a'.repeat(15_000)}`, `${'"'.repeat(15_000)}`]) {
      fine(await send(app, Buffer.from(`If-None-Match: ${value}`)))
    }
    const began = performance.now()
    const huge = await app.client
      .raw(`GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: ${'"a",'.repeat(16_384)}\r\n\r\n`)
      .catch(() => 'HTTP/1.1 431')
    expect(huge.slice(9, 12)).toBe('431')
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  test.each([
    '/?__proto__=1',
    '/?__proto__[a]=1&constructor=2',
    '/?page=%00&page=%',
    '/?page=%E0%A4%A',
    '/?%=%&&&===',
    `/?page=${'x'.repeat(10_000)}`,
    '/?page=%f0%9f%92%a9',
    '/?hasOwnProperty=1&toString=2',
  ])('a query of %s', async (path) => {
    const app = await boot()
    fine(await send(app, Buffer.from('X-A: b'), path))
    expect((await app.get('/')).status).toBe(200)
  })

  test('an absolute target, and one that is none', async () => {
    const app = await boot()
    for (const target of ['http://a.test/', 'http://b.test/?x', 'http://', '//', '/\\', '*', 'a.test:80', '/?#']) {
      const answer = await app.client.raw(`GET ${target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`)
      expect(answer.slice(9, 12)).toMatch(/^(200|304|400|404)$/)
    }
  })
})

describeHosts('keys like no other', (host) => {
  test.each([
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
    ['NUL', 'a\0b'],
    ['100 kB', 'x'.repeat(100_000)],
    ['lone surrogates', '\ud800'],
    ['nothing', ''],
  ])('%s works', async (_, key) => {
    const app = await host.boot({
      routes: [
        { path: '/a', cache: { ttl: '1m', key: () => key, tags: [key || 'empty'] }, handler: says({ body: 'mine' }) },
        { path: '/b', cache: { ttl: '1m', key: () => `${key}.` }, handler: says({ body: 'other' }) },
      ],
    })
    await app.get('/a')
    const [again, other] = [await app.get('/a'), await app.get('/b')]
    expect([again.cache, again.text, other.text]).toEqual(['hit', 'mine', 'other'])
    await app.sluice.purge({ tags: [key || 'empty'] })
    expect((await app.get('/a')).cache).toBe('uri-miss')
  })

  test('a Host of any kind makes its own entry', async () => {
    const app = await host.boot({
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({ body: 'x' }) }],
    })
    const seen: string[] = []
    for (const name of ['a.test', 'b.test', 'A.TEST', 'a.test:8080', "a'test"]) {
      const answer = await app.client.raw(`GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`)
      seen.push(/cache-status: ([^\r]*)/i.exec(answer)?.[1]?.includes('hit') ? 'hit' : 'miss')
    }
    expect(seen).toEqual(['miss', 'miss', 'hit', 'miss', 'miss'])
  })
})
