import { expect, test } from '@jest/globals'
import type { CacheOptions } from '@sluice/core'
import { counted } from './harness/handlers.ts'
import { type Ctx, describeHosts } from './harness/host.ts'

describeHosts('what a handler says of its own response', (host) => {
  const boot = (say: (c: Ctx, run: number) => unknown, cache: CacheOptions = { ttl: '1m' }) =>
    host.boot({
      routes: [
        {
          path: '/',
          cache,
          handler: counted(async (c, run) => {
            await say(c, run)
            c.send(`run ${run}`)
          }),
        },
      ],
    })

  test.each([
    ['shorter than the route', { ttl: '1m' }],
    ['where the handler’s fields decide', {}],
  ] as const)('ttl(): %s', async (_, cache) => {
    const app = await boot((c) => c.sluice.ttl('10s'), cache)
    await app.get('/')
    await app.clock.advance(9_000)
    expect((await app.get('/')).cache).toBe('hit')
    await app.clock.advance(1_001)
    expect((await app.get('/')).text).toBe('run 2')
  })

  test('ttl(): longer than the route', async () => {
    const app = await boot((c) => c.sluice.ttl(120_000))
    await app.get('/')
    await app.clock.advance(119_000)
    expect((await app.get('/')).cache).toBe('hit')
  })

  test('ttl(0): not stored', async () => {
    const app = await boot((c) => c.sluice.ttl(0))
    const first = await app.get('/')
    expect([first.stored, first.detail]).toEqual([false, 'ttl-zero'])
    expect((await app.get('/')).text).toBe('run 2')
  })

  test('ttl() does not overrule what the response forbids', async () => {
    const app = await boot((c) => {
      c.sluice.ttl('1h')
      c.set('Cache-Control', 'no-store')
    })
    expect((await app.get('/')).detail).toBe('no-store')
  })

  test('ttl() that cannot be read is the handler’s mistake: its error, naming rule and value', async () => {
    const caught: string[] = []
    const app = await boot((c) => {
      try {
        c.sluice.ttl('soon')
      } catch (error) {
        caught.push((error as Error).message)
      }
    })
    expect((await app.get('/')).text).toBe('run 1')
    expect(caught).toEqual([expect.stringMatching(/`ttl` must be milliseconds or a duration.*"soon"/)])
  })

  test('tag(): purged by it, beside the route’s own tags', async () => {
    for (const tag of ['mine', 'also', 'route']) {
      const app = await boot((c) => c.sluice.tag('mine', 'also'), { ttl: '1m', tags: ['route'] })
      await app.get('/')
      await app.sluice.purge({ tags: ['other'] })
      expect((await app.get('/')).cache).toBe('hit')
      await app.sluice.purge({ tags: [tag] })
      expect((await app.get('/')).text).toBe('run 2')
    }
  })

  test.each([
    [['not-now'], 'not-now'],
    [[], 'skip'],
    [['with spaces; and "quotes"'], undefined],
  ] as const)('skip(%j): not stored, with the reason in Cache-Status and stats()', async (args, detail) => {
    const app = await boot((c) => c.sluice.skip(...args))
    const first = await app.get('/')
    expect([first.status, first.stored]).toEqual([200, false])
    if (detail !== undefined) expect(first.detail).toBe(detail)
    expect(app.sluice.stats().cache.refused).toEqual({ [args[0] ?? 'skip']: 1 })
    expect((await app.get('/')).text).toBe('run 2')
  })

  test('skip() with text no header can hold does no harm', async () => {
    const app = await boot((c) => c.sluice.skip('zeile\r\nX-Evil: 1 ☃'))
    const answer = await app.get('/')
    expect([answer.status, answer.header('x-evil')]).toEqual([200, undefined])
  })

  test('it is for one response: the next one says its own', async () => {
    const app = await boot((c, run) => run === 1 && c.sluice.skip())
    await app.get('/')
    await app.clock.advance(5_000)
    expect((await app.get('/')).stored).toBe(true)
    expect((await app.get('/')).cache).toBe('hit')
  })
})
