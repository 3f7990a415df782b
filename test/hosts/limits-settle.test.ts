import { expect, test } from '@jest/globals'
import type { PolicyInput, PolicyOptions } from '@sluice/core'
import { says } from './harness/handlers.ts'
import { type AppSpec, describeHosts, gate, type Step, type TestApp, turn, until } from './harness/host.ts'

const me = { key: '127.0.0.1' }
const used = (app: TestApp, name = 'p'): number => {
  const { limit, remaining } = app.sluice.peek(name, me) as { limit: number; remaining: number }
  return limit - remaining
}
const one = (policy: PolicyInput, handler: Step, more: Partial<AppSpec['routes'][number]> = {}): AppSpec => ({
  sluice: { limits: { p: policy } },
  routes: [{ path: '/', limit: ['p'], handler, ...more }],
})
const fail = (status: number): never => {
  throw Object.assign(new Error('thrown'), { status, statusCode: status })
}

/** A login: 401 for the wrong password. */
const login: Step = (c) => {
  if (c.query.password !== 'right') c.status(401).send('no')
  else c.send('welcome')
}
const failures: PolicyOptions = { rate: '3 per 15 minutes', countIf: (r) => r.status === 401 }

describeHosts('countIf', (host) => {
  test('a login that counts failures only: who knows the password is never locked out by using it', async () => {
    const app = await host.boot(one(failures, login))
    const seen: number[] = []
    for (const password of ['right', 'right', 'right', 'right', 'a', 'right', 'b', 'c', 'right', 'd']) {
      seen.push((await app.get(`/?password=${password}`)).status)
    }
    expect(seen).toEqual([200, 200, 200, 200, 401, 200, 401, 401, 429, 429])
    await app.clock.advance(17 * 60_000)
    expect((await app.get('/?password=right')).status).toBe(200)
  })

  test('there is no check-then-act race: twenty guesses at once are three guesses', async () => {
    const opened = gate()
    const app = await host.boot(
      one(failures, async (c) => {
        await opened
        await login(c)
      }),
    )
    const guesses = Array.from({ length: 20 }, (_, i) => app.get(`/?password=${i}`))
    await app.arrived(20)
    opened.open()
    const seen = (await Promise.all(guesses)).map(({ status }) => status)
    expect(seen.filter((status) => status === 401)).toHaveLength(3)
    expect(seen.filter((status) => status === 429)).toHaveLength(17)
  })

  test.each<[string, Step, number]>([
    ['an answer that counts', (c) => c.status(401).send('no'), 1],
    ['an answer that does not', (c) => c.send('yes'), 0],
    ['an answer without a body', (c) => c.status(204).send(), 0],
    ['a thrown error that counts', () => fail(401), 1],
    ['a thrown error that does not', () => fail(503), 0],
    ['an error that says no status', () => Promise.reject(new Error('broken')), 0],
  ])('%s is settled once', async (_, handler, expected) => {
    const app = await host.boot(one({ rate: '10/min', countIf: (r) => r.status === 401 }, handler))
    for (let i = 1; i <= 3; i++) {
      await app.get('/')
      await turn()
      expect(used(app)).toBe(expected * i)
    }
  })

  test('a body in pieces is judged by its head', async () => {
    const app = await host.boot(
      one({ rate: '10/min', countIf: (r) => r.status === 401 }, (c) =>
        c.stream(
          (async function* () {
            yield 'a'
            await turn()
            yield 'b'
          })(),
        ),
      ),
    )
    expect((await app.get('/')).text).toBe('ab')
    expect(used(app)).toBe(0)
  })

  test('who goes away before there is an answer has used his guess', async () => {
    const opened = gate()
    let ended = false
    const app = await host.boot(
      one(failures, async (c) => {
        c.raw.res.once('close', () => {
          ended = true
        })
        await opened
        c.send('late')
      }),
    )
    const leaving = new AbortController()
    const answer = app.request('/', { signal: leaving.signal })
    await app.arrived(1)
    leaving.abort()
    await expect(answer).rejects.toThrow()
    await until(() => ended)
    expect(used(app)).toBe(1)
  })

  test('is told status, fields and request; an asynchronous one is waited for, one that throws counts', async () => {
    const told: unknown[] = []
    const app = await host.boot({
      sluice: {
        limits: {
          sync: { rate: '9/min', countIf: (r) => Boolean(told.push([r.status, r.header('x-own'), r.request.path])) },
          late: { rate: '9/min', countIf: (r) => turn().then(() => r.status !== 202) },
          throws: { rate: '9/min', countIf: () => fail(500) },
        },
      },
      routes: [
        {
          path: '/it',
          limit: ['sync', 'late', 'throws'],
          handler: says({ status: 202, fields: { 'X-Own': 'yes' } }),
        },
      ],
    })
    expect((await app.get('/it')).status).toBe(202)
    expect(told).toEqual([[202, 'yes', '/it']])
    await until(() => used(app, 'late') === 0)
    expect([used(app, 'sync'), used(app, 'throws')]).toEqual([1, 1])
  })
})

