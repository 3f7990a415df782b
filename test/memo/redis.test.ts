import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createSurface } from '@sluice/core'
import { type RedisOptions, redis } from '@sluice/redis'
import { gate, turn } from '../hosts/harness/host.ts'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'

// The machine may be busy.
jest.setTimeout(30_000)

let server: RedisServer
let names = 0
const closing: (() => Promise<void>)[] = []
beforeAll(async () => {
  server = await startRedis()
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})
afterAll(() => server.stop())

function processOn(namespace: string, options: RedisOptions) {
  const backend = redis(`redis://127.0.0.1:${server.port}`, { namespace, ...options })
  const sluice = createSurface(
    { backend },
    (pipeline) => pipeline,
    (_, handler) => handler,
    (view) => view,
  )
  const errors: unknown[] = []
  sluice.on('error', ({ error }) => errors.push(error))
  closing.push(() => sluice.close())
  return Object.assign(sluice, { errors })
}

/** Processes that share a namespace, once connected. */
async function processes(options: RedisOptions) {
  const namespace = `memo${process.pid}-${names++}`
  const two = [processOn(namespace, options), processOn(namespace, options)] as const
  // Until they are connected, they work without.
  for (const one of two) {
    const ping = one.memo(() => 1, { ttl: '1m', name: 'ping' })
    await until(async () => (await ping()) === 1 && ping.info().hits > 0)
    one.errors.length = 0
  }
  return two
}

describe.each<[string, RedisOptions]>([
  ['Redis', {}],
  ['Redis with a tier in memory', { tier: { maxTtl: '10s' } }],
])('memos of two processes on %s', (_name, options) => {
  test('share values, and give back what was kept whatever its type', async () => {
    const [a, b] = await processes(options)
    const value = { when: new Date(5), map: new Map([['a', 1n]]), bytes: new Uint8Array([1, 2]), none: undefined }
    const [here, there] = [jest.fn(async () => value), jest.fn(async () => value)]
    await a.memo(here, { ttl: '1m', name: 'v' })()
    const get = b.memo(there, { ttl: '1m', name: 'v' })
    expect(await get()).toEqual(value)
    expect(await get()).toEqual(value)
    expect(there).not.toHaveBeenCalled()
    expect([...a.errors, ...b.errors]).toEqual([])
  })

  test('purge by tag, .delete, .expire and .clear reach the other process', async () => {
    const [a, b] = await processes(options)
    let data = 0
    const make = (sluice: typeof a) => sluice.memo(async (_id: number) => data, { ttl: '1m', tags: ['t'], name: 'v' })
    const [here, there] = [make(a), make(b)]
    const acts = [
      () => a.purge({ tags: ['t'] }),
      () => here.delete(1),
      () => here.expire(1),
      () => here.clear(),
      () => a.purge({ all: true }),
    ]
    for (const act of acts) {
      expect([await here(1), await there(1)]).toEqual([data, data])
      data++
      await act()
      // With a tier the other process hears of it a moment later; its own reads are never older than that.
      await until(async () => (await there(1)) === data)
      expect(await here(1)).toBe(data)
    }
  })

  test('a purge during the computation keeps its value from being kept', async () => {
    const [a, b] = await processes(options)
    const open = gate()
    const begun = gate()
    let data = 'old'
    const get = b.memo(
      async () => {
        const read = data
        begun.open()
        await open
        return read
      },
      { ttl: '1m', tags: ['t'], name: 'v' },
    )
    const first = get()
    await begun
    data = 'new'
    await a.purge({ tags: ['t'] })
    open.open()
    expect(await first).toBe('old')
    expect(await get()).toBe('new')
  })

  test('compute a value once, all together', async () => {
    const [a, b] = await processes(options)
    const open = gate()
    let runs = 0
    const load = async () => {
      runs++
      await open
      return { run: runs }
    }
    const [here, there] = [a.memo(load, { ttl: '1m', name: 'v' }), b.memo(load, { ttl: '1m', name: 'v' })]
    const calls = [here(), here(), there(), there()]
    await until(() => runs > 0)
    for (let i = 0; i < 20; i++) await turn()
    open.open()
    const all = await Promise.all(calls)
    expect([runs, all.map(({ run }) => run)]).toEqual([1, [1, 1, 1, 1]])
    expect([here.info().misses + there.info().misses, here.info().coalesced + there.info().coalesced]).toEqual([1, 3])
  })

  test('a failure in one process does not keep the other waiting', async () => {
    const [a, b] = await processes(options)
    const open = gate()
    const here = a.memo(
      async (): Promise<number> => {
        await open
        throw new Error('down')
      },
      { ttl: '1m', name: 'v' },
    )
    const there = b.memo(async () => 2, { ttl: '1m', name: 'v', timeout: '20s' })
    const failing = here().catch((error: Error) => error.message)
    await until(() => here.info().misses === 1)
    const started = performance.now()
    const other = there()
    for (let i = 0; i < 20; i++) await turn()
    open.open()
    expect([await failing, await other]).toEqual(['down', 2])
    expect(performance.now() - started).toBeLessThan(15_000)
  })

  test('a stale value is computed again by one process, while both give it out', async () => {
    const [a, b] = await processes(options)
    let runs = 0
    const make = (sluice: typeof a) =>
      sluice.memo(async () => ++runs, { ttl: 50, staleWhileRevalidate: '1m', name: 'v' })
    const [here, there] = [make(a), make(b)]
    expect(await here()).toBe(1)
    await until(async () => (await there()) === 2)
    expect(runs).toBeLessThan(6)
  })
})
