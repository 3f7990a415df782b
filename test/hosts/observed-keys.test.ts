import { IncomingMessage } from 'node:http'
import { expect, test } from '@jest/globals'
import { by } from '@sluice/core'
import type { RequestFields } from './harness/client.ts'
import { counted } from './harness/handlers.ts'
import { type Ctx, describeHosts, type Step, type TestHost, turn } from './harness/host.ts'

/** The framework's own request object, whatever it calls it. */
type Native = Record<string | symbol, unknown>
const requestOf = (c: Ctx): Native => c.raw.req as unknown as Native

/** A framework's response with what somebody has put on it. */
type Responding = object & { readonly tenant?: string; readonly made?: string }

const tenants = ['acme', 'globex']

/** The names of these two differ from framework to framework, where node's own are not used. */
type WithFields = {
  getHeader?(name: string): unknown
  getHeaders?(): Record<string, unknown>
  hasHeader?(name: string): boolean
  get(name: string): unknown
  has(name: string): boolean
  readonly headers: Record<string, unknown>
}

const fieldOf = ({ response }: Ctx, name: string): unknown => {
  const on = response as WithFields
  return (on.getHeader ? on.getHeader(name) : on.get(name)) || undefined
}
const fieldsOn = ({ response }: Ctx): Record<string, unknown> => {
  const on = response as WithFields
  return on.getHeaders ? on.getHeaders() : on.headers
}
const hasField = ({ response }: Ctx, name: string): boolean => {
  const on = response as WithFields
  return on.hasHeader ? on.hasHeader(name) : on.has(name)
}

/** What `instanceof` says of it. */
const isRequest = (request: object): boolean => request instanceof IncomingMessage

const boot = (host: TestHost, front: Step, read: (c: Ctx) => unknown, cache = {}) =>
  host.boot({
    use: [front],
    routes: [
      {
        path: '/',
        cache: { ttl: '1m', ...cache },
        handler: counted(async (c, run) => {
          const seen = await read(c)
          c.send({ run, seen: seen === undefined ? 'nothing' : seen })
        }),
      },
    ],
  })

describeHosts('observed keys: absent is a value', (host) => {
  const absent: readonly (readonly [string, (c: Ctx) => unknown, RequestFields, boolean])[] = [
    ['Cookie', (c) => c.header('cookie'), { cookie: 'a=1' }, true],
    ['Authorization', (c) => c.header('authorization'), { authorization: 'alice' }, true],
    ['Origin', (c) => c.header('origin'), { origin: 'https://a.example' }, false],
    ['X-Forwarded-Proto', (c) => c.header('x-forwarded-proto'), { 'x-forwarded-proto': 'https' }, false],
    ['a cookie by name', (c) => c.cookie('theme'), { cookie: 'theme=dark' }, true],
    ['req.user', (c) => (c.user as { id: string } | undefined)?.id, { 'x-user': 'alice' }, true],
    ['req.session.user', (c) => (c.session as { user?: string }).user, { 'x-user': 'alice' }, true],
    ['a name nobody knows', (c) => requestOf(c).account, { 'x-account': 'alice' }, true],
  ]

  test.each(absent)(
    '%s was not there: stored, and found again where it is not there',
    async (_, read, with_, somebody) => {
      const front: Step = (c) => {
        const who = c.header('x-user')
        c.session = who === undefined ? {} : { user: who }
        if (who !== undefined) c.user = { id: who }
        if (c.header('x-account')) requestOf(c).account = { of: c.header('x-account') }
      }
      const app = await boot(host, front, read)
      expect((await app.get('/')).stored).toBe(true)
      expect((await app.get('/')).cache).toBe('hit')
      const other = await app.get('/', with_)
      expect(other.cache).toMatch(/miss/)
      expect(other.json()).toMatchObject({ run: 2 })
      expect(other.stored).toBe(!somebody)
      expect((await app.get('/')).json()).toEqual({ run: 1, seen: 'nothing' })
    },
  )

  test('Vary names the fields that were absent, credentials too', async () => {
    const app = await boot(
      host,
      () => {},
      (c) => [c.header('cookie'), c.header('authorization'), c.header('x-a')].join(''),
    )
    for (let i = 0; i < 2; i++) {
      const vary = (await app.get('/')).header('vary')?.toLowerCase().split(', ').sort()
      expect(vary).toEqual(expect.arrayContaining(['authorization', 'cookie', 'x-a']))
    }
  })
})

