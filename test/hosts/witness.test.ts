import { expect, test } from '@jest/globals'
import { counted } from './harness/handlers.ts'
import { type Ctx, describeHosts, gate, until } from './harness/host.ts'

const everybody = 'public, max-age=0, must-revalidate'

describeHosts('the second witness', (host) => {
  const boot = (handler: (c: Ctx, run: number) => unknown, cache = {}, path = '/') =>
    host.boot({ routes: [{ path, cache: { ttl: '1m', ...cache }, handler: counted(handler) }] })

  test.each([
    ['Cookie', 'cookie', 'sid=alice', 'sid=bob'],
    ['Authorization', 'authorization', 'alice', 'bob'],
  ])('what was made for one visitor is another’s once he was given the same: %s', async (_, name, alice, bob) => {
    let runs = 0
    const app = await boot((c) => {
      runs++
      c.send('hello')
    })
    const first = await app.get('/', { [name]: alice })
    expect([first.stored, first.header('cache-control')]).toEqual([true, 'private, max-age=0, must-revalidate'])
    expect((await app.get('/', { [name]: alice })).cache).toBe('hit')
    const second = await app.get('/', { [name]: bob })
    expect([second.cache, second.stored, second.header('cache-control')]).toEqual(['miss', true, everybody])
    for (const headers of [{ [name]: alice }, { [name]: 'carol' }, {}]) {
      const answer = await app.get('/', headers)
      expect([answer.cache, answer.header('cache-control')]).toEqual(['hit', everybody])
    }
    expect(runs).toBe(2)
  })

  test('what no watch can see: nobody gets what was made for somebody else, and the advice says where they differ', async () => {
    let current = ''
    const app = await host.boot({
      use: [
        (c) => {
          current = c.header('cookie') ?? 'nobody'
        },
      ],
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.send(`for ${current}`) }],
    })
    const heard: { fields: readonly string[]; advice: string }[] = []
    app.sluice.on('guard', (event) => heard.push(event))
    const texts: string[] = []
    for (const cookie of ['a=1', 'a=2', 'a=1', 'a=3', 'a=2']) texts.push((await app.get('/', { cookie })).text)
    expect(texts).toEqual(['for a=1', 'for a=2', 'for a=1', 'for a=3', 'for a=2'])
    expect((await app.get('/', { cookie: 'a=1' })).cache).toBe('hit')
    expect((await app.get('/', { cookie: 'a=2' })).detail).toBe('contradicted')
    expect((await app.get('/')).text).toBe('for nobody')
    expect(heard[0]).toMatchObject({ fields: ['body'], advice: expect.stringContaining('public: true') })
  })

  test('an anonymous visitor’s answer is no signed-in visitor’s before one of them was given it', async () => {
    const app = await boot((c) => c.send(`hello ${c.raw.res.req.rawHeaders.length > 0 ? '' : 'x'}`), { guard: 'off' })
    await app.get('/')
    expect((await app.get('/')).cache).toBe('hit')
    expect((await app.get('/', { cookie: 'sid=1' })).cache).toBe('miss')
    expect((await app.get('/', { cookie: 'sid=2' })).cache).toBe('hit')
  })

  test('a field or a status that differs is a contradiction too', async () => {
    for (const differ of [
      (c: Ctx, run: number) => {
        c.set('X-Run', String(run))
        c.send('hello')
      },
      (c: Ctx, run: number) => c.status(run === 1 ? 200 : 203).send('hello'),
    ]) {
      const app = await boot(differ)
      await app.get('/', { cookie: 'a=1' })
      expect((await app.get('/', { cookie: 'a=2' })).detail).toBe('contradicted')
      expect((await app.get('/', { cookie: 'a=1' })).cache).toBe('hit')
    }
  })

  test.each([
    ['witness: false', { witness: false }, {}],
    ['public: true', { public: true }, {}],
    ['the handler’s own Cache-Control', {}, { 'Cache-Control': 'public' }],
    ['its s-maxage', {}, { 'Cache-Control': 's-maxage=60' }],
    ['its max-age', {}, { 'Cache-Control': 'max-age=60' }],
  ])('is not asked for with %s', async (_, cache, fields) => {
    const app = await boot((c) => {
      for (const [name, value] of Object.entries(fields)) c.set(name, value as string)
      c.send('hello')
    }, cache)
    await app.get('/', { cookie: 'a=1' })
    expect((await app.get('/', { cookie: 'a=2' })).cache).toBe('hit')
  })

  test('visitors who come together wait for the first two alone', async () => {
    const ready = gate()
    const handler = counted(async (c) => {
      await ready
      c.send('hello')
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const all = Array.from({ length: 8 }, (_, i) => app.get('/', { cookie: `v=${i}` }))
    await app.arrived(8)
    ready.open()
    expect(new Set((await Promise.all(all)).map((a) => a.text))).toEqual(new Set(['hello']))
    expect(handler.runs).toBe(2)
  })

  test('eight confirmed keys of a route: the others are believed, until one contradicts', async () => {
    if (host.framework === 'node') return
    let personal = false
    const app = await boot((c, run) => c.send(personal ? `run ${run}` : `of ${c.params.id}`), {}, '/things/:id')
    // A key that nobody has confirmed when the route is believed.
    await app.get('/things/old', { cookie: 'a=1' })
    for (let i = 0; i < 8; i++) {
      for (const cookie of ['a=1', 'a=2']) await app.get(`/things/${i}`, { cookie })
    }
    expect((await app.get('/things/new', { cookie: 'a=1' })).header('cache-control')).toBe(everybody)
    expect((await app.get('/things/new', { cookie: 'a=2' })).cache).toBe('hit')
    personal = true
    expect((await app.get('/things/old', { cookie: 'a=2' })).detail).toBe('contradicted')
    expect((await app.get('/things/new', { cookie: 'a=2' })).cache).toMatch(/miss/)
    expect((await app.get('/things/new', { cookie: 'a=1' })).cache).toMatch(/miss/)
  })

  test.each([
    ['a counter beside the session', 'sid=1; ga=1', 'sid=1; ga=2'],
    ['a counter beside what nobody knows the name of', 'thing=1; ga=1', 'thing=1; ga=2'],
  ])('a visitor does not confirm himself: %s', async (_, one, same) => {
    let current = ''
    const app = await host.boot({
      use: [
        (c) => {
          current = c.header('cookie')?.split(';', 1)[0] ?? 'nobody'
        },
      ],
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: (c) => c.send(`for ${current}`) }],
    })
    await app.get('/', { cookie: one })
    const again = await app.get('/', { cookie: same })
    expect([again.stored, again.detail]).toEqual([false, 'unconfirmed'])
    expect((await app.get('/', { cookie: 'sid=2; thing=2' })).text).toBe('for sid=2')
  })

  test('visitors who share a preference are strangers by their sessions', async () => {
    const app = await boot((c) => c.send('hello'))
    await app.get('/', { cookie: 'lang=en; sid=1' })
    expect((await app.get('/', { cookie: 'lang=en; sid=2' })).stored).toBe(true)
    expect((await app.get('/', { cookie: 'lang=en; sid=3' })).cache).toBe('hit')
  })

  test('a purge between the two makes the second the first', async () => {
    const app = await boot((c) => c.send('hello'), { tags: ['all'] })
    await app.get('/', { cookie: 'a=1' })
    await app.sluice.purge({ tags: ['all'] })
    const first = await app.get('/', { cookie: 'a=2' })
    expect([first.cache, first.header('cache-control')]).toEqual(['uri-miss', 'private, max-age=0, must-revalidate'])
    expect((await app.get('/', { cookie: 'a=1' })).cache).toBe('miss')
  })

  test('what was everybody’s stays so when it is refreshed', async () => {
    const app = await boot((c, run) => c.send(`run ${run}`), {
      staleWhileRevalidate: '1h',
      witness: true,
      public: false,
    })
    await app.get('/')
    await app.clock.advance(61_000)
    expect((await app.get('/')).text).toBe('run 1')
    await until(() => app.sluice.stats().cache.stored === 2)
    expect((await app.get('/')).text).toBe('run 2')
  })
})
