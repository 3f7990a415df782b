import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import sluice, { by, isSluiceError } from '@sluice/fastify'
import Fastify, { type FastifyInstance } from 'fastify'

let app: FastifyInstance
beforeEach(() => {
  app = Fastify()
})
afterEach(() => app.close())

const handler = async (): Promise<string> => 'body'

describe('a route’s config.sluice', () => {
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    [
      'an unknown key',
      { cache: '5m', tagz: ['a'] },
      /Route GET \/it: There is no option `tagz`\. Did you mean `tags`\?/,
    ],
    ['a key of the plugin itself misspelt', { cach: '5m' }, /Route GET \/it: .*`cach`\. Did you mean `cache`\?/],
    [
      'the name Express has for it',
      { invalidate: 'a' },
      /There is no option `invalidate`\. Did you mean `invalidates`\?/,
    ],
    ['a limit there is none of', { limit: 'ipp' }, /Route GET \/it: There is no policy "ipp"/],
    ['a rate that does not parse', { limit: '10/fortnight' }, /Route GET \/it: .*fortnight/],
    ['no limit at all', { limit: [] }, /Route GET \/it: .*at least one policy/],
    ['limitPer without a limit', { limitPer: 'route' }, /`limitPer` needs `limit` beside it/],
    ['limitPer that is none', { limit: '1/s', limitPer: 'url' }, /`limitPer` must be 'route'/],
    ['exempt and limited', { limit: '1/s', exempt: true }, /`exempt` must not stand beside `limit`/],
    ['an exempt that is none', { exempt: 'yes' }, /`exempt` must be true or false/],
    ['a shed that is none', { shed: 'all' }, /`shed` must be true, false or an object/],
    ['an unknown option of shed', { shed: { maxDelays: 5 } }, /`shed.maxDelays`/],
    [
      'a look-up in front of a limit that waits for the hooks',
      { cache: '5m', phase: 'onRequest', limit: { rate: '1/s', key: by.user } },
      /`phase` must be 'preHandler' where a limit is asked behind the hooks/,
    ],
    ['a paginate that is none', { paginate: 20 as never }, /`paginate` must be true, false or an object of options/],
    ['an unknown option of paginate', { paginate: { limit: 5 } as never }, /`paginate.limit`/],
    [
      'pages of which the key knows nothing',
      { cache: '1m', query: ['country', 'page'], paginate: true },
      /`query` must have the parameters that `paginate` reads: add 'limit',/,
    ],
    [
      'selections of which the key knows nothing',
      { cache: { ttl: '1m', query: ['country'] }, fields: true },
      /`query` must have the parameters that `fields` reads: add 'fields',/,
    ],
    [
      'an unknown key of the cache object',
      { cache: { ttl: '5m', tagz: [] } },
      /`cache\.tagz`\. Did you mean `cache\.tags`|`tags`/,
    ],
    ['a bad duration', { cache: 'soon' }, /Route GET \/it: .*soon/],
    ['a bad option beside the cache', { cache: '5m', jitter: 2 }, /Route GET \/it: Option `cache\.jitter`/],
    ['an option given twice', { cache: { ttl: '5m', tags: ['a'] }, tags: ['b'] }, /`tags` must be given once/],
    ['options without a cache', { tags: ['a'] }, /`tags` needs `cache` beside it/],
    ['a phase without a cache', { phase: 'onRequest' }, /`phase` needs `cache` beside it/],
    ['an unknown phase', { cache: '5m', phase: 'onSend' }, /`phase` must be 'preHandler' or 'onRequest'/],
    [
      'a body in the key before it is read',
      { cache: '5m', methods: ['POST'], phase: 'onRequest' },
      /body is part of the key/,
    ],
    ['no object', 'yes', /`config\.sluice` must be an object/],
    ['a condition without a version', { condition: {} }, /Route GET \/it: Option `condition`/],
    ['a tag that is none', { invalidates: 7 }, /Route GET \/it: .*invalidate/],
  ]
  test.each(wrong)('%s throws when the route is registered, and names it', async (_, config, message) => {
    await app.register(sluice)
    let thrown: unknown
    try {
      app.get('/it', { config: { sluice: config as never } }, handler)
    } catch (error) {
      thrown = error
    }
    expect(isSluiceError(thrown)).toBe(true)
    expect((thrown as Error).message).toMatch(message)
  })

  const same: readonly (readonly [string, object])[] = [
    ['a duration', { cache: '5m', clientTtl: '1m' }],
    ['a number of milliseconds', { cache: 300_000, clientTtl: '1m' }],
    ['an object', { cache: { ttl: '5m', clientTtl: '1m' } }],
    ['an object and options beside it', { cache: { ttl: '5m' }, clientTtl: '1m' }],
    ['true and a ttl beside it', { cache: true, ttl: '5m', clientTtl: '1m' }],
  ]
  test.each(same)('says the same as %s', async (_, config) => {
    await app.register(sluice)
    app.get('/it', { config: { sluice: config } }, handler)
    const miss = await app.inject('/it')
    expect(miss.headers['cache-control']).toMatch(/max-age=60/)
    expect((await app.inject('/it')).headers['cache-status']).toMatch(/ttl=(300|299)$/)
  })

  test('cache: true leaves it to the handler’s Cache-Control', async () => {
    await app.register(sluice)
    app.get('/it', { config: { sluice: { cache: true } } }, async (_, reply) =>
      reply.header('cache-control', 'max-age=60').send('body'),
    )
    app.get('/silent', { config: { sluice: { cache: true } } }, handler)
    for (const url of ['/it', '/silent']) await app.inject(url)
    expect((await app.inject('/it')).headers['cache-status']).toMatch(/; hit/)
    expect((await app.inject('/silent')).headers['cache-status']).not.toMatch(/; hit/)
  })

  test('cache: false and undefined are no cache', async () => {
    await app.register(sluice)
    app.get('/off', { config: { sluice: { cache: false, tags: ['a'] } } }, handler)
    app.get('/absent', { config: { sluice: { cache: undefined, tags: undefined } } }, handler)
    for (const url of ['/off', '/absent']) expect((await app.inject(url)).headers).not.toHaveProperty('cache-status')
  })

  test('wrong options of the plugin fail the registration', async () => {
    await expect(app.register(sluice, { cach: {} } as never).after()).rejects.toThrow(/Did you mean `cache`\?/)
    app = Fastify()
  })

  test('is for the routes of plugins and prefixes, with and without the slash', async () => {
    await app.register(sluice)
    await app.register(async (scope) => scope.get('/', { config: { sluice: { cache: '5m' } } }, handler), {
      prefix: '/v1',
    })
    for (const url of ['/v1', '/v1/']) {
      await app.inject(url)
      expect((await app.inject(url)).headers['cache-status']).toMatch(/; hit/)
    }
  })

  test('a route made of another’s options asks once', async () => {
    await app.register(sluice)
    let aliased = false
    app.addHook('onRoute', function (route) {
      if (aliased) return
      aliased = true
      this.route({ ...route, url: '/alias', path: '/alias' } as never)
    })
    for (const phase of ['preHandler', 'onRequest'] as const) {
      aliased = phase === 'onRequest'
      app.get(`/${phase}`, { config: { sluice: { cache: '5m', phase } } }, handler)
    }
    await app.inject('/alias')
    expect((await app.inject('/alias')).headers['cache-status']).toMatch(/; hit/)
    expect(app.sluice.stats().cache).toMatchObject({ hits: 1, misses: 1 })
  })

  test('routes that differ by a constraint alone never answer for each other', async () => {
    await app.register(sluice)
    for (const version of ['1.0.0', '2.0.0']) {
      app.get('/it', { constraints: { version }, config: { sluice: { cache: '5m' } } }, async () => version)
    }
    const get = (version: string) => app.inject({ url: '/it', headers: { 'accept-version': version } })
    for (let i = 0; i < 2; i++) {
      expect((await get('1.x')).body).toBe('1.0.0')
      expect((await get('2.x')).body).toBe('2.0.0')
    }
    expect(app.sluice.stats().cache.hits).toBe(2)
  })
})

