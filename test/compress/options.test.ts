import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import * as zlib from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import { Recompressions } from '../../packages/core/src/cache/forms/recompression.ts'
import { MemoryCacheStore } from '../../packages/core/src/cache/store/memory-store.ts'
import type { Vacancy, Variant } from '../../packages/core/src/cache/store/store.ts'
import { resolveCompressPolicy } from '../../packages/core/src/compress/options.ts'
import { testClock } from '../hosts/harness/clock.ts'
import { decoded, json, onHosts, text } from './hosts.ts'

describe('options of compress', () => {
  test.each([
    [{ encoding: ['br'] }, /`compress.encoding`.*`encodings`/],
    [{ encodings: [] }, /`compress.encodings`/],
    [{ encodings: ['lzma'] }, /`compress.encodings`.*'br'/],
    [{ level: { gzip: 10 } }, /`compress.level`.*gzip.*9/],
    [{ level: { br: 1.5 } }, /`compress.level`/],
    [{ threshold: 'large' }, /threshold/],
    [{ types: ['json'] }, /`compress.types`/],
    [{ filter: true }, /`compress.filter`/],
    [{ fallback: 'lz4' }, /`compress.fallback`/],
    [{ encodings: ['br'], fallback: 'gzip' }, /`compress.fallback`.*one of the encodings/],
    [{ skip: ['login'] }, /`compress.skip`/],
    [{ pad: -1 }, /`compress.pad`/],
    [{ pad: true, encodings: ['br'] }, /`compress.pad`.*gzip/],
    [{ best: true }, /`compress.best`/],
    [{ best: { hits: 0 } }, /`compress.best.hits`/],
  ])('%j is refused at start-up', (options, message) => {
    expect(() => createSluice().compress(options as never)).toThrow(message)
  })

  test.each([
    [{ maxByte: 1 }, /`decompress.maxByte`.*`maxBytes`/],
    [{ maxBytes: 'much' }, /maxBytes/],
    [{ encodings: ['compress'] }, /`decompress.encodings`/],
  ])('of decompress: %j is refused at start-up', (options, message) => {
    expect(() => createSluice().decompress(options as never)).toThrow(message)
  })

  test('codings that this Node lacks are left out', () => {
    const { available } = resolveCompressPolicy({ encodings: ['zstd', 'gzip'] })
    expect(available).toEqual('createZstdCompress' in zlib ? ['zstd', 'gzip', 'identity'] : ['gzip', 'identity'])
  })
})

onHosts('options at work', (boot) => {
  const say = () => ({ headers: json, body: text })

  test('the order of encodings decides between equals', async () => {
    const { get } = await boot({ compress: { encodings: ['gzip', 'br'] }, say })
    expect((await get({ 'accept-encoding': 'br, gzip' })).header('content-encoding')).toBe('gzip')
    expect((await get({ 'accept-encoding': 'br, deflate' })).header('content-encoding')).toBe('br')
    expect((await get({ 'accept-encoding': 'deflate' })).header('content-encoding')).toBeUndefined()
  })

  test('the level per coding', async () => {
    const sizes: number[] = []
    for (const br of [0, 11]) {
      const { get } = await boot({ compress: { level: { br } }, say })
      sizes.push((await get({ 'accept-encoding': 'br' })).body.length)
    }
    expect(sizes[0]).toBeGreaterThan(sizes[1]!)
  })

  test.each([
    ['a list', ['application/json']],
    ['a list with a star', ['application/*']],
    ['a pattern', /json/g],
    ['a function', (type: string) => type === 'application/json'],
  ])('types as %s', async (_, types) => {
    const { get } = await boot({
      compress: { types },
      say: ({ url }) => ({
        headers: { 'Content-Type': url === '/json' ? 'Application/JSON; charset=utf-8' : 'text/plain' },
        body: text,
      }),
    })
    for (let i = 0; i < 2; i++) {
      expect((await get({ 'accept-encoding': 'br' }, { path: '/json' })).header('content-encoding')).toBe('br')
      expect((await get({ 'accept-encoding': 'br' }, { path: '/text' })).header('content-encoding')).toBeUndefined()
    }
  })

  test('a fallback for clients that say nothing', async () => {
    const { get } = await boot({ compress: { fallback: 'gzip' }, say })
    expect((await get({})).header('content-encoding')).toBe('gzip')
    expect((await get({ 'accept-encoding': 'identity' })).header('content-encoding')).toBeUndefined()
  })

  test('parameters of zlib go through', async () => {
    const { get } = await boot({ compress: { zlib: { gzip: { strategy: zlib.constants.Z_HUFFMAN_ONLY } } }, say })
    const huffman = await get({ 'accept-encoding': 'gzip' })
    expect(decoded(huffman)).toBe(text)
    expect(huffman.body.length).toBeGreaterThan(zlib.gzipSync(text).length * 2)
  })
})