describeHosts('observed keys: by value', (host) => {
  test.each([
    ['accept-language', 'no', 'de'],
    ['origin', 'https://a.example', 'https://b.example'],
    ['x-forwarded-prefix', '/a', '/b'],
    ['user-agent', 'one', 'two'],
    ['sec-ch-ua-mobile', '?0', '?1'],
    ['pragma', 'x', 'y'],
    ['te', 'x', 'trailers'],
    ['content-type', 'text/a', 'text/b'],
    ['range', 'items=0-9', 'items=10-19'],
  ])('%s: each value has an answer of its own', async (name, a, b) => {
    const app = await boot(
      host,
      () => {},
      (c) => c.header(name),
    )
    for (const cache of ['miss', 'hit']) {
      for (const value of [a, b]) {
        const answer = await app.get('/', { [name]: value })
        expect(answer.json()).toMatchObject({ seen: value })
        // What was asked for in other units than bytes goes to the handler.
        if (name !== 'range') expect(answer.cache).toContain(cache)
      }
    }
    expect((await app.get('/')).json().seen).not.toBe(a)
  })

  test('what middleware in front derived, under whatever name: a primitive by its value', async () => {
    const front: Step = (c) => {
      requestOf(c).tenant = c.header('x-host') ?? 'none'
    }
    const app = await boot(host, front, (c) => requestOf(c).tenant)
    for (const cache of ['miss', 'hit']) {
      for (const tenant of ['acme', 'globex']) {
        const answer = await app.get('/', { 'x-host': tenant })
        expect([answer.json().seen, answer.cache]).toEqual([tenant, expect.stringContaining(cache)])
        expect(answer.header('cache-control')).toMatch(/^private/)
      }
    }
  })

  const onResponses: readonly (readonly [string, (c: Ctx, tenant: string) => void, (c: Ctx) => unknown])[] = [
    ['a property', (c, tenant) => Object.assign(c.response, { tenant }), (c) => (c.response as Responding).tenant],
    ['one of node’s', (c, tenant) => Object.assign(c.raw.res, { tenant }), (c) => (c.raw.res as Responding).tenant],
    ['a field', (c, tenant) => c.set('X-Tenant', tenant), (c) => fieldOf(c, 'X-Tenant')],
    ['a field among others', (c, tenant) => c.set('X-Tenant', tenant), (c) => fieldsOn(c)['x-tenant']],
    [
      'a field, in JSON',
      (c, tenant) => c.set('X-Tenant', tenant),
      (c) => /acme|globex/.exec(JSON.stringify(fieldsOn(c)))?.[0],
    ],
    [
      'that a field is there',
      (c, tenant) => c.set(`X-${tenant}`, '1'),
      (c) => tenants.find((one) => hasField(c, `x-${one}`)),
    ],
    [
      'the names of fields',
      (c, tenant) => c.set(`X-${tenant}`, '1'),
      (c) => tenants.find((one) => Object.keys(fieldsOn(c)).includes(`x-${one}`)),
    ],
  ]

  test.each(onResponses)('what middleware in front left on the response: %s', async (_, put, read) => {
    const front: Step = (c) => {
      const tenant = c.header('x-host')
      if (tenant !== undefined) put(c, tenant)
    }
    const app = await boot(host, front, read)
    for (let round = 1; round <= 3; round++) {
      for (const tenant of [...tenants, undefined]) {
        const answer = await app.get('/', tenant === undefined ? {} : { 'x-host': tenant })
        expect([round, answer.json().seen]).toEqual([round, tenant ?? 'nothing'])
        if (round === 3) expect(answer.cache).toBe('hit')
      }
    }
  })

  test('what our own stages and the framework look at on the response is no input', async () => {
    let serial = 0
    const front: Step = (c) => c.set('X-Request-Id', String(++serial))
    const app = await host.boot({
      front: false,
      use: [front],
      compress: { threshold: 1 },
      routes: [
        {
          path: '/',
          limit: ['100/min'],
          cache: { ttl: '1m' },
          fields: {},
          paginate: {},
          handler: counted((c, run) => c.send(c.page.reply([{ run, name: 'Oslo' }], { total: 1 }) as object)),
        },
      ],
    })
    for (const path of ['/?fields=run', '/?fields=name', '/']) {
      const [first, second] = [await app.get(path), await app.get(path)]
      expect([path, first.stored, second.cache]).toEqual([path, true, 'hit'])
      expect(first.header('cache-control')).toMatch(/^public/)
    }
  })

  test('what the handler itself puts on the response is no input', async () => {
    const front: Step = (c) => c.set('X-Request-Id', c.header('x-host') ?? 'none')
    const app = await boot(host, front, (c) => {
      c.set('X-Made', 'here')
      Object.assign(c.response, { made: 'here' })
      return [fieldOf(c, 'X-Made'), (c.response as Responding).made].join(' ')
    })
    const [first, second] = [await app.get('/', { 'x-host': 'a' }), await app.get('/', { 'x-host': 'b' })]
    expect([first.stored, second.cache, second.json().seen]).toEqual([true, 'hit', 'here here'])
    expect(second.header('x-request-id')).toBe('b')
  })

  test('what is different on every request meets maxVariants, and the advice shows what to write', async () => {
    let serial = 0
    const front: Step = (c) => {
      requestOf(c).nonce = `n${serial++}`
    }
    const app = await boot(host, front, (c) => requestOf(c).nonce, { maxVariants: 3 })
    const advice: string[] = []
    app.sluice.on('guard', (event) => advice.push(event.advice))
    for (let i = 0; i < 3; i++) expect((await app.get('/')).stored).toBe(true)
    const full = await app.get('/')
    expect([full.stored, full.detail]).toEqual([false, 'variants'])
    expect(advice).toEqual([expect.stringContaining('varyBy: (c) =>')])
    expect(app.sluice.stats().cache.entries).toBe(3)
  })

  test('an object that is the same on every request is no input; one of each request is somebody’s', async () => {
    const db = { name: 'db' }
    const front: Step = (c) => {
      Object.assign(requestOf(c), { db, io: turn, account: { id: c.header('x-id') } })
    }
    const shared = await boot(host, front, (c) => [typeof requestOf(c).db, typeof requestOf(c).io])
    // It can be known again from the second time on.
    await shared.get('/')
    expect((await shared.get('/')).stored).toBe(true)
    expect((await shared.get('/')).cache).toBe('hit')
    const own = await boot(host, front, (c) => (requestOf(c).account as { id: string }).id)
    for (const id of ['a', 'b', 'a']) {
      const answer = await own.get('/', { 'x-id': id })
      expect([answer.json().seen, answer.stored, answer.detail]).toEqual([id, false, 'unkeyed-account'])
    }
  })

  test.each([
    ['a symbol', (c: Ctx, id: string) => Object.assign(requestOf(c), { [Symbol('who')]: id })],
    [
      'a property that cannot be changed',
      (c: Ctx, id: string) => Object.defineProperty(requestOf(c), 'who', { value: { id } }),
    ],
    [
      'a getter of its own',
      (c: Ctx, id: string) => Object.defineProperty(requestOf(c), 'who', { configurable: true, get: () => ({ id }) }),
    ],
  ])('%s is never somebody else’s', async (_, put) => {
    const front: Step = (c) => void put(c, c.header('x-id') ?? 'nobody')
    const read = (c: Ctx): unknown => {
      const request = requestOf(c)
      const symbol = Object.getOwnPropertySymbols(request).find((one) => one.description === 'who')
      const found = symbol ? request[symbol] : request.who
      return (found as { id?: string }).id ?? found
    }
    const app = await boot(host, front, read)
    for (const id of ['a', 'b', 'a']) expect((await app.get('/', { 'x-id': id })).json().seen).toBe(id)
  })

  test('a name that appears while the handler runs is not stored', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            // Of a source that nobody sees.
            requestOf(c).account = c.raw.res.req.headers['x-id' as never] ?? 'nobody'
            c.send(`for ${requestOf(c).account}`)
          },
        },
      ],
    })
    expect((await app.get('/', { 'x-id': 'a' })).stored).toBe(false)
    expect((await app.get('/', { 'x-id': 'b' })).text).toBe('for b')
  })

  test('guard: { ignore } names a place', async () => {
    const front: Step = (c) => {
      requestOf(c).t = (text: string) => text
    }
    const name = host.framework === 'koa' ? 'ctx.req.t' : host.framework === 'fastify' ? 'request.raw.t' : 'req.t'
    const read = (c: Ctx): unknown => (requestOf(c).t as (text: string) => string)('hello')
    expect((await (await boot(host, front, read)).get('/')).detail).toBe('unkeyed-t')
    const app = await boot(host, front, read, { guard: { ignore: [name] } })
    await app.get('/')
    expect((await app.get('/')).cache).toBe('hit')
  })

  test("'user' in the request answers as it does without us", async () => {
    const app = await boot(
      host,
      () => {},
      (c) => ['user' in requestOf(c), 'constructor' in c.raw.req.headers, isRequest(c.raw.req)],
    )
    expect((await app.get('/')).json().seen).toEqual([false, true, true])
  })

  test('a field called constructor is a field', async () => {
    const app = await boot(
      host,
      () => {},
      (c) => String(c.header('constructor')).slice(0, 4),
    )
    const one = (await app.get('/', { constructor: 'abcd' } as never)).json().seen
    const two = (await app.get('/', { constructor: 'efgh' } as never)).json().seen
    expect([one, two]).toEqual(['abcd', 'efgh'])
    expect((await app.get('/', { constructor: 'abcd' } as never)).cache).toBe('hit')
  })
})

