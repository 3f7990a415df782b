import * as zlib from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { until } from '../hosts/harness/host.ts'
import { decoded, json, onHosts, type Spec, text } from './hosts.ts'

onHosts('compress in front of cache', (boot) => {
  const cached = async (spec: Partial<Spec> = {}) => {
    let runs = 0
    const booted = await boot({
      cache: { ttl: '5m', tags: ['all'] },
      say: () => {
        runs++
        return { headers: json, body: text }
      },
      ...spec,
    })
    return { ...booted, runs: () => runs }
  }

  test('a stored response keeps its identity bytes and the forms that were asked for, and a hit sends them', async () => {
    const { get, runs } = await cached()
    const codings = ['br', 'identity', 'gzip', 'deflate']
    for (let round = 0; round < 3; round++) {
      for (const coding of codings) {
        const answer = await get({ 'accept-encoding': coding })
        expect(answer.header('content-encoding')).toBe(coding === 'identity' ? undefined : coding)
        expect(answer.header('content-length')).toBe(String(answer.body.length))
        expect(answer.lines('vary')).toEqual(['Accept-Encoding'])
        expect(decoded(answer)).toBe(text)
        expect(answer.cache).toBe(round === 0 && coding === 'br' ? 'uri-miss' : 'hit')
      }
    }
    expect(runs()).toBe(1)
  })

  test('a hit sends stored bytes: nothing is encoded again', async () => {
    let asked = 0
    const { get } = await cached({ compress: { types: () => ++asked > 0 } })
    await get({ 'accept-encoding': 'gzip' })
    const first = await get({ 'accept-encoding': 'gzip' })
    const again = await get({ 'accept-encoding': 'gzip' })
    expect(first.cache).toBe('hit')
    expect(again.body.equals(first.body)).toBe(true)
  })

  test('each form has its own strong tag, and any of them is confirmed with 304', async () => {
    const { get } = await cached()
    const tags: string[] = []
    for (const coding of ['gzip', 'br', 'identity'])
      tags.push((await get({ 'accept-encoding': coding })).header('etag')!)
    expect(new Set(tags).size).toBe(3)
    expect(tags[0]).toBe(tags[2]!.replace(/"$/, ';gzip"'))
    for (const tag of tags) {
      const answer = await get({ 'accept-encoding': 'br', 'if-none-match': tag })
      expect(answer.status).toBe(304)
      expect(answer.header('vary')).toBe('Accept-Encoding')
      expect(answer.header('content-encoding')).toBeUndefined()
      expect(answer.header('content-length')).toBeUndefined()
    }
  })

  test('a range is of the form this client gets, and If-Range picks the form it has a part of', async () => {
    const { get } = await cached()
    const gzip = await get({ 'accept-encoding': 'gzip' })
    const identity = await get({})
    const part = await get({ 'accept-encoding': 'gzip', range: 'bytes=10-19' })
    expect(part.status).toBe(206)
    expect(part.header('content-encoding')).toBe('gzip')
    expect(part.body).toEqual(gzip.body.subarray(10, 20))
    expect(part.header('content-range')).toBe(`bytes 10-19/${gzip.body.length}`)
    const rest = await get({
      'accept-encoding': 'gzip, identity',
      range: 'bytes=10-19',
      'if-range': identity.header('etag')!,
    })
    expect(rest.status).toBe(206)
    expect(rest.header('content-encoding')).toBeUndefined()
    expect(rest.body).toEqual(identity.body.subarray(10, 20))
    const changed = await get({ 'accept-encoding': 'gzip', range: 'bytes=10-19', 'if-range': '"other"' })
    expect(changed.status).toBe(200)
  })

  test('HEAD says what GET would', async () => {
    const { get } = await cached()
    const answer = await get({ 'accept-encoding': 'gzip' })
    const head = await get({ 'accept-encoding': 'gzip' }, { method: 'HEAD' })
    for (const name of ['content-encoding', 'content-length', 'etag', 'vary']) {
      expect(head.header(name)).toBe(answer.header(name))
    }
    expect(head.body).toHaveLength(0)
  })

  test('a client that accepts only an encoding not stored yet gets a fast one now; others take what is there', async () => {
    const { get, runs } = await cached()
    await get({ 'accept-encoding': 'gzip' })
    expect((await get({ 'accept-encoding': 'gzip, br' })).header('content-encoding')).toBe('gzip')
    const only = await get({ 'accept-encoding': 'br' })
    expect(only.header('content-encoding')).toBe('br')
    expect(only.cache).toBe('hit')
    expect((await get({ 'accept-encoding': 'gzip, br' })).header('content-encoding')).toBe('br')
    expect(runs()).toBe(1)
  })

  test('forms count against maxBytes', async () => {
    const { get, sluice } = await cached()
    await get({})
    const before = sluice.stats().cache.bytes
    const gzip = await get({ 'accept-encoding': 'gzip' })
    const after = sluice.stats().cache
    expect(after.entries).toBe(1)
    expect(after.bytes - before).toBeGreaterThanOrEqual(gzip.body.length)
  })

  test('entries that proved hot get the best level once, under another strong tag', async () => {
    const { get, runs } = await cached({ compress: { best: { hits: 3 } } })
    const fast = await get({ 'accept-encoding': 'gzip' })
    let best = fast
    for (let i = 0; i < 5; i++) await get({ 'accept-encoding': 'br' })
    const fastBr = await get({ 'accept-encoding': 'br' })
    let hot = fastBr
    const end = Date.now() + 4000
    while (hot.header('etag') === best.header('etag') || !hot.header('etag')!.includes('-best')) {
      hot = await get({ 'accept-encoding': 'br' })
      if (Date.now() > end) break
    }
    expect(hot.header('etag')).toMatch(/;br-best"$/)
    expect(zlib.brotliDecompressSync(hot.body).toString()).toBe(text)
    best = hot
    for (let i = 0; i < 10; i++) expect((await get({ 'accept-encoding': 'br' })).body.equals(best.body)).toBe(true)
    // Who has the fast form is up to date all the same.
    const tag = hot.header('etag')!.replace('-best', '')
    expect((await get({ 'accept-encoding': 'br', 'if-none-match': tag })).status).toBe(304)
    expect(runs()).toBe(1)
  })

  test('a purge between the hit and its form wins', async () => {
    const body = text.repeat(60)
    let version = 1
    const { get, sluice } = await cached({ say: () => ({ headers: json, body: `${version}${body}` }) })
    await get({})
    // Large enough to be encoded on a thread: the purge comes first.
    const running = get({ 'accept-encoding': 'gzip' })
    version = 2
    await sluice.purge({ tags: ['all'] })
    await running
    const after = await get({ 'accept-encoding': 'gzip' })
    expect(decoded(after)).toBe(`2${body}`)
  })

  test('clients that ask for a large form at once have it made once', async () => {
    const body = text.repeat(60)
    const { get, sluice } = await cached({ say: () => ({ headers: json, body }) })
    await get({})
    const answers = await Promise.all(Array.from({ length: 10 }, () => get({ 'accept-encoding': 'br' })))
    for (const answer of answers) expect(decoded(answer) === body).toBe(true)
    expect(new Set(answers.map((answer) => answer.header('etag'))).size).toBe(1)
    expect(sluice.stats().cache.entries).toBe(1)
  })

  test('the filter is asked for each request, also where a form is stored', async () => {
    const { get } = await cached({ compress: { filter: (r) => r.request.header('x-plain') === undefined } })
    expect((await get({ 'accept-encoding': 'gzip' })).header('content-encoding')).toBe('gzip')
    expect((await get({ 'accept-encoding': 'gzip', 'x-plain': '1' })).header('content-encoding')).toBeUndefined()
    expect((await get({ 'accept-encoding': 'gzip' })).header('content-encoding')).toBe('gzip')
  })

  test('what is small or does not shrink is sent as it is', async () => {
    const { get } = await cached({ say: () => ({ headers: json, body: '{}' }) })
    for (let i = 0; i < 3; i++) expect((await get({ 'accept-encoding': 'gzip' })).text).toBe('{}')
  })

  describe('what the handler encoded itself', () => {
    test('is stored as it is, per coding', async () => {
      const { get } = await cached({
        say: ({ headers }) =>
          headers['accept-encoding'] === 'gzip'
            ? { headers: { ...json, 'Content-Encoding': 'gzip' }, body: zlib.gzipSync(text) }
            : { headers: json, body: text },
      })
      await get({ 'accept-encoding': 'gzip' })
      const hit = await get({ 'accept-encoding': 'gzip' })
      expect(hit.cache).toBe('hit')
      expect(hit.header('content-encoding')).toBe('gzip')
      expect(decoded(hit)).toBe(text)
      expect(decoded(await get({}))).toBe(text)
    })
  })

  test('refresh and expiry keep serving the right form', async () => {
    const { get, sluice } = await cached({ cache: { ttl: '5m', tags: ['all'], staleWhileRevalidate: '1h' } })
    await get({ 'accept-encoding': 'gzip' })
    await sluice.expire({ tags: ['all'] })
    const stale = await get({ 'accept-encoding': 'gzip' })
    expect(decoded(stale)).toBe(text)
    expect(stale.header('content-encoding')).toBe('gzip')
    await until(() => sluice.stats().cache.stored === 2)
    expect(decoded(await get({ 'accept-encoding': 'br' }))).toBe(text)
  })
})
