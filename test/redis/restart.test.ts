import { afterEach, describe, expect, test } from '@jest/globals'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { userTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import type { Vacancy } from '../../packages/core/src/cache/store/store.ts'
import type { RedisCacheStore } from '../../packages/redis/src/cache/store/redis-store.ts'
import { bodyOf, makeRecord, plain } from '../cache-store/fixtures.ts'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { connect, freshName, storeOn } from './support.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(...settings: string[]): Promise<RedisServer> {
  const server = await startRedis(...settings)
  closing.push(() => server.stop())
  return server
}

/** A process that knows nothing of what was before. */
async function processOn(server: RedisServer, name: string): Promise<RedisCacheStore> {
  const client = await connect(server.port)
  const store = storeOn(client, { name })
  closing.push(
    () => client.disconnect(),
    () => store.close(),
  )
  return store
}

const put = async (store: RedisCacheStore, body: string) =>
  store.set('k', plain, makeRecord(systemClock(), body, { tags: ['t'] }), (await store.position('k')) as Vacancy)
const read = async (store: RedisCacheStore) => bodyOf((await store.get('k', plain.select)) as CacheRecord | Vacancy)
const purge = (store: RedisCacheStore) => store.invalidate([userTag('t')], 'purge')

describe('a server that has lost a purge that had resolved: nobody is given what it was for', () => {
  test('restarted from an older snapshot, by a process that knows nothing', async () => {
    const [server, name] = [await start(), freshName()]
    const before = await processOn(server, name)
    expect(await put(before, 'old')).toBe('stored')
    await server.cli('SAVE')
    await purge(before)
    await server.kill()
    await server.restart()
    expect(Number(await server.cli('DBSIZE'))).toBeGreaterThan(1)
    expect(await read(await processOn(server, name))).toBe('vacancy:key')
  })

  test('restarted from its log, which lacks the last', async () => {
    const [server, name] = [await start('--appendonly', 'yes', '--appendfsync', 'no'), freshName()]
    const before = await processOn(server, name)
    expect(await put(before, 'old')).toBe('stored')
    await until(async () => /aof_rewrite_in_progress:0/.test(await server.cli('INFO', 'persistence')))
    await purge(before)
    await server.kill()
    await server.restart()
    expect(await read(await processOn(server, name))).toBe('vacancy:key')
  })

  test('a replica that takes the place of its master, and lacks the last', async () => {
    const [master, name] = [await start('--repl-diskless-sync-delay', '0'), freshName()]
    const replica = await start('--replicaof', '127.0.0.1', String(master.port))
    await until(async () => (await replica.cli('INFO', 'replication')).includes('master_link_status:up'))
    const before = await processOn(master, name)
    expect(await put(before, 'old')).toBe('stored')
    await until(async () => Number(await replica.cli('DBSIZE')) > 1)
    await replica.cli('REPLICAOF', 'NO', 'ONE')
    await purge(before)
    const after = await processOn(replica, name)
    expect(await read(after)).toBe('vacancy:key')
    expect(await put(after, 'new')).toBe('stored')
    expect(await read(await processOn(replica, name))).toBe('new')
  })

  test('and a connection that breaks takes nothing away', async () => {
    const [server, name] = [await start(), freshName()]
    const store = await processOn(server, name)
    expect(await put(store, 'kept')).toBe('stored')
    await server.cli('CLIENT', 'KILL', 'TYPE', 'normal')
    await until(async () => (await read(store).catch(() => '')) === 'kept')
    expect(await read(await processOn(server, name))).toBe('kept')
  })
})
