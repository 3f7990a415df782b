import { expect, test } from '@jest/globals'
import { isSluiceError, LimitError, type PolicyOptions, ShedError } from '@sluice/core'
import { counted, says } from './harness/handlers.ts'
import { type Answer, type AppSpec, type Ctx, describeHosts, type Route, type TestHost } from './harness/host.ts'

/** Exact to the millisecond, so that a test can say what is to be waited for. */
const log = (rate: string, more: Partial<PolicyOptions> = {}): PolicyOptions => ({
  rate,
  algorithm: 'sliding-log',
  ...more,
})
const hello: Route = { path: '/', handler: says({}) }

/** The fields of a refusal, whoever answers. */
const said = (answer: Answer) =>
  ['retry-after', 'cache-control', 'ratelimit-policy', 'ratelimit'].map((name) => answer.header(name))
const fields = ['60', 'no-store', '"p";q=1;w=60', '"p";r=0;t=60']

/** Says so, and nothing of status or fields but what it must. */
const page = (seen: unknown[]) => (c: Ctx, error: unknown) => {
  seen.push(error)
  c.status((error as { status: number }).status).send('slow down')
}

/** A request that is let through, and one that is refused. */
async function twice(host: TestHost, spec: AppSpec, path = '/'): Promise<Answer> {
  const app = await host.boot(spec)
  expect((await app.get(path)).status).toBe(200)
  return app.get(path)
}

const withErrors = { only: ({ framework }: { framework: string }) => framework !== 'node' }

