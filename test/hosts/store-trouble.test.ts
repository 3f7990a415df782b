import { expect, test } from '@jest/globals'
import { type Backend, memory } from '@sluice/core'
import type { CacheStore } from '../../packages/core/src/cache/store/store.ts'
import { counted, says } from './harness/handlers.ts'
import { describeHosts, gate, turn } from './harness/host.ts'

type Method = 'get' | 'set' | 'position' | 'invalidate'

/** The memory store, with every call through `around`. */
function backendWith(around: (method: Method, call: () => unknown) => unknown): Backend {
  const inner = memory()
  return {
    kind: 'test',
    cacheStore(env) {
      const store = inner.cacheStore(env)
      return new Proxy(store, {
        get(target, name) {
          const value = Reflect.get(target, name, target) as unknown
          if (typeof value !== 'function') return value
          const call = (...args: unknown[]) => (value as (...a: unknown[]) => unknown).apply(target, args)
          if (!['get', 'set', 'position', 'invalidate'].includes(String(name))) return call
          return (...args: unknown[]) => around(name as Method, () => call(...args))
        },
      }) as CacheStore
    },
    close: () => inner.close?.(),
  }
}

const methods: readonly Method[] = ['get', 'set', 'position', 'invalidate']
const fails: readonly (readonly [string, () => unknown])[] = [
  [
    'throws',
    () => {
      throw new Error('store down')
    },
  ],
  ['rejects', () => Promise.reject(new Error('store down'))],
]

describeHosts('a store in trouble never breaks a response', (host) => {
  const rows = methods.flatMap((method) => fails.map(([how, fail]) => [method, how, fail] as const))

  test.each(rows)('%s %s: the handler answers, and an event tells', async (broken, _, fail) => {
    let down = true
    const handler = counted()
    const app = await host.boot({
      sluice: { backend: backendWith((method, call) => (down && method === broken ? fail() : call())) },
      routes: [
        { path: '/', cache: { ttl: '1m', tags: ['a'] }, handler },
        { method: 'POST', path: '/', cache: {}, invalidate: ['a'], handler: says({ body: 'posted' }) },
      ],
    })
    const codes: unknown[] = []
    app.sluice.on('error', ({ error }) => codes.push(error.code))
    for (let i = 0; i < 3; i++) {
      const answer = await app.get('/')
      expect([answer.status, answer.text.startsWith('run ')]).toEqual([200, true])
    }
    expect((await app.request('/', { method: 'POST' })).text).toBe('posted')
    // A position is asked for only where no look-up has brought one.
    if (broken !== 'position') expect(codes.length).toBeGreaterThan(0)
    for (const code of codes) expect(code).toBe('ERR_SLUICE_STORE')
    down = false
    await app.clock.advance(10_000)
    await app.get('/')
    expect((await app.get('/')).cache).toBe('hit')
  })

  test('ten at once while it is down: all are answered', async () => {
    const app = await host.boot({
      sluice: { backend: backendWith(() => Promise.reject(new Error('down'))) },
      routes: [{ path: '/', cache: { ttl: '1m' }, handler: counted() }],
    })
    const answers = await Promise.all(Array.from({ length: 10 }, () => app.get('/')))
    expect(answers.map((a) => [a.status, a.cache, a.detail])).toEqual(Array(10).fill([200, 'bypass', 'store']))
  })
})

describeHosts('a store that takes its time', (host) => {
  const slow = () =>
    backendWith(async (_, call) => {
      await turn()
      return call()
    })

  test('miss, hit, 304, HEAD, variants, purge', async () => {
    const handler = counted((c, run) => says({ fields: { ETag: `"v${run}"`, Vary: 'X-Kind' }, body: `run ${run}` })(c))
    const app = await host.boot({
      sluice: { backend: slow() },
      routes: [{ path: '/', cache: { ttl: '1m', tags: ['a'] }, handler }],
    })
    expect((await app.get('/')).stored).toBe(true)
    expect((await app.get('/')).cache).toBe('hit')
    expect((await app.get('/', { 'if-none-match': '"v1"' })).status).toBe(304)
    expect((await app.request('/', { method: 'HEAD' })).header('content-length')).toBe('5')
    expect((await app.get('/', { 'x-kind': 'b' })).text).toBe('run 2')
    await app.sluice.purge({ tags: ['a'] })
    expect((await app.get('/')).text).toBe('run 3')
  })

  test('a body in pieces, stored behind the answer', async () => {
    const handler = counted((c) =>
      c.stream(
        (async function* () {
          yield 'one '
          yield 'two'
        })(),
      ),
    )
    const app = await host.boot({ sluice: { backend: slow() }, routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    expect((await app.get('/')).text).toBe('one two')
    expect((await app.get('/')).text).toBe('one two')
    expect((await app.get('/')).cache).toBe('hit')
    expect(handler.runs).toBe(1)
  })

  test('ten at once: one handler', async () => {
    const ready = gate()
    const handler = counted(async (c) => {
      await ready
      c.send('one')
    })
    const app = await host.boot({ sluice: { backend: slow() }, routes: [{ path: '/', cache: { ttl: '1m' }, handler }] })
    const all = Array.from({ length: 10 }, () => app.get('/'))
    await app.arrived(10)
    ready.open()
    expect((await Promise.all(all)).map((a) => a.text)).toEqual(Array(10).fill('one'))
    expect(handler.runs).toBe(1)
  })

  test('the answer to a change waits for its purge: who has seen it is never given the older one', async () => {
    const purging = gate()
    let purged = false
    const backend = backendWith(async (method, call) => {
      if (method === 'invalidate') await purging
      const result = await call()
      if (method === 'invalidate') purged = true
      return result
    })
    const app = await host.boot({
      sluice: { backend },
      routes: [
        { path: '/', cache: { ttl: '1h', tags: ['a'] }, handler: counted() },
        { method: 'POST', path: '/change', invalidate: ['a'], handler: says({ body: 'changed' }) },
        {
          method: 'POST',
          path: '/stream',
          invalidate: ['a'],
          handler: (c) =>
            c.stream(
              (async function* () {
                yield 'chan'
                yield 'ged'
              })(),
            ),
        },
      ],
    })
    await app.get('/')
    for (const path of ['/change', '/stream']) {
      let answered = false
      const change = app.request(path, { method: 'POST' }).then((answer) => {
        answered = true
        return answer
      })
      if (!purged) {
        for (let i = 0; i < 30; i++) await turn()
        expect(answered).toBe(false)
        purging.open()
      }
      expect((await change).text).toBe('changed')
      expect(purged).toBe(true)
    }
    expect((await app.get('/')).text).toBe('run 2')
  })
})