describeHosts('a concurrency', (host) => {
  const permits = (app: TestApp) => app.sluice.stats().limits.permits

  test('admits so many at a time, and the next when one is done', async () => {
    const gates = [gate(), gate(), gate()]
    let at = 0
    const app = await host.boot(
      one('2 concurrent', async (c) => {
        await gates[at++]
        c.send('done')
      }),
    )
    const [first, second] = [app.get('/'), app.get('/')]
    await app.arrived(2)
    const refused = await app.get('/')
    expect([refused.status, refused.header('retry-after')]).toEqual([429, expect.stringMatching(/^[1-9]\d*$/)])
    expect(refused.header('ratelimit-policy')).toBe('"p";q=2;qu="concurrent-requests"')
    gates[0]!.open()
    await first
    await until(() => permits(app) === 1)
    gates[2]!.open()
    expect((await app.get('/')).status).toBe(200)
    gates[1]!.open()
    expect((await second).status).toBe(200)
    await until(() => permits(app) === 0)
  })

  test('is held until a body in pieces is sent', async () => {
    const last = gate()
    const app = await host.boot(
      one('1 concurrent', (c) =>
        c.stream(
          (async function* () {
            yield 'first'
            await last
            yield 'last'
          })(),
        ),
      ),
    )
    const reader = await app.open('/')
    expect(await reader.piece()).toBe('first')
    expect((await app.get('/')).status).toBe(429)
    last.open()
    expect(await reader.piece()).toBe('last')
    await reader.piece()
    await until(() => permits(app) === 0)
  })

  test.each<[string, Step]>([
    ['an error', () => fail(500)],
    ['a rejected promise', () => Promise.reject(new Error('broken'))],
    ['an empty answer', (c) => c.status(204).send()],
    [
      'a body that breaks off',
      (c) =>
        c.stream(
          (async function* () {
            yield 'half'
            await turn()
            fail(500)
          })(),
        ),
    ],
    ['a destroyed connection', (c) => void c.raw.res.destroy()],
  ])('is given back after %s', async (_, handler) => {
    const app = await host.boot(one('1 concurrent', handler))
    for (let i = 0; i < 3; i++) {
      const status = await app.get('/').then(
        (answer) => answer.status,
        () => 0,
      )
      expect(status).not.toBe(429)
      await until(() => permits(app) === 0)
    }
  })

  test('is given back when the client goes away, before the head and after it', async () => {
    for (const when of ['before', 'after'] as const) {
      const opened = gate()
      const app = await host.boot(
        one('1 concurrent', async (c) => {
          if (when === 'before') await opened
          return c.stream(
            (async function* () {
              yield 'first'
              await opened
            })(),
          )
        }),
      )
      if (when === 'before') {
        const leaving = new AbortController()
        const answer = app.request('/', { signal: leaving.signal })
        await app.arrived(1)
        expect(permits(app)).toBe(1)
        leaving.abort()
        await expect(answer).rejects.toThrow()
      } else {
        const reader = await app.open('/')
        await reader.piece()
        expect(permits(app)).toBe(1)
        reader.abort()
      }
      await until(() => permits(app) === 0)
      opened.open()
    }
  })

  test('is given back where the client went away while it was still asked for', async () => {
    const opened = gate()
    let closed = false
    let runs = 0
    const app = await host.boot({
      ...one({ rate: '1 concurrent', key: () => opened.then(() => 'all') }, (c) => {
        runs++
        c.send('done')
      }),
    })
    app.server.on('request', (_, res) =>
      res.once('close', () => {
        closed = true
      }),
    )
    const leaving = new AbortController()
    const answer = app.request('/', { signal: leaving.signal })
    await app.arrived(1)
    leaving.abort()
    await expect(answer).rejects.toThrow()
    await until(() => closed)
    opened.open()
    await until(() => app.sluice.stats().limits.allowed === 1 && permits(app) === 0)
    expect((await app.get('/')).status).toBe(200)
    expect(runs).toBeLessThanOrEqual(2)
  })

  test('is given back when the server cuts off who takes too long', async () => {
    const opened = gate()
    const app = await host.boot(one('1 concurrent', () => opened))
    app.server.setTimeout(30)
    await expect(app.get('/')).rejects.toThrow()
    await until(() => permits(app) === 0)
    opened.open()
  })
})

