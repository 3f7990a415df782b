import { expect, test } from '@jest/globals'
import type { RequestFields } from './harness/client.ts'
import { counted, date, says } from './harness/handlers.ts'
import { describeHosts, testClock } from './harness/host.ts'

const start = testClock().now()
const modified = date(start - 3_600_000)
const later = date(start - 1_800_000)
const earlier = date(start - 7_200_000)

const fields = {
  ETag: '"v1"',
  'Last-Modified': modified,
  'Cache-Control': 'max-age=60',
  'Content-Location': '/one',
  Vary: 'Accept',
  'Content-Language': 'en',
}
const body = '0123456789'

describeHosts('conditional requests (RFC 9110 §13)', (host) => {
  const boot = () => host.boot({ routes: [{ path: '/', cache: {}, handler: counted(says({ fields, body })) }] })

  const rows: readonly (readonly [rule: string, request: RequestFields, status: number])[] = [
    ['§13.1.2 the tag', { 'if-none-match': '"v1"' }, 304],
    ['§13.1.2 one of a list', { 'if-none-match': '"a", W/"b" , "v1"' }, 304],
    ['§13.1.2 on the second line', { 'if-none-match': ['"a"', '"v1"'] }, 304],
    ['§13.1.2 compared weakly', { 'if-none-match': 'W/"v1"' }, 304],
    ['§13.1.2 *', { 'if-none-match': '*' }, 304],
    ['§13.1.2 another tag', { 'if-none-match': '"v2"' }, 200],
    ['§13.1.2 a tag without its quotes', { 'if-none-match': 'v1' }, 200],
    ['§8.8.3 tags are case-sensitive', { 'if-none-match': '"V1"' }, 200],
    ['§13.1.3 not modified since', { 'if-modified-since': modified }, 304],
    ['§13.1.3 nor since later', { 'if-modified-since': later }, 304],
    ['§13.1.3 modified since', { 'if-modified-since': earlier }, 200],
    ['§13.1.3 no date', { 'if-modified-since': 'yesterday' }, 200],
    ['§13.2.2 the tag before the date: differs', { 'if-none-match': '"v2"', 'if-modified-since': later }, 200],
    ['§13.2.2 the tag before the date: the same', { 'if-none-match': '"v1"', 'if-modified-since': earlier }, 304],
  ]

  test.each(rows)('%s', async (_, request, status) => {
    for (const stored of [false, true]) {
      const app = await boot()
      if (stored) await app.get('/')
      const answer = await app.get('/', request)
      expect([stored, answer.status, answer.text]).toEqual([stored, status, status === 304 ? '' : body])
      expect(answer.cache).toBe(stored ? 'hit' : 'uri-miss')
    }
  })

  test('a 304 has the fields of RFC 9110 §15.4.5, and no more', async () => {
    const app = await boot()
    await app.get('/')
    const answer = await app.get('/', { 'if-none-match': '"v1"' })
    for (const name of ['cache-control', 'content-location', 'etag', 'vary']) {
      expect(answer.header(name)).toBe(Object.entries(fields).find(([n]) => n.toLowerCase() === name)![1])
    }
    expect([answer.header('date'), answer.header('age')]).toEqual([date(start), '0'])
    for (const name of ['content-type', 'content-length', 'content-language', 'last-modified']) {
      expect(answer.header(name)).toBeUndefined()
    }
  })

  test('the miss of a conditional request fills the cache: the handler does not see the condition', async () => {
    const seen: unknown[] = []
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            seen.push(c.header('if-none-match'), c.header('if-modified-since'))
            c.set('ETag', '"v1"')
            c.send(body)
          },
        },
      ],
    })
    const first = await app.get('/', { 'if-none-match': '"v1"', 'if-modified-since': later })
    expect([first.status, seen]).toEqual([304, [undefined, undefined]])
    const second = await app.get('/')
    expect([second.cache, second.text]).toEqual(['hit', body])
  })

  test.each([
    ['if-match', '"v1"'],
    ['if-unmodified-since', later],
  ])('%s is the origin’s to evaluate: it goes to the handler (RFC 9111 §4.3.2)', async (name, value) => {
    const handler = counted((c) => c.send(`asked with ${c.header(name)}`))
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    await app.get('/')
    const answer = await app.get('/', { [name]: value })
    expect([answer.text, answer.cache, answer.detail]).toEqual([`asked with ${value}`, 'bypass', 'precondition'])
  })

  test('an answer without an ETag is given one, and 304 for it', async () => {
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({ body }) }] })
    const tag = (await app.get('/')).header('etag')!
    expect((await app.get('/')).header('etag')).toBe(tag)
    const answer = await app.get('/', { 'if-none-match': tag })
    expect([answer.status, answer.body.length]).toEqual([304, 0])
  })

  test('only a 200 is answered 304: a stored 404 is sent whole (RFC 9110 §13.2.1)', async () => {
    const handler = says({ status: 404, fields, body })
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler }] })
    await app.get('/')
    const answer = await app.get('/', { 'if-none-match': '"v1"' })
    expect([answer.cache, answer.status, answer.text]).toEqual(['hit', 404, body])
  })
})

