import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { expect, test } from '@jest/globals'
import { createSluice, type KoaSluice } from '@sluice/koa'
import type { Context } from 'koa'
import type { Answer } from '../hosts/harness/client.ts'
import { describeKoa } from './harness.ts'

const body = (make: () => unknown) => (ctx: Context) => {
  ctx.body = make()
}
const status = (code: number) => (ctx: Context) => {
  ctx.status = code
}

type Row = readonly [title: string, handler: (ctx: Context) => void]

const whole: readonly Row[] = [
  ['text', body(() => 'plain text, ünïcödé')],
  ['markup, which Koa names text/html', body(() => '  <p>hello</p>')],
  ['an empty text', body(() => '')],
  ['a Buffer', body(() => Buffer.from([0, 255, 13, 10]))],
  [
    'a Buffer of a type',
    (ctx) => {
      ctx.type = 'image/png'
      ctx.body = Buffer.from('not really')
    },
  ],
  ['an object', body(() => ({ name: 'Oslo', of: [1, null, { deep: 'ü' }] }))],
  ['a list', body(() => [1, 2, 3])],
  ['a number', body(() => 42)],
  ['a boolean', body(() => false)],
  ['what has toJSON', body(() => ({ at: new Date(0) }))],
  [
    'an object with a length of its own that is wrong',
    (ctx) => {
      ctx.body = { name: 'Oslo' }
      ctx.length = 3
    },
  ],
  [
    'an object of another JSON type',
    (ctx) => {
      ctx.body = { type: 'about:blank' }
      ctx.type = 'application/problem+json'
    },
  ],
  ['a status and no body', status(200)],
  [
    'a null body with a status',
    (ctx) => {
      ctx.body = null
      ctx.status = 200
    },
  ],
  [
    'a body without a type',
    (ctx) => {
      ctx.body = 'anything'
      ctx.remove('Content-Type')
    },
  ],
  [
    'a moved address',
    (ctx) => {
      ctx.status = 301
      // Koa writes a page or a line, as the client accepts.
      ctx.vary('Accept')
      ctx.redirect('/elsewhere')
    },
  ],
]

const notStored: readonly Row[] = [
  ['a null body', body(() => null)],
  ['204', status(204)],
  ['205', status(205)],
  ['a status of 304', status(304)],
  ['nothing at all', () => {}],
  ['an error status alone', status(503)],
  [
    'a reason phrase of its own',
    (ctx) => {
      ctx.status = 404
      ctx.message = 'No Such City'
    },
  ],
  [
    '204 with a body set behind it',
    (ctx) => {
      ctx.status = 204
      ctx.body = 'never sent'
    },
  ],
]

/** What the client sees of an answer, but for what the cache and the moment add, and how nothing is framed. */
function seen(answer: Answer): unknown {
  const extra = new Set(['cache-status', 'cache-control', 'etag', 'age', 'date', 'connection', 'keep-alive'])
  const framing = new Set(['content-length: 0', 'transfer-encoding: chunked'])
  const fields = answer.fields.filter(([name]) => !extra.has(name)).map(([name, value]) => `${name}: ${value}`)
  const { status, body } = answer
  return { status, fields: fields.filter((line) => !framing.has(line)).sort(), body: body.toString('latin1') }
}

