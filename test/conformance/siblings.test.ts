import { expect, test } from '@jest/globals'
import { counted, date, says } from '../hosts/harness/handlers.ts'
import { describeHosts } from '../hosts/harness/host.ts'

/** What stands beside the cases of the public suite: the same rules, where it does not ask. */
describeHosts('beside the conformance suite', (host) => {
  test.each([404, 203, 500])('RFC 9110 §13.2.1: a 304 says nothing of a stored %i', async (status) => {
    const asked: unknown[] = []
    const handler = counted((c, run) => {
      asked.push(c.header('if-none-match') ?? c.header('if-modified-since'))
      const fields = { 'Cache-Control': 'max-age=1', ETag: '"a"', 'Last-Modified': date(0) }
      says(run === 1 ? { status, fields } : { fields })(c)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler }] })
    expect((await app.get('/')).status).toBe(status)
    await app.clock.advance(2_000)
    expect((await app.get('/')).status).toBe(200)
    expect(asked).toEqual([undefined, undefined])
  })

  test.each([
    ['at the stored Date', 0, 304],
    ['later', 5_000, 304],
    ['earlier', -1_000, 200],
  ])('RFC 9111 §4.3.2: without Last-Modified, If-Modified-Since %s', async (_, offset, status) => {
    const fields = { 'Cache-Control': 'max-age=60' }
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler: says({ fields }) }] })
    const since = date(app.clock.wall() + offset)
    await app.get('/')
    await app.clock.advance(10_000)
    const answer = await app.get('/', { 'if-modified-since': since })
    expect([answer.cache, answer.status]).toEqual(['hit', status])
  })

  test('RFC 9111 §4.1: order, case and weight of languages make no variant, another preference does', async () => {
    const handler = counted((c, run) => says({ fields: { Vary: 'Accept-Language' }, body: `run ${run}` })(c))
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const texts: string[] = []
    for (const languages of ['en, de;q=0.5', 'DE;q=0.50, EN;q=1', 'en, de;q=0.4', 'en', 'de, en']) {
      texts.push((await app.get('/', { 'accept-language': languages })).text)
    }
    expect(texts).toEqual(['run 1', 'run 1', 'run 2', 'run 3', 'run 4'])
  })

  test('RFC 9111 §4.1: an answer that says its language is for all who prefer that to every other', async () => {
    const languages = ['de', 'en', 'fr']
    const negotiate = (field = '') => {
      const weights = field.split(/, ?/).map((member): [string, number] => {
        const [tag = '', q = 'q=1'] = member.split(';')
        return [tag.toLowerCase(), Number(q.slice(2))]
      })
      const known = weights.filter(([tag]) => languages.includes(tag)).sort(([, a], [, b]) => b - a)
      return known[0]?.[0] ?? 'en'
    }
    const handler = counted((c) => {
      const language = negotiate(c.header('accept-language'))
      says({ fields: { Vary: 'Accept-Language', 'Content-Language': language }, body: language })(c)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const fields = ['de', 'de, fr;q=0.5', 'fr, de;q=0.1', 'en', 'DE, xx;q=0.2', 'fr', 'pt, de;q=0.3', 'de-CH, de;q=0.9']
    for (let round = 0; round < 3; round++) {
      for (const field of fields) {
        const answer = await app.get('/', { 'accept-language': field })
        expect([field, answer.text]).toEqual([field, negotiate(field)])
        if (round === 2) expect([field, answer.cache]).toEqual([field, 'hit'])
      }
    }
    // Once the languages are known: de, fr, en, and the two who would rather have another.
    const runs = handler.runs
    for (const field of ['de, it;q=0.1', 'fr;q=0.8, nl;q=0.2', 'EN, sv;q=0.4']) {
      expect((await app.get('/', { 'accept-language': field })).cache).toBe('hit')
    }
    expect(handler.runs).toBe(runs)
  })

  test('whatever language a handler says its answers are in, a key keeps variants', async () => {
    const handler = counted((c) => {
      const language = c.header('accept-language') ?? 'en'
      says({ fields: { Vary: 'Accept-Language', 'Content-Language': language }, body: language })(c)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m', maxVariants: 64 }, handler }] })
    for (let i = 0; i < 30; i++)
      await app.get('/', { 'accept-language': `x${String.fromCharCode(97 + i)}y`.replace(/[^a-z]/g, 'z') })
    for (const cache of ['vary-miss', 'hit']) {
      const answer = await app.get('/', { 'accept-language': 'nl' })
      expect([answer.cache, answer.text]).toEqual([cache, 'nl'])
    }
    await app.get('/', { 'accept-language': 'sv' })
    expect((await app.get('/', { 'accept-language': 'nl' })).cache).toBe('hit')
  })

  test('RFC 9110 §8.4: a coding that nobody negotiates is a field like any other', async () => {
    const fields = { 'Cache-Control': 'max-age=60', 'Content-Encoding': 'AWS-chunked' }
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler: says({ fields }) }] })
    for (const [cache, accepted] of [
      ['uri-miss', 'gzip'],
      ['hit', 'br'],
      ['hit', 'identity'],
      ['hit', ''],
    ] as const) {
      const answer = await app.get('/', { 'accept-encoding': accepted })
      expect([answer.cache, answer.lines('content-encoding'), answer.text]).toEqual([cache, ['AWS-chunked'], 'hello'])
    }
  })

  test('one that is registered still goes only to those who accept it', async () => {
    const fields = { 'Cache-Control': 'max-age=60', 'Content-Encoding': 'AWS-chunked, GZIP' }
    const handler = counted(says({ fields }))
    const app = await host.boot({ routes: [{ path: '/', cache: {}, handler }] })
    await app.get('/', { 'accept-encoding': 'gzip' })
    expect((await app.get('/', { 'accept-encoding': 'identity' })).cache).toBe('vary-miss')
  })
})
