import { describe, expect, jest, test } from '@jest/globals'
import { parseList } from 'structured-headers'
import { isSluiceError } from '../../packages/core/src/base/errors.ts'
import { by } from '../../packages/core/src/exchange/client/by.ts'
import { createLimiter, type Limiter, type LimiterOptions } from '../../packages/core/src/limit/limiter.ts'
import type { PolicyOptions } from '../../packages/core/src/limit/policy/options.ts'
import { bodyOf, exchangeOf, fieldsOf, head, ManualClock, open, replyOf, request, Sink, statusOf } from './helpers.ts'

function make(limits: LimiterOptions['limits'] = {}, rest: Partial<LimiterOptions> = {}) {
  const clock = new ManualClock()
  const sink = new Sink()
  const limiter = createLimiter({ limits, clock, events: sink, ...rest })
  return { clock, sink, limiter }
}

const drive = (limiter: Limiter, name: string, times: number) => {
  const pipeline = limiter.pipeline(name)
  return Array.from({ length: times }, () => statusOf(open(pipeline)))
}

const code = (fn: () => unknown): unknown => {
  try {
    fn()
  } catch (error) {
    return isSluiceError(error) ? `${error.code}: ${error.message}` : error
  }
  return 'did not throw'
}

describe('the answer', () => {
  test('is the documented 429, byte for byte', () => {
    const { limiter, clock } = make({ burst: '20/s', search: { rate: '100/min', algorithm: 'fixed-window' } })
    const pipeline = limiter.pipeline('burst', 'search')
    for (let i = 0; i < 100; i++) {
      expect(statusOf(open(pipeline))).toBe(200)
      clock.advance(i === 99 ? 0 : 100)
    }
    clock.advance(60_000 - 99 * 100 - 27_000)
    const reply = replyOf(open(pipeline))
    expect(reply.status).toBe(429)
    const body =
      '{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"violated-policies":["search"]}'
    expect(reply.fields).toEqual([
      ...['Content-Type', 'application/problem+json'],
      ...['Cache-Control', 'no-store'],
      ...['Retry-After', '27'],
      ...['RateLimit-Policy', '"burst";q=20;w=1, "search";q=100;w=60'],
      ...['RateLimit', '"search";r=0;t=27, "burst";r=20;t=1'],
      ...['Content-Length', String(body.length)],
    ])
    expect(Buffer.from(reply.body!).toString()).toBe(body)
  })

  test('allowed answers carry the fields too', () => {
    const { limiter } = make({ ip: '300/min' })
    const opening = open(limiter.pipeline('ip'))
    expect([...fieldsOf(opening)]).toEqual([
      ['ratelimit-policy', '"ip";q=300;w=60'],
      ['ratelimit', '"ip";r=299;t=63'],
    ])
  })

  test.each([
    ['draft-11', ['ratelimit-policy', 'ratelimit']],
    ['legacy', ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']],
    ['both', ['ratelimit-policy', 'ratelimit', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']],
    [false, []],
  ] as const)('headers: %p', (headers, names) => {
    const { limiter, clock } = make({ ip: { rate: '2/10s', algorithm: 'fixed-window' } }, { headers })
    const pipeline = limiter.pipeline('ip')
    const first = fieldsOf(open(pipeline))
    expect([...first.names()]).toEqual(names)
    if (first.has('x-ratelimit-limit')) {
      expect(first.get('x-ratelimit-limit')).toBe('2')
      expect(first.get('x-ratelimit-remaining')).toBe('1')
      expect(first.get('x-ratelimit-reset')).toBe(String((clock.now() + 10_000) / 1_000))
    }
    open(pipeline)
    const refused = fieldsOf(open(pipeline))
    expect([...refused.names()]).toEqual(['content-type', 'cache-control', 'retry-after', ...names, 'content-length'])
    expect(refused.get('retry-after')).toBe('10')
  })

  test('a policy may say otherwise than the instance', () => {
    const { limiter } = make({ a: '5/s', b: { rate: '5/s', headers: false } })
    expect(fieldsOf(open(limiter.pipeline('a', 'b'))).get('ratelimit-policy')).toBe('"a";q=5;w=1')
  })

  test.each([
    ['100/ms', '"p";q=100'],
    ['100/999ms', '"p";q=100'],
    ['100/s', '"p";q=100;w=1'],
    ['100/1500ms', '"p";q=100;w=2'],
    ['5/s burst 20', '"p";q=5;w=1'],
    ['7 concurrent', '"p";q=7;qu="concurrent-requests"'],
    ['100/min; 5/s', '"p";q=100;w=60, "p-2";q=5;w=1'],
    ['9007199254740991/366d', '"p";q=999999999999999;w=31622400'],
  ])('the policy of %s is %s: w is left out below a second', (rate, expected) => {
    const { limiter } = make({ p: rate })
    expect(fieldsOf(open(limiter.pipeline('p'))).get('ratelimit-policy')).toBe(expected)
  })

  test.each([
    'plain',
    'with "quotes" and \\ backslash',
    'naïve café',
    'new\r\nline: injected',
    '日本語',
    '\u0000\u007f',
    '\ud800 lone surrogate',
    '"; q=1, "other',
    '%41',
    '__proto__',
    'constructor',
    ' '.repeat(3),
    'x'.repeat(5_000),
  ])('every field parses as RFC 9651, whatever the policy is called: %.30j', (name) => {
    const { limiter } = make(Object.fromEntries([[name, '1/min']]))
    const pipeline = limiter.pipeline(name)
    for (const opening of [open(pipeline), open(pipeline)]) {
      const fields = fieldsOf(opening)
      for (const field of ['ratelimit-policy', 'ratelimit']) {
        const list = parseList(fields.get(field)!)
        expect(list).toHaveLength(1)
        const [value, parameters] = list[0]!
        expect(typeof value).toBe('string')
        if (/^[\x20-\x7e]*$/.test(name)) expect(value).toBe(name)
        expect([...parameters.keys()]).toEqual(field === 'ratelimit' ? ['r', 't'] : ['q', 'w'])
        for (const parameter of parameters.values()) expect(Number.isInteger(parameter)).toBe(true)
      }
    }
    expect(bodyOf(open(pipeline))['violated-policies']).toEqual([JSON.parse(JSON.stringify(name))])
  })

  test('Retry-After is a whole number of 1 or more, the largest over the violated policies, and honest', () => {
    const { limiter, clock } = make({ a: '3/100ms', b: '5/min', c: '2/10s' })
    const pipeline = limiter.pipeline('a', 'b', 'c')
    for (let i = 0; i < 200; i++) {
      const opening = open(pipeline)
      if (statusOf(opening) === 200) clock.advance(7)
      else {
        const seconds = Number(fieldsOf(opening).get('retry-after'))
        expect(Number.isInteger(seconds) && seconds >= 1).toBe(true)
        clock.advance(seconds * 1_000)
        expect(statusOf(open(pipeline))).toBe(200)
      }
    }
  })

  test('a cost above the limit is a distinct refusal: no Retry-After, another type', () => {
    const { limiter } = make({ search: { rate: '5/s', cost: (c) => c.query.n } })
    const opening = open(limiter.pipeline('search'), { properties: { query: { n: 6 } } })
    expect(statusOf(opening)).toBe(429)
    expect(fieldsOf(opening).has('retry-after')).toBe(false)
    expect(bodyOf(opening)).toEqual({
      type: 'urn:sluice:problem:cost-above-limit',
      title: 'Request cannot be satisfied as it costs more than the whole quota',
      status: 429,
      'violated-policies': ['search'],
    })
    // And nothing was charged.
    expect(fieldsOf(opening).get('ratelimit')).toBe('"search";r=5;t=1')
  })

  describe('respond', () => {
    const refuse = (respond: NonNullable<PolicyOptions['respond']>) => {
      const { limiter, sink } = make({ ip: { rate: '1/min', respond } })
      const pipeline = limiter.pipeline('ip')
      open(pipeline)
      return { opening: open(pipeline), sink }
    }

    test.each([
      ['slow down', 'text/plain; charset=utf-8', 'slow down'],
      [{ error: 'slow' }, 'application/json', '{"error":"slow"}'],
      [['a'], 'application/json', '["a"]'],
      [new Uint8Array([65, 66]), 'application/octet-stream', 'AB'],
      [{ contentType: 'text/html', body: '<p>' }, 'text/html', '<p>'],
    ])('may replace the body by %p, never the status or the fields', (given, contentType, body) => {
      const { opening } = refuse(() => given)
      const reply = replyOf(opening)
      expect([reply.status, Buffer.from(reply.body!).toString()]).toEqual([429, body])
      const fields = fieldsOf(opening)
      expect(fields.get('content-type')).toBe(contentType)
      expect(fields.get('cache-control')).toBe('no-store')
      expect(fields.get('retry-after')).toBe('63')
      expect(fields.get('ratelimit')).toBe('"ip";r=0;t=63')
      expect(fields.get('content-length')).toBe(String(body.length))
    })

    test('is told of the denial', () => {
      const respond = jest.fn<NonNullable<PolicyOptions['respond']>>(() => 'no')
      refuse(respond)
      const [denial] = respond.mock.calls[0]!
      expect(denial).toMatchObject({ status: 429, violated: ['ip'], permanent: false, retryAfterMs: 62_500 })
      expect(denial.request.ip).toBe('192.0.2.1')
    })

    test.each([
      [
        'throws',
        () => {
          throw new Error('no')
        },
      ],
      ['answers what is no JSON', () => ({ n: 1n })],
      ['answers a content type with a line break', () => ({ contentType: 'a\r\nb', body: '' })],
      ['answers a function', () => (() => 1) as never],
    ])('that %s: an event, and the standard body', (_, respond) => {
      const { opening, sink } = refuse(respond)
      expect(bodyOf(opening)).toMatchObject({ status: 429, 'violated-policies': ['ip'] })
      expect(sink.of('error')[0]!.error.message).toContain('limits.ip.respond')
    })

    test('may be asynchronous', async () => {
      const { limiter } = make({ ip: { rate: '1/min', respond: async () => 'later' } })
      const pipeline = limiter.pipeline('ip')
      open(pipeline)
      const opening = await pipeline.open(request())
      expect(Buffer.from(replyOf(opening).body!).toString()).toBe('later')
    })
  })
})

describe('policies', () => {
  test('the same name is the same bucket wherever it is mounted', () => {
    const { limiter } = make({ ip: '3/min' })
    const [a, b] = [limiter.pipeline('ip'), limiter.pipeline('ip')]
    expect([a, b, a, b, a].map((p) => statusOf(open(p)))).toEqual([200, 200, 200, 429, 429])
  })

  test('inline rates and objects; the same text is the same bucket', () => {
    const { limiter } = make()
    expect([limiter.pipeline('1/min'), limiter.pipeline('1 per 60s')].map((p) => statusOf(open(p)))).toEqual([200, 429])
    const own = limiter.pipeline({ rate: '1/min', name: 'own' })
    expect([own, own].map((p) => statusOf(open(p)))).toEqual([200, 429])
    expect(fieldsOf(open(limiter.pipeline('2/h'))).get('ratelimit-policy')).toBe('"2/h";q=2;w=3600')
  })

  test('an unknown name throws with the nearest known', () => {
    const { limiter } = make({ search: '5/s', login: '5/min' })
    expect(code(() => limiter.pipeline('serach'))).toMatch(/^ERR_SLUICE_POLICY: .*"serach".*`search`/)
    expect(code(() => limiter.pipeline('zzzzzzzz'))).toMatch(/Known: `search`, `login`/)
    expect(code(() => limiter.check('lgoin', { key: 'a' }))).toMatch(/`login`/)
    expect(code(() => limiter.pipeline('__proto__'))).toMatch(/ERR_SLUICE_POLICY/)
  })

  test('two policies under one name are a mistake', () => {
    const { limiter } = make({ a: '5/s' })
    expect(code(() => limiter.pipeline({ name: 'a', rate: '6/s' }))).toMatch(/ERR_SLUICE_POLICY.*"a"/)
    limiter.pipeline({ name: 'b', rate: '6/s' })
    expect(code(() => limiter.pipeline({ name: 'b', rate: '6/s', key: by.user }))).toMatch(/ERR_SLUICE_POLICY/)
    expect(code(() => limiter.pipeline({ name: 'b', rate: '6/s' }))).toBe('did not throw')
  })

  test.each([
    [{ ip: '300/fortnight' }, /^ERR_SLUICE_RATE: .*limits\.ip\.rate.*position 5/],
    [{ ip: {} }, /limits\.ip\.rate/],
    [{ ip: { rate: '5/s', kye: 1 } }, /limits\.ip\.kye.*`key`/],
    [{ ip: { rate: '5/s', algorithm: 'leaky' } }, /limits\.ip\.algorithm.*"leaky"/],
    [{ ip: { rate: '5/s', algorithm: 'sliding-log', burst: 5 } }, /limits\.ip\.algorithm/],
    [{ ip: { rate: '5/s', algorithm: 'concurrent' } }, /limits\.ip\.rate/],
    [{ ip: { rate: '5/s; 6/m', burst: 5 } }, /limits\.ip\.burst/],
    [{ ip: { rate: '1/366d burst 9007199254740991' } }, /limits\.ip\.rate.*hundred years/],
    [{ ip: { rate: '5/s', cost: -1 } }, /limits\.ip\.cost.*-1/],
    [{ ip: { rate: '5/s', cost: 1.5 } }, /limits\.ip\.cost/],
    [{ ip: { rate: '5/s', share: 2 } }, /limits\.ip\.share/],
    [{ ip: { rate: '5/s', onOutage: 'shut' } }, /limits\.ip\.onOutage/],
    [{ ip: { rate: '5/s', ipv6Prefix: 8 } }, /limits\.ip\.ipv6Prefix/],
    [{ ip: { rate: '5/s', headers: 'draft-7' } }, /limits\.ip\.headers/],
    [{ ip: { rate: '5/s', per: 'url' } }, /limits\.ip\.per/],
    [{ ip: { rate: '5/s', permitTtl: 'soon' } }, /limits\.ip\.permitTtl/],
    [{ ip: 5 }, /limits\.ip/],
    [{ '': '5/s' }, /limits/],
  ])('configuration that makes no sense throws at the start: %j', (limits, message) => {
    expect(code(() => make(limits as never))).toMatch(message)
  })

  test('nothing at all, and options that do not exist', () => {
    expect(code(() => make().limiter.pipeline())).toMatch(/at least one policy/)
    expect(code(() => createLimiter({ limit: {} } as never))).toMatch(/`limit`.*`limits`/)
    expect(code(() => make({}, { headers: 'draft-12' as never }))).toMatch(/headers/)
  })

  test('several rates of one policy hold together', () => {
    const { limiter, clock } = make({ p: '4/min; 2/s' })
    const pipeline = limiter.pipeline('p')
    const next = () => statusOf(open(pipeline))
    expect([next(), next(), next()]).toEqual([200, 200, 429])
    clock.advance(1_100)
    expect([next(), next()]).toEqual([200, 200])
    clock.advance(1_100)
    expect(bodyOf(open(pipeline))['violated-policies']).toEqual(['p'])
  })

  test('options are resolved once: what is changed afterwards changes nothing', () => {
    const limits = { p: { rate: '1/min' } }
    const { limiter } = make(limits)
    limits.p.rate = '100/min'
    expect(drive(limiter, 'p', 2)).toEqual([200, 429])
  })

  test('a burst may stand beside the rate', () => {
    const { limiter } = make({ p: { rate: '1/min', burst: 3 } })
    expect(drive(limiter, 'p', 4)).toEqual([200, 200, 200, 429])
  })

  test.each(['sliding-window', 'sliding-log', 'token-bucket', 'fixed-window'] as const)('algorithm %s', (algorithm) => {
    const { limiter } = make({ p: { rate: '3/min', algorithm } })
    expect(drive(limiter, 'p', 5)).toEqual([200, 200, 200, 429, 429])
  })

  test('the phase is the latest any of its policies asks for', () => {
    const { limiter } = make({ a: '5/s', b: { rate: '5/s', phase: 'preHandler' } })
    expect([limiter.pipeline('a').phase, limiter.pipeline('a', 'b').phase]).toEqual(['onRequest', 'preHandler'])
  })
})

describe('who is counted', () => {
  test('by address: every notation of one client shares its bucket', () => {
    const { limiter } = make({ ip: '2/min' })
    const pipeline = limiter.pipeline('ip')
    const from = (ip: string) => statusOf(open(pipeline, { ip }))
    expect(['1.2.3.4', '::ffff:1.2.3.4', '::ffff:102:304', '[64:ff9b::102:304]:80'].map(from)).toEqual([
      200, 200, 429, 429,
    ])
    expect(['2001:db8::1', '2001:db8::ffff', '2001:db8:0:0:1::'].map(from)).toEqual([200, 200, 429])
    expect(from('2001:db8:0:1::1')).toBe(200)
  })

  test('ipv6Prefix is per policy', () => {
    const { limiter } = make({ ip: { rate: '1/min', ipv6Prefix: 48 } })
    const pipeline = limiter.pipeline('ip')
    expect(['2001:db8:0:1::1', '2001:db8:0:2::1'].map((ip) => statusOf(open(pipeline, { ip })))).toEqual([200, 429])
  })

  test.each([[undefined], ['garbage'], ['x'.repeat(1_000_000)], ['1.2.3.4\r\nx'], ['__proto__']])(
    'an address that cannot be told is an event and the shared bucket, never no limit: %.20p',
    (ip) => {
      const { limiter, sink } = make({ ip: '2/min' })
      const pipeline = limiter.pipeline('ip')
      const statuses = [ip, undefined, 'other garbage'].map((one) => statusOf(open(pipeline, { ip: one })))
      expect(statuses).toEqual([200, 200, 429])
      expect(sink.of('error').map(({ error }) => error.code)).toEqual(Array(3).fill('ERR_SLUICE_CALLBACK'))
      expect(statusOf(open(pipeline))).toBe(200)
    },
  )

  test('nobody gets into the shared bucket by calling himself so', () => {
    const { limiter } = make({ p: { rate: '1/min', key: (c) => c.user?.name } })
    const pipeline = limiter.pipeline('p')
    const as = (name?: string) => statusOf(open(pipeline, { properties: { user: { name } } }))
    expect(as()).toBe(200)
    for (const name of ['u', 'unknown', 'undefined', '']) expect(as(name)).toBe(200)
    expect(as()).toBe(429)
  })

  test('by.user, by.header, by.hash and combinations', () => {
    const { limiter } = make({
      user: { rate: '1/min', key: by.user },
      both: { rate: '1/min', key: by(by.user, by.header('x-a')) },
      mail: { rate: '1/min', key: by.hash('body.email') },
    })
    const as = (id: number, a = '') => ({ properties: { user: { id } }, headers: { 'x-a': a } })
    const user = limiter.pipeline('user')
    expect([as(1), as(2), as(1)].map((r) => statusOf(open(user, r)))).toEqual([200, 200, 429])
    const both = limiter.pipeline('both')
    expect([as(1, 'a'), as(1, 'b'), as(1, 'a')].map((r) => statusOf(open(both, r)))).toEqual([200, 200, 429])
    const mail = limiter.pipeline('mail')
    const bodies = ['bob@x.org', ' BOB@x.org', 'eve@x.org'].map((email) => ({ properties: { body: { email } } }))
    expect(bodies.map((r) => statusOf(open(mail, r)))).toEqual([200, 429, 200])
  })

  test('by.user without a user: each address counts for itself, and a user is not an address', () => {
    const { limiter } = make({ user: { rate: '1/min', key: by.user } })
    const user = limiter.pipeline('user')
    const from = (ip: string, id?: string) => ({ ip, properties: id ? { user: { id } } : {} })
    const requests = [from('192.0.2.1'), from('192.0.2.2'), from('192.0.2.1'), from('192.0.2.9', '192.0.2.1')]
    expect(requests.map((r) => statusOf(open(user, r)))).toEqual([200, 200, 429, 200])
  })

  test('a cost that calculates with the query gets numbers, and one that compares gets text', () => {
    const { limiter } = make({
      sum: { rate: '10/min', cost: (c) => 1 + c.query.depth },
      text: { rate: '10/min', cost: (c) => (c.query.full === '1' ? 5 : 1) },
    })
    const left = (name: string, query: object): string | undefined =>
      fieldsOf(open(limiter.pipeline(name), { properties: { query } })).get('ratelimit')
    expect(left('sum', { depth: '3' })).toBe('"sum";r=6;t=63')
    expect(left('sum', { depth: 2 })).toBe('"sum";r=3;t=63')
    expect(left('text', { full: '1' })).toBe('"text";r=5;t=63')
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('no user')
      },
    ],
    ['answers an object', () => ({}) as never],
  ])('a key function that %s: an event, the shared bucket, and no 500', (_, key) => {
    const { limiter, sink } = make({ p: { rate: '2/min', key } })
    expect(drive(limiter, 'p', 3)).toEqual([200, 200, 429])
    expect(sink.of('error')[0]!.error.message).toContain('limits.p.key')
  })

  test('per route: split by pattern and method, never by raw URL; HEAD counts as GET', () => {
    const { limiter } = make({ p: '1/min' })
    const pipeline = limiter.pipeline('p').per('route')
    const get = (route: string | undefined, path: string, method = 'GET') =>
      statusOf(open(pipeline, { method, path, ...(route && { route }) }))
    expect(get('/cities/:id', '/cities/1')).toBe(200)
    for (const path of ['/cities/2', '//cities/2', '/Cities/2', '/cities/2/', '/cit%69es/2']) {
      expect(get('/cities/:id', path)).toBe(429)
    }
    expect(get('/cities/:id', '/cities/1', 'HEAD')).toBe(429)
    expect(get('/cities/:id', '/cities/1', 'PATCH')).toBe(200)
    expect(get('/countries', '/countries')).toBe(200)
    // Without a pattern (404s): one bucket, whatever URLs are made up.
    expect(get(undefined, '/a')).toBe(200)
    expect(get(undefined, '/b')).toBe(429)
    // Not the bucket of the policy itself.
    expect(statusOf(open(limiter.pipeline('p')))).toBe(200)
    const option = make({ q: { rate: '1/min', per: 'route' } }).limiter.pipeline('q')
    expect(['/a', '/b', '/a'].map((route) => statusOf(open(option, { route })))).toEqual([200, 200, 429])
  })

  test('by.route: by pattern and method too, and where there is no pattern never by the URL', () => {
    const { limiter } = make({ p: { rate: '1/min', key: by(by.ip, by.route) } })
    const pipeline = limiter.pipeline('p')
    const get = (path: string, route?: string) => statusOf(open(pipeline, { path, ...(route && { route }) }))
    expect([get('/a/1', '/a/:id'), get('/a/2', '/a/:id'), get('/b', '/b')]).toEqual([200, 429, 200])
    expect([get('/made-up-1'), get('/made-up-2')]).toEqual([200, 429])
  })

  test('keys in the store have a fixed length and show nothing', () => {
    const seen: string[] = []
    const { limiter } = make(
      { p: { rate: '5/min', key: (c) => c.header('x')! } },
      {
        store: {
          kind: 'local',
          consume: (charges) => {
            seen.push(...charges.map(({ key }) => key))
            return charges.map(() => ({
              ...{ allowed: true, limit: 5, remaining: 4, retryAfterMs: 0, resetMs: 1, permanent: false, atMs: 0 },
              via: 'store' as const,
            }))
          },
          peek: () => [],
          settle() {},
          renew() {},
          refund() {},
          reset() {},
          usage: () => ({ entries: 0, evictions: 0, overflowed: 0 }),
          close() {},
        },
      },
    )
    const pipeline = limiter.pipeline('p')
    for (const x of ['a', 'bob@example.org', '1'.repeat(1_000_000), '']) open(pipeline, { headers: { x } })
    expect(new Set(seen.map((key) => key.length)).size).toBe(1)
    expect(new Set(seen).size).toBe(4)
    expect(seen.join()).not.toContain('bob')
  })

  test('the hash is keyed: two instances agree only where they share a secret', () => {
    const keyOf = (secret: string | undefined) => {
      let key = ''
      const { limiter } = make({ p: '5/min' }, { secret, store: undefined })
      const pipeline = limiter.pipeline({ rate: '5/min', name: 'q', key: () => 'alice' })
      open(pipeline)
      limiter.pipeline({
        rate: '5/min',
        name: 'spy',
        store: {
          kind: 'local',
          consume: (charges: { key: string }[]) => {
            key = charges[0]!.key
            throw new Error('seen')
          },
        } as never,
      })
      try {
        limiter.check('spy', { key: 'alice' })
      } catch {}
      return key
    }
    expect(keyOf('s'.repeat(16))).toBe(keyOf('s'.repeat(16)))
    expect(keyOf('s'.repeat(16))).not.toBe(keyOf('t'.repeat(16)))
    expect(keyOf(undefined)).not.toBe(keyOf(undefined))
  })
})

describe('rate, key and cost may be functions of the request, asynchronous ones included', () => {
  const plans: Record<string, string> = { free: '1/min', pro: '3/min' }

  test.each([
    ['at once', (c: { user: { plan: string } }) => plans[c.user.plan]!],
    ['later', async (c: { user: { plan: string } }) => plans[c.user.plan]!],
  ])('plans, %s', async (_, rate) => {
    const { limiter } = make({ p: { rate, key: by.user } })
    const pipeline = limiter.pipeline('p')
    const as = async (id: number, plan: string) =>
      statusOf(await pipeline.open(request({ properties: { user: { id, plan } } })))
    expect([await as(1, 'free'), await as(1, 'free')]).toEqual([200, 429])
    expect([await as(2, 'pro'), await as(2, 'pro'), await as(2, 'pro'), await as(2, 'pro')]).toEqual([
      200, 200, 200, 429,
    ])
  })

  test('asynchronous keys and costs', async () => {
    const { limiter } = make({ p: { rate: '5/min', key: async () => 'k', cost: async () => 3 } })
    const pipeline = limiter.pipeline('p')
    expect([statusOf(await pipeline.open(request())), statusOf(await pipeline.open(request()))]).toEqual([200, 429])
  })

  test.each([
    ['a number', 2, 2],
    ['zero', 0, 0],
    ['digits, as a query has them', '3', 3],
    ['digits with spaces', ' 3 ', 3],
    ['a fraction: rounded up', 1.2, 2],
    ['NaN', Number.NaN, 1],
    ['a negative number', -5, 1],
    ['text', 'abc', 1],
    ['negative digits', '-5', 1],
    ['empty text', '', 1],
    ['undefined', undefined, 1],
    ['null', null, 1],
    ['an object', {}, 1],
    ['an array, as ?n=1&n=2 has it', ['1', '2'], 1],
  ])('a cost of %s', (_, cost, charged) => {
    const { limiter, sink } = make({ p: { rate: '10/min', cost: () => cost as never } })
    const fields = fieldsOf(open(limiter.pipeline('p')))
    expect(fields.get('ratelimit')).toMatch(new RegExp(`^"p";r=${10 - charged};`))
    const fine = cost === charged || (typeof cost === 'string' && /^\s*\d+\s*$/.test(cost))
    expect(sink.of('error')).toHaveLength(fine ? 0 : 1)
  })

  test.each([[Number.POSITIVE_INFINITY], [1e300]])('a cost of %p is never admitted', (cost) => {
    const { limiter } = make({ p: { rate: '10/min', cost: () => cost } })
    expect(statusOf(open(limiter.pipeline('p')))).toBe(429)
  })

  test('a cost that throws is an event and counts as 1', () => {
    const { limiter, sink } = make({ p: { rate: '2/min', cost: (c) => c.body.items.length } })
    expect(drive(limiter, 'p', 3)).toEqual([200, 200, 429])
    expect(sink.of('error')[0]!.error.code).toBe('ERR_SLUICE_CALLBACK')
  })

  const noPlan: [string, () => unknown][] = [
    ['undefined', () => undefined],
    ['null', () => null],
    ['nonsense', () => '1/fortnight'],
    ['a number', () => 5],
    ['an exception', () => fail()],
    ['a rejection', () => Promise.reject(new Error('db'))],
  ]
  const fail = (): never => {
    throw new Error('db')
  }

  test.each(noPlan)(
    'a rate that cannot be found (%s) is 503, and never what was found for somebody else',
    async (_, fn) => {
      let rate: () => unknown = () => '9/min'
      const { limiter, sink } = make({ p: { rate: () => rate() as string } })
      const pipeline = limiter.pipeline('p')
      expect(statusOf(open(pipeline))).toBe(200)
      rate = fn
      const refused = await pipeline.open(request())
      expect([statusOf(refused), fieldsOf(refused).get('retry-after')]).toEqual([503, '1'])
      expect(bodyOf(refused).type).toContain('#temporary-reduced-capacity')
      expect(sink.of('error').map(({ error }) => error.code)).toEqual(['ERR_SLUICE_CALLBACK'])
    },
  )

  test.each(noPlan)('… or the default one (%s)', async (_, fn) => {
    const { limiter } = make({ p: { rate: fn as () => string, defaultRate: '2/min' } })
    const pipeline = limiter.pipeline('p')
    const seen: number[] = []
    for (let i = 0; i < 3; i++) seen.push(statusOf(await pipeline.open(request())))
    expect(seen).toEqual([200, 200, 429])
    expect(limiter.peek('p', { key: '192.0.2.1' })).toMatchObject({ limit: 2, remaining: 0 })
  })

  test.each([0, '0', '0/min', '0 concurrent'])('a rate of %p admits nobody, and no waiting helps', (rate) => {
    const { limiter } = make({ p: { rate: () => rate as string } })
    const refused = open(limiter.pipeline('p'))
    expect([statusOf(refused), fieldsOf(refused).get('retry-after')]).toEqual([429, undefined])
    expect(fieldsOf(refused).get('ratelimit-policy')).toBe('"p";q=0;w=1')
  })

  test('a rate of 0 or unlimited may be a policy of its own too, and be given in place', async () => {
    const { limiter } = make({ none: '0', all: 'unlimited', some: '2/min' })
    expect([statusOf(open(limiter.pipeline('none'))), statusOf(open(limiter.pipeline('0')))]).toEqual([429, 429])
    for (let i = 0; i < 3; i++) expect(open(limiter.pipeline('all', 'unlimited'))).toEqual({ kind: 'proceed' })
    expect(fieldsOf(open(limiter.pipeline('all', 'some'))).get('ratelimit')).toMatch(/^"some";r=1;t=\d+$/)
    const me = { key: '192.0.2.1' }
    expect(await limiter.check('none', me)).toMatchObject({ allowed: false, permanent: true, limit: 0 })
    for (const ask of ['check', 'peek'] as const) {
      expect(await limiter[ask]('all', me)).toMatchObject({ allowed: true, remaining: Number.POSITIVE_INFINITY })
    }
    await limiter.refund('all', me)
    await limiter.reset('all', me)
  })

  test('a default rate where there is no function is a mistake', () => {
    expect(() => make({ p: { rate: '1/min', defaultRate: '1/min' } })).toThrow(/limits\.p\.defaultRate/)
    expect(() => make({ p: { rate: () => '1/min', defaultRate: 'x' } })).toThrow(/limits\.p/)
  })

  const never = (): Promise<never> => new Promise(() => {})
  const silent: [string, Partial<PolicyOptions>][] = [
    ['rate', { rate: never, defaultRate: '5/min' }],
    ['key', { key: never }],
    ['cost', { cost: never }],
    ['skip', { skip: never }],
  ]
  describe.each(silent)('a %s that never answers', (_, options) => {
    test.each([
      ['open', { kind: 'proceed' }, 0],
      ['closed', { kind: 'reply' }, 0],
      ['local', { kind: 'proceed' }, 1],
    ] as const)('is cut off after a second, and is what `onOutage: %s` says', async (onOutage, expected, charged) => {
      const { limiter, sink, clock } = make({ p: { rate: '5/min', onOutage, ...options } })
      const opening = limiter.pipeline('p').open(request())
      clock.advance(999)
      await new Promise((resolve) => setImmediate(resolve))
      expect(sink.of('error')).toEqual([])
      clock.advance(1)
      const opened = await opening
      expect(opened).toMatchObject(expected)
      if (expected.kind === 'reply') expect(statusOf(opened)).toBe(503)
      expect(sink.of('error')[0]!.error.message).toMatch(/longer than 1000 ms/)
      expect(/r=4/.test(fieldsOf(opened).get('ratelimit') ?? '') ? 1 : 0).toBe(charged)
      expect(clock.timers).toBe(0)
    })
  })

  test.each([
    ['open', 5],
    ['closed', 4],
    ['local', 4],
  ] as const)('a countIf that never answers: with `onOutage: %s` %i are left', async (onOutage, left) => {
    const { limiter, clock } = make({ p: { rate: '5/min', onOutage, countIf: never, deadline: '2s' } })
    exchangeOf(open(limiter.pipeline('p'))).onHead(head(200))
    clock.advance(2_000)
    await new Promise((resolve) => setImmediate(resolve))
    expect(limiter.peek('p', { key: '192.0.2.1' })).toMatchObject({ remaining: left })
  })

  test('without functions nothing is a promise', () => {
    const { limiter } = make({ a: '5/s', b: '5/min' })
    for (const opening of [open(limiter.pipeline('a')), open(limiter.pipeline('a', 'b'))]) {
      expect(opening.kind).toBe('proceed')
    }
    expect(limiter.check('a', { key: '1.2.3.4' })).toMatchObject({ allowed: true })
  })
})

describe('charging', () => {
  test('all policies of a request are charged, or none is', () => {
    const { limiter } = make({ wide: '100/min', narrow: '2/min' })
    const pipeline = limiter.pipeline('wide', 'narrow')
    const statuses = Array.from({ length: 50 }, () => statusOf(open(pipeline)))
    expect(statuses.filter((s) => s === 200)).toHaveLength(2)
    expect(limiter.peek('wide', { key: '192.0.2.1' })).toMatchObject({ remaining: 98 })
  })

  test('a refused request charges nothing: who keeps trying gets in when the time is up', () => {
    const { limiter, clock } = make({ p: { rate: '5/min', algorithm: 'sliding-log' } })
    const pipeline = limiter.pipeline('p')
    for (let i = 0; i < 5; i++) open(pipeline)
    for (let i = 0; i < 59; i++) {
      clock.advance(1_000)
      expect(statusOf(open(pipeline))).toBe(429)
    }
    clock.advance(1_000)
    expect(statusOf(open(pipeline))).toBe(200)
  })

  test('policies of different stores: what one took is given back where the other refuses', async () => {
    const other = createLimiter()
    void other
    const { MemoryLimitStore } = await import('../../packages/core/src/limit/store/memory-limit-store.ts')
    const clock = new ManualClock()
    const limiter = createLimiter({
      clock,
      limits: { here: '9/min', there: { rate: '1/min', store: new MemoryLimitStore(clock) } },
    })
    const pipeline = limiter.pipeline('here', 'there')
    const statuses = []
    for (let i = 0; i < 4; i++) statuses.push(statusOf(await pipeline.open(request())))
    expect(statuses).toEqual([200, 429, 429, 429])
    expect(limiter.peek('here', { key: '192.0.2.1' })).toMatchObject({ remaining: 8 })
  })

  test('shadow evaluates and reports and never refuses; it sends no fields', () => {
    const { limiter, sink } = make({ s: { rate: '1/min', shadow: true }, r: '9/min' })
    const pipeline = limiter.pipeline('s', 'r')
    const openings = [1, 2, 3].map(() => open(pipeline))
    expect(openings.map(statusOf)).toEqual([200, 200, 200])
    expect(fieldsOf(openings[2]!).get('ratelimit-policy')).toBe('"r";q=9;w=60')
    expect(sink.of('shadow-denied').map(({ violated }) => violated)).toEqual([['s'], ['s']])
    expect(limiter.stats()).toMatchObject({ allowed: 3, denied: 0, shadowDenied: 2 })
    expect(limiter.check('s', { key: '192.0.2.1' })).toMatchObject({ allowed: true, remaining: 0 })
  })

  test('skip: neither counted nor refused; where it throws, both', () => {
    const { limiter, sink } = make({
      p: { rate: '1/min', skip: (c) => c.path === '/health' },
      q: {
        rate: '1/min',
        skip: () => {
          throw new Error('no')
        },
      },
    })
    const pipeline = limiter.pipeline('p')
    expect(['/health', '/a', '/health', '/a'].map((path) => statusOf(open(pipeline, { path })))).toEqual([
      200, 200, 200, 429,
    ])
    expect(drive(limiter, 'q', 2)).toEqual([200, 429])
    expect(sink.of('error')[0]!.error.message).toContain('limits.q.skip')
  })

  test('an asynchronous skip', async () => {
    const { limiter } = make({ p: { rate: '1/min', skip: async () => true } })
    const pipeline = limiter.pipeline('p')
    for (let i = 0; i < 3; i++) expect(statusOf(await pipeline.open(request()))).toBe(200)
  })

  test('exempt: limiters behind it do not count, and what one before it took comes back', () => {
    const { limiter } = make({ ip: '2/min' })
    const [exempt, limit] = [limiter.exempt(), limiter.pipeline('ip')]
    for (let i = 0; i < 5; i++) {
      const native = {}
      open(exempt, { native })
      expect(statusOf(open(limit, { native }))).toBe(200)
    }
    for (let i = 0; i < 5; i++) {
      const native = {}
      expect(statusOf(open(limit, { native }))).toBe(200)
      open(exempt, { native })
      open(exempt, { native })
    }
    expect(limiter.peek('ip', { key: '192.0.2.1' })).toMatchObject({ remaining: 2 })
  })

  test('two limiters on one request: the second tells of both, and no bucket is charged twice', () => {
    const { limiter } = make({ ip: '5/min', search: '3/min' })
    const [ip, search] = [limiter.pipeline('ip'), limiter.pipeline('ip', 'search')]
    const native = {}
    open(ip, { native })
    const fields = fieldsOf(open(search, { native }))
    expect(fields.get('ratelimit-policy')).toBe('"ip";q=5;w=60, "search";q=3;w=60')
    expect(fields.get('ratelimit')).toMatch(/^"ip";r=4;t=\d+, "search";r=2;t=\d+$/)
  })

  test('a request that the second refuses is not charged by the first either', () => {
    const { limiter } = make({ ip: '50/min', login: { rate: '9/min', countIf: (r) => r.status === 401 }, c: '1/min' })
    const [ip, login, last] = [limiter.pipeline('ip'), limiter.pipeline('login'), limiter.pipeline('c')]
    for (let i = 0; i < 5; i++) {
      const native = {}
      open(ip, { native })
      const exchange = exchangeOf(open(login, { native }))
      expect(statusOf(open(last, { native }))).toBe(i === 0 ? 200 : 429)
      // The head of the refusal: what was given back is not given back again.
      exchange.onHead(head(i === 0 ? 401 : 429))
      exchange.onClose('sent')
    }
    expect(limiter.peek('ip', { key: '192.0.2.1' })).toMatchObject({ remaining: 49 })
    expect(limiter.peek('login', { key: '192.0.2.1' })).toMatchObject({ remaining: 8 })
  })

  test('what an exemption gives back, countIf does not give back again', () => {
    const { limiter } = make({ p: { rate: '9/min', countIf: () => false } })
    const [limit, exempt] = [limiter.pipeline('p'), limiter.exempt()]
    limiter.check('p', { key: '192.0.2.1', cost: 5 })
    const native = {}
    const exchange = exchangeOf(open(limit, { native }))
    open(exempt, { native })
    exchange.onHead(head(200))
    expect(limiter.peek('p', { key: '192.0.2.1' })).toMatchObject({ remaining: 4 })
  })

  test('a refresh in the background is charged to nobody', () => {
    const { limiter } = make({ ip: '1/min' })
    const pipeline = limiter.pipeline('ip')
    for (let i = 0; i < 5; i++) expect(statusOf(open(pipeline, { ticket: {} }))).toBe(200)
    expect(statusOf(open(pipeline))).toBe(200)
  })
})

describe('countIf: reserve, then settle', () => {
  const login = (extra: Partial<PolicyOptions> = {}) =>
    make({ login: { rate: '3 per 15 minutes', countIf: (r) => r.status === 401, ...extra } })
  const left = (limiter: Limiter) => (limiter.peek('login', { key: '192.0.2.1' }) as { remaining: number }).remaining

  test('what does not count is given back; what does stays', () => {
    const { limiter } = login()
    const pipeline = limiter.pipeline('login')
    for (let i = 0; i < 10; i++) {
      const exchange = exchangeOf(open(pipeline))
      expect(left(limiter)).toBe(2)
      expect(exchange.onHead(head(200))).toEqual({ mode: 'pass' })
      exchange.onClose('sent')
      expect(left(limiter)).toBe(3)
    }
    for (let i = 0; i < 3; i++) {
      const exchange = exchangeOf(open(pipeline))
      exchange.onHead(head(401))
      exchange.onClose('sent')
    }
    expect(statusOf(open(pipeline))).toBe(429)
  })

  test('there is no check-then-act race: a hundred at once get three guesses', () => {
    const { limiter } = login()
    const pipeline = limiter.pipeline('login')
    const openings = Array.from({ length: 100 }, () => open(pipeline))
    expect(openings.filter((o) => statusOf(o) === 200)).toHaveLength(3)
  })

  test.each(['sent', 'aborted', 'failed'] as const)('settles exactly once, when the response is %s', (outcome) => {
    const { limiter } = login()
    const pipeline = limiter.pipeline('login')
    open(pipeline)
    const exchange = exchangeOf(open(pipeline))
    exchange.onHead(head(200))
    exchange.onHead(head(200))
    exchange.onClose(outcome)
    exchange.onClose(outcome)
    exchange.onHead(head(200))
    expect(left(limiter)).toBe(2)
  })

  test.each(['aborted', 'failed'] as const)('%s before there was a response: it counts', (outcome) => {
    const { limiter } = login()
    const exchange = exchangeOf(open(limiter.pipeline('login')))
    exchange.onClose(outcome)
    exchange.onHead(head(200))
    expect(left(limiter)).toBe(2)
  })

  test('countIf sees status, fields and request; where it throws, the request counts', () => {
    const countIf = jest.fn<NonNullable<PolicyOptions['countIf']>>(() => {
      throw new Error('no')
    })
    const { limiter, sink } = login({ countIf })
    const exchange = exchangeOf(open(limiter.pipeline('login'), { path: '/login' }))
    exchange.onHead(head(200, { 'x-a': 'b' }))
    const [response] = countIf.mock.calls[0]!
    expect([response.status, response.header('X-A'), response.request.path]).toEqual([200, 'b', '/login'])
    expect(left(limiter)).toBe(2)
    expect(sink.of('error')[0]!.error.message).toContain('limits.login.countIf')
  })

  test('an asynchronous countIf; one that rejects', async () => {
    const { limiter } = login({ countIf: async (r) => r.status === 401 })
    exchangeOf(open(limiter.pipeline('login'))).onHead(head(200))
    await new Promise(setImmediate)
    expect(left(limiter)).toBe(3)
    const other = login({ countIf: () => Promise.reject(new Error('no')) })
    exchangeOf(open(other.limiter.pipeline('login'))).onHead(head(200))
    await new Promise(setImmediate)
    expect(left(other.limiter)).toBe(2)
  })

  test('other policies of the request keep what they took', () => {
    const { limiter } = make({ ip: '5/min', login: { rate: '3/min; 9/h', countIf: () => false } })
    exchangeOf(open(limiter.pipeline('ip', 'login'))).onHead(head(200))
    expect(limiter.peek('ip', { key: '192.0.2.1' })).toMatchObject({ remaining: 4 })
    expect(left(limiter)).toBe(3)
  })
})

describe('concurrent', () => {
  test.each(['sent', 'aborted', 'failed'] as const)('a permit is released exactly once: %s', (outcome) => {
    const { limiter } = make({ c: '2 concurrent' })
    const pipeline = limiter.pipeline('c')
    const [a] = [exchangeOf(open(pipeline)), exchangeOf(open(pipeline))]
    expect(statusOf(open(pipeline))).toBe(429)
    expect(limiter.stats().permits).toBe(2)
    for (let i = 0; i < 3; i++) a!.onClose(outcome)
    expect(limiter.stats().permits).toBe(1)
    expect(statusOf(open(pipeline))).toBe(200)
    expect(statusOf(open(pipeline))).toBe(429)
  })

  test('a permit in use is prolonged; that takes one timer for all, and none when all are back', () => {
    const { limiter, clock } = make({ c: { rate: '3 concurrent', permitTtl: '10s' } })
    const pipeline = limiter.pipeline('c')
    const exchanges = [1, 2, 3].map(() => exchangeOf(open(pipeline)))
    expect(clock.timers).toBe(1)
    clock.advance(3_600_000)
    expect(statusOf(open(pipeline))).toBe(429)
    for (const exchange of exchanges) exchange.onClose('sent')
    expect(clock.timers).toBe(0)
    expect(statusOf(open(pipeline))).toBe(200)
  })

  test('… also when the event loop was blocked for longer than a third of the lease', () => {
    const { limiter, clock } = make({ c: { rate: '1 concurrent', permitTtl: '10s' } })
    const pipeline = limiter.pipeline('c')
    open(pipeline)
    for (let i = 0; i < 10; i++) {
      clock.block(9_000)
      expect(statusOf(open(pipeline))).toBe(429)
    }
  })

  test('a request that another policy refuses takes no permit', () => {
    const { limiter } = make({ c: '5 concurrent', p: '1/min' })
    const pipeline = limiter.pipeline('c', 'p')
    const exchange = exchangeOf(open(pipeline))
    for (let i = 0; i < 9; i++) expect(statusOf(open(pipeline))).toBe(429)
    expect(limiter.stats().permits).toBe(1)
    exchange.onClose('sent')
    expect(limiter.stats().permits).toBe(0)
    expect(limiter.peek('c', { key: '192.0.2.1' })).toMatchObject({ remaining: 5 })
  })

  test('check hands the permit out with a release that works once; close gives all back', async () => {
    const { limiter } = make({ c: '2 concurrent' })
    const [a, b] = [limiter.check('c', { key: 'k' }), limiter.check('c', { key: 'k' })] as { release?: () => void }[]
    expect(limiter.check('c', { key: 'k' })).toMatchObject({ allowed: false })
    a!.release!()
    a!.release!()
    expect(limiter.peek('c', { key: 'k' })).toMatchObject({ remaining: 1 })
    expect(b!.release).toBeDefined()
    await limiter.close()
    expect(limiter.stats().permits).toBe(0)
  })
})

describe('without a request', () => {
  test('check, peek, refund, reset', () => {
    const { limiter, clock } = make({ mail: '5 per 15 minutes' })
    expect(limiter.peek('mail', { key: 'a' })).toMatchObject({ allowed: true, remaining: 5 })
    expect(limiter.check('mail', { key: 'a' })).toMatchObject({ allowed: true, remaining: 4 })
    expect(limiter.check('mail', { key: 'a', cost: 4 })).toMatchObject({ allowed: true, remaining: 0 })
    const refused = limiter.check('mail', { key: 'a' }) as { retryAfterMs: number }
    expect(refused).toMatchObject({ allowed: false })
    expect(limiter.check('mail', { key: 'b' })).toMatchObject({ allowed: true })
    limiter.refund('mail', { key: 'a', cost: 2 })
    expect(limiter.check('mail', { key: 'a' })).toMatchObject({ allowed: true, remaining: 1 })
    limiter.reset('mail', { key: 'a' })
    expect(limiter.peek('mail', { key: 'a' })).toMatchObject({ remaining: 5 })
    expect(limiter.check('mail', { key: 'a', cost: 6 })).toMatchObject({ permanent: true, allowed: false })
    clock.advance(refused.retryAfterMs)
    expect(limiter.stats()).toMatchObject({ allowed: 4, denied: 2 })
  })

  test('shares the bucket of requests, addresses in any notation', () => {
    const { limiter } = make({ ip: '2/min', user: { rate: '1/min', key: by.user } })
    open(limiter.pipeline('ip'), { ip: '1.2.3.4' })
    expect(limiter.check('ip', { key: '::ffff:102:304' })).toMatchObject({ remaining: 0 })
    open(limiter.pipeline('user'), { properties: { user: { id: 7 } } })
    expect(limiter.check('user', { key: 'id:7' })).toMatchObject({ allowed: false })
  })

  test('a policy nobody gave a key may be charged by anything, and no client gets into that by its address', () => {
    const { limiter, sink } = make({ p: '1/min' })
    expect(limiter.check('p', { key: 'job' })).toMatchObject({ allowed: true })
    expect(limiter.check('p', { key: 'job' })).toMatchObject({ allowed: false })
    expect(statusOf(open(limiter.pipeline('p'), { ip: 'job' }))).toBe(200)
    expect(sink.of('error')).toHaveLength(1)
  })

  test('of several rates the strictest verdict', () => {
    const { limiter } = make({ p: '100/min; 2/s' })
    limiter.check('p', { key: 'a' })
    expect(limiter.check('p', { key: 'a' })).toMatchObject({ allowed: true, limit: 2, remaining: 0 })
    expect(limiter.check('p', { key: 'a' })).toMatchObject({ allowed: false, limit: 2 })
    expect(limiter.peek('p', { key: 'a', cost: 0 })).toMatchObject({ allowed: true })
  })

  test('what makes no sense throws', () => {
    const { limiter } = make({ p: '5/s', q: { rate: () => '5/s' } })
    expect(code(() => limiter.check('p', { key: undefined as never }))).toMatch(/ERR_SLUICE_OPTION.*key/)
    expect(code(() => limiter.check('p', { key: 'a', cost: -1 }))).toMatch(/cost/)
    expect(code(() => limiter.check('p', { key: 'a', cost: 0.5 }))).toMatch(/cost/)
    expect(code(() => limiter.check('q', { key: 'a' }))).toMatch(/rate/)
    expect(limiter.check('q', { key: 'a', rate: '1/s' })).toMatchObject({ allowed: true, remaining: 0 })
  })

  test('after close', async () => {
    const { limiter } = make({ p: '5/s' })
    await limiter.close()
    await limiter.close()
    expect(code(() => limiter.check('p', { key: 'a' }))).toMatch(/ERR_SLUICE_CLOSED/)
  })
})

describe('events and counters', () => {
  test('allowed and denied, with the verdicts and without the key', () => {
    const { limiter, sink } = make({ p: '1/min' })
    const pipeline = limiter.pipeline('p')
    open(pipeline, { route: '/a' })
    open(pipeline, { route: '/a' })
    expect(sink.of('allowed')).toMatchObject([{ route: '/a', policies: [{ policy: 'p', verdict: { remaining: 0 } }] }])
    expect(sink.of('denied')).toMatchObject([{ route: '/a', violated: ['p'] }])
    expect(JSON.stringify(sink.events)).not.toContain('192.0.2.1')
    expect(limiter.stats()).toMatchObject({
      allowed: 1,
      denied: 1,
      policies: { p: { allowed: 1, denied: 1 } },
      store: { entries: 1 },
    })
  })

  test('nothing is made where nobody listens', () => {
    const emit = jest.fn()
    const { limiter } = make({ p: '1/min' }, { events: { wants: () => false, emit } })
    drive(limiter, 'p', 3)
    expect(emit).not.toHaveBeenCalled()
  })
})

describe('a concurrent permit', () => {
  const me = { key: 'me' }

  test('is out as long as its holder lives, however long the event loop was blocked', async () => {
    const { limiter, clock } = make({ p: '1 concurrent', other: '1 concurrent' })
    const { release } = await limiter.check('p', me)
    for (const blockedMs of [29_000, 31_000, 3_600_000]) {
      clock.block(blockedMs)
      expect(limiter.peek('p', me)).toMatchObject({ allowed: false })
      clock.block(blockedMs)
      // Keys that are idle leave when others come.
      for (let i = 0; i < 10; i++) await limiter.check('other', { key: `o${blockedMs}.${i}` })
      expect(await limiter.check('p', me)).toMatchObject({ allowed: false })
    }
    release!()
    expect(await limiter.check('p', me)).toMatchObject({ allowed: true })
  })

  test('is renewed also where timers are early: by their own clock, or by a calendar that was set back', async () => {
    const { limiter, clock } = make({ p: '1 concurrent' })
    const early = { ...clock, now: () => clock.now(), wall: () => clock.now() }
    const hurried = createLimiter({
      limits: { p: '1 concurrent' },
      clock: { ...early, after: (ms, fn) => clock.after(ms > 1 ? ms - 1 : ms, fn) },
    })
    for (const one of [limiter, hurried]) await one.check('p', me)
    for (let i = 0; i < 200; i++) clock.advance(1_000)
    for (const one of [limiter, hurried]) expect(one.peek('p', me)).toMatchObject({ allowed: false })
  })
})

describe('lists of addresses', () => {
  test('a shadow policy only reports whom it would deny; a refusal gives back what limits in front took', () => {
    const { limiter, sink } = make({
      try: { rate: '9/min', shadow: true, deny: ['192.0.2.0/24'] },
      front: '9/min',
      deny: { rate: '9/min', deny: ['192.0.2.0/24'] },
    })
    expect(statusOf(open(limiter.pipeline('try')))).toBe(200)
    expect(sink.of('shadow-denied').map(({ violated }) => violated)).toEqual([['try']])
    const native = {}
    const [front, behind] = [limiter.pipeline('front'), limiter.pipeline('deny')]
    open(front, { native })
    expect(statusOf(open(behind, { native }))).toBe(403)
    expect(limiter.peek('front', { key: '192.0.2.1' })).toMatchObject({ remaining: 9 })
    expect(limiter.stats()).toMatchObject({ denied: 1, shadowDenied: 1 })
  })

  test('are for check and peek too, and `respond` has its say', async () => {
    const { limiter } = make({
      p: {
        rate: '1/min',
        allow: ['198.51.100.0/24'],
        deny: ['192.0.2.0/24'],
        respond: ({ status }) => `no: ${status}`,
      },
    })
    for (const ask of ['check', 'peek'] as const) {
      expect(await limiter[ask]('p', { key: '192.0.2.1' })).toMatchObject({ allowed: false, permanent: true })
      for (let i = 0; i < 3; i++)
        expect(await limiter[ask]('p', { key: '198.51.100.1' })).toMatchObject({ allowed: true })
    }
    const reply = replyOf(open(limiter.pipeline('p')))
    expect([reply.status, Buffer.from(reply.body!).toString()]).toEqual([403, 'no: 403'])
  })

  test.each([['x'], 'x', [['10.0.0.0/99']], 5])('%p is no list', (allow) => {
    expect(code(() => make({ p: { rate: '1/min', allow: allow as never } }))).toMatch(/ERR_SLUICE_OPTION/)
  })
})
