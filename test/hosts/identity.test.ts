import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { by, type CacheOptions } from '@sluice/core'
import type { RequestFields } from './harness/client.ts'
import { counted } from './harness/handlers.ts'
import { type Ctx, describeHosts, type Step, type TestHost } from './harness/host.ts'

class ObjectId {
  readonly #hex: string
  constructor(hex: string) {
    this.#hex = hex
  }
  toHexString(): string {
    return this.#hex
  }
}

class Uuid {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  toString(): string {
    return this.#text
  }
}

/** What authentication leaves of alice and bob; each `x` is another on each. */
const known: readonly (readonly [string, (x: 'alice' | 'bob') => unknown])[] = [
  ['{ id }', (x) => ({ id: x })],
  ['{ userId }', (x) => ({ userId: x })],
  ['{ login }', (x) => ({ login: x })],
  ['{ sub: { … } }', (x) => ({ sub: { id: x } })],
  ['an ObjectId', (x) => ({ _id: new ObjectId(x === 'alice' ? 'aa' : 'bb') })],
  ['a Buffer', (x) => ({ id: Buffer.from(x === 'alice' ? [0xfe] : [0xff]) })],
  ['a Uint8Array', (x) => ({ id: new Uint8Array([x.length]) })],
  ['a bigint', (x) => ({ id: 2n ** 64n + BigInt(x.length) })],
  ['a UUID object', (x) => ({ id: new Uuid(x) })],
  ['two issuers', (x) => ({ sub: '7', iss: x })],
  ['two tenants', (x) => ({ id: 7, tenant: { id: x } })],
  ['two tenant ids', (x) => ({ id: 7, tenantId: x })],
  ['two organisations', (x) => ({ id: 7, orgId: x })],
  ['two realms', (x) => ({ id: 7, realm: x })],
  ['two scopes', (x) => ({ id: 7, scope: x })],
  ['two roles', (x) => ({ id: 7, roles: ['user', x] })],
]

