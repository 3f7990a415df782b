import http, { type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { CacheOptions } from '@sluice/core'
import * as onExpress from '@sluice/express'
import sluice from '@sluice/fastify'
import * as onKoa from '@sluice/koa'
import * as onNode from '@sluice/node'
import express5 from 'express'
import express4 from 'express4'
import fastify, { type FastifyServerOptions } from 'fastify'
import Koa3 from 'koa'
import Koa2 from 'koa2'
import { Client } from './harness/client.ts'
import { type Ctx, describeHosts } from './harness/host.ts'

/** An application with a cached route, and the same without a cache. */
interface Kind {
  readonly name: string
  /** `read` makes of the framework's parsed query what the handler answers. */
  boot(cache: CacheOptions): Promise<{ port: number; close(): Promise<unknown> }>
}

/** What a handler looks at: the parameter, and that it is there. */
const answerOf = (query: unknown): string => {
  const q = query as Record<string, unknown>
  return JSON.stringify([q.q, 'q' in q, Object.keys(q).filter((name) => /^q([[.]|$)/.test(name))])
}

async function listen(listener: RequestListener): Promise<{ port: number; close(): Promise<unknown> }> {
  const server = http.createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

type Parser = 'simple' | 'extended' | false | ((text: string) => unknown)

/** What people write in place of a parser that is switched off. */
const byHand = (url: string): unknown => Object.fromEntries(new URL(url, 'http://x').searchParams)

const onExpressWith = (
  title: string,
  express: typeof express5,
  parser: Parser,
  read?: (req: never) => string,
): Kind => ({
  name: `${title}, ${typeof parser === 'function' ? parser.name : parser}`,
  async boot(cache) {
    const app = express()
    app.set('query parser', parser)
    const say: express5.RequestHandler = (req, res) => {
      res.type('text').send(read ? read(req as never) : answerOf(req.query))
    }
    const instance = onExpress.createSluice()
    app.get('/x', instance.cache('1m', cache), say)
    app.get('/bare', say)
    return listen(app as unknown as RequestListener)
  },
})

const flat = (text: string): unknown => Object.fromEntries(new URLSearchParams(text))
const list = (text: string): unknown => new URLSearchParams(text)
const map = (text: string): unknown => new Map(new URLSearchParams(text))
const ofClass = (text: string): unknown =>
  new (class {
    readonly #all = new URLSearchParams(text)
    get q(): string | null {
      return this.#all.get('q')
    }
  })()
const lastOnly = (text: string): unknown => {
  const all = new URLSearchParams(text ?? '').getAll('q')
  return { q: all.at(-1), other: { nested: new Map() } }
}
const get = (req: { query: { get(name: string): unknown } }): string => String(req.query.get('q'))

const onKoaWith = (title: string, Koa: typeof Koa3, parse?: (text: string) => unknown): Kind => ({
  name: `${title}${parse ? ', with a parser as of koa-qs' : ''}`,
  async boot(cache) {
    const app = new Koa()
    if (parse) {
      Object.defineProperty(app.request, 'query', {
        configurable: true,
        get(this: { querystring: string }) {
          return parse(this.querystring)
        },
      })
    }
    const cached = onKoa.createSluice().cache('1m', cache)
    const say = (ctx: Koa3.Context): void => {
      ctx.body = answerOf(ctx.query)
    }
    app.use((ctx, next) =>
      ctx.path === '/x' ? cached(ctx, async () => say(ctx)) : ctx.path === '/bare' ? say(ctx) : next(),
    )
    return listen(app.callback() as RequestListener)
  },
})

const onFastifyWith = (title: string, options: FastifyServerOptions, schema?: object): Kind => ({
  name: `Fastify 5, ${title}`,
  async boot(cache) {
    const app = fastify(options)
    await app.register(sluice)
    const say = async (request: { query: unknown }) => answerOf(request.query)
    app.get('/x', { config: { sluice: { cache: { ttl: '1m', ...cache } } }, ...(schema && { schema }) }, say)
    app.get('/bare', { ...(schema && { schema }) }, say)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: (app.server.address() as AddressInfo).port, close: () => app.close() }
  },
})

const onNodeWith = (title: string, parse: (url: string) => unknown): Kind => ({
  name: `node:http, ${title}`,
  async boot(cache) {
    const cached = onNode.createSluice().cache('1m', cache)
    return listen((req, res) => {
      const say = (): unknown => res.end(answerOf(parse(req.url!)))
      return req.url!.startsWith('/x') ? cached(req, res, say) : say()
    })
  },
})

/** Brackets as qs reads them, in ten lines: `[q]` is `q`. */
function bracketed(text: string): unknown {
  const parsed: Record<string, unknown> = {}
  for (const [name, value] of new URLSearchParams(text)) {
    const keys = [...name.matchAll(/[^[\]]+/g)].map(([key]) => key)
    if (keys[0] !== undefined) parsed[keys[0]] = keys.length > 1 ? { [keys[1]!]: value } : value
  }
  return parsed
}

const q = { type: 'object', properties: { q: { type: 'integer' } } }
const kinds: readonly Kind[] = [
  ...(
    [
      ['Express 4', express4 as unknown as typeof express5],
      ['Express 5', express5],
    ] as const
  ).flatMap(([title, express]) => [
    onExpressWith(title, express, 'simple'),
    onExpressWith(title, express, 'extended'),
    onExpressWith(title, express, flat),
    onExpressWith(title, express, lastOnly),
    onExpressWith(title, express, list, get as never),
    onExpressWith(title, express, map, get as never),
    onExpressWith(title, express, ofClass),
    onExpressWith(title, express, false, ((req: { url: string }) => answerOf(byHand(req.url))) as never),
  ]),
  onKoaWith('Koa 2', Koa2 as unknown as typeof Koa3),
  onKoaWith('Koa 3', Koa3),
  onKoaWith('Koa 2', Koa2 as unknown as typeof Koa3, bracketed),
  onKoaWith('Koa 3', Koa3, bracketed),
  onFastifyWith('its parser', {}),
  onFastifyWith('a parser of one’s own', { routerOptions: { querystringParser: bracketed as never } }),
  onFastifyWith('with a schema', {}, { querystring: q }),
  onFastifyWith(
    'with a schema that removes',
    {},
    { querystring: { ...q, properties: {}, additionalProperties: false } },
  ),
  onNodeWith('by URL', byHand),
  onNodeWith('by qs', (url) => bracketed(url.split('#')[0]!.split('?')[1] ?? '')),
]

const many = (count: number): string => Array.from({ length: count }, (_, i) => `p${i}=1`).join('&')

/** Queries whose parameter is another thing to another parser. */
const queries: readonly string[] = [
  '',
  '?q=1',
  '?q=2',
  '?q=',
  '?q',
  '?%5Bq%5D=666',
  '?[q]=666',
  '?.q=666',
  '?q[]=1',
  '?q%5B%5D=666',
  '?q[a]=1',
  '?q[a]=1&q[b]=2',
  '?q[b]=2&q[a]=1',
  '?q.a=1',
  '?q[a][b][c][d][e][f][g]=666',
  '?q=1&q=2',
  '?q=2&q=1',
  '?q=1,2',
  '?%71=1',
  '?q=%31',
  '?+q=666',
  '?q+=666',
  '?q=1+',
  '?q=1%20',
  '?q=%',
  '?q=%ff',
  '?q%=666',
  '?q=1;q=666',
  '??q=666',
  '?z#&q=666',
  '?q=1#666',
  '#?q=666',
  `?${many(1000)}&q=666`,
  `?${many(999)}&q=666`,
  `?${'&'.repeat(1000)}q=666`,
  '?__proto__[q]=666',
  '?__proto__=666',
  '?constructor[prototype][q]=666',
  '?q[__proto__]=666',
  '?q[length]=666',
  '?q[0]=1&q[1]=2',
  '?q[1]=2&q[0]=1',
  '?q[100]=666',
]

describe.each(kinds.map((kind) => [kind.name, kind] as const))('query: [q] on %s', (_, kind) => {
  const opened: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of opened.splice(0)) await close()
  })
  const boot = async (cache: CacheOptions = { query: ['q'] }) => {
    const { port, close } = await kind.boot(cache)
    const client = new Client(port)
    opened.push(() => client.close(), close)
    return (path: string) => client.request(path)
  }

  test('whatever was asked before, each gets the answer to his own query', async () => {
    const ask = await boot()
    const wanted = new Map<string, string>()
    for (const query of queries) wanted.set(query, (await ask(`/bare${query}`)).text)
    for (const round of [queries, [...queries].reverse(), queries]) {
      for (const query of round) expect([query, (await ask(`/x${query}`)).text]).toEqual([query, wanted.get(query)])
    }
  })

  test('parameters that are not named do not count', async () => {
    const ask = await boot()
    const seen: string[] = []
    for (const query of ['?q=1', '?q=1&utm=1', '?utm=2&q=1', '?q=2', '', '?utm=3']) {
      seen.push((await ask(`/x${query}`)).cache)
    }
    // What an instance of a class holds cannot be compared.
    const misses = ['uri-miss', 'hit', 'hit', 'uri-miss', 'uri-miss', 'hit']
    expect(seen).toEqual(kind.name.endsWith('ofClass') ? seen.map(() => 'bypass') : misses)
  })
})

