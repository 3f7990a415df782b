import { expect, test } from '@jest/globals'
import type { HeaderStyle, PolicyInput } from '@sluice/core'
import { parseList } from 'structured-headers'
import { says } from './harness/handlers.ts'
import { type Answer, describeHosts, type Route } from './harness/host.ts'

const hello: Route = { path: '/', handler: says({}) }
/** Exact to the millisecond, so that a test can say what is to be waited for. */
const log = (rate: string): PolicyInput => ({ rate, algorithm: 'sliding-log' })

describeHosts('the answer to who asks too often', (host) => {
  test('is 429 as problem+json with Retry-After, RateLimit-Policy and RateLimit, and no-store', async () => {
    const app = await host.boot({
      sluice: { limits: { burst: log('20/s'), search: log('2/min') } },
      routes: [{ ...hello, limit: ['burst', 'search'] }],
    })
    await app.get('/')
    await app.clock.advance(33_000)
    await app.get('/')
    const refused = await app.get('/')
    expect(refused.status).toBe(429)
    expect(own(refused)).toEqual([
      ['content-type', 'application/problem+json'],
      ['cache-control', 'no-store'],
      ['retry-after', '27'],
      ['ratelimit-policy', '"burst";q=20;w=1, "search";q=2;w=60'],
      ['ratelimit', '"search";r=0;t=27, "burst";r=19;t=1'],
      ['content-length', String(refused.body.length)],
    ])
    expect(refused.text).toBe(
      '{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",' +
        '"title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,' +
        '"violated-policies":["search"]}',
    )
  })

  test('to HEAD it is the same without the body', async () => {
    const app = await host.boot({ routes: [{ ...hello, limit: ['1/min'] }] })
    await app.get('/')
    const get = await app.get('/')
    const head = await app.request('/', { method: 'HEAD' })
    expect([head.status, head.text]).toEqual([429, ''])
    expect(own(head)).toEqual(own(get))
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('to %s it is the same', async (method) => {
    const app = await host.boot({ routes: [{ ...hello, method, limit: ['1/min'] }] })
    expect((await app.request('/', { method })).status).toBe(200)
    const refused = await app.request('/', { method })
    expect([refused.status, refused.header('content-type')]).toEqual([429, 'application/problem+json'])
  })

  test('answers that are allowed tell of the quota too, beside what the handler says', async () => {
    const app = await host.boot({
      routes: [{ path: '/', limit: [log('5/min')], handler: says({ fields: { 'X-Own': '1' } }) }],
    })
    for (const left of [4, 3]) {
      const { status, text, ...answer } = await app.get('/').then((a) => ({ status: a.status, text: a.text, a }))
      expect([status, text, answer.a.header('x-own')]).toEqual([200, 'hello', '1'])
      expect(answer.a.header('ratelimit-policy')).toBe('"5/min";q=5;w=60')
      expect(answer.a.header('ratelimit')).toBe(`"5/min";r=${left};t=60`)
      expect(answer.a.header('retry-after')).toBeUndefined()
    }
  })

  const draft = ['ratelimit-policy', 'ratelimit']
  const legacy = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']
  test.each<[HeaderStyle, readonly string[]]>([
    ['draft-11', draft],
    ['legacy', legacy],
    ['both', [...draft, ...legacy]],
    [false, []],
  ])('headers: %j', async (headers, names) => {
    const app = await host.boot({ sluice: { headers }, routes: [{ ...hello, limit: [log('1/10s')] }] })
    for (const status of [200, 429]) {
      const answer = await app.get('/')
      expect(answer.status).toBe(status)
      expect(answer.fields.map(([name]) => name).filter((name) => name.includes('ratelimit'))).toEqual(names)
      if (names.includes('x-ratelimit-limit')) {
        expect(legacy.map((name) => answer.header(name))).toEqual(['1', '0', String(app.clock.wall() / 1_000 + 10)])
      }
      // Without any style too: it is not a matter of taste.
      if (status === 429) expect(answer.header('retry-after')).toBe('10')
    }
  })

  test.each([
    'with "quotes" and \\ backslash',
    'naïve café',
    'new\r\nX-Evil: 1',
    '日本語',
    '\u0000\u007f',
    '\ud800',
    '"; q=1, "other',
    '__proto__',
    'x'.repeat(500),
  ])('a policy called %j: fields that a second parser of RFC 9651 reads, and nothing beside them', async (name) => {
    const limits = Object.fromEntries([[name, '1/min']])
    const app = await host.boot({ sluice: { limits }, routes: [{ ...hello, limit: [name] }] })
    for (const status of [200, 429]) {
      const answer = await app.get('/')
      expect([answer.status, answer.header('x-evil')]).toEqual([status, undefined])
      for (const field of ['ratelimit-policy', 'ratelimit']) {
        const [[value, parameters]] = parseList(answer.header(field)!) as [[string, Map<string, number>]]
        if (/^[\x20-\x7e]*$/.test(name)) expect(value).toBe(name)
        expect([...parameters.keys()]).toEqual(field === 'ratelimit' ? ['r', 't'] : ['q', 'w'])
      }
      if (status === 429) expect(answer.json()['violated-policies']).toEqual([JSON.parse(JSON.stringify(name))])
    }
  })

  test.each(['sliding-window', 'sliding-log', 'token-bucket', 'fixed-window'] as const)(
    'Retry-After is honest: who waits that long, alone, is admitted (%s)',
    async (algorithm) => {
      const app = await host.boot({
        routes: [{ ...hello, limit: [{ rate: '3/7s', algorithm, name: 'seven' }, '20/min'] }],
      })
      for (let round = 0; round < 6; round++) {
        let answer = await app.get('/')
        for (; answer.status === 200; answer = await app.get('/')) await app.clock.advance(100 * round)
        const seconds = answer.header('retry-after')!
        expect(seconds).toMatch(/^[1-9]\d*$/)
        await app.clock.advance(Number(seconds) * 1_000)
        expect((await app.get('/')).status).toBe(200)
      }
    },
  )

  test('a cost above the limit is told apart: no waiting helps, and no Retry-After says so', async () => {
    const app = await host.boot({ routes: [{ ...hello, limit: [{ rate: '5/min', cost: 6 }] }] })
    const refused = await app.get('/')
    expect([refused.status, refused.header('retry-after'), refused.json().type]).toEqual([
      429,
      undefined,
      'urn:sluice:problem:cost-above-limit',
    ])
  })

  test('respond replaces the body; status and fields stay', async () => {
    const app = await host.boot({
      routes: [
        {
          ...hello,
          limit: [{ ...{ rate: '1/min', algorithm: 'sliding-log' }, respond: ({ violated }) => ({ slow: violated }) }],
        },
      ],
    })
    await app.get('/')
    const refused = await app.get('/')
    expect([refused.status, refused.json()]).toEqual([429, { slow: ['1/min'] }])
    expect(own(refused)).toEqual([
      ['content-type', 'application/json'],
      ['cache-control', 'no-store'],
      ['retry-after', '60'],
      ['ratelimit-policy', '"1/min";q=1;w=60'],
      ['ratelimit', '"1/min";r=0;t=60'],
      ['content-length', String(refused.body.length)],
    ])
  })

  test('respond may be asynchronous; where it throws, the standard body is sent', async () => {
    const respond = async (): Promise<string> => 'later'
    const throws = (): never => {
      throw new Error('broken')
    }
    const app = await host.boot({
      routes: [
        { ...hello, limit: [{ rate: '1/min', respond, name: 'a' }] },
        { ...hello, path: '/b', limit: [{ rate: '1/min', respond: throws, name: 'b' }] },
      ],
    })
    await app.get('/')
    await app.get('/b')
    const [a, b] = [await app.get('/'), await app.get('/b')]
    expect([a.status, a.text, a.header('content-type')]).toEqual([429, 'later', 'text/plain; charset=utf-8'])
    expect([b.status, b.json().status]).toEqual([429, 429])
  })

  test('the handler of a refused request does not run', async () => {
    let runs = 0
    const app = await host.boot({ routes: [{ path: '/', limit: ['2/min'], handler: (c) => c.send(`${++runs}`) }] })
    for (let i = 0; i < 5; i++) await app.get('/')
    expect(runs).toBe(2)
  })

  test('limits for all: made-up paths and errors count, and are refused', async () => {
    const app = await host.boot({
      limit: ['4/min'],
      routes: [
        hello,
        {
          path: '/broken',
          handler() {
            throw new Error('broken')
          },
        },
      ],
    })
    const seen: number[] = []
    for (const path of ['/made-up', '/broken', '/other/made-up', '/', '/', '/made-up', '/broken']) {
      seen.push((await app.get(path)).status)
    }
    expect(seen).toEqual([404, 500, 404, 200, 429, 429, 429])
  })

  test('several policies: charged together, or none is', async () => {
    const app = await host.boot({
      sluice: { limits: { wide: '10/min', narrow: '2/min' } },
      routes: [
        { ...hello, limit: ['wide', 'narrow'] },
        { ...hello, path: '/wide', limit: ['wide'] },
      ],
    })
    const seen: number[] = []
    for (let i = 0; i < 8; i++) seen.push((await app.get('/')).status)
    expect(seen).toEqual([200, 200, 429, 429, 429, 429, 429, 429])
    // Of ten two were charged; of the refused ones none was.
    expect((await app.get('/wide')).header('ratelimit')).toMatch(/^"wide";r=7;/)
    expect(await app.sluice.peek('narrow', { key: '127.0.0.1' })).toMatchObject({ allowed: false, remaining: 0 })
  })

  test('what a limit for all took comes back where a route’s own refuses', async () => {
    const app = await host.boot({
      sluice: { limits: { all: '10/min', few: '1/min' } },
      limit: ['all'],
      routes: [{ ...hello, limit: ['few'] }],
    })
    const answers = [await app.get('/'), await app.get('/'), await app.get('/')]
    expect(answers.map(({ status }) => status)).toEqual([200, 429, 429])
    expect(answers[0]!.header('ratelimit-policy')).toBe('"all";q=10;w=60, "few";q=1;w=60')
    expect(answers[1]!.header('ratelimit')).toMatch(/^"few";r=0;t=\d+, "all";r=9;t=\d+$/)
    expect(await app.sluice.peek('all', { key: '127.0.0.1' })).toMatchObject({ remaining: 9 })
  })

  test('the same name is the same bucket wherever it is mounted, and is charged once per request', async () => {
    const app = await host.boot({
      sluice: { limits: { ip: '3/min' } },
      limit: ['ip'],
      routes: [
        { ...hello, limit: ['ip'] },
        { ...hello, path: '/other' },
      ],
    })
    const seen: number[] = []
    for (const path of ['/', '/other', '/', '/other', '/']) seen.push((await app.get(path)).status)
    expect(seen).toEqual([200, 200, 200, 429, 429])
  })
})

/** What is not the transport's or the framework's own. */
function own(answer: Answer): (readonly [string, string])[] {
  const theirs = ['date', 'connection', 'keep-alive', 'x-powered-by']
  return answer.fields.filter(([name]) => !theirs.includes(name))
}
