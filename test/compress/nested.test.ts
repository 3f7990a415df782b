import http, { type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as zlib from 'node:zlib'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createSluice as onExpress } from '@sluice/express'
import onFastify, { type SluiceRoute } from '@sluice/fastify'
import { createSluice as onKoa } from '@sluice/koa'
import { createSluice as onNode } from '@sluice/node'
import compression from 'compression'
import express from 'express'
import fc from 'fast-check'
import Fastify from 'fastify'
import Koa from 'koa'
import { decoded, json, send, text } from './hosts.ts'

const close: (() => void)[] = []
afterEach(() => {
  for (const one of close.splice(0)) one()
})

async function serve(listener: RequestListener): Promise<number> {
  const server = http.createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  close.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const gzip = { 'accept-encoding': 'gzip' }

describe('behind a cache (cache, compress, handler)', () => {
  const hosts: readonly (readonly [string, () => RequestListener])[] = [
    [
      'node:http',
      () => {
        const sluice = onNode()
        const [cache, compress] = [sluice.cache('5m'), sluice.compress()]
        return (request, response) =>
          cache(request, response, () =>
            compress(request, response, () => {
              response.setHeader('Content-Type', 'application/json')
              response.end(text)
            }),
          )
      },
    ],
    [
      'Express',
      () => {
        const sluice = onExpress()
        return express().use(sluice.cache('5m'), sluice.compress(), (_request, response) => {
          response.set(json).send(text)
        })
      },
    ],
    [
      'Koa',
      () => {
        const sluice = onKoa()
        const app = new Koa()
        app.use(sluice.cache('5m'))
        app.use(sluice.compress())
        app.use((ctx) => {
          ctx.set(json)
          ctx.body = text
        })
        return app.callback()
      },
    ],
  ]
  test.each(hosts)('on %s each encoding is stored as it was made', async (_, make) => {
    const port = await serve(make())
    for (const coding of ['gzip', 'br', 'identity']) {
      const miss = await send(port, { 'accept-encoding': coding })
      const hit = await send(port, { 'accept-encoding': coding })
      expect([miss.cache === 'hit', hit.cache]).toEqual([false, 'hit'])
      expect(hit.header('content-encoding')).toBe(coding === 'identity' ? undefined : coding)
      expect(decoded(hit)).toBe(text)
      expect(hit.lines('vary')).toEqual(['Accept-Encoding'])
    }
  })
})

describe('two compressors', () => {
  test.each([
    ['ours around ours', [onExpress().compress({ encodings: ['br'] }), onExpress().compress()]],
    ['ours around another', [onExpress().compress(), compression()]],
    ['another around ours', [compression(), onExpress().compress()]],
  ] as const)('%s encode once', async (_, both) => {
    for (const whole of [true, false]) {
      const app = express().use(...both, (_request, response) => {
        response.set(json)
        if (whole) response.send(text)
        else {
          response.write(text.slice(0, 100))
          response.end(text.slice(100))
        }
      })
      const answer = await send(await serve(app), gzip)
      expect(answer.lines('content-encoding')).toEqual(['gzip'])
      expect(answer.header('vary')).toBe('Accept-Encoding')
      expect(decoded(answer)).toBe(text)
    }
  })
})

test('a route of Fastify says for itself', async () => {
  const app = Fastify()
  await app.register(onFastify, { compress: { encodings: ['gzip'] } })
  const routes: Record<string, SluiceRoute | undefined> = {
    '/plugin': undefined,
    '/true': { compress: true },
    '/false': { compress: false },
    '/own': { compress: { encodings: ['br'] } },
  }
  for (const [path, config] of Object.entries(routes)) {
    app.get(path, config ? { config: { sluice: config } } : {}, (_request, reply) => reply.headers(json).send(text))
  }
  expect(() => app.get('/bad', { config: { sluice: { compress: 1 as never } } }, async () => '')).toThrow(/compress/)
  await app.ready()
  const port = await serve(app.routing as never)
  const codings: (string | undefined)[] = []
  for (const path of Object.keys(routes)) {
    codings.push((await send(port, { 'accept-encoding': 'gzip, br' }, { path })).header('content-encoding'))
  }
  expect(codings).toEqual(['gzip', 'gzip', undefined, 'br'])
  await app.close()
})

test('whatever is written in whatever pieces arrives, in an encoding the client accepts', async () => {
  let pieces: readonly Uint8Array[] = []
  const compress = onNode().compress({ threshold: 0 })
  const port = await serve((request, response) =>
    compress(request, response, () => {
      response.setHeader('Content-Type', 'text/plain')
      for (const piece of pieces.slice(0, -1)) response.write(piece)
      response.end(pieces.at(-1))
    }),
  )
  const weight = fc.constantFrom('', ';q=1', ';q=0.5', ';q=0', '; Q=0.001')
  const member = fc
    .tuple(fc.constantFrom('gzip', 'BR', 'deflate', 'identity', '*', 'lzma'), weight)
    .map((m) => m.join(''))
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { maxLength: 6 }),
      fc.array(member, { maxLength: 5 }),
      async (given, members) => {
        pieces = given
        const answer = await send(port, { 'accept-encoding': members.join(', ') })
        const coding = answer.header('content-encoding')
        const body = coding === undefined ? answer.body : decodedBytes(coding, answer.body)
        expect(Buffer.compare(body, Buffer.concat(given))).toBe(0)
        if (coding === undefined) return
        const named = members.filter((m) => m.toLowerCase().startsWith(coding))
        expect(named.length ? named : members.filter((m) => m.startsWith('*'))).not.toHaveLength(0)
        for (const one of named) expect(one).not.toMatch(/q=0$/i)
      },
    ),
    { numRuns: 150 },
  )
})

function decodedBytes(coding: string, body: Buffer): Buffer {
  if (coding === 'gzip') return zlib.gunzipSync(body)
  if (coding === 'deflate') return zlib.inflateSync(body)
  if (coding === 'br') return zlib.brotliDecompressSync(body)
  return (zlib as unknown as { zstdDecompressSync: (b: Buffer) => Buffer }).zstdDecompressSync(body)
}
