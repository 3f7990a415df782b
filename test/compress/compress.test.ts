import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import * as zlib from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { decoded, json, onHosts, text } from './hosts.ts'

const hasZstd = 'createZstdCompress' in zlib

onHosts('compress', (boot) => {
  const saying = (headers: Record<string, string> = json, body: string | Buffer = text, status = 200) =>
    boot({ say: () => ({ status, headers, body }) })

  describe('negotiation (RFC 9110 §12.5.3)', () => {
    const rows: readonly (readonly [accept: string | undefined, coding: string | undefined])[] = [
      [undefined, undefined],
      ['', undefined],
      ['identity', undefined],
      ['gzip', 'gzip'],
      ['x-gzip', 'gzip'],
      ['GZip', 'gzip'],
      ['BR', 'br'],
      ['deflate', 'deflate'],
      ['gzip, deflate, br', 'br'],
      ['gzip;q=1, br;q=0.5', 'gzip'],
      ['gzip;q=0.001', 'gzip'],
      ['gzip;q=0', undefined],
      ['gzip;q=0.5, identity', undefined],
      ['gzip;q=0.5, identity;q=0', 'gzip'],
      ['*', 'br'],
      ['*, br;q=0', hasZstd ? 'zstd' : 'gzip'],
      ['*;q=0', undefined],
      ['gzip;q=0.002, br;q=0.001', 'gzip'],
      ['compress, unknown', undefined],
      ['zstd', hasZstd ? 'zstd' : undefined],
    ]
    test.each(rows)('Accept-Encoding %p gives %p', async (accept, coding) => {
      const { get } = await saying()
      const answer = await get(accept === undefined ? {} : { 'accept-encoding': accept })
      expect(answer.header('content-encoding')).toBe(coding)
      expect(decoded(answer)).toBe(text)
      expect(answer.header('content-length')).toBe(String(answer.body.length))
    })
  })

  describe('left alone', () => {
    const alone: readonly (readonly [string, Record<string, string>, number])[] = [
      ['no-transform', { ...json, 'Cache-Control': 'public, No-Transform' }, 200],
      ['Content-Range', { ...json, 'Content-Range': 'bytes 0-9/10' }, 206],
      ['an already encoded body', { ...json, 'Content-Encoding': 'gzip' }, 200],
      ['a type that does not shrink', { 'Content-Type': 'image/png' }, 200],
    ]
    test.each(alone)('%s', async (_, headers, status) => {
      const body = headers['Content-Encoding'] ? zlib.gzipSync(text) : Buffer.from(text)
      const { get } = await saying(headers, body, status)
      const answer = await get({ 'accept-encoding': 'gzip' })
      expect(answer.header('content-encoding')).toBe(headers['Content-Encoding'])
      expect(answer.body).toEqual(body)
    })

    test('a directive that only has no-transform in its name does not count', async () => {
      const { get } = await saying({ ...json, 'Cache-Control': 'x-no-transform, no-transform-ever' })
      expect((await get({ 'accept-encoding': 'gzip' })).header('content-encoding')).toBe('gzip')
    })

    test('HEAD, which still says that it varies', async () => {
      const { get } = await saying()
      const answer = await get({ 'accept-encoding': 'gzip' }, { method: 'HEAD' })
      expect(answer.header('content-encoding')).toBeUndefined()
      expect(answer.header('vary')).toBe('Accept-Encoding')
      expect(answer.body).toHaveLength(0)
    })

    test.each([204, 304])('%i has no body to encode', async (status) => {
      const { get } = await boot({ say: () => ({ status, headers: { ETag: '"1"' } }) })
      const answer = await get({ 'accept-encoding': 'gzip' })
      expect(answer.status).toBe(status)
      expect(answer.header('content-encoding')).toBeUndefined()
      expect(answer.header('etag')).toBe('"1"')
    })

    test('bodies below the threshold', async () => {
      const { get } = await boot({
        compress: { threshold: 100 },
        say: ({ url }) => ({ headers: json, body: 'a'.repeat(Number(url.slice(1))) }),
      })
      expect((await get({ 'accept-encoding': 'gzip' }, { path: '/99' })).header('content-encoding')).toBeUndefined()
      expect((await get({ 'accept-encoding': 'gzip' }, { path: '/100' })).header('content-encoding')).toBe('gzip')
    })

    test('what the filter refuses', async () => {
      const { get } = await boot({
        compress: { filter: (r) => !r.request.header('x-no-compression') },
        say: () => ({ headers: json, body: text }),
      })
      const answer = await get({ 'accept-encoding': 'gzip', 'x-no-compression': '1' })
      expect(answer.header('content-encoding')).toBeUndefined()
      expect(answer.header('vary')).toBe('Accept-Encoding')
      expect((await get({ 'accept-encoding': 'gzip' })).header('content-encoding')).toBe('gzip')
    })

    test('a body that would grow', async () => {
      const body = randomBytes(4096)
      const { get } = await saying({ 'Content-Type': 'text/plain', ETag: '"n"' }, body)
      const answer = await get({ 'accept-encoding': 'gzip' })
      expect(answer.header('content-encoding')).toBeUndefined()
      expect(answer.header('etag')).toBe('"n"')
      expect(answer.body).toEqual(body)
    })
  })

  describe('Vary', () => {
    const rows: readonly (readonly [there: string | undefined, sent: string])[] = [
      [undefined, 'Accept-Encoding'],
      ['Origin', 'Origin, Accept-Encoding'],
      ['accept-encoding', 'accept-encoding'],
      ['Origin, ACCEPT-ENCODING', 'Origin, ACCEPT-ENCODING'],
      ['*', '*'],
      ['Origin, *', 'Origin, *'],
    ]
    test.each(rows)('%p becomes %p, compressed or not', async (there, sent) => {
      const { get } = await saying(there === undefined ? json : { ...json, Vary: there })
      expect((await get({ 'accept-encoding': 'gzip' })).lines('vary')).toEqual([sent])
      expect((await get({})).lines('vary')).toEqual([sent])
    })

    test('is not named for types that are never compressed', async () => {
      const { get } = await saying({ 'Content-Type': 'image/png' })
      expect((await get({ 'accept-encoding': 'gzip' })).header('vary')).toBeUndefined()
    })

    test('is named for a body below the threshold', async () => {
      const { get } = await saying(json, '{}')
      expect((await get({ 'accept-encoding': 'gzip' })).header('vary')).toBe('Accept-Encoding')
    })
  })

  describe('the head of an encoded answer', () => {
    test('a Content-Length the handler set for the identity body never survives', async () => {
      const { get } = await saying({ ...json, 'Content-Length': String(text.length) })
      const answer = await get({ 'accept-encoding': 'br' })
      expect(answer.header('content-length')).toBe(String(answer.body.length))
      expect(decoded(answer)).toBe(text)
    })

    test.each([
      ['br', '"v1"', '"v1;br"'],
      ['gzip', '"v1"', '"v1;gzip"'],
      ['gzip', 'W/"v1"', 'W/"v1"'],
    ])('strong ETag per encoding: %s of %s is %s', async (coding, tag, sent) => {
      const { get } = await saying({ ...json, ETag: tag })
      expect((await get({ 'accept-encoding': coding })).header('etag')).toBe(sent)
      expect((await get({})).header('etag')).toBe(tag)
    })

    test('says nothing of ranges and digests of the identity body', async () => {
      const { get } = await saying({ ...json, 'Accept-Ranges': 'bytes', 'Repr-Digest': 'sha-256=:AA==:' })
      const answer = await get({ 'accept-encoding': 'gzip' })
      expect([answer.header('accept-ranges'), answer.header('repr-digest')]).toEqual([undefined, undefined])
      expect((await get({})).header('accept-ranges')).toBe('bytes')
    })

    test('a tag of an encoded form comes back to the handler as the tag it was made of', async () => {
      const { get } = await boot({
        say: ({ headers }) =>
          String(headers['if-none-match']).includes('"v1"')
            ? { status: 304, headers: { ETag: '"v1"' } }
            : { headers: { ...json, ETag: '"v1"' }, body: text },
      })
      const first = await get({ 'accept-encoding': 'gzip' })
      const again = await get({ 'accept-encoding': 'gzip', 'if-none-match': first.header('etag')! })
      expect(again.status).toBe(304)
      expect(again.header('etag')).toBe('"v1;gzip"')
      expect(again.header('vary')).toBe('Accept-Encoding')
    })
  })

  describe('streams', () => {
    const pieces = Array.from({ length: 50 }, (_, i) => `${i}: ${text}\n`)

    test.each(['br', 'gzip', 'deflate', ...(hasZstd ? ['zstd'] : [])])('%s, chunked and whole', async (coding) => {
      const { get } = await boot({ say: () => ({ headers: json, body: Readable.from(pieces) }) })
      const answer = await get({ 'accept-encoding': coding })
      expect(answer.header('content-encoding')).toBe(coding)
      expect(answer.header('content-length')).toBeUndefined()
      expect(answer.header('transfer-encoding')).toBe('chunked')
      expect(decoded(answer)).toBe(pieces.join(''))
    })

    test('a large whole body', async () => {
      const large = pieces.join('')
      const body = large.repeat(Math.ceil(1_100_000 / large.length))
      const { get } = await saying(json, body)
      const answer = await get({ 'accept-encoding': 'gzip' })
      expect(answer.header('content-encoding')).toBe('gzip')
      expect(decoded(answer) === body).toBe(true)
    })

    test('a body above what is encoded at once', async () => {
      const body = text.repeat(15)
      const { get } = await saying(json, body)
      const answer = await get({ 'accept-encoding': 'br' })
      expect(decoded(answer)).toBe(body)
      expect(answer.header('content-length')).toBe(String(answer.body.length))
    })
  })

  test('a function that throws is an event, and its answer goes uncompressed', async () => {
    const { get, sluice } = await boot({
      compress: {
        filter: () => {
          throw new Error('broken')
        },
      },
      say: () => ({ headers: json, body: text }),
    })
    const errors: string[] = []
    sluice.on('error', ({ error }) => errors.push(error.code))
    const answer = await get({ 'accept-encoding': 'gzip' })
    expect(answer.header('content-encoding')).toBeUndefined()
    expect(answer.text).toBe(text)
    expect(errors).toEqual(['ERR_SLUICE_CALLBACK'])
  })
})