describeHosts('what is counted, and how much', (host) => {
  test('skip: neither counted nor refused', async () => {
    const app = await host.boot(one({ rate: '1/min', skip: (c) => c.header('x-job') === 'yes' }, says({})))
    const seen: number[] = []
    for (const job of ['yes', 'yes', 'no', 'no', 'yes']) seen.push((await app.get('/', { 'x-job': job })).status)
    expect(seen).toEqual([200, 200, 200, 429, 200])
  })

  test('shadow: counted, reported and never refused; no fields', async () => {
    const app = await host.boot(one({ rate: '1/min', shadow: true }, says({})))
    const violated: unknown[] = []
    app.sluice.on('shadow-denied', (event) => violated.push(event.violated))
    const answers = [await app.get('/'), await app.get('/'), await app.get('/')]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(answers[1]!.header('ratelimit')).toBeUndefined()
    expect(violated).toEqual([['p'], ['p']])
    expect(app.sluice.stats().limits).toMatchObject({ allowed: 3, denied: 0, shadowDenied: 2 })
  })

  test('exempt: what a limit in front took comes back, one behind does not count', async () => {
    const app = await host.boot({
      sluice: { limits: { all: '2/min', misses: '1/min' } },
      limit: ['all'],
      routes: [{ path: '/', exempt: true, limitMisses: ['misses'], handler: says({}) }],
    })
    for (let i = 0; i < 5; i++) expect((await app.get('/')).status).toBe(200)
    expect([used(app, 'all'), used(app, 'misses')]).toEqual([0, 0])
  })

  test('rate, key and cost are functions of the request, asynchronous ones too', async () => {
    const plans: Record<string, string> = { free: '2/min', pro: '6/min' }
    const app = await host.boot(
      one(
        {
          rate: (c) => turn().then(() => plans[c.header('x-plan') ?? 'free']!),
          key: (c) => turn().then(() => c.header('x-key') ?? 'nobody'),
          cost: (c) => turn().then(() => c.query.depth ?? 1),
        },
        says({}),
      ),
    )
    const ask = async (key: string, plan: string, depth = 1) =>
      (await app.get(`/?depth=${depth}`, { 'x-key': key, 'x-plan': plan })).status
    expect([await ask('a', 'free'), await ask('a', 'free'), await ask('a', 'free')]).toEqual([200, 200, 429])
    expect([await ask('b', 'pro', 4), await ask('b', 'pro', 3), await ask('b', 'pro', 2)]).toEqual([200, 429, 200])
  })

  test('check, peek, refund and reset share the bucket of requests', async () => {
    const app = await host.boot(one('3/min', says({})))
    await app.get('/')
    expect(await app.sluice.check('p', me)).toMatchObject({ allowed: true, remaining: 1 })
    await app.get('/')
    expect((await app.get('/')).status).toBe(429)
    await app.sluice.refund('p', me)
    expect((await app.get('/')).status).toBe(200)
    expect(await app.sluice.peek('p', { key: '::ffff:127.0.0.1' })).toMatchObject({ allowed: false })
    await app.sluice.reset('p', me)
    expect((await app.get('/')).header('ratelimit')).toMatch(/^"p";r=2;/)
  })

  test('events and counters, none of which shows the address', async () => {
    const app = await host.boot(one('1/min', says({})))
    const events: [string, object][] = []
    app.sluice.on('allowed', (event) => events.push(['allowed', event]))
    app.sluice.on('denied', (event) => events.push(['denied', event]))
    await app.get('/')
    await app.get('/')
    const verdict = expect.objectContaining({ limit: 1 })
    expect(events).toEqual([
      ['allowed', expect.objectContaining({ policies: [{ policy: 'p', verdict }] })],
      ['denied', expect.objectContaining({ violated: ['p'], policies: [{ policy: 'p', verdict }] })],
    ])
    expect(JSON.stringify(events)).not.toContain('127.0.0.1')
    expect(app.sluice.stats().limits).toMatchObject({
      allowed: 1,
      denied: 1,
      policies: { p: { allowed: 1, denied: 1 } },
    })
  })
})

