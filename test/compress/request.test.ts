import { randomBytes } from 'node:crypto'
import http, { type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as later } from 'node:timers/promises'
import * as zlib from 'node:zlib'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { DecompressOptions } from '@sluice/core'
import { createSluice as onExpress } from '@sluice/express'
import onFastify from '@sluice/fastify'
import { createSluice as onKoa } from '@sluice/koa'
import { createSluice as onNode } from '@sluice/node'
import express5 from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import Koa3 from 'koa'
import Koa2 from 'koa2'
import { send } from './hosts.ts'

interface Seen {
  body?: unknown
  headers?: http.IncomingHttpHeaders
  error?: { status?: number }
}

interface Kind {
  readonly name: string
  /** @param wait - something slow in front, so that the body is there before it is decoded */
  listener(options: DecompressOptions | undefined, wait: boolean, seen: Seen): Promise<http.RequestListener>
}

async function read(request: IncomingMessage, seen: Seen): Promise<unknown> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  } catch (error) {
    seen.error = error as { status?: number }
    throw error
  }
  return JSON.parse(Buffer.concat(chunks).toString())
}

const nodeKind: Kind = {
  name: 'node:http',
  listener: async (options, wait, seen) => {
    const decompress = onNode().decompress(options)
    return async (request, response) => {
      if (wait) await later(20)
      decompress(request, response, () => {
        seen.headers = request.headers
        read(request, seen).then(
          (body) => {
            seen.body = body
            response.end('ok')
          },
          () => {
            response.statusCode = 500
            response.end('failed')
          },
        )
      })
    }
  },
}

const expressKind = (name: string, express: typeof express5): Kind => ({
  name,
  listener: async (options, wait, seen) => {
    const app = express()
    app.set('env', 'test')
    if (wait) app.use((_req, _res, next) => void later(20).then(() => next()))
    app.use(onExpress().decompress(options), express.json({ limit: '50mb' }))
    app.post('/x', (request, response) => {
      seen.headers = request.headers
      seen.body = request.body
      response.send('ok')
    })
    return app
  },
})

const koaKind = (name: string, Koa: typeof Koa3): Kind => ({
  name,
  listener: async (options, wait, seen) => {
    const app = new Koa()
    app.silent = true
    if (wait) app.use((_ctx, next) => later(20).then(next))
    app.use(onKoa().decompress(options))
    app.use(async (ctx) => {
      seen.headers = ctx.headers
      seen.body = await read(ctx.req, seen)
      ctx.body = 'ok'
    })
    return app.callback()
  },
})

const fastifyKind: Kind = {
  name: 'Fastify 5',
  listener: async (options, wait, seen) => {
    const app = Fastify({ bodyLimit: 50_000_000 })
    if (wait) app.addHook('onRequest', () => later(20))
    await app.register(onFastify, { decompress: options ?? true })
    app.post('/x', async (request) => {
      seen.headers = request.headers
      seen.body = request.body
      return 'ok'
    })
    await app.ready()
    return app.routing as never
  },
}

const kinds = [
  nodeKind,
  expressKind('Express 4', express4 as never),
  expressKind('Express 5', express5),
  koaKind('Koa 2', Koa2 as never),
  koaKind('Koa 3', Koa3),
  fastifyKind,
]

const value = { cities: Array.from({ length: 500 }, (_, id) => ({ id, name: `City ${id}` })) }
const body = Buffer.from(JSON.stringify(value))
const gzipOf = (bytes: Buffer): Buffer => zlib.gzipSync(bytes, { level: 0 })

// Made once, and not for each host: it takes a while.
const bombs = {
  single: zlib.gzipSync(Buffer.alloc(20_000_000, ' ')),
  nested: zlib.gzipSync(zlib.gzipSync(Buffer.alloc(50_000_000, ' '))),
}
const noise = randomBytes(8_000_000)
const noiseInGzip = gzipOf(noise)