describeHosts('observed keys: sessions and cookies', (host) => {
  test('a session object that exists for everybody is nobody; what is set in it is somebody', async () => {
    const front: Step = (c) => {
      c.session = { cookie: { path: '/' }, ...(c.header('x-user') && { user: { name: c.header('x-user') } }) }
    }
    const app = await boot(host, front, (c) => (c.session as { user?: { name: string } }).user?.name)
    await app.get('/')
    expect((await app.get('/')).cache).toBe('hit')
    for (const user of ['alice', 'bob']) {
      const answer = await app.get('/', { 'x-user': user })
      expect([answer.json().seen, answer.stored, answer.detail]).toEqual([user, false, 'unkeyed-session'])
    }
    expect((await app.get('/')).json().seen).toBe('nothing')
  })

  test('cookies: the handler sees those that are named, and visitors with others hit', async () => {
    const app = await boot(
      host,
      () => {},
      (c) => c.header('cookie'),
      { cookies: ['theme'] },
    )
    await app.get('/', { cookie: '_ga=1' })
    const hit = await app.get('/', { cookie: '_ga=2; x=y' })
    expect([hit.json().seen, hit.cache]).toEqual(['nothing', 'hit'])
    const themed = await app.get('/', { cookie: '_ga=3; theme=dark' })
    expect([themed.json().seen, themed.stored]).toEqual(['theme=dark', false])
  })

  test('varyBy covers exactly what it reads, also as a function', async () => {
    const read = (c: Ctx): unknown => c.cookie('theme')
    for (const varyBy of [by.cookie('theme'), (c: { cookies: { theme?: string } }) => c.cookies.theme]) {
      const app = await boot(host, () => {}, read, { varyBy, cookies: ['theme'] })
      for (const cache of ['miss', 'hit']) {
        for (const theme of ['dark', 'light']) {
          const answer = await app.get('/', { cookie: `theme=${theme}; other=${theme}` })
          // The neutral handlers read the whole field where a framework has no cookies of its own.
          if (answer.detail === 'unkeyed-cookie') continue
          expect([answer.json().seen, answer.cache]).toEqual([theme, expect.stringContaining(cache)])
          expect(answer.header('cache-control')).toMatch(/^private/)
        }
      }
    }
  })

  test('a varyBy that covers a field replaces it, where Vary names it too', async () => {
    const app = await boot(
      host,
      () => {},
      (c) => {
        c.set('Vary', 'Accept-Language')
        return c.header('accept-language')?.slice(0, 2)
      },
      { varyBy: (c: { header(name: string): string | undefined }) => c.header('accept-language')?.slice(0, 2) },
    )
    await app.get('/', { 'accept-language': 'de-DE, en;q=0.1' })
    expect((await app.get('/', { 'accept-language': 'de-AT' })).cache).toBe('hit')
    expect((await app.get('/', { 'accept-language': 'fr' })).json().seen).toBe('fr')
  })
})
