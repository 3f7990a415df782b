import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { redis } from '@sluice/redis'
import { Cluster } from 'ioredis'
import { keyedHash } from '../../packages/core/src/limit/subject/subjects.ts'
import { holds, mastersOf, replicated, slotOf } from '../support/redis-cluster.ts'
import { until } from '../support/redis-server.ts'
import { Stage } from './chaos/stage.ts'
import { limitsOn } from './limits/support.ts'

jest.setTimeout(120_000)

let stage: Stage
const closing: (() => unknown)[] = []
beforeAll(async () => {
  stage = await Stage.start('Cluster')
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(() => stage.stop())

const versions = new Map<number, number>()

/** One process of an application. */
async function application() {
  const client = new Cluster(
    stage.servers.map(({ port }) => ({ host: '127.0.0.1', port })),
    { redisOptions: { maxRetriesPerRequest: 1 } },
  )
  client.on('error', () => {})
  closing.push(() => client.disconnect())
  const sluice = createSluice({
    // Long enough for a machine that is busy with other tests.
    backend: redis(client, { namespace: 'failover', deadlines: { read: '1s', write: '1s', limit: '1s' } }),
    limits: {
      few: { rate: '10/h', onOutage: 'closed' },
      permits: { rate: '3 concurrent', permitTtl: '1m', onOutage: 'closed' },
    },
  })
  sluice.on('error', () => {})
  sluice.on('store-error', () => {})
  closing.push(() => sluice.close())
  await sluice.ready({ timeout: '20s' })
  const memo = sluice.memo(async (id: number) => `${id}=${versions.get(id) ?? 0}`, {
    name: 'm',
    ttl: '10m',
    tags: (value) => [`t${value.split('=')[0]}`],
  })
  return {
    sluice,
    memo,
    client,
    /** How many of so many requests Redis admits. */
    async admits(key: string, most: number): Promise<number> {
      let admitted = 0
      for (let i = 0; i < most; i++) {
        const { allowed, via } = await sluice.check('few', { key })
        if (via !== 'store') i--
        else if (!allowed) break
        else admitted++
      }
      return admitted
    },
  }
}

const keys = Array.from({ length: 12 }, (_, i) => `subject${i}`)
const ids = Array.from({ length: 24 }, (_, i) => i)

/** A change of the data, and the purge that follows it. */
async function change({ sluice }: Awaited<ReturnType<typeof application>>, id: number) {
  versions.set(id, (versions.get(id) ?? 0) + 1)
  return sluice.purge({ tags: [`t${id}`] }, { replicas: 1 })
}

test('a failover without the last writes: what was lost may come once more, no more than that, and nothing stale', async () => {
  const app = await application()
  const hash = keyedHash(limitsOn(app.client, { namespace: 'failover' }).secret)
  const [first] = await mastersOf({ nodes: stage.servers, stop: async () => {} })
  const lost = keys.filter((key) => holds(first!, slotOf(`{${hash(`k${key}`)}}`)))
  expect(lost.length).toBeGreaterThan(0)
  expect(lost.length).toBeLessThan(keys.length)

  for (const id of ids) await app.memo(id)
  for (const key of keys) expect(await app.admits(key, 4)).toBe(4)
  for (const key of keys) await app.sluice.check('permits', { key })
  for (const id of ids.slice(0, 12)) expect(await change(app, id)).toEqual({ replicas: 1, reached: true })
  await replicated({ nodes: stage.servers, stop: async () => {} })

  const promoted = await stage.failover(0, async () => {
    for (const key of keys) expect(await app.admits(key, 3)).toBe(3)
    for (const key of keys) await app.sluice.check('permits', { key })
    // At once: each waits a second for a replica that does not come.
    await Promise.all(ids.slice(12).map((id) => change(app, id)))
    // Whoever asks for a replica is told that there is none.
    expect(await change(app, 23)).toEqual({ replicas: 0, reached: false })
  })
  expect(
    (await mastersOf({ nodes: stage.servers, stop: async () => {} })).some(({ server }) => server === promoted),
  ).toBe(true)

  await until(async () => {
    const all = await Promise.all(keys.map((key) => app.sluice.peek('few', { key })))
    return all.every(({ via }) => via === 'store')
  }, 30_000)
  // 4 were known to the replica, 3 were not: 6 are left of 10, and 13 will have been in all. Elsewhere there are 3.
  for (const key of keys) expect([key, await app.admits(key, 20)]).toEqual([key, lost.includes(key) ? 6 : 3])
  for (const key of keys) {
    const { remaining } = await app.sluice.peek('permits', { key })
    expect([key, remaining]).toEqual([key, lost.includes(key) ? 2 : 1])
  }

  // The process that had made the purges knows more than the server does, and believes no older entry.
  const now = (id: number): string => `${id}=${versions.get(id)}`
  expect(await Promise.all(ids.map((id) => app.memo(id)))).toEqual(ids.map(now))
  // What a replica had is so for everybody, and so is everything after the one that knew has asked.
  const other = await application()
  expect(await Promise.all(ids.map((id) => other.memo(id)))).toEqual(ids.map(now))
})
