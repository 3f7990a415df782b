import { PassThrough, Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { createGzip, gunzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { createSluice } from '@sluice/koa'
import type { Context } from 'koa'
import { describeKoa } from './harness.ts'

/** Resolves when the condition holds; a test whose condition never holds runs into its own time limit. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(1)
}

const kilobyte = Buffer.alloc(1024, 'x')

describeKoa('bodies that come in pieces', (boot, { web }) => {
  test('a piece reaches the client when it is produced, and the whole is stored at the end', async () => {
    const sluice = createSluice()
    const source = new PassThrough()
    const app = await boot((app) =>
      app.use(sluice.cache('1m')).use((ctx) => {
        ctx.body = source
      }),
    )
    source.write('one ')
    const opened = await app.client.open('/')
    expect(await opened.piece()).toBe('one ')
    expect(sluice.stats().cache.stored).toBe(0)
    source.end('two')
    expect(await opened.piece()).toBe('two')
    expect(await opened.piece()).toBeUndefined()
    const hit = await app.get('/')
    expect([hit.cache, hit.text]).toEqual(['hit', 'one two'])
  })

  test('a client that reads slowly slows the handler down', async () => {
    let produced = 0
    const app = await boot((app) =>
      app.use(createSluice().cache('1m', { maxEntryBytes: '1kb' })).use((ctx) => {
        ctx.body = new Readable({
          read() {
            produced++
            this.push(produced > 64 * 1024 ? null : kilobyte)
          },
        })
      }),
    )
    const opened = await app.client.open('/')
    await opened.piece()
    // Nobody reads. Whatever stands between fills up, and then the source must stand still.
    let before = -1
    while (before !== produced) {
      before = produced
      await pause(30)
    }
    expect(produced).toBeLessThan(48 * 1024)
    opened.abort()
  })

  test('a body over maxEntryBytes arrives untouched and is not stored', async () => {
    const sluice = createSluice()
    const app = await boot((app) =>
      app.use(sluice.cache('1m', { maxEntryBytes: '2kb' })).use((ctx) => {
        ctx.body = Readable.from([kilobyte, kilobyte, kilobyte])
      }),
    )
    expect((await app.get('/')).body).toHaveLength(3 * 1024)
    expect((await app.get('/')).cache).toBe('uri-miss')
    expect(sluice.stats().cache.entries).toBe(0)
  })

  test('a client that goes away ends the handler’s stream, and nothing is stored', async () => {
    const sluice = createSluice()
    let source: Readable | undefined
    const app = await boot((app) =>
      app.use(sluice.cache('1m')).use((ctx) => {
        source = new Readable({ read() {} })
        source.push('begun')
        ctx.body = source
      }),
    )
    const opened = await app.client.open('/')
    expect(await opened.piece()).toBe('begun')
    opened.abort()
    await until(() => source?.destroyed === true)
    expect(sluice.stats().cache).toMatchObject({ stored: 0, entries: 0 })
    expect(app.errors.filter((error) => !/aborted|premature/i.test(error.message))).toEqual([])
  })

  test('a handler that ends its stream because the client went away has not ended the body', async () => {
    const sluice = createSluice()
    const source = new PassThrough()
    const app = await boot((app) =>
      app.use(sluice.cache('1m')).use((ctx) => {
        ctx.req.socket.prependListener('close', () => source.end())
        ctx.body = source
      }),
    )
    source.write('begun')
    const opened = await app.client.open('/')
    expect(await opened.piece()).toBe('begun')
    opened.abort()
    await until(() => source.destroyed)
    expect(sluice.stats().cache).toMatchObject({ stored: 0, entries: 0 })
  })

  test('a stream that fails midway cuts the connection, is reported as Koa does, and is not stored', async () => {
    const sluice = createSluice()
    let runs = 0
    const handler = (ctx: Context) => {
      runs++
      ctx.body = Readable.from(
        (async function* () {
          yield 'begun'
          await pause(5)
          throw new Error('the disk is gone')
        })(),
      )
    }
    const app = await boot((app) => app.use(sluice.cache('1m')).use(handler))
    for (let i = 0; i < 2; i++) await expect(app.get('/')).rejects.toThrow()
    expect(runs).toBe(2)
    // Each time once, but Koa 3 may be told by its pipeline and by the response.
    await until(() => app.errors.length >= runs)
    expect(app.errors.length).toBeLessThanOrEqual(web ? 2 * runs : runs)
    expect(new Set(app.errors.map((error) => error.message))).toEqual(new Set(['the disk is gone']))
    expect(sluice.stats().cache).toMatchObject({ stored: 0, entries: 0 })
  })

  test('a stream that fails while middleware in front still works brings no process down', async () => {
    const app = await boot((app) =>
      app
        .use(async (_ctx, next) => {
          await next()
          await pause(10)
        })
        .use(createSluice().cache('1m'))
        .use((ctx) => {
          ctx.body = new Readable({
            read() {
              this.destroy(new Error('no such file'))
            },
          })
        }),
    )
    const answer = await app.get('/').catch((error: Error) => error)
    // Koa 2 sees it in time to send 500; Koa 3 finds a broken stream and hangs up.
    if (web) expect(answer).toHaveProperty('code', 'ECONNRESET')
    else expect(answer).toHaveProperty('status', 500)
    expect(new Set(app.errors.map((error) => error.message))).toEqual(new Set(['no such file']))
  })

  test('a stream that stops without an end is not taken for a whole', async () => {
    const sluice = createSluice()
    const app = await boot((app) =>
      app.use(sluice.cache('1m')).use((ctx) => {
        const source = new Readable({ read() {} })
        source.push('begun')
        setTimeout(() => source.destroy(), 10)
        ctx.body = source
      }),
    )
    await expect(app.get('/')).rejects.toThrow()
    expect(sluice.stats().cache).toMatchObject({ stored: 0, entries: 0 })
  })

  test('a stream shorter than the length it was given is not stored', async () => {
    const sluice = createSluice()
    const app = await boot((app) =>
      app.use(sluice.cache('1m')).use((ctx) => {
        ctx.body = Readable.from(['short'])
        ctx.length = 100
      }),
    )
    const gone = app.get('/').catch((error: Error) => error)
    await until(() => sluice.stats().cache.misses === 1)
    await pause(20)
    app.client.close()
    await gone
    expect(sluice.stats().cache).toMatchObject({ stored: 0, entries: 0 })
  })

  test('an event stream passes through, piece by piece', async () => {
    const sluice = createSluice()
    const source = new PassThrough()
    const app = await boot((app) =>
      app.use(sluice.cache('1m')).use((ctx) => {
        ctx.type = 'text/event-stream'
        ctx.body = source
      }),
    )
    source.write('data: 1\n\n')
    const opened = await app.client.open('/')
    expect(await opened.piece()).toBe('data: 1\n\n')
    source.write('data: 2\n\n')
    expect(await opened.piece()).toBe('data: 2\n\n')
    opened.abort()
    expect(sluice.stats().cache.entries).toBe(0)
  })

  test('an explicit flush is sent at once, and the body behind it is still stored', async () => {
    const source = new PassThrough()
    const app = await boot((app) =>
      app.use(createSluice().cache('1m')).use((ctx) => {
        ctx.status = 200
        ctx.type = 'text/plain'
        ctx.flushHeaders()
        ctx.body = source
      }),
    )
    const opened = await app.client.open('/')
    expect(opened.status).toBe(200)
    source.end('late')
    expect(await opened.piece()).toBe('late')
    expect(await opened.piece()).toBeUndefined()
    expect(await app.get('/')).toMatchObject({ cache: 'hit', text: 'late' })
  })

  test('what a stream yields lazily of its own compressor is stored with its coding', async () => {
    const app = await boot((app) =>
      app.use(createSluice().cache('1m')).use((ctx) => {
        ctx.type = 'text/plain'
        ctx.set('Content-Encoding', 'gzip')
        ctx.vary('Accept-Encoding')
        ctx.body = Readable.from(['packed']).pipe(createGzip())
      }),
    )
    const accept = { 'accept-encoding': 'gzip' }
    const miss = await app.get('/', accept)
    const hit = await app.get('/', accept)
    expect([hit.cache, hit.header('content-encoding')]).toEqual(['hit', 'gzip'])
    expect(gunzipSync(hit.body).toString()).toBe('packed')
    expect(hit.body).toEqual(miss.body)
  })
})