test('a route declared before the plugin was loaded is warned of, once', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  app.register(sluice)
  app.get('/early', { config: { sluice: { cache: '5m' } } }, handler)
  await app.after()
  app.get('/it', { preHandler: async (_, reply) => reply.send('no'), config: { sluice: { cache: '5m' } } }, handler)
  for (const url of ['/early', '/early', '/it']) await app.inject(url)
  const said = warn.mock.calls.map(([message]) => String(message))
  warn.mockRestore()
  expect(said).toEqual([expect.stringMatching(/^Route GET \/early was declared before/)])
})

describe('the instance', () => {
  test('reply.sluice says what a handler wants of its own response', async () => {
    await app.register(sluice)
    app.get('/skip', { config: { sluice: { cache: '5m' } } }, async (_, reply) => {
      reply.sluice.skip('mine')
      return 'body'
    })
    app.get('/tag', { config: { sluice: { cache: '5m' } } }, async (_, reply) => {
      reply.sluice.tag('cities')
      reply.sluice.ttl('1m')
      return 'body'
    })
    app.get('/none', async (_, reply) => {
      reply.sluice.skip()
      reply.sluice.tag('a')
      return 'body'
    })
    expect((await app.inject('/skip')).headers['cache-status']).toMatch(/detail=mine/)
    await app.inject('/tag')
    expect((await app.inject('/tag')).headers['cache-status']).toMatch(/ttl=(60|59)$/)
    await app.sluice.purge({ tags: 'cities' })
    expect((await app.inject('/tag')).headers['cache-status']).not.toMatch(/; hit/)
    expect((await app.inject('/none')).statusCode).toBe(200)
  })

  test('purges by route and parameters, by URL and by tags', async () => {
    await app.register(sluice)
    app.get('/c/:id', { config: { sluice: { cache: '5m', tags: (r) => [`city:${r.params.id}`] } } }, handler)
    const isHit = async (url: string): Promise<boolean> =>
      /; hit/.test(String((await app.inject(url)).headers['cache-status']))
    const targets = [{ route: '/c/:id', params: { id: 1 } }, { url: '/c/1' }, { tags: ['city:1'] }]
    for (const target of targets) {
      for (const url of ['/c/1', '/c/2']) await isHit(url)
      await app.sluice.purge(target)
      expect([await isHit('/c/1'), await isHit('/c/2')]).toEqual([false, true])
    }
  })

  test('closes with the application', async () => {
    const closed: string[] = []
    const { memory } = await import('@sluice/fastify')
    const inner = memory()
    await app.register(sluice, { backend: { ...inner, close: () => void closed.push('backend') } })
    await app.close()
    expect(closed).toEqual(['backend'])
  })

  test('the module itself is a plugin, as require() answers it', async () => {
    const module = await import('@sluice/fastify')
    await app.register({ default: module.default } as never)
    expect(typeof app.sluice.purge).toBe('function')
  })

  test('two applications have nothing in common', async () => {
    const other = Fastify()
    for (const each of [app, other]) {
      await each.register(sluice)
      each.get('/it', { config: { sluice: { cache: '5m' } } }, handler)
    }
    await app.inject('/it')
    expect((await other.inject('/it')).headers['cache-status']).not.toMatch(/; hit/)
    await other.close()
  })
})