describeHosts('ranges of a stored 200 (RFC 9110 §14)', (host) => {
  const boot = async (over: RequestFields = {}) => {
    const handler = counted(says({ fields: { ...fields, ...over }, body: Buffer.from(body) }))
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler }] })
    await app.get('/')
    return app
  }

  const rows: readonly (readonly [rule: string, request: RequestFields, part: string | undefined, where?: string])[] = [
    ['§14.1.2 from, to', { range: 'bytes=2-4' }, '234', 'bytes 2-4/10'],
    ['§14.1.2 from', { range: 'bytes=7-' }, '789', 'bytes 7-9/10'],
    ['§14.1.2 the last', { range: 'bytes=-2' }, '89', 'bytes 8-9/10'],
    ['§14.1.2 past the end', { range: 'bytes=8-99' }, '89', 'bytes 8-9/10'],
    ['§14.1.2 the last of more than there is', { range: 'bytes=-99' }, body, 'bytes 0-9/10'],
    ['§14.1 units are case-insensitive', { range: 'BYTES=0-0' }, '0', 'bytes 0-0/10'],
    ['§14.2 several ranges: the whole', { range: 'bytes=0-1,4-5' }, undefined],
    ['§14.2 another unit: the whole', { range: 'lines=0-1' }, undefined],
    ['§14.1.1 last before first: the whole', { range: 'bytes=4-2' }, undefined],
    ['§14.2 malformed: the whole', { range: 'bytes=a-b' }, undefined],
    ['§13.1.5 If-Range with the tag', { range: 'bytes=2-4', 'if-range': '"v1"' }, '234', 'bytes 2-4/10'],
    ['§13.1.5 If-Range with another', { range: 'bytes=2-4', 'if-range': '"v0"' }, undefined],
    ['§13.1.5 If-Range compares strongly', { range: 'bytes=2-4', 'if-range': 'W/"v1"' }, undefined],
    ['§13.1.5 If-Range with the date', { range: 'bytes=2-4', 'if-range': modified }, '234', 'bytes 2-4/10'],
    ['§13.1.5 If-Range with another date', { range: 'bytes=2-4', 'if-range': later }, undefined],
  ]

  test.each(rows)('%s', async (...[, request, part, where]) => {
    const app = await boot()
    const answer = await app.get('/', request)
    expect(answer.cache).toBe('hit')
    expect([answer.status, answer.text, answer.header('content-range')]).toEqual(
      part === undefined ? [200, body, undefined] : [206, part, where],
    )
    expect(answer.lines('content-length')).toEqual([String((part ?? body).length)])
  })

  test('§15.5.17 none of it: 416 with the length', async () => {
    const app = await boot()
    const answer = await app.get('/', { range: 'bytes=10-' })
    expect([answer.status, answer.header('content-range'), answer.text]).toEqual([416, 'bytes */10', ''])
  })

  test('§13.2.2 the condition comes first', async () => {
    const app = await boot()
    expect((await app.get('/', { range: 'bytes=0-1', 'if-none-match': '"v1"' })).status).toBe(304)
  })

  test('§8.8.1 a weak tag is no ground for a part', async () => {
    const app = await boot({ ETag: 'W/"v1"' })
    expect((await app.get('/', { range: 'bytes=0-1', 'if-range': 'W/"v1"' })).status).toBe(200)
  })

  test('a range of what is not stored is the handler’s, and its 206 never stands for the whole', async () => {
    const handler = counted((c) => {
      c.set('Cache-Control', 'max-age=60')
      if (c.header('range') === undefined) return c.send(Buffer.from(body))
      c.set('Content-Range', 'bytes 0-1/10')
      c.status(206).send(Buffer.from('01'))
    })
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler }] })
    const part = await app.get('/', { range: 'bytes=0-1' })
    expect([part.status, part.text, part.cache]).toEqual([206, '01', 'uri-miss'])
    const whole = await app.get('/')
    expect([whole.status, whole.text, whole.cache]).toEqual([200, body, 'uri-miss'])
  })
})