describe.each(kinds.map((kind) => [kind.name, kind] as const))('decompress: %s', (_, kind) => {
  const close: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const one of close.splice(0)) await one()
  })

  const boot = async (options?: DecompressOptions, wait = false) => {
    const seen: Seen = {}
    const server = http.createServer(await kind.listener(options, wait, seen))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    close.push(async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    })
    const { port } = server.address() as AddressInfo
    const post = (coding: string | undefined, bytes: Buffer, headers: Record<string, string> = {}) =>
      send(
        port,
        {
          'content-type': 'application/json',
          ...(coding === undefined ? {} : { 'content-encoding': coding }),
          ...headers,
        },
        { method: 'POST', body: bytes },
      )
    /** The status of an answer to a client that sends the whole of its body and only then looks what there is. */
    const answers = (coding: string, parts: readonly Buffer[], length: boolean): Promise<number> =>
      new Promise((resolve, reject) => {
        const total = parts.reduce((sum, part) => sum + part.length, 0)
        const size = length ? { 'content-length': total } : {}
        const headers = { 'content-type': 'application/json', 'content-encoding': coding, ...size }
        const request = http.request({ port, path: '/x', method: 'POST', headers, agent: false })
        request.on('error', reject)
        request.on('response', (response) => {
          response.on('error', reject)
          response.resume().on('end', () => resolve(response.statusCode!))
        })
        for (const part of parts) request.write(part)
        request.end()
      })
    return { seen, post, answers }
  }

  const codings: readonly (readonly [string, Buffer])[] = [
    ['gzip', zlib.gzipSync(body)],
    ['X-GZIP', zlib.gzipSync(body)],
    ['deflate', zlib.deflateSync(body)],
    ['br', zlib.brotliCompressSync(body)],
    ['identity', body],
    ['deflate, gzip', zlib.gzipSync(zlib.deflateSync(body))],
  ]
  test.each(codings)('a %s body comes decoded', async (coding, bytes) => {
    const { seen, post } = await boot()
    const answer = await post(coding, bytes)
    expect([answer.status, answer.text]).toEqual([200, 'ok'])
    expect(seen.body).toEqual(value)
  })

  test('a body without a coding is not touched', async () => {
    const { seen, post } = await boot()
    expect((await post(undefined, body)).status).toBe(200)
    expect(seen.body).toEqual(value)
    expect(seen.headers?.['content-length']).toBe(String(body.length))
  })

  test('the handler is not told of a coding and a length that are no longer true', async () => {
    const { seen, post } = await boot()
    await post('gzip', zlib.gzipSync(body))
    expect([seen.headers?.['content-encoding'], seen.headers?.['content-length']]).toEqual([undefined, undefined])
  })

  test('a body that was there before it could be decoded', async () => {
    const { seen, post } = await boot(undefined, true)
    expect((await post('gzip', zlib.gzipSync(body))).status).toBe(200)
    expect(seen.body).toEqual(value)
  })

  test('415 for a coding that is not read, with those that are, as problem+json', async () => {
    const { seen, post } = await boot({ encodings: ['gzip'] })
    for (const coding of ['br', 'compress', 'gzip, gzip, gzip']) {
      const answer = await post(coding, zlib.brotliCompressSync(body))
      expect(answer.status).toBe(415)
      expect(answer.header('content-type')).toContain('application/problem+json')
      expect(answer.header('accept-encoding')).toBe('gzip')
      expect(answer.json()).toMatchObject({ status: 415 })
    }
    expect(seen.body).toBeUndefined()
  })

  test('413 for a bomb, as problem+json, whatever the handler makes of it', async () => {
    const { seen, post } = await boot({ maxBytes: '100kb' })
    const answer = await post('gzip', bombs.single)
    expect(answer.status).toBe(413)
    expect(answer.header('content-type')).toContain('application/problem+json')
    expect(answer.json()).toMatchObject({ status: 413, maxBytes: 102_400 })
    expect(seen.body).toBeUndefined()
  })

  test('413 for a bomb in a bomb', async () => {
    const { post } = await boot({ maxBytes: '100kb' })
    expect((await post('gzip, gzip', bombs.nested)).status).toBe(413)
  })

  test.each([
    ['too large, in pieces', 413, () => [noiseInGzip], {}],
    ['too large, as its length says', 413, () => [noiseInGzip], { length: true }],
    ['something else', 400, () => [noise.subarray(0, 5_000_000)], { length: true }],
    ['good at its beginning', 400, () => [noiseInGzip.subarray(0, 1_000_000), noise.subarray(0, 4_000_000)], {}],
    ['in a coding that is not read', 415, () => [noise], { length: true, coding: 'compress' }],
  ] as const)(
    'a body of megabytes that is %s: the client has its answer',
    async (_, status, bytes, how) => {
      const { answers } = await boot({ maxBytes: '6mb' })
      const { length = false, coding = 'gzip' } = how as { length?: boolean; coding?: string }
      for (let i = 0; i < 2; i++) expect(await answers(coding, bytes(), length)).toBe(status)
    },
    20_000,
  )

  test('413 for a body whose length says it', async () => {
    const { post } = await boot({ maxBytes: 10 })
    expect((await post('gzip', zlib.gzipSync(body))).status).toBe(413)
  })

  test.each([
    ['that is something else', Buffer.from('not gzip at all')],
    ['that is cut short', zlib.gzipSync(body).subarray(0, 60)],
  ])('400 for a body %s, as problem+json', async (_, bytes) => {
    const { post } = await boot()
    const answer = await post('gzip', bytes)
    expect(answer.status).toBe(400)
    expect(answer.header('content-type')).toContain('application/problem+json')
  })
})
