import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import type { CacheRecord } from '../../packages/core/src/cache/entry/record.ts'
import { everythingTag } from '../../packages/core/src/cache/entry/record-tags.ts'
import type { Vacancy, Variant } from '../../packages/core/src/cache/store/store.ts'
import { makeRecord, plain, variantFor } from '../cache-store/fixtures.ts'
import { type RedisServer, startCluster, startRedis } from '../support/redis-server.ts'
import { storeOn } from './support.ts'
import { application, useAll } from './whole.ts'

jest.setTimeout(40_000)

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** The line of the README, word by word. */
const readme = readFileSync(new URL('../../packages/redis/README.md', import.meta.url), 'utf8')
const words = /^ *ACL (SETUSER sluice .*)$/m.exec(readme)![1]!.replace('PASSWORD', 'pass').split(' ')
const commands = words.filter((word) => word.startsWith('+')).map((word) => word.slice(1))

async function serverWith(line: readonly string[]): Promise<{ server: RedisServer; url: string }> {
  const server = await startRedis()
  closing.push(() => server.stop())
  expect(await server.cli('ACL', ...line)).toBe('OK')
  return { server, url: `redis://sluice:pass@127.0.0.1:${server.port}/2` }
}

const denied = async (server: RedisServer): Promise<string[]> =>
  (await server.cli('ACL', 'LOG'))
    .split('\n')
    .filter((_, i, lines) => lines[i - 1]?.endsWith('object') || lines[i - 1] === 'object')

async function use(target: Parameters<typeof application>[0]) {
  const app = await application(target, { namespace: 'shop' })
  closing.push(() => app.sluice.close())
  await useAll(app.sluice, app.memo)
  // The bus has been tried out, and limits listen to what is given back.
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  return app
}

describe('a user with exactly the line of the README', () => {
  test('can do all there is, and nothing else is tried', async () => {
    const { server, url } = await serverWith(words)
    const { errors } = await use(url)
    expect(errors).toEqual([])
    expect(await denied(server)).toEqual([])
    expect(await server.cli('ACL', 'GETUSER', 'sluice')).not.toMatch(/@all\+|\+@/)
  })

  test('each command of it is used: none of them is granted for nothing', async () => {
    const { server, url } = await serverWith(words)
    await use(url)
    await server.cli('SCRIPT', 'FLUSH')
    // What a short life does not come to: a form that is added, a variant in the place of one that was purged, a key that is removed.
    const client = new Redis(url, { disableClientInfo: true })
    closing.push(() => client.disconnect())
    await client.info()
    const store = storeOn(client, { name: 'shop', maxVariants: 1 })
    closing.push(() => store.close())
    const put = async (key: string, variant: Variant) =>
      store.set(key, variant, makeRecord(systemClock(), 'body'), (await store.position(key)) as Vacancy)
    expect(await put('k', plain)).toBe('stored')
    const form = { coding: 'gzip', body: Buffer.from('gzip'), etag: undefined }
    expect(await store.addForm('k', plain.select, (await store.get('k', plain.select)) as CacheRecord, form)).toBe(true)
    expect(await put('v', variantFor(['l'], { l: 'en' }))).toBe('stored')
    await store.invalidate([everythingTag], 'purge')
    expect(await put('v', variantFor(['l'], { l: 'de' }))).toBe('stored')
    await store.delete('k')
    expect(await denied(server)).toEqual([])
    const used = Object.keys(await server.calls())
    expect(commands.filter((command) => !used.includes(command))).toEqual([])
  })

  test('in a Cluster it needs three more', async () => {
    const cluster = await startCluster(3)
    closing.push(() => cluster.stop())
    for (const node of cluster.nodes)
      await node.cli('ACL', ...words, '+cluster|slots', '+cluster|info', '+client|setname')
    const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
    const client = new Cluster(nodes, {
      redisOptions: { username: 'sluice', password: 'pass', disableClientInfo: true },
    })
    client.on('error', () => {})
    closing.push(() => client.disconnect())
    const { errors } = await use(client)
    expect(errors).toEqual([])
    // ioredis tells newer servers its version, and does not mind not being allowed to.
    for (const node of cluster.nodes) expect((await denied(node)).filter((one) => one !== 'client|setinfo')).toEqual([])
  })
})
