import { expect, test } from '@jest/globals'
import { counted, says } from './harness/handlers.ts'
import { describeHosts } from './harness/host.ts'

describeHosts('variants (RFC 9111 §4.1)', (host) => {
  const varying = (vary: string | readonly string[]) =>
    host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler: counted((c, run) => says({ fields: { Vary: vary }, body: `run ${run}` })(c)),
        },
      ],
    })

  test('an absent field differs from a present one, and from an empty one', async () => {
    const app = await varying('X-Kind')
    const texts: string[] = []
    for (const headers of [{}, { 'x-kind': 'a' }, { 'x-kind': '' }, {}, { 'x-kind': 'a' }, { 'x-kind': '' }]) {
      texts.push((await app.get('/', headers as Record<string, string>)).text)
    }
    expect(texts).toEqual(['run 1', 'run 2', 'run 3', 'run 1', 'run 2', 'run 3'])
  })

  test.each([
    ['spaces around commas', 'a,b', ' a , b '],
    ['a field sent twice is its lines joined', 'a, b', ['a', 'b']],
  ])('%s make no new variant', async (_, first, second) => {
    const app = await varying('X-Kind')
    await app.get('/', { 'x-kind': first as string })
    expect((await app.get('/', { 'x-kind': second as string })).cache).toBe('hit')
  })

  test('order and case of the values do make one', async () => {
    const app = await varying('X-Kind')
    await app.get('/', { 'x-kind': 'a, b' })
    expect((await app.get('/', { 'x-kind': 'b, a' })).cache).toBe('vary-miss')
    expect((await app.get('/', { 'x-kind': 'A, b' })).cache).toBe('vary-miss')
  })

  test.each([[['X-Kind, X-Size']], [['x-size', 'X-KIND']]])('all fields named count, wherever: %j', async (vary) => {
    const app = await varying(vary)
    await app.get('/', { 'x-kind': 'a', 'x-size': '1' })
    expect((await app.get('/', { 'x-kind': 'a', 'x-size': '1' })).cache).toBe('hit')
    expect((await app.get('/', { 'x-kind': 'a', 'x-size': '2' })).cache).toBe('vary-miss')
    expect((await app.get('/', { 'x-kind': 'b', 'x-size': '1' })).cache).toBe('vary-miss')
  })

  test('Accept-Encoding never splits an entry that was not encoded', async () => {
    const app = await varying('Accept-Encoding')
    await app.get('/', { 'accept-encoding': 'gzip' })
    for (const coding of ['br', 'identity', 'gzip;q=0.1, *;q=0.5', '']) {
      expect((await app.get('/', { 'accept-encoding': coding })).cache).toBe('hit')
    }
    expect(app.sluice.stats().cache.entries).toBe(1)
  })

  test('a Vary that grows applies to what is stored from then on, and never mixes answers', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m' },
          handler(c) {
            const wants = c.header('x-kind')
            c.set('Vary', wants === undefined ? 'X-Size' : 'X-Size, X-Kind')
            if (wants === undefined) c.sluice.skip('first')
            c.send(`kind ${wants} size ${c.header('x-size')}`)
          },
        },
      ],
    })
    for (const round of [1, 2]) {
      for (const size of ['1', '2']) {
        for (const kind of ['a', 'b']) {
          const answer = await app.get('/', { 'x-kind': kind, 'x-size': size })
          expect([round, answer.text]).toEqual([round, `kind ${kind} size ${size}`])
          if (round === 2) expect(answer.cache).toBe('hit')
        }
      }
    }
  })

  test('variants of one URL are bounded', async () => {
    const app = await host.boot({
      sluice: { cache: { maxVariants: 4 } },
      routes: [{ path: '/', cache: { ttl: '1h' }, handler: says({ fields: { Vary: 'X-Kind' } }) }],
    })
    for (let i = 0; i < 40; i++) await app.get('/', { 'x-kind': String(i) })
    expect(app.sluice.stats().cache.entries).toBe(4)
    expect((await app.get('/', { 'x-kind': '3' })).cache).toBe('hit')
    expect((await app.get('/', { 'x-kind': '39' })).detail).toBe('variants')
  })

  test('varyBy a field tells caches further on, once', async () => {
    const app = await host.boot({
      routes: [
        {
          path: '/',
          cache: { ttl: '1m', varyBy: 'accept-language' },
          handler(c) {
            c.append('Vary', 'Accept')
            c.send(`in ${c.header('accept-language')}`)
          },
        },
      ],
    })
    for (const language of ['no', 'en', 'no', 'en']) {
      const answer = await app.get('/', { 'accept-language': language })
      expect(answer.text).toBe(`in ${language}`)
      expect(answer.header('vary')?.toLowerCase()).toBe('accept, accept-language')
    }
    expect(app.sluice.stats().cache).toMatchObject({ stored: 2, hits: 2 })
  })

  test("a field of earlier middleware's Vary splits nothing unless the handler read it", async () => {
    const spec = (handler: Parameters<typeof counted>[0]) => ({
      use: [(c: { append(n: string, v: string): void }) => c.append('Vary', 'Origin')],
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: counted(handler) }],
    })
    const one = await host.boot(spec((c) => c.send('for all')))
    const two = await host.boot(spec((c) => c.send(`for ${c.header('origin')}`)))
    for (const [app, second] of [
      [one, ['hit', 'for all']],
      [two, ['vary-miss', 'for https://b.example']],
    ] as const) {
      await app.get('/', { origin: 'https://a.example' })
      const { cache, text } = await app.get('/', { origin: 'https://b.example' })
      expect([cache, text]).toEqual(second)
    }
  })
})