describeHosts('parameters that pagination reads', (host) => {
  const evil = [
    '?page=2',
    '?%5Bpage%5D=2',
    '?page[]=2',
    '?page.x=2',
    '?.page=2',
    '??page=2',
    '?%70age=2',
    '?+page=2',
    '?z#&page=2',
    '?page=1#&page=2',
    `?${many(1000)}&page=2`,
    `?${'&'.repeat(1001)}page=2`,
    '?q=1',
    '?q=evil&%5Bq%5D=1',
    `?${many(1000)}&q=evil`,
    '?z#&q=evil',
    '?%5Bq%5D=evil',
    '?q[a]=evil',
    '?q[]=evil',
    '?q=1&q=evil',
    '?Q=evil',
    '',
  ]
  test('are the same to the key: no page, and no link, is another’s', async () => {
    const paginate = { defaultLimit: 2 }
    const handler = (c: Ctx) => {
      const { offset, limit } = c.page as { offset: number; limit: number }
      c.send(c.page.reply([offset, limit], { total: 9 }) as object)
    }
    const app = await host.boot({
      routes: [
        { path: '/x', cache: { ttl: '1m', query: ['q', 'page', 'limit'] }, paginate, handler },
        { path: '/bare', paginate, handler },
      ],
    })
    const own = new Map<string, { text: string; link: string | undefined }>()
    for (const query of evil) {
      const bare = await app.get(`/bare${query}`)
      own.set(query, { text: bare.status === 200 ? bare.text : String(bare.status), link: bare.header('link') })
    }
    for (const round of [evil, [...evil].reverse()]) {
      for (const query of round) {
        const answer = await app.get(`/x${query}`)
        const { text, link } = own.get(query)!
        expect([query, answer.status === 200 ? answer.text : String(answer.status)]).toEqual([query, text])
        // Links repeat of the query what stands in the key, and so may say less.
        // One that would be too long is left out.
        if (link === undefined) continue
        const said = new Set(linkParameters(link))
        for (const pair of linkParameters(answer.header('link')))
          expect([query, pair, said.has(pair)]).toEqual([query, pair, true])
      }
    }
  })
})

/** By what bracket parsers call them. */
const linkParameters = (link = ''): string[] =>
  [...link.matchAll(/<[^?>]*\?([^>]*)>/g)].flatMap(([, query]) =>
    [...new URLSearchParams(query)].map(([name, value]) => `${name.replaceAll(/[[\]]/g, '')}=${value}`),
  )