/** Users whom nothing tells apart. */
const nameless: readonly (readonly [string, (x: string) => unknown])[] = [
  ['no usual name', (x) => ({ nick: x })],
  ['an id of a class', (x) => ({ id: new (class { readonly #x = x; get hidden() { return this.#x } })() })], // biome-ignore format: one row
  ['an id that contains itself', (x) => { const id: { x: string; id?: object } = { x }; id.id = id; return { id } }], // biome-ignore format: one row
  ['an id that throws', () => ({ get id(): never { throw new Error('no') } })], // biome-ignore format: one row
  ['nothing', () => ({})],
]

const signIn =
  (make: (x: never) => unknown): Step =>
  (c) => {
    const name = c.header('x-user')
    if (name !== undefined) c.user = make(name as never)
  }

const as = (name: string): RequestFields => ({ 'x-user': name })
const say: Step = (c) => c.send(c.user === undefined || c.user === null ? 'nobody' : 'somebody')

describeHosts('by.user', (host) => {
  let warnings: string[]
  beforeEach(() => {
    warnings = []
    jest.spyOn(process, 'emitWarning').mockImplementation(((message: string, options: { code?: string }) => {
      if (options?.code === 'SLUICE_IDENTITY') warnings.push(message)
    }) as never)
  })
  afterEach(() => void jest.restoreAllMocks())

  const boot = (make: (x: never) => unknown, cache: CacheOptions = {}, sluice = {}) =>
    host.boot({
      sluice,
      use: [signIn(make)],
      routes: [{ path: '/', cache: { ttl: '1m', varyBy: by.user, ...cache }, handler: counted(say) }],
    })

  test.each(known)('users with %s each get their own answer', async (_, make) => {
    const app = await boot(make as never)
    const seen: string[] = []
    for (const name of ['alice', 'bob', 'alice', 'bob']) seen.push((await app.get('/', as(name))).cache)
    expect(seen).toEqual(['uri-miss', 'uri-miss', 'hit', 'hit'])
    expect(warnings).toEqual([])
  })

  test.each(nameless)('nothing is stored for users with %s, and one warning says what to do', async (_, make) => {
    const app = await boot(make as never)
    for (const name of ['alice', 'bob', 'alice']) {
      const answer = await app.get('/', as(name))
      expect([answer.text, answer.stored, answer.cache, answer.detail]).toEqual([
        'somebody',
        false,
        'bypass',
        'identity',
      ])
    }
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('createSluice({ identity: (user) =>')
    // And who is not signed in has nothing of it.
    expect((await app.get('/')).text).toBe('nobody')
    expect((await app.get('/')).cache).toBe('hit')
  })

  type Native = { auth?: object; locals?: { user?: object } }
  const places: readonly (readonly [string, (c: Ctx, user: object) => unknown, (c: Ctx) => unknown])[] = [
    ['req.auth', (c, auth) => Object.assign(c.raw.req, { auth }), (c) => (c.raw.req as Native).auth],
    ...(host.framework === 'express'
      ? ([
          [
            'res.locals',
            (c: Ctx, user: object) => Object.assign((c.raw.res as Native).locals!, { user }),
            (c: Ctx) => (c.raw.res as Native).locals!.user,
          ],
        ] as const)
      : []),
  ]

  test.each(places)('whom authentication left in %s is somebody too', async (_, put, read) => {
    const handler: Step = (c) => c.send(`for ${JSON.stringify(read(c) ?? null)}`)
    const app = await host.boot({
      use: [
        (c) => {
          const name = c.header('x-user')
          if (name !== undefined) put(c, { sub: name })
        },
      ],
      routes: [{ path: '/', cache: { ttl: '1m', varyBy: by.user }, handler }],
    })
    expect((await app.get('/')).text).toBe('for null')
    for (const name of ['alice', 'bob', 'alice']) {
      expect((await app.get('/', as(name))).text).toBe(`for {"sub":"${name}"}`)
    }
    expect((await app.get('/', as('bob'))).cache).toBe('hit')
  })

  test('identity names them, in caches and limits', async () => {
    const app = await host.boot({
      sluice: { identity: (user: { nick: string }) => user.nick },
      use: [signIn((x) => ({ nick: x }))],
      routes: [
        { path: '/', cache: { ttl: '1m', varyBy: by.user }, handler: say },
        { path: '/limited', limitUser: [{ rate: '1/min', key: by.user }], handler: say },
      ],
    })
    const seen: string[] = []
    for (const name of ['alice', 'bob', 'alice', 'bob']) seen.push((await app.get('/', as(name))).cache)
    expect(seen).toEqual(['uri-miss', 'uri-miss', 'hit', 'hit'])
    const statuses: number[] = []
    for (const name of ['alice', 'bob', 'alice']) statuses.push((await app.get('/limited', as(name))).status)
    expect(statuses).toEqual([200, 200, 429])
    expect(warnings).toEqual([])
  })

  test('an identity that answers nonsense is an error, and nothing is stored', async () => {
    const errors: string[] = []
    const app = await boot(((x: string) => ({ id: x })) as never, {}, { identity: (user: object) => user as never })
    app.sluice.on('error', ({ error }) => errors.push(`${error.code} ${error.message}`))
    expect((await app.get('/', as('alice'))).detail).toBe('identity')
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(/ERR_SLUICE_CALLBACK.*`identity` must answer a non-empty string or undefined/)
  })

  test.each([
    ['alone', by.user],
    ['with the route', by(by.user, by.route)],
  ])('limits count users without a name by address: %s', async (_, key) => {
    const app = await host.boot({
      proxy: true,
      use: [signIn((x) => ({ nick: x }))],
      routes: [{ path: '/', limitUser: [{ rate: '1/min', key }], handler: say }],
    })
    const from = async (ip: string, name: string) => (await app.get('/', { 'x-forwarded-for': ip, ...as(name) })).status
    // Plain node:http has the address of the socket alone.
    const others = host.framework === 'node' ? 429 : 200
    expect(await from('192.0.2.1', 'alice')).toBe(200)
    expect(await from('192.0.2.1', 'bob')).toBe(429)
    expect(await from('192.0.2.2', 'alice')).toBe(others)
    expect(warnings).toHaveLength(1)
  })

  test('limits do not tell users apart by scope, which they choose', async () => {
    const app = await host.boot({
      use: [signIn((x) => ({ id: 7, scope: x, iss: 'a' }))],
      routes: [{ path: '/', limitUser: [{ rate: '1/min', key: by.user }], handler: say }],
    })
    expect([(await app.get('/', as('read'))).status, (await app.get('/', as('write'))).status]).toEqual([200, 429])
  })
})

test('identity must be a function', async () => {
  const { createSluice } = await import('@sluice/node')
  expect(() => createSluice({ identity: 'id' as never })).toThrow(/`identity` must be a function; received "id"/)
  expect(() => createSluice({ identity: undefined })).not.toThrow()
})

const bootWith = (host: TestHost, cache: CacheOptions, step: Step = (c) => c.send('x'), use: readonly Step[] = []) =>
  host.boot({ use, routes: [{ path: '/things/:id', cache: { ttl: '1m', ...cache }, handler: counted(step) }] })

describeHosts('what functions answer', (host) => {
  test.each<[string, () => unknown]>([
    ['an object', () => ({})],
    ['a list', () => ['a']],
    ['NaN', () => Number.NaN],
    ['a function', () => () => 'a'],
    ['a symbol', () => Symbol('a')],
    ['a date', () => new Date(0)],
    ['a promise of an object', async () => ({})],
    ['a promise of NaN', async () => Number.NaN],
  ])('%s is no part of a key: an error that names option and route, and nothing is stored', async (_, answer) => {
    for (const option of ['varyBy', 'key'] as const) {
      const errors: { code: string; message: string }[] = []
      const app = await bootWith(host, { [option]: answer as never })
      app.sluice.on('error', ({ error }) => errors.push(error))
      const got = await app.get('/things/7')
      expect([got.text, got.stored, got.detail]).toEqual(['x', false, 'callback'])
      expect(errors.map(({ code }) => code)).toEqual(['ERR_SLUICE_CALLBACK'])
      expect(errors[0]!.message).toContain(`\`cache.${option}\``)
      expect(errors[0]!.message).toContain(host.framework === 'node' ? '/things/7' : '/things/:id')
    }
  })

  test('numbers, truth values and bigints are not the text that looks like them', async () => {
    const values = ['1', 1, 1n, true, 'true', 'number:1', 'n1;', null, '', '-;']
    for (const option of ['varyBy', 'key'] as const) {
      const app = await bootWith(host, {
        [option]: (c: { header(n: string): string }) => values[Number(c.header('x'))],
      })
      const runs = async () => {
        const seen: string[] = []
        for (const i of values.keys()) seen.push((await app.get('/things/7', { x: String(i) })).cache)
        return seen
      }
      // A key that is nothing is no key.
      const none = option === 'key' ? 'bypass' : undefined
      expect(await runs()).toEqual(values.map((v) => (v === null && none) || 'uri-miss'))
      expect(await runs()).toEqual(values.map((v) => (v === null && none) || 'hit'))
    }
  })

  test('fields are compared as they are', async () => {
    const app = await bootWith(host, { varyBy: 'x-a' })
    const values = ['a', 'A', 'a b', 'a  b', 'a,b', 'a, b', 'é', 'Ã©', '', 'e\u0301'.slice(0, 1)]
    for (const value of values) expect((await app.get('/things/7', { 'x-a': value })).cache).toBe('uri-miss')
    for (const value of values) expect((await app.get('/things/7', { 'x-a': value })).cache).toBe('hit')
    expect((await app.get('/things/7')).cache).toBe('uri-miss')
  })
})

describeHosts('by.cookie', (host) => {
  // The visitors' other cookies differ: what a second one of them gets is not the question here.
  const themed = (cache: CacheOptions) => bootWith(host, { witness: false, ...cache }, (c) => c.send('x'))

  test.each<[string, CacheOptions['varyBy']]>([
    ['by.cookie', by.cookie('theme')],
    ['a function', (c) => c.cookies.theme],
    ['a function with `get`', (c) => (c.cookies.get ? c.cookies.get('theme') : c.cookies.theme)],
    ['by.hash', by.hash('cookies.theme')],
  ])('%s: one answer for each value of this cookie, whatever the others are', async (_, varyBy) => {
    const app = await themed({ varyBy })
    const seen: string[] = []
    for (const cookie of ['theme=a', 'theme=b', 'x=1; theme=a', 'theme=b; x=2', 'x=1', '']) {
      seen.push((await app.get('/things/7', { cookie })).cache)
    }
    expect(seen).toEqual(['uri-miss', 'uri-miss', 'hit', 'hit', 'uri-miss', 'hit'])
  })

  test('is exact: what any parser could take for another value is another answer', async () => {
    const app = await themed({ varyBy: by.cookie('theme') })
    const headers = [
      'theme=a',
      'theme=a; theme=b',
      'theme=b; theme=a',
      'theme="a"',
      'theme=%61',
      'theme =a',
      'theme\t=a',
      'theme=a ;x=1',
      'theme=',
      'THEME=a',
      'theme=A',
    ]
    for (const cookie of headers) {
      expect([cookie, (await app.get('/things/7', { cookie })).cache]).toEqual([cookie, 'uri-miss'])
    }
  })

  test('of a name that every object has is a cookie like any other', async () => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'get']) {
      const app = await themed({ varyBy: by.cookie(name) })
      expect((await app.get('/things/7')).cache).toBe('uri-miss')
      expect((await app.get('/things/7', { cookie: `${name}=a` })).cache).toBe('uri-miss')
      expect((await app.get('/things/7', { cookie: `${name}=a` })).cache).toBe('hit')
      await app.close()
    }
  })

  test('serves limits as well', async () => {
    const app = await host.boot({
      routes: [{ path: '/', limit: [{ rate: '1/min', key: by.cookie('sid') }], handler: (c) => c.send('x') }],
    })
    const statuses: number[] = []
    for (const cookie of ['sid=a', 'sid=b', 'x=1; sid=a']) statuses.push((await app.get('/', { cookie })).status)
    expect(statuses).toEqual([200, 200, 429])
  })
})

test.each([[7], [''], ['a b'], ['a=b'], ['a;b'], [undefined], ['é']])('by.cookie(%p) is refused', (name) => {
  expect(() => by.cookie(name as never)).toThrow(/`by\.cookie\(name\)` must be a cookie name/)
})

describeHosts('what is covered', (host) => {
  const somebody: Step = (c) => {
    c.user = { nick: c.header('x-user') }
    c.session = { theme: 'dark', owner: c.header('x-user') }
  }
  const handlers: Readonly<Record<string, (c: Ctx) => unknown>> = {
    user: (c) => (c.user as { nick: string }).nick,
    session: (c) => (c.session as { owner: string }).owner,
    cookie: (c) => c.header('cookie'),
    ip: (c) => c.ip,
  }
  const rows: readonly (readonly [string, keyof typeof handlers, CacheOptions['varyBy']])[] = [
    ['by.hash of a part of the session does not cover the rest', 'session', by.hash('session.theme')],
    ['by.cookie does not cover the other cookies', 'cookie', by.cookie('theme')],
    ['a function that found nothing of somebody does not cover him', 'user', (c) => c.user?.id],
    ['nor one that answered nothing later', 'user', async (c) => c.user?.id],
    ['by.ip does not cover the session', 'session', by.ip],
    ['one function does not cover for another', 'user', [(c) => c.user?.id, () => 'constant']],
  ]
  test.each(rows)('%s', async (_, reads, varyBy) => {
    const app = await bootWith(host, { varyBy }, async (c) => c.send(String(await handlers[reads]!(c))), [somebody])
    const asks = async (name: string) => app.get('/things/7', { ...as(name), cookie: `theme=a; sid=${name}` })
    const seen = [await asks('alice'), await asks('bob'), await asks('alice')]
    expect(seen.map((answer) => answer.cache)).not.toContain('hit')
    expect(seen[1]!.text).not.toBe(seen[0]!.text)
  })

  test('by.ip has the address as the handler sees it', async () => {
    const handler: Step = (c) => c.send(String(c.ip))
    const app = await host.boot({
      proxy: true,
      routes: [{ path: '/', cache: { ttl: '1m', varyBy: by.ip }, handler }],
    })
    if (host.framework === 'node') return
    for (const ip of ['192.0.2.1', '::ffff:192.0.2.1', '2001:db8::1', '2001:DB8::1']) {
      const answer = await app.get('/', { 'x-forwarded-for': ip })
      expect([answer.cache, answer.text]).toEqual(['uri-miss', ip])
    }
  })
})