describeKoa('what Koa would send is what is sent', (boot, { web }) => {
  const pair = async (handler: (ctx: Context) => void) => {
    const bare = await boot((app) => void app.use(handler))
    const cached = await boot((app) => void app.use(createSluice().cache('1m')).use(handler))
    return { bare, cached }
  }

  test.each(whole)('%s: the miss and the hit are what Koa sends without a cache', async (_, handler) => {
    const { bare, cached } = await pair(handler)
    const [plain, miss, hit] = [await bare.get('/'), await cached.get('/'), await cached.get('/')]
    expect(seen(miss)).toEqual(seen(plain))
    expect(seen(hit)).toEqual(seen(plain))
    expect([miss.cache, miss.stored, hit.cache]).toEqual(['uri-miss', true, 'hit'])
  })

  test.each(whole)('%s: HEAD from a stored GET has the fields of the GET and no body', async (_, handler) => {
    const { cached } = await pair(handler)
    const get = await cached.get('/')
    const head = await cached.head('/')
    expect(head.cache).toBe('hit')
    expect(head.body.byteLength).toBe(0)
    expect(head.status).toBe(get.status)
    for (const name of ['content-type', 'content-length', 'etag']) expect(head.header(name)).toBe(get.header(name))
  })

  test.each([...whole, ...notStored])(
    '%s: a HEAD that misses is what Koa sends without a cache',
    async (_, handler) => {
      const { bare, cached } = await pair(handler)
      expect(seen(await cached.head('/'))).toEqual(seen(await bare.head('/')))
    },
  )

  test.each(notStored)('%s: passes as it is', async (_, handler) => {
    const { bare, cached } = await pair(handler)
    expect(seen(await cached.get('/'))).toEqual(seen(await bare.get('/')))
    expect((await cached.get('/')).cache).toBe('uri-miss')
  })

  test('the ETag of the handler is kept, and answers a condition with 304 without a body or a length', async () => {
    const app = await boot((app) =>
      app.use(createSluice().cache('1m')).use((ctx) => {
        ctx.etag = 'v1'
        ctx.body = { v: 1 }
      }),
    )
    expect((await app.get('/')).header('etag')).toBe('"v1"')
    const same = await app.get('/', { 'if-none-match': '"v1"' })
    expect([same.status, same.cache, same.body.byteLength]).toEqual([304, 'hit', 0])
    expect([same.header('etag'), same.header('content-length'), same.header('content-type')]).toEqual([
      '"v1"',
      undefined,
      undefined,
    ])
  })

  test('an object that cannot be written as JSON is the error it is without a cache', async () => {
    const { bare, cached } = await pair((ctx) => {
      ctx.body = { big: 1n }
    })
    expect(seen(await cached.get('/'))).toEqual(seen(await bare.get('/')))
    expect(cached.errors.map(String)).toEqual(bare.errors.map(String))
  })

  test.each([
    ['the cache leaves', (sluice: KoaSluice) => sluice.cache('1m', { storeIf: () => false })],
    ['a bypass leaves', (sluice: KoaSluice) => sluice.cache('1m', { unless: () => true })],
  ])('an object that %s is written once, whoever listens', async (_, cache) => {
    for (const listens of [false, true]) {
      let written = 0
      const sluice = createSluice()
      const heard: unknown[] = []
      if (listens) sluice.on('answer', ({ result }) => heard.push(result))
      const app = await boot((app) =>
        app.use(cache(sluice)).use((ctx) => {
          ctx.set('Cache-Control', 'no-store')
          ctx.body = { toJSON: () => ++written }
        }),
      )
      expect((await app.get('/')).text).toBe('1')
      expect(heard).toHaveLength(listens ? 1 : 0)
    }
  })

  const text = 'x'.repeat(200_000)
  const pieces: readonly Row[] = [
    ['a stream', body(() => Readable.from([text, 'end']))],
    [
      'a stream of a type and length',
      (ctx) => {
        ctx.body = Readable.from([text, 'end'])
        ctx.type = 'text/csv'
        ctx.length = text.length + 3
      },
    ],
    ['an empty stream', body(() => Readable.from([]))],
    ...(web
      ? ([
          ['a Blob', body(() => new Blob([text], { type: 'text/css' }))],
          ['a web stream', body(() => new Blob([text]).stream())],
          ['a fetch Response', body(() => new Response(text, { status: 203, headers: { 'x-from': 'fetch' } }))],
          ['a fetch Response without a body', body(() => new Response(null, { status: 200 }))],
        ] as Row[])
      : []),
  ]
  test.each(pieces)('%s: the miss is what Koa sends without a cache, and so is the hit', async (_, handler) => {
    const { bare, cached } = await pair(handler)
    const [plain, miss, hit] = [await bare.get('/'), await cached.get('/'), await cached.get('/')]
    expect(seen(miss)).toEqual(seen(plain))
    expect([miss.cache, hit.cache, hit.status]).toEqual(['uri-miss', 'hit', plain.status])
    expect(sha(hit)).toBe(sha(plain))
    expect(hit.header('content-type')).toBe(plain.header('content-type'))
    expect(hit.header('content-length')).toBe(String(plain.body.byteLength))
  })

  if (!web) {
    test('a Blob is the JSON that Koa 2 makes of it', async () => {
      const { bare, cached } = await pair((ctx) => {
        ctx.body = new Blob(['text'])
      })
      expect(seen(await cached.get('/'))).toEqual(seen(await bare.get('/')))
    })
  }
})

const sha = (answer: Answer): string => createHash('sha256').update(answer.body).digest('hex')