describeHosts('HEAD (RFC 9110 §9.3.2)', (host) => {
  const boot = () => {
    const handler = counted((c) => says({ fields, body: c.method === 'HEAD' ? 'short' : body })(c))
    return host.boot({ routes: [{ path: '/', cache: {}, handler }] })
  }

  test('is answered from a stored GET, length and all, without the body', async () => {
    const app = await boot()
    await app.get('/')
    const head = await app.request('/', { method: 'HEAD' })
    expect([head.cache, head.status, head.text]).toEqual(['hit', 200, ''])
    expect(head.lines('content-length')).toEqual(['10'])
    expect(head.header('etag')).toBe('"v1"')
  })

  test('never becomes a GET entry', async () => {
    const app = await boot()
    const head = await app.request('/', { method: 'HEAD' })
    expect([head.status, head.text, head.stored, head.detail]).toEqual([200, '', false, 'head'])
    const get = await app.get('/')
    expect([get.cache, get.text]).toEqual(['uri-miss', body])
  })

  test('has its conditions evaluated', async () => {
    const app = await boot()
    await app.get('/')
    expect((await app.request('/', { method: 'HEAD', headers: { 'if-none-match': '"v1"' } })).status).toBe(304)
  })

  test('is not answered in part: Range is for GET (§14.2)', async () => {
    const app = await boot()
    await app.get('/')
    const head = await app.request('/', { method: 'HEAD', headers: { range: 'bytes=0-1' } })
    expect([head.status, head.header('content-length')]).toEqual([200, '10'])
  })
})

describeHosts('condition() answers before the handler (RFC 9110 §13.2)', (host) => {
  test.each([
    ['the tag', { 'if-none-match': '"7"' }, 304, 0],
    ['another', { 'if-none-match': '"6"' }, 200, 1],
    ['the date', { 'if-modified-since': modified }, 304, 0],
    ['If-Match holds', { 'if-match': '"7"' }, 200, 1],
    ['If-Match fails', { 'if-match': '"6"' }, 412, 0],
    ['If-Unmodified-Since fails', { 'if-unmodified-since': earlier }, 412, 0],
    ['nothing asked', {}, 200, 1],
  ] as const)('%s', async (_, request, status, runs) => {
    const handler = counted(says({ body }))
    const app = await host.boot({
      routes: [
        {
          path: '/rows/:id',
          condition: {
            etag: (c) => c.params.id,
            lastModified: async () => new Date(modified),
          },
          handler,
        },
      ],
    })
    const answer = await app.get('/rows/7', request)
    expect([answer.status, handler.runs]).toEqual([status, runs])
    if (status !== 412) expect(answer.header('etag')).toBe('"7"')
    if (status === 200) expect(answer.header('last-modified')).toBe(modified)
    if (status === 304) expect(answer.text).toBe('')
    if (status === 412) expect(answer.header('content-type')).toBe('application/problem+json')
  })

  test('a function that throws is reported, and the handler answers', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          condition: {
            etag: () => {
              throw new Error('no database')
            },
          },
          handler: says({ body }),
        },
      ],
    })
    const errors: unknown[] = []
    app.sluice.on('error', ({ error }) => errors.push(error.code))
    expect((await app.get('/')).text).toBe(body)
    expect(errors).toEqual(['ERR_SLUICE_CALLBACK'])
  })
})
