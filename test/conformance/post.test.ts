import { expect, test } from '@jest/globals'
import { counted, says } from '../hosts/harness/handlers.ts'
import { describeHosts, gate, type Step } from '../hosts/harness/host.ts'

const fresh = { 'Cache-Control': 'max-age=60', 'Content-Location': '/cities' }

/** RFC 9110 §9.3.3: what a POST answers may be what a GET would. */
describeHosts('the response to a POST', (host) => {
  const boot = (post: Step, get: Step = says({ body: 'from GET', fields: { 'Cache-Control': 'max-age=60' } })) =>
    host.boot({
      sluice: { cache: { tags: ['cities'] } },
      routes: [
        { path: '/cities', cache: {}, handler: get },
        { path: '/cities', method: 'POST', cache: {}, handler: post },
      ],
    })
  const send = { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }

  test.each(['/cities', 'cities', '//127.0.0.1:{port}/cities', './cities'])(
    'is what a GET gets: %s',
    async (location) => {
      const app = await boot((c) => {
        const there = location.replace('{port}', String(app.port))
        says({ body: 'from POST', fields: { ...fresh, 'Content-Location': there, 'X-Kind': 'a' } })(c)
      })
      expect((await app.get('/cities')).text).toBe('from GET')
      const posted = await app.request('/cities', send)
      expect([posted.status, posted.text, posted.cache, posted.stored]).toEqual([200, 'from POST', 'method', true])
      const got = await app.get('/cities')
      expect([got.cache, got.text, got.header('x-kind')]).toEqual(['hit', 'from POST', 'a'])
      // It is an entry like any other.
      expect((await app.get('/cities', { 'if-none-match': got.header('etag')! })).status).toBe(304)
      await app.sluice.purge({ tags: ['cities'] })
      expect((await app.get('/cities')).text).toBe('from GET')
    },
  )

  test.each([
    ['without Content-Location', { 'Cache-Control': 'max-age=60' }],
    ['of another path', { ...fresh, 'Content-Location': '/cities/1' }],
    ['of another query', { ...fresh, 'Content-Location': '/cities?page=2' }],
    ['of another origin', { ...fresh, 'Content-Location': 'http://other.example/cities' }],
    ['that does not say how long it is fresh', { 'Content-Location': '/cities', ETag: '"a"' }],
    ['that is not fresh', { ...fresh, 'Cache-Control': 'max-age=0' }],
    ['that is private', { ...fresh, 'Cache-Control': 'max-age=60, private' }],
    ['that is not to be stored', { ...fresh, 'Cache-Control': 'max-age=60, no-store' }],
    ['that sets a cookie', { ...fresh, 'Set-Cookie': 'a=1' }],
    ['that depends on anything', { ...fresh, Vary: '*' }],
  ])('%s is not', async (_, fields) => {
    const app = await boot(says({ body: 'from POST', fields }))
    await app.get('/cities')
    expect((await app.request('/cities', send)).text).toBe('from POST')
    const got = await app.get('/cities')
    expect([got.cache, got.text]).toEqual(['uri-miss', 'from GET'])
  })

  test.each([201, 303, 404])('nor is one of status %i', async (status) => {
    const app = await boot(says({ status, body: 'from POST', fields: { ...fresh, Location: '/cities' } }))
    await app.request('/cities', send)
    expect((await app.get('/cities')).text).toBe('from GET')
  })

  test('nor is one to a request with credentials, unless it says so (RFC 9111 §3.5)', async () => {
    const headers = { ...send.headers, authorization: 'Bearer alice' }
    for (const [control, text] of [
      ['max-age=60', 'from GET'],
      ['max-age=60, public', 'from POST'],
    ] as const) {
      const app = await boot(says({ body: 'from POST', fields: { ...fresh, 'Cache-Control': control } }))
      await app.request('/cities', { ...send, headers })
      expect((await app.get('/cities')).text).toBe(text)
    }
  })

  test.each([{ tags: ['cities'] }, { url: '/cities' }, { all: true as const }])(
    'nor is one that was purged while its handler ran: %j',
    async (target) => {
      const reading = gate()
      const app = await boot(async (c) => {
        await reading
        says({ body: 'from before', fields: fresh })(c)
      })
      const posting = app.request('/cities', send)
      await app.arrived(1)
      await app.sluice.purge(target)
      reading.open()
      expect((await posting).stored).toBe(false)
      expect((await app.get('/cities')).text).toBe('from GET')
    },
  )

  test('nor does a second POST get it', async () => {
    const post = counted((c, run) => says({ body: `POST ${run}`, fields: fresh })(c))
    const app = await boot(post)
    for (const text of ['POST 1', 'POST 2']) expect((await app.request('/cities', send)).text).toBe(text)
    expect((await app.get('/cities')).text).toBe('POST 2')
  })

  test('it is stored as the variant it is', async () => {
    const app = await boot((c) => says({ body: `for ${c.header('x-kind')}`, fields: { ...fresh, Vary: 'X-Kind' } })(c))
    await app.request('/cities', { ...send, headers: { ...send.headers, 'x-kind': 'a' } })
    expect((await app.get('/cities', { 'x-kind': 'a' })).text).toBe('for a')
    expect((await app.get('/cities', { 'x-kind': 'b' })).text).toBe('from GET')
  })

  test('a route with a TTL stores none', async () => {
    const app = await host.boot({
      routes: [
        { path: '/cities', cache: { ttl: '1m' }, handler: says({ body: 'from GET' }) },
        { path: '/cities', method: 'POST', cache: { ttl: '1m' }, handler: says({ body: 'from POST', fields: fresh }) },
      ],
    })
    await app.request('/cities', send)
    expect((await app.get('/cities')).text).toBe('from GET')
  })
})
