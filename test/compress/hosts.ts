import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import * as zlib from 'node:zlib'
import { afterEach, describe } from '@jest/globals'
import type { CacheOptions, CompressOptions, SluiceOptions } from '@sluice/core'
import { createSluice as onExpress } from '@sluice/express'
import onFastify from '@sluice/fastify'
import { createSluice as onKoa } from '@sluice/koa'
import { createSluice as onNode } from '@sluice/node'
import express5 from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import Koa3 from 'koa'
import Koa2 from 'koa2'
import { Answer } from '../hosts/harness/client.ts'

export interface Said {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer | Readable | undefined
}

export interface Spec {
  readonly compress?: CompressOptions | false
  readonly cache?: CacheOptions
  readonly sluice?: SluiceOptions
  /** What every framework can say. */
  readonly say?: (request: { readonly url: string; readonly headers: http.IncomingHttpHeaders }) => Said | Promise<Said>
  /** What only the sockets' side can do. */
  readonly raw?: (request: IncomingMessage, response: ServerResponse & { flush(): void }) => unknown
  /** Middleware in front, on the sockets' side. */
  readonly before?: (request: IncomingMessage, response: ServerResponse) => void
}

export type TestSluice = Pick<ReturnType<typeof onNode>, 'purge' | 'expire' | 'stats' | 'on' | 'close'>

export interface Booted {
  readonly port: number
  readonly server: Server
  readonly sluice: TestSluice
  get(headers?: Record<string, string>, options?: { method?: string; path?: string; body?: Buffer }): Promise<Answer>
}

interface Started {
  readonly listener: http.RequestListener
  readonly sluice: TestSluice
}

interface Kind {
  readonly name: string
  /** Its handlers are given node's own response. */
  readonly raw: boolean
  readonly listener: (spec: Spec) => Started | Promise<Started>
}

const nodeKind: Kind = {
  name: 'node:http',
  raw: true,
  listener(spec) {
    const sluice = onNode(spec.sluice)
    const stages = [
      ...(spec.compress === false ? [] : [sluice.compress(spec.compress)]),
      ...(spec.cache ? [sluice.cache(spec.cache)] : []),
    ]
    const listener: http.RequestListener = (request, response) => {
      spec.before?.(request, response)
      const next = (at: number): void => {
        const stage = stages[at]
        if (stage) stage(request, response, () => next(at + 1))
        else void answerRaw(spec, request, response)
      }
      next(0)
    }
    return { listener, sluice }
  },
}

function expressKind(name: string, express: typeof express5): Kind {
  return {
    name,
    raw: true,
    listener(spec) {
      const sluice = onExpress(spec.sluice)
      const app = express()
      app.disable('x-powered-by')
      app.use((request, response, next) => {
        spec.before?.(request, response)
        next()
      })
      if (spec.compress !== false) app.use(sluice.compress(spec.compress))
      app.get('/:any', ...(spec.cache ? [sluice.cache(spec.cache)] : []), (request, response) => {
        void answerRaw(spec, request, response)
      })
      return { listener: app, sluice }
    },
  }
}

function koaKind(name: string, Koa: typeof Koa3): Kind {
  return {
    name,
    raw: false,
    listener(spec) {
      const sluice = onKoa(spec.sluice)
      const app = new Koa()
      app.silent = true
      app.use((ctx, next) => {
        spec.before?.(ctx.req, ctx.res)
        return next()
      })
      if (spec.compress !== false) app.use(sluice.compress(spec.compress))
      if (spec.cache) app.use(sluice.cache(spec.cache))
      app.use(async (ctx) => {
        const said = await spec.say!({ url: ctx.url, headers: ctx.headers })
        if (said.status !== undefined) ctx.status = said.status
        if (said.body !== undefined) ctx.body = said.body
        for (const [field, value] of Object.entries(said.headers ?? {})) ctx.set(field, value)
      })
      return { listener: app.callback(), sluice }
    },
  }
}

const fastifyKind: Kind = {
  name: 'Fastify 5',
  raw: false,
  async listener(spec) {
    const app = Fastify()
    const { compress = true } = spec
    await app.register(onFastify, { ...spec.sluice, compress })
    if (spec.before) {
      app.addHook('onRequest', (request, reply, done) => {
        spec.before!(request.raw, reply.raw)
        done()
      })
    }
    app.get('/:any', { config: { sluice: { cache: spec.cache ?? false } } }, async (request, reply) => {
      const said = await spec.say!({ url: request.url, headers: request.headers })
      for (const [field, value] of Object.entries(said.headers ?? {})) reply.header(field, value)
      return reply.code(said.status ?? 200).send(said.body)
    })
    await app.ready()
    return { listener: app.routing as never, sluice: { ...app.sluice, close: () => app.close() } as TestSluice }
  },
}

async function answerRaw(spec: Spec, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (spec.raw) {
    await spec.raw(request, response as never)
    return
  }
  const { status = 200, headers = {}, body } = await spec.say!({ url: request.url!, headers: request.headers })
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) response.end(body)
  else body.pipe(response)
}

export const kinds: readonly Kind[] = [
  nodeKind,
  expressKind('Express 4', express4 as never),
  expressKind('Express 5', express5),
  koaKind('Koa 2', Koa2 as never),
  koaKind('Koa 3', Koa3),
  fastifyKind,
]

/** Runs a suite once for every host; what it boots is closed after each test. */
export function onHosts(
  title: string,
  suite: (boot: (spec: Spec) => Promise<Booted>) => void,
  only: (kind: Kind) => boolean = () => true,
): void {
  describe.each(kinds.filter(only).map((kind) => [kind.name, kind] as const))(`${title}: %s`, (_, kind) => {
    const close: (() => Promise<void>)[] = []
    afterEach(async () => {
      for (const one of close.splice(0)) await one()
    })
    suite(async (spec) => {
      const { listener, sluice } = await kind.listener(spec)
      const server = http.createServer(listener)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      close.push(async () => {
        server.closeAllConnections()
        await new Promise<void>((resolve) => server.close(() => resolve()))
        await sluice.close()
      })
      return { port, server, sluice, get: (headers, options) => send(port, headers, options) }
    })
  })
}

export function send(
  port: number,
  headers: Record<string, string> = {},
  { method = 'GET', path = '/x', body }: { method?: string; path?: string; body?: Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (message) => {
      const chunks: Buffer[] = []
      message.on('data', (chunk: Buffer) => chunks.push(chunk))
      message.on('error', reject)
      message.on('end', () => resolve(new Answer(message, Buffer.concat(chunks), [])))
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** The body as it was before it was encoded. Throws where the field and the bytes disagree. */
export function decoded(answer: Answer): string {
  const coding = answer.header('content-encoding')
  if (coding === undefined) return answer.text
  if (coding === 'gzip') return zlib.gunzipSync(answer.body).toString()
  if (coding === 'br') return zlib.brotliDecompressSync(answer.body).toString()
  if (coding === 'deflate') return zlib.inflateSync(answer.body).toString()
  const { zstdDecompressSync } = zlib as unknown as { zstdDecompressSync: (body: Buffer) => Buffer }
  return zstdDecompressSync(answer.body).toString()
}

/** Compresses well, and is long enough. */
export const text: string = JSON.stringify(
  Array.from({ length: 200 }, (_, id) => ({ id, name: `City number ${id}`, country: 'NO' })),
)
export const json = { 'Content-Type': 'application/json; charset=utf-8' } as const
