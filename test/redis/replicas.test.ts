import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { createSluice, type NodeSluice } from '@sluice/node'
import type { Redis } from 'ioredis'
import { type RedisServer, startRedis, until } from '../support/redis-server.ts'
import { redis } from './library.ts'
import { connect } from './support.ts'

jest.setTimeout(20_000)

let master: RedisServer
let replica: RedisServer
let client: Redis
let sluice: NodeSluice

beforeAll(async () => {
  master = await startRedis('--repl-diskless-sync-delay', '0')
  replica = await startRedis('--replicaof', '127.0.0.1', String(master.port))
  await until(async () => (await replica.cli('INFO', 'replication')).includes('master_link_status:up'))
  client = await connect(master.port)
  sluice = createSluice({ backend: redis(client) })
})
afterAll(async () => {
  await sluice.close()
  client.disconnect()
  await Promise.all([master.stop(), replica.stop()])
})

const counts = `local n = {} for _, key in ipairs(redis.call('KEYS', '*}c')) do n[#n + 1] = key .. redis.call('HGET', key, 'n') end
table.sort(n) return table.concat(n, ' ')`
const versions = (server: RedisServer) => server.cli('EVAL_RO', counts, '0')

test('purge waits for a replica and says that it was reached', async () => {
  for (let i = 0; i < 10; i++) {
    expect(await sluice.purge({ tags: ['t'] }, { replicas: 1 })).toEqual({ replicas: 1, reached: true })
    expect(await versions(replica)).toEqual(await versions(master))
  }
})

test('more than there are, or one that lags: the purge holds, and the report says that it was not reached', async () => {
  expect(await sluice.purge({ tags: ['t'] }, { replicas: 2 })).toEqual({ replicas: 1, reached: false })
  replica.freeze()
  try {
    expect(await sluice.purge({ tags: ['t'] }, { replicas: 1 })).toEqual({ replicas: 0, reached: false })
  } finally {
    replica.thaw()
  }
})

test('memory has no replicas, and a wrong number is refused', async () => {
  const alone = createSluice()
  expect(await alone.purge({ tags: ['t'] }, { replicas: 1 })).toEqual({ replicas: 0, reached: false })
  await expect(alone.purge({ tags: ['t'] }, { replicas: 0 })).rejects.toThrow('`purge.replicas` must be a whole number')
  await expect(alone.purge({ tags: ['t'] }, { replica: 1 } as never)).rejects.toThrow('Did you mean `replicas`?')
  await alone.close()
})