test('HTTP/2', async () => {
  const compress = createSluice().compress()
  const server = http2.createServer((request, response) => {
    compress(request as never, response as never, () => {
      response.setHeader('Content-Type', 'application/json')
      if (request.url === '/whole') response.end(text)
      else {
        response.write(text)
        response.end()
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, resolve))
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  try {
    for (const path of ['/whole', '/pieces']) {
      const stream = client.request({ ':path': path, 'accept-encoding': 'gzip' })
      const headers = await new Promise<http2.IncomingHttpHeaders>((resolve) => stream.on('response', resolve))
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      expect(headers['content-encoding']).toBe('gzip')
      expect(zlib.gunzipSync(Buffer.concat(chunks)).toString()).toBe(text)
    }
  } finally {
    client.close()
    server.close()
  }
})

describe('adding a form to a stored record', () => {
  const variant: Variant = { spec: { fields: [], codings: [] }, select: () => '' }
  const form = { coding: 'gzip', body: Buffer.alloc(500, 2), etag: '"a;gzip"' }
  const setUp = (maxBytes = 100_000) => {
    const clock = testClock()
    const store = new MemoryCacheStore({ maxBytes, clock })
    const now = clock.now()
    const made: CacheRecord = {
      kind: 'record',
      status: 200,
      fields: ['Content-Type', 'text/plain'],
      forms: [{ coding: 'identity', body: Buffer.alloc(1000, 1), etag: '"a"' }],
      dateMs: now,
      storedAt: now,
      initialAgeMs: 0,
      staleAt: now + 60_000,
      whileRevalidateUntil: now + 60_000,
      ifErrorUntil: now + 60_000,
      deleteAt: now + 120_000,
      mustRevalidate: false,
      fillMs: 1,
      shared: true,
      ownTag: true,
      tags: ['t'],
      target: { scheme: 'http', authority: 'x', path: '/', query: '', route: undefined, params: undefined },
    }
    store.set('k', variant, made, store.position('k') as Vacancy)
    const held = (): CacheRecord => store.get('k', () => '') as CacheRecord
    return { store, made, held }
  }

  test('puts it beside the others, counts it, and replaces that of the same coding', () => {
    const { store, held } = setUp()
    const before = store.usage().bytes
    expect(store.addForm('k', () => '', held(), form)).toBe(true)
    expect(store.addForm('k', () => '', held(), { ...form, body: Buffer.alloc(300) })).toBe(true)
    expect(held().forms.map(({ coding, body }) => [coding, body.byteLength])).toEqual([
      ['identity', 1000],
      ['gzip', 300],
    ])
    expect(store.usage().entries).toBe(1)
    expect(store.usage().bytes - before).toBeGreaterThanOrEqual(300)
    expect(store.usage().bytes - before).toBeLessThan(800)
  })

  test('a purge in between wins', () => {
    const { store, held } = setUp()
    const record = held()
    store.invalidate([userTag('t')], 'purge')
    expect(store.addForm('k', () => '', record, form)).toBe(false)
    expect(held().kind).toBe('vacancy')
  })

  test('an expiry in between stays', () => {
    const { store, held } = setUp()
    const record = held()
    store.invalidate([userTag('t')], 'expire')
    store.addForm('k', () => '', record, form)
    expect(held().staleAt).toBeLessThan(record.staleAt)
  })

  test('another response in its place does not get it', () => {
    const { store, made, held } = setUp()
    const record = held()
    const other = { ...made, forms: [{ ...made.forms[0]!, body: Buffer.alloc(1000, 9) }] }
    store.set('k', variant, other, store.position('k') as Vacancy)
    expect(store.addForm('k', () => '', record, form)).toBe(false)
    expect(held().forms).toHaveLength(1)
  })

  test('one that does not fit is left out, and the record stays', () => {
    const { store, held } = setUp(4_000)
    expect(store.addForm('k', () => '', held(), { ...form, body: Buffer.alloc(5_000) })).toBe(false)
    expect(held().forms).toHaveLength(1)
    expect(store.usage().bytes).toBeLessThanOrEqual(4_000)
  })
})

describe('work off the request path', () => {
  test('so many at a time, a rest after each, and a queue that ends', async () => {
    const clock = testClock()
    let running = 0
    let most = 0
    const done: (() => void)[] = []
    const recompressions = new Recompressions(clock, async () => {
      most = Math.max(most, ++running)
      await new Promise<void>((resolve) => done.push(resolve))
      running--
    })
    const job = { recipe: { concurrency: 2 } } as never
    const accepted = Array.from({ length: 150 }, () => recompressions.add(job)).filter(Boolean).length
    expect(accepted).toBe(100)
    await turns()
    expect(done.length).toBe(2)
    await clock.advance(50)
    for (const finish of done.splice(0)) finish()
    await turns()
    // They took 50 ms: the next two wait as long.
    expect(done.length).toBe(0)
    await clock.advance(49)
    await turns()
    expect(done.length).toBe(0)
    await clock.advance(1)
    await turns()
    expect(done.length).toBe(2)
    expect(most).toBe(2)
    recompressions.close()
    expect(recompressions.add(job)).toBe(false)
  })
})

async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}
