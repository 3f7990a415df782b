import { gunzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { createSluice } from '@sluice/koa'
import compress from 'koa-compress'
import { testClock } from '../hosts/harness/clock.ts'
import { describeKoa } from './harness.ts'

/** What `ctx.throw()` throws. */
const createError = (status: number, message = '', more: object = {}): Error =>
  Object.assign(new Error(message), { status, expose: status < 500 }, more)

describeKoa('middleware in front of the cache', (boot) => {
  test('adds its fields after next() on misses and hits, and they are never stored', async () => {
    let n = 0
    const app = await boot((app) =>
      app
        .use(async (ctx, next) => {
          await next()
          ctx.set('X-Response-Time', String(++n))
          ctx.append('Vary', 'Origin')
        })
        .use(createSluice().cache('1m'))
        .use((ctx) => {
          ctx.vary('Accept')
          ctx.body = 'x'
        }),
    )
    for (const time of ['1', '2', '3']) {
      const answer = await app.get('/')
      expect([answer.header('x-response-time'), answer.header('vary')]).toEqual([time, 'Accept, Origin'])
    }
  })

  test('what it set before is applied afresh; Vary is merged and cookies are added', async () => {
    let n = 0
    const app = await boot((app) =>
      app
        .use((ctx, next) => {
          n++
          ctx.set('X-Request-Id', String(n))
          ctx.set('Vary', 'Origin')
          ctx.cookies.set('seen', String(n))
          ctx.type = 'text/html'
          return next()
        })
        .use(createSluice().cache('1m', { storeIf: () => true }))
        .use((ctx) => {
          ctx.vary('Accept')
          ctx.body = { a: 1 }
        }),
    )
    const [first, second] = [await app.get('/'), await app.get('/')]
    expect(first.header('set-cookie')).toBe('seen=1; path=/; httponly')
    expect(second.header('set-cookie')).toBe('seen=2; path=/; httponly')
    expect(second.header('x-request-id')).toBe('2')
    expect(first.header('vary')).toBe('Origin, Accept')
  })

  test('koa-compress compresses misses and hits, and what is stored stays as it was', async () => {
    const text = 'compressible '.repeat(500)
    const app = await boot((app) =>
      app
        .use(compress({ br: false, threshold: 100 }) as never)
        .use(createSluice().cache('1m'))
        .use((ctx) => {
          ctx.body = text
        }),
    )
    const gzip = { 'accept-encoding': 'gzip' }
    const [miss, hit, plain] = [await app.get('/', gzip), await app.get('/', gzip), await app.get('/')]
    expect([miss.cache, hit.cache, plain.cache]).toEqual(['uri-miss', 'hit', 'hit'])
    for (const packed of [miss, hit]) {
      expect(packed.header('content-encoding')).toBe('gzip')
      expect(gunzipSync(packed.body).toString()).toBe(text)
    }
    expect([plain.header('content-encoding'), plain.text]).toEqual([undefined, text])
  })

  test('may change the answer, and the stored one stays as it was', async () => {
    let n = 0
    const app = await boot((app) =>
      app
        .use(async (ctx, next) => {
          await next()
          ctx.body = `${++n}: ${String(ctx.body)}`
        })
        .use(createSluice().cache('1m'))
        .use((ctx) => {
          ctx.body = 'same'
        }),
    )
    expect([(await app.get('/')).text, (await app.get('/')).text]).toEqual(['1: same', '2: same'])
  })

  test.each([
    ['nobody answers', () => {}, ['uri-miss', 'uri-miss']],
    [
      'the handler says 404',
      (ctx: { status: number }) => void Object.assign(ctx, { status: 404 }),
      ['uri-miss', 'hit'],
    ],
  ])('puts a page in place of a bare 404, hit or miss, where %s', async (_, handler, caches) => {
    const app = await boot((app) =>
      app
        .use(async (ctx, next) => {
          await next()
          if (ctx.status !== 404 || ctx.body) return
          ctx.status = 404
          ctx.body = '<h1>Nothing here</h1>'
        })
        .use(createSluice().cache('1m', { negativeTtl: '1m' }))
        .use(handler),
    )
    const [first, second] = [await app.get('/'), await app.get('/')]
    for (const answer of [first, second]) {
      expect([answer.status, answer.text]).toEqual([404, '<h1>Nothing here</h1>'])
      expect([answer.header('content-type'), answer.header('etag')]).toEqual(['text/html; charset=utf-8', undefined])
    }
    expect([first.cache, second.cache]).toEqual(caches)
  })

  test('a 404 that the handler says without a body is Koa’s own text, hit or miss', async () => {
    const app = await boot((app) =>
      app.use(createSluice().cache('1m', { negativeTtl: '1m' })).use((ctx) => {
        ctx.status = 404
      }),
    )
    for (const cache of ['uri-miss', 'hit']) {
      const answer = await app.get('/')
      expect([answer.cache, answer.status, answer.text]).toEqual([cache, 404, 'Not Found'])
      expect(answer.header('content-type')).toBe('text/plain; charset=utf-8')
    }
  })

  test('sees the request of the client again when the handler is done', async () => {
    const seen: unknown[] = []
    const app = await boot((app) =>
      app
        .use(async (ctx, next) => {
          await next()
          seen.push([ctx.get('If-None-Match'), ctx.req.headers.cookie])
        })
        .use(createSluice().cache('1m', { storeIf: () => false }))
        .use((ctx) => {
          seen.push(ctx.get('If-None-Match'))
          ctx.body = 'x'
        }),
    )
    const answer = await app.get('/', { 'if-none-match': '"mine"', cookie: 'a=1' })
    expect(seen).toEqual(['', ['"mine"', 'a=1']])
    expect(answer.status).toBe(200)
  })
})

describeKoa('errors', (boot) => {
  test.each([
    ['ctx.throw(404)', () => createError(404, 'no such city'), 404, 'no such city'],
    [
      'an error with a status and fields',
      () => createError(503, 'later', { headers: { 'Retry-After': '7' } }),
      503,
      'Service Unavailable',
    ],
    ['an error without a status', () => new Error('secret'), 500, 'Internal Server Error'],
    ['something that is no error', () => 'a text', 500, 'Internal Server Error'],
  ])('%s is answered by Koa as without a cache, and not stored', async (_, make, status, text) => {
    let runs = 0
    const app = await boot((app) =>
      app.use(createSluice().cache('1m', { negativeTtl: '1m' })).use(() => {
        runs++
        throw make()
      }),
    )
    for (let i = 1; i <= 2; i++) {
      const answer = await app.get('/')
      expect([answer.status, answer.text, runs]).toEqual([status, text, i])
      if (status === 503) expect(answer.header('retry-after')).toBe('7')
    }
    expect(app.errors.length).toBe(2)
  })

  test('a handler that throws is replaced by what is stored, within staleIfError', async () => {
    const clock = testClock()
    let runs = 0
    const app = await boot((app) =>
      app
        .use((ctx, next) => {
          ctx.set('X-Earlier', 'yes')
          return next()
        })
        .use(createSluice({ clock }).cache('1m', { staleIfError: '1h' }))
        .use((ctx) => {
          ctx.body = 'good'
          if (runs++ === 0) return
          ctx.set('X-Handler', 'half done')
          throw new Error('database')
        }),
    )
    await app.get('/')
    await clock.advance(120_000)
    const stale = await app.get('/')
    expect([stale.status, stale.text, stale.cache]).toEqual([200, 'good', 'stale'])
    expect([stale.header('x-earlier'), stale.header('x-handler')]).toEqual(['yes', undefined])
    expect(app.errors).toEqual([])
    await clock.advance(3_600_000)
    expect((await app.get('/')).status).toBe(500)
  })

  test('error handling in front of the cache sees the error, and its answer is not stored', async () => {
    const app = await boot((app) =>
      app
        .use(async (ctx, next) => {
          try {
            await next()
          } catch (error) {
            ctx.body = { caught: (error as Error).message }
          }
        })
        .use(createSluice().cache('1m'))
        .use(() => {
          throw new Error('oops')
        }),
    )
    for (let i = 0; i < 2; i++) expect((await app.get('/')).json()).toEqual({ caught: 'oops' })
  })

  test('a failed handler does not hold up those who wait for it', async () => {
    let runs = 0
    const app = await boot((app) =>
      app.use(createSluice().cache('1m')).use(async () => {
        runs++
        await new Promise((resolve) => setTimeout(resolve, 20))
        throw createError(500)
      }),
    )
    const answers = await Promise.all([app.get('/'), app.get('/'), app.get('/')])
    expect(answers.map((answer) => answer.status)).toEqual([500, 500, 500])
    expect(runs).toBeGreaterThan(0)
  })
})