describeHosts(
  'a refusal that is handed to the application',
  (host) => {
    test('reaches its error handler, with the fields of the answer whatever that sends', async () => {
      const seen: unknown[] = []
      const handler = counted()
      const refused = await twice(host, {
        sluice: { limits: { p: log('1/min', { refuse: 'error' }) } },
        failed: page(seen),
        routes: [{ path: '/', limit: ['p'], handler }],
      })
      expect([refused.status, refused.text, handler.runs]).toEqual([429, 'slow down', 1])
      expect(said(refused)).toEqual(fields)
      expect(refused.header('content-type')).not.toContain('problem')
      const [error] = seen as [LimitError]
      expect(error).toBeInstanceOf(LimitError)
      expect([error.name, error.code, error.status, error.statusCode, error.expose, isSluiceError(error)]).toEqual([
        ...['LimitError', 'ERR_SLUICE_LIMITED'],
        ...[429, 429, true, true],
      ])
      expect(error.headers).toEqual({
        'Cache-Control': 'no-store',
        'Retry-After': '60',
        'RateLimit-Policy': '"p";q=1;w=60',
        RateLimit: '"p";r=0;t=60',
      })
      const { violated, retryAfterMs, request } = error.denial
      expect([violated, retryAfterMs, request.path, Object.keys(error)]).toEqual([
        ['p'],
        60_000,
        '/',
        expect.not.arrayContaining(['denial']),
      ])
    })

    test('and where it has none, what the framework makes of such an error', async () => {
      const refused = await twice(host, {
        sluice: { limits: { p: log('1/min', { refuse: 'error' }) } },
        failed: false,
        routes: [{ ...hello, limit: ['p'] }],
      })
      expect([refused.status, said(refused)]).toEqual([429, fields])
      expect(refused.text).toContain('assigned quota has been exceeded')
    })

    test('with the status of the policy, of `deny`, and of a rate that is not there', async () => {
      const seen: unknown[] = []
      const app = await host.boot({
        sluice: {
          limits: {
            own: log('1/min', { refuse: 'error', status: 420 }),
            denied: log('1/min', { refuse: 'error', deny: ['127.0.0.1'] }),
            unpriced: { rate: () => undefined, refuse: 'error' },
          },
        },
        failed: page(seen),
        routes: ['own', 'denied', 'unpriced'].map((name) => ({ ...hello, path: `/${name}`, limit: [name] })),
      })
      await app.get('/own')
      const answers = [await app.get('/own'), await app.get('/denied'), await app.get('/unpriced')]
      expect(answers.map(({ status, text }) => [status, text])).toEqual([420, 403, 503].map((s) => [s, 'slow down']))
      expect(answers.map((answer) => answer.header('retry-after'))).toEqual(['60', undefined, '1'])
      expect((seen as LimitError[]).map(({ denial }) => [denial.status, denial.violated])).toEqual([
        [420, ['own']],
        [403, ['denied']],
        [503, ['unpriced']],
      ])
    })

    test('to a limit behind the hooks and around a handler as well', async () => {
      for (const at of ['limitUser', 'limitMisses'] as const) {
        const seen: unknown[] = []
        const route = { ...hello, [at]: [log('1/min', { refuse: 'error', name: 'p', phase: 'preHandler' })] }
        const refused = await twice(host, { failed: page(seen), routes: [route] })
        expect([at, refused.status, refused.text, seen.length, said(refused)]).toEqual([
          at,
          429,
          'slow down',
          1,
          fields,
        ])
      }
    })

    test('to the limit of the whole application, on paths that nobody has, and to HEAD', async () => {
      const seen: unknown[] = []
      const app = await host.boot({
        sluice: { limits: { p: log('1/min', { refuse: 'error' }) } },
        limit: ['p'],
        failed: page(seen),
        routes: [hello],
      })
      await app.get('/none')
      const refused = await app.get('/none')
      const head = await app.request('/', { method: 'HEAD' })
      expect([refused.status, refused.text, said(refused)]).toEqual([429, 'slow down', fields])
      expect([head.status, head.text, said(head)]).toEqual([429, '', fields])
    })

    test('is never cached, whatever the application makes of it', async () => {
      const handler = counted()
      const app = await host.boot({
        sluice: { limits: { p: log('1/min', { refuse: 'error' }) } },
        // A page that says of itself that everybody may keep it.
        failed: (c) => {
          c.set('Cache-Control', 'public, max-age=600')
          c.status(200).send('slow down')
        },
        routes: [{ path: '/:id', cache: { ttl: '1h' }, limitMisses: ['p'], handler }],
      })
      expect((await app.get('/1')).text).toBe('run 1')
      for (let i = 0; i < 3; i++) expect((await app.get('/2')).text).toBe('slow down')
      await app.clock.advance(60_000)
      expect((await app.get('/2')).text).toBe('run 2')
    })

    test('charges nothing, and what limits in front have taken is given back once', async () => {
      const app = await host.boot({
        sluice: { limits: { front: log('5/min', { countIf: () => true }), behind: log('1/min', { refuse: 'error' }) } },
        limit: ['front'],
        failed: page([]),
        routes: [{ ...hello, limitMisses: ['behind'] }],
      })
      await app.get('/')
      for (let i = 0; i < 9; i++) expect((await app.get('/')).status).toBe(429)
      const { front, behind } = app.sluice.stats().limits.policies
      expect([front!.allowed, behind!.allowed, behind!.denied]).toEqual([10, 1, 9])
      expect(await app.sluice.peek('front', { key: '127.0.0.1' })).toMatchObject({ remaining: 4 })
    })

    test('of shed: a ShedError', async () => {
      const seen: unknown[] = []
      const app = await host.boot({
        failed: page(seen),
        routes: [
          {
            ...hello,
            shed: { refuse: 'error', concurrency: { initial: 1, min: 1, max: 1 }, maxDelay: '1h', maxUtilisation: 1 },
            handler: async (c) => {
              if (c.query.first) await app.get('/')
              c.send('hello')
            },
          },
        ],
      })
      expect((await app.get('/?first=1')).status).toBe(200)
      const [error] = seen as [ShedError]
      expect([error instanceof ShedError, error.code, error.status]).toEqual([true, 'ERR_SLUICE_SHED', 503])
      expect(error.headers).toEqual({ 'Cache-Control': 'no-store', 'Retry-After': expect.stringMatching(/^\d+$/) })
    })
  },
  withErrors.only,
)

describeHosts(
  'a refusal as an error, where there is no error handling',
  (host) => {
    test('is answered as any other, and what comes next does not run', async () => {
      const handler = counted()
      const refused = await twice(host, {
        sluice: { limits: { p: log('1/min', { refuse: 'error' }) } },
        routes: [{ path: '/', limit: ['p'], handler }],
      })
      expect([refused.status, refused.header('content-type'), said(refused), handler.runs]).toEqual([
        ...[429, 'application/problem+json', fields, 1],
      ])
    })
  },
  ({ framework }) => framework === 'node',
)

