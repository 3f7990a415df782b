import { expect, test } from '@jest/globals'
import { createSluice } from '@sluice/koa'
import { describeKoa } from './harness.ts'

describeKoa('what is written past Koa', (boot) => {
  test.each([
    ['at once', 0],
    ['after the middleware has returned', 10],
  ])('ctx.respond = false, written %s: stored and served', async (_, delay) => {
    const app = await boot((app) =>
      app.use(createSluice().cache('1m')).use((ctx) => {
        ctx.respond = false
        const write = () => {
          ctx.res.writeHead(200, { 'Content-Type': 'text/plain' })
          ctx.res.write('by ')
          ctx.res.end('hand')
        }
        if (delay) setTimeout(write, delay)
        else write()
      }),
    )
    for (const cache of ['uri-miss', 'hit']) {
      const answer = await app.get('/')
      expect([answer.cache, answer.status, answer.text]).toEqual([cache, 200, 'by hand'])
      expect(answer.header('content-type')).toBe('text/plain')
    }
  })

  test('ctx.res.end() without ctx.respond = false: stored and served', async () => {
    const app = await boot((app) =>
      app.use(createSluice().cache('1m')).use((ctx) => {
        ctx.res.statusCode = 200
        ctx.res.end('by hand')
      }),
    )
    for (const cache of ['uri-miss', 'hit']) {
      const answer = await app.get('/')
      expect([answer.cache, answer.status, answer.text]).toEqual([cache, 200, 'by hand'])
    }
    expect(app.errors).toEqual([])
  })

  test('a purge by an unsafe method is over before its answer, however it is written', async () => {
    const sluice = createSluice()
    let version = 1
    const app = await boot((app) =>
      app.use(sluice.cache('1m')).use((ctx) => {
        if (ctx.method === 'GET') {
          ctx.body = { version }
          return
        }
        ctx.respond = false
        version++
        ctx.res.statusCode = 204
        ctx.res.end()
      }),
    )
    await app.get('/')
    expect((await app.client.request('/', { method: 'PUT' })).status).toBe(204)
    expect((await app.get('/')).json()).toEqual({ version: 2 })
  })

  test('what middleware in front has sent already is left alone', async () => {
    const app = await boot((app) =>
      app
        .use((ctx, next) => {
          ctx.respond = false
          ctx.res.end('early')
          return next()
        })
        .use(createSluice().cache('1m'))
        .use(() => {}),
    )
    for (let i = 0; i < 2; i++) expect((await app.get('/')).text).toBe('early')
    expect(app.errors).toEqual([])
  })

  test('an error behind an answer that is sent already is reported and disturbs nobody', async () => {
    const app = await boot((app) =>
      app.use(createSluice().cache('1m')).use((ctx) => {
        ctx.res.statusCode = 200
        ctx.res.end('sent')
        throw new Error('too late')
      }),
    )
    expect((await app.get('/')).text).toBe('sent')
    expect(app.errors.map(String)).toEqual(['Error: too late'])
  })
})