describeHosts('shedding', (host) => {
  /** Any use of the loop is too much: nothing of it depends on how busy the machine is. */
  const always = { maxUtilisation: 0, maxDelay: '10m' } as const

  test('answers 503 with a jittered Retry-After, in front of everything', async () => {
    const app = await host.boot({
      shed: { ...always, priority: 'sheddable' },
      sluice: { limits: { ip: '9/min' } },
      limit: ['ip'],
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: says({}) }],
    })
    const answer = await app.get('/')
    expect(answer.status).toBe(503)
    expect(answer.header('content-type')).toBe('application/problem+json')
    expect(answer.header('cache-control')).toBe('no-store')
    expect(Number(answer.header('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(answer.json()).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
      status: 503,
    })
    expect(used(app, 'ip')).toBe(0)
    expect(app.sluice.stats().cache.misses).toBe(0)
    const seconds = new Set<string | undefined>()
    for (let i = 0; i < 40; i++) seconds.add((await app.get('/')).header('retry-after'))
    expect(seconds.size).toBeGreaterThan(1)
  })

  test('the lowest priority first: by a function of the request', async () => {
    const app = await host.boot({
      shed: { ...always, priority: (c) => (c.path === '/health' ? 'critical' : 'sheddable') },
      routes: [
        { path: '/', handler: says({}) },
        { path: '/health', handler: says({}) },
      ],
    })
    expect([(await app.get('/')).status, (await app.get('/health')).status]).toEqual([503, 200])
    expect(app.sluice.stats().shed.stages[0]).toMatchObject({ level: 1, admitted: 1, shed: { sheddable: 1 } })
  })

  test('an adaptive bound on how many are worked on at once; its places come back', async () => {
    const opened = gate()
    const app = await host.boot({
      shed: { maxUtilisation: 1, maxDelay: '10m', concurrency: { initial: 2, min: 2, max: 2 } },
      routes: [
        {
          path: '/',
          async handler(c) {
            await opened
            c.send('done')
          },
        },
      ],
    })
    const running = [app.get('/'), app.get('/')]
    await app.arrived(2)
    expect((await app.get('/')).status).toBe(503)
    opened.open()
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200])
    await until(() => app.sluice.stats().shed.stages[0]!.concurrency!.inFlight === 0)
    expect((await app.get('/')).status).toBe(200)
  })
})
