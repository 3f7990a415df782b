import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { outside, serverOfTests, visitor } from '../support/outside-redis.ts'
import { type RedisServer, until } from '../support/redis-server.ts'
import { onOwnServer } from './skips.ts'
import { freshName } from './support.ts'
import { application as open, useAll } from './whole.ts'

jest.setTimeout(40_000)

let server: RedisServer
const closing: (() => unknown)[] = []
beforeAll(async () => {
  server = await serverOfTests()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(() => server.stop())

const application = async (...args: Parameters<typeof open>) => {
  const app = await open(...args)
  closing.push(() => app.sluice.close())
  return app
}

function clientWith({ db = 0, keyPrefix = '' }: { db?: number; keyPrefix?: string }): Redis {
  const client = outside ? visitor(databaseOf(db), { keyPrefix }) : new Redis({ port: server.port, db, keyPrefix })
  client.on('error', () => {})
  closing.push(async () => {
    if (outside) await client.flushall()
    client.disconnect()
  })
  return client
}

const databaseOf = (db: number): string => new URL(`/${db}`, server.url).href

type Given = () => Parameters<typeof open>

describe('what shares a server and not a database, a prefix or a namespace shares nothing', () => {
  const apart: readonly (readonly [string, Given, Given])[] = [
    ['databases in URLs', () => [databaseOf(0)], () => [databaseOf(1)]],
    ['databases of clients', () => [clientWith({ db: 3 })], () => [clientWith({ db: 4 })]],
    ['key prefixes', () => [clientWith({ keyPrefix: 'a:' })], () => [clientWith({ keyPrefix: 'b:' })]],
    ['a prefix and none', () => [clientWith({ keyPrefix: 'a:' })], () => [clientWith({})]],
    ['namespaces', () => [server.url, { namespace: 'a' }], () => [server.url, { namespace: 'b' }]],
  ]

  test.each(apart)('%s', async (_, first, second) => {
    const base = freshName()
    // Of names nobody else has, and the same for both but where names are to keep them apart.
    const inside = ([target, { namespace = '' } = {}]: Parameters<typeof open>) =>
      application(target, { namespace: base + namespace })
    const [one, other] = [await inside(first()), await inside(second())]
    expect([await one.memo(1), await other.memo(1)]).toEqual(['1 of 1', '1 of 1'])
    for (let i = 0; i < 5; i++) {
      await other.sluice.purge({ all: true })
      await other.sluice.purge({ tags: ['t'] })
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(await one.memo(1)).toBe('1 of 1')
    }
    expect(await other.memo(1)).toBe('2 of 1')
    const used = await one.sluice.check('few', { key: 'k', cost: 2 })
    expect(used.remaining).toBe(0)
    expect((await other.sluice.check('few', { key: 'k' })).remaining).toBe(1)
    await other.sluice.reset('few', { key: 'k' })
    expect((await one.sluice.check('few', { key: 'k' })).allowed).toBe(false)
    expect([...one.errors, ...other.errors]).toEqual([])
  })
})

onOwnServer('a database and a prefix: every key and every channel carries them', async () => {
  await server.cli('FLUSHALL')
  const { sluice, memo, errors } = await application(clientWith({ db: 5, keyPrefix: 'app:' }), { namespace: 'shop' })
  const monitor = await new Redis(server.port).monitor()
  closing.push(() => monitor.disconnect())
  const channels = new Set<string>()
  monitor.on('monitor', (_: string, [command = '', ...args]: string[]) => {
    if (/^(publish|subscribe)$/i.test(command)) for (const arg of args.slice(0, 1)) channels.add(arg)
  })
  await useAll(sluice, memo)
  await memo(3)
  await sluice.check('few', { key: 'other' })
  await until(async () => (await server.cli('PUBSUB', 'CHANNELS')).length > 0)
  for (const channel of (await server.cli('PUBSUB', 'CHANNELS')).split('\n')) channels.add(channel)
  const keys = (await server.cli('-n', '5', 'KEYS', '*')).split('\n')
  expect(keys.length).toBeGreaterThan(3)
  expect(keys.filter((key) => !key.startsWith('app:'))).toEqual([])
  expect([...channels].filter((channel) => !/^app:shop:.*@5(:|$)/.test(channel))).toEqual([])
  expect(channels.size).toBeGreaterThan(1)
  expect(await server.cli('INFO', 'keyspace')).not.toMatch(/db[^5]:/)
  // No key without an expiry.
  for (const key of keys) expect(Number(await server.cli('-n', '5', 'PTTL', key))).not.toBe(-1)
  expect(errors).toEqual([])
})
