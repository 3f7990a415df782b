import { afterEach, expect, jest, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import type { RedisOptions } from '@sluice/redis'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { redis } from './library.ts'

jest.setTimeout(60_000)

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(options: RedisOptions = {}) {
  const server = await startRedis()
  closing.push(() => server.stop())
  return { server, ...(await application(server, options)) }
}

async function application(server: RedisServer, options: RedisOptions = {}) {
  const sluice = createSluice({ backend: redis(server.url, { tier: false, ...options }) })
  closing.push(() => sluice.close())
  const errors: string[] = []
  sluice.on('error', ({ error }) => errors.push(error.message))
  await sluice.ready()
  return { sluice, errors }
}

const manyTags = (count: number): string[] => Array.from({ length: count }, (_, i) => `tag ${i}`)

test.each([
  [1_000, {}, true],
  [1_001, {}, false],
  [1_001, { maxEntryTags: 2_000 }, true],
])('an entry with %i tags and %j is stored: %s', async (count, options, stored) => {
  const { sluice, errors } = await start({ deadlines: { read: '2s', write: '2s' }, ...options })
  let loads = 0
  const memo = sluice.memo(async (id: number) => ++loads + id, {
    name: 'towns',
    ttl: '1m',
    tags: () => manyTags(count),
  })
  await memo(1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  await memo(1)
  await memo(1)
  expect(loads).toBe(stored ? 1 : 3)
  // Once, and with the route.
  if (stored) expect(errors).toEqual([])
  else expect(errors).toEqual([expect.stringMatching(/towns.*1001 tags.*maxEntryTags/s)])
})

test('a purge of 100,000 tags is one promise, and no part of it holds Redis for long', async () => {
  const { server, sluice, errors } = await start({ deadlines: { read: '2s', write: '2s', purge: '5s' } })
  let loads = 0
  const memo = sluice.memo(async (id: number) => ++loads + id, { name: 'm', ttl: '1m', tags: (v) => [`tag ${v}`] })
  // Tagged with the last tag of all.
  loads = 99_998
  expect(await memo(0)).toBe(99_999)
  await until(async () => Number(await server.cli('DBSIZE')) > 2)
  await server.resetStats()
  await sluice.purge({ tags: manyTags(100_000) })
  const { calls, perCall } = await evaluations(server)
  expect(calls).toBeGreaterThanOrEqual(400)
  expect(perCall).toBeLessThan(5_000)
  expect(await memo(0)).toBe(100_000)
  expect(errors).toEqual([])
})

test('large entries: their deadline is not over while they arrive', async () => {
  const { server, errors, ...one } = await start({ maxEntryBytes: '8mb', deadlines: { write: '5s' } })
  const body = 'x'.repeat(5 * 2 ** 20)
  const load = async (id: number) => `${id}${body}`
  const fill = one.sluice.memo(load, { name: 'm', ttl: '1m' })
  for (const id of [1, 2, 3, 4]) await fill(id)
  await until(async () => Number(await server.cli('DBSIZE')) >= 9, 20_000)
  let loads = 0
  // A link over which all of it takes two seconds: far longer than the deadline of each.
  const proxy = await new TcpProxy(server.port).start()
  closing.push(() => proxy.stop())
  proxy.bytesPerMs = 10_000
  const options = { maxEntryBytes: '8mb', deadlines: { read: '400ms' } } as const
  const other = await application({ ...server, url: `redis://127.0.0.1:${proxy.port}` }, options)
  const memo = other.sluice.memo(async (id: number) => `${++loads} ${id}`, { name: 'm', ttl: '1m' })
  const asked = Array.from({ length: 20 }, (_, i) => memo(1 + (i % 4)))
  const values = await Promise.all(asked)
  expect([loads, ...errors, ...other.errors]).toEqual([0])
  expect(values.map((value, i) => value === `${1 + (i % 4)}${body}`)).toEqual(values.map(() => true))
})

async function evaluations(server: RedisServer): Promise<{ calls: number; perCall: number }> {
  const stats = await server.cli('INFO', 'commandstats')
  const [, calls, perCall] = /cmdstat_evalsha:calls=(\d+),.*?usec_per_call=([\d.]+)/.exec(stats)!
  return { calls: Number(calls), perCall: Number(perCall) }
}
