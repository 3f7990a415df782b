import { expect, test } from '@jest/globals'
import { counted } from './harness/handlers.ts'
import { type Ctx, describeHosts, gate, until } from './harness/host.ts'

describeHosts('stampedes', (host) => {
  const many = (n: number, ask: () => Promise<{ text: string; status: number; cache: string }>) =>
    Promise.all(Array.from({ length: n }, ask))

  test('followers take what the first brought, and Cache-Status says so (RFC 9211 §2.6)', async () => {
    const ready = gate()
    const handler = counted(async (c) => {
      await ready
      c.send('one')
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const all = Promise.all(Array.from({ length: 5 }, () => app.get('/')))
    await app.arrived(5)
    ready.open()
    const lines = (await all).map((a) => a.header('cache-status')).sort()
    expect(lines).toEqual(
      ['Sluice; fwd=uri-miss; stored', ...Array(4).fill('Sluice; fwd=uri-miss; ttl=60; collapsed')].sort(),
    )
    expect(handler.runs).toBe(1)
  })

  test('different URLs do not wait for each other', async () => {
    const ready = gate()
    const app = await host.boot({
      routes: [
        {
          path: '/:id',
          cache: { ttl: '1m' },
          async handler(c) {
            if (c.params.id === 'slow') await ready
            c.send('done')
          },
        },
      ],
    })
    const slow = app.get('/slow')
    await app.arrived(1)
    expect((await app.get('/quick')).text).toBe('done')
    ready.open()
    await slow
  })

  test('a leader whose client goes away: followers get their answer all the same', async () => {
    const ready = gate()
    const handler = counted(async (c, run) => {
      await ready
      c.send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const leader = new AbortController()
    const gone = app.request('/', { signal: leader.signal }).catch(() => 'gone')
    await app.arrived(1)
    const followers = many(3, () => app.get('/'))
    await app.arrived(4)
    leader.abort()
    expect(await gone).toBe('gone')
    ready.open()
    const answers = await followers
    expect(answers.map((a) => a.status)).toEqual([200, 200, 200])
    expect(new Set(answers.map((a) => a.text)).size).toBe(1)
    expect(handler.runs).toBeLessThanOrEqual(2)
  })

  const unstorable: readonly (readonly [string, (c: Ctx, body: string) => unknown])[] = [
    [
      'no-store',
      (c, body) => {
        c.set('Cache-Control', 'no-store')
        c.send(body)
      },
    ],
    [
      'a cookie',
      (c, body) => {
        c.set('Set-Cookie', `a=${body}`)
        c.send(body)
      },
    ],
    [
      'what the guard refuses',
      (c, body) => {
        c.user = { id: body }
        c.send(`${body}${String(c.user).slice(0, 0)}`)
      },
    ],
    ['a 500', (c, body) => c.status(500).send(body)],
  ]

  test.each(unstorable)(
    'after an answer that is not to be shared (%s) followers run side by side',
    async (_, answer) => {
      const first = gate()
      const rest = gate()
      let running = 0
      let most = 0
      const handler = counted(async (c, run) => {
        most = Math.max(most, ++running)
        await (run === 1 ? first : rest)
        running--
        await answer(c, `run ${run}`)
      })
      const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
      const all = many(6, () => app.get('/'))
      await app.arrived(6)
      expect(handler.runs).toBe(1)
      first.open()
      await until(() => handler.runs === 6)
      expect(most).toBe(5)
      rest.open()
      expect(new Set((await all).map((a) => a.text)).size).toBe(6)
    },
  )

  test('hit-for-miss: for a while nobody waits for such an answer, and then one leads again', async () => {
    const ready = gate()
    let share = false
    const handler = counted(async (c, run) => {
      if (run > 1) await ready
      if (!share) c.set('Cache-Control', 'no-store')
      c.send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    await app.get('/')
    const side = many(3, () => app.get('/'))
    await until(() => handler.runs === 4)
    share = true
    ready.open()
    await side
    await app.clock.advance(5_000)
    await app.sluice.purge({ all: true })
    const led = many(3, () => app.get('/'))
    await led
    expect(handler.runs).toBe(5)
  })

  test('a thrown error fails the leader; followers ask for themselves', async () => {
    const ready = gate()
    const handler = counted(async (c, run) => {
      await ready
      if (run === 1) throw new Error('first')
      c.send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const all = many(4, () => app.get('/'))
    await app.arrived(4)
    ready.open()
    const answers = await all
    expect(answers.map((a) => a.status).sort()).toEqual([200, 200, 200, 500])
  })

  test('a follower waits no longer than the timeout, then runs its own handler and does not store', async () => {
    const never = gate()
    const handler = counted(async (c, run) => {
      if (run === 1) await never
      c.send(`run ${run}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m', timeout: '5s' }, handler }] })
    const slow = app.get('/')
    await app.arrived(1)
    const follower = app.get('/')
    await app.arrived(2)
    await app.clock.advance(5_000)
    const own = await follower
    expect([own.text, own.stored, own.detail]).toEqual(['run 2', false, 'follower'])
    never.open()
    expect((await slow).text).toBe('run 1')
  })

  test('requests with credentials of different users never wait for each other', async () => {
    const ready = gate()
    const handler = counted(async (c) => {
      await ready
      c.send(`for ${c.header('authorization')}`)
    })
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const all = ['alice', 'bob', 'alice', 'carol'].map((who) => app.get('/', { authorization: who }))
    // The second of alice's may wait for her first.
    await until(() => handler.runs === 3)
    ready.open()
    expect((await Promise.all(all)).map((a) => a.text)).toEqual(['for alice', 'for bob', 'for alice', 'for carol'])
  })

  test('two users, one key: a follower never gets what the handler made of who the leader is', async () => {
    const ready = gate()
    const handler = counted(async (c) => {
      await ready
      c.send(`for ${c.user}`)
    })
    const app = await host.boot({
      routes: [
        {
          path: '/',
          before: [
            (c) => {
              c.user = c.header('x-user')
            },
          ],
          cache: { ttl: '1m' },
          handler,
        },
      ],
    })
    const all = ['alice', 'bob', 'carol'].map((who) => app.get('/', { 'x-user': who }))
    await app.arrived(3)
    ready.open()
    expect((await Promise.all(all)).map((a) => a.text)).toEqual(['for alice', 'for bob', 'for carol'])
    expect(app.sluice.stats().cache.stored).toBe(0)
  })

  test('streams are shared too: one source, whole for everybody', async () => {
    const ready = gate()
    const handler = counted((c) =>
      c.stream(
        (async function* () {
          yield 'one '
          await ready
          yield 'two'
        })(),
      ),
    )
    const app = await host.boot({ routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const all = many(5, () => app.get('/'))
    await app.arrived(5)
    ready.open()
    expect((await all).map((a) => a.text)).toEqual(Array(5).fill('one two'))
    expect(handler.runs).toBe(1)
  })
})