describeHosts('the status and the place of a refusal', (host) => {
  test('status: a number, with the standard body and fields', async () => {
    const refused = await twice(host, {
      sluice: { limits: { p: log('1/min', { status: 420 }) } },
      routes: [{ ...hello, limit: ['p'] }],
    })
    expect([refused.status, said(refused), refused.json()]).toMatchObject([
      ...[420, fields],
      { status: 420, type: expect.stringContaining('quota-exceeded'), 'violated-policies': ['p'] },
    ])
  })

  test('status: a function of the denial; beside respond, which is told of it', async () => {
    const refused = await twice(host, {
      sluice: {
        limits: {
          p: log('1/min', {
            status: async ({ status, request }) => status + (request.path === '/' ? 1 : 2),
            respond: ({ status }) => ({ status }),
          }),
        },
      },
      routes: [{ ...hello, limit: ['p'] }],
    })
    expect([refused.status, refused.json(), said(refused)]).toEqual([430, { status: 430 }, fields])
  })

  test('status: a function that throws, is late or answers nonsense, and the standard status', async () => {
    const functions: readonly (readonly [() => unknown, RegExp])[] = [
      [() => JSON.parse('{'), /status` threw/],
      [() => 200, /must answer a status from 400 to 599, but answered 200/],
      [() => '429', /must answer a status/],
      [() => new Promise(() => {}), /took longer/],
    ]
    let status: () => unknown
    const app = await host.boot({
      routes: [{ ...hello, limit: [log('1/min', { status: () => status() as number, deadline: 200 })] }],
    })
    const errors: string[] = []
    app.sluice.on('error', ({ error }) => errors.push(error.message))
    await app.get('/')
    for (const [i, [given, message]] of functions.entries()) {
      status = given
      const answered = app.get('/')
      await app.arrived(i + 2)
      await app.clock.advance(200)
      const refused = await answered
      expect([refused.status, refused.header('content-type')]).toEqual([429, 'application/problem+json'])
      expect(errors.splice(0)).toEqual([expect.stringMatching(message)])
    }
  })

  test('redirect: 303 to a path, with the fields of the quota and nothing to keep, and no Retry-After', async () => {
    const app = await host.boot({
      sluice: { limits: { p: log('1/min', { redirect: '/slow-down?from=p' }) } },
      routes: [
        { ...hello, limit: ['p'] },
        { ...hello, method: 'POST', limit: ['p'] },
      ],
    })
    await app.get('/')
    for (const method of ['GET', 'HEAD', 'POST']) {
      const refused = await app.request('/', { method })
      expect([refused.status, refused.header('location'), said(refused)]).toEqual([
        ...[303, '/slow-down?from=p'],
        [undefined, ...fields.slice(1)],
      ])
      expect(refused.text).toBe(method === 'HEAD' ? '' : 'See /slow-down?from=p\n')
    }
    expect(app.sluice.stats().limits.denied).toBe(3)
  })

  test('redirect: what no URI has in it is encoded', async () => {
    const refused = await twice(host, {
      sluice: { limits: { p: log('1/min', { redirect: () => '/a b\u00e9\u65e5?q="<>\\' }) } },
      routes: [{ ...hello, limit: ['p'] }],
    })
    expect([refused.status, refused.header('location')]).toEqual([303, '/a%20b%C3%A9%E6%97%A5?q=%22%3C%3E%5C'])
  })

  test('redirect: what is no place to go to, and the page itself, is answered as ever', async () => {
    const places: readonly (readonly [place: unknown, errors: number])[] = [
      [undefined, 0],
      ['/a\r\nX-Evil: 1', 1],
      ['/a\u0000', 1],
      ['', 1],
      [7, 1],
      ['/', 0],
      ['/?slow', 0],
    ]
    let place: unknown
    const app = await host.boot({
      sluice: {
        limits: {
          p: log('1/min', { redirect: () => place as string }),
          back: log('1/min', { redirect: ({ request }) => `https://${request.authority}/x/../back` }),
        },
      },
      routes: ['p', 'back'].map((name) => ({ ...hello, path: name === 'p' ? '/' : '/back', limit: [name] })),
    })
    const errors: string[] = []
    app.sluice.on('error', ({ error }) => errors.push(error.message))
    for (const path of ['/', '/back']) await app.get(path)
    for (const [given, count] of places) {
      place = given
      const refused = await app.get('/')
      expect([given, refused.status, refused.header('x-evil')]).toEqual([given, 429, undefined])
      expect([given, errors.splice(0).length]).toEqual([given, count])
    }
    // Whatever its scheme is called: behind a proxy that is not trusted it is not known.
    expect((await app.get('/back')).status).toBe(429)
  })

  test('of several policies that refuse, the first one that says anything is asked', async () => {
    const refused = await twice(host, {
      sluice: {
        limits: {
          plain: log('1/min'),
          page: log('1/min', { redirect: '/slow' }),
          other: log('1/min', { status: 503 }),
        },
      },
      routes: [{ ...hello, limit: ['plain', 'page', 'other'] }],
    })
    expect([refused.status, refused.header('location')]).toEqual([303, '/slow'])
  })
})
