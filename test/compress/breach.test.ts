import { Readable } from 'node:stream'
import * as zlib from 'node:zlib'
import { expect, test } from '@jest/globals'
import { decoded, json, onHosts, type Spec, text } from './hosts.ts'

const gzip = { 'accept-encoding': 'gzip, br' }

onHosts('against BREACH', (boot) => {
  const saying = (spec: Partial<Spec>) => boot({ say: () => ({ headers: json, body: text }), ...spec })

  test.each([
    ['its path', ['/secret']],
    ['its path in other letters', ['/SECRET']],
    ['a pattern over paths', [/^\/sec/g]],
    ['the beginning of its path', ['/sec*']],
  ])('a route that is skipped by %s is never compressed, stored or not', async (_, skip) => {
    const { get } = await saying({ compress: { skip }, cache: { ttl: '1m' } })
    for (let i = 0; i < 3; i++) {
      const secret = await get(gzip, { path: '/secret' })
      expect(secret.header('content-encoding')).toBeUndefined()
      expect(secret.text).toBe(text)
      expect((await get(gzip, { path: '/other' })).header('content-encoding')).toBe('br')
    }
    expect((await get(gzip, { path: '/secret/' })).header('content-encoding')).toBeUndefined()
  })

  test('a function decides for itself, and one that throws does not make a route safe', async () => {
    const { get } = await saying({
      compress: {
        skip: (c) => {
          if (c.path === '/broken') throw new Error('broken')
          return c.header('cookie') !== undefined
        },
      },
    })
    expect((await get({ ...gzip, cookie: 'a=1' })).header('content-encoding')).toBeUndefined()
    expect((await get(gzip, { path: '/broken' })).header('content-encoding')).toBeUndefined()
    expect((await get(gzip)).header('content-encoding')).toBe('br')
  })

  test('padding changes the length each time, and what is decoded is the same', async () => {
    const { get } = await saying({ compress: { pad: 200 } })
    const lengths = new Set<number>()
    for (let i = 0; i < 12; i++) {
      const answer = await get(gzip)
      expect(answer.header('content-encoding')).toBe('gzip')
      expect(answer.header('content-length')).toBe(String(answer.body.length))
      expect(decoded(answer)).toBe(text)
      lengths.add(answer.body.length)
    }
    expect(lengths.size).toBeGreaterThan(3)
    const plain = zlib.gzipSync(text).length
    for (const length of lengths) expect(Math.abs(length - plain)).toBeLessThanOrEqual(260)
  })

  test('stored answers are padded anew each time', async () => {
    const { get } = await saying({ compress: { pad: 200 }, cache: { ttl: '1m' } })
    const lengths = new Set<number>()
    for (let i = 0; i < 12; i++) {
      const answer = await get(gzip)
      expect(answer.cache).toBe(i === 0 ? 'uri-miss' : 'hit')
      expect(decoded(answer)).toBe(text)
      lengths.add(answer.body.length)
    }
    expect(lengths.size).toBeGreaterThan(3)
  })
})

onHosts(
  'against BREACH, by the pattern of the route',
  (boot) => {
    test('a pattern that is known once the request has found its route', async () => {
      const { get } = await boot({
        compress: { skip: ['/:any'] },
        cache: { ttl: '1m' },
        say: () => ({ headers: json, body: text }),
      })
      for (let i = 0; i < 3; i++) expect((await get(gzip)).header('content-encoding')).toBeUndefined()
    })

    test('padding of a stream', async () => {
      const { get } = await boot({
        compress: { pad: 200 },
        say: () => ({ headers: json, body: Readable.from([text, text]) }),
      })
      const lengths = new Set<number>()
      for (let i = 0; i < 12; i++) {
        const answer = await get(gzip)
        expect(decoded(answer)).toBe(text + text)
        lengths.add(answer.body.length)
      }
      expect(lengths.size).toBeGreaterThan(3)
    })
  },
  (kind) => kind.name.startsWith('Express') || kind.name.startsWith('Fastify'),
)
