import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { type RedisOptions, redis } from '@sluice/redis'
import * as redis5 from 'redis'
import * as newer from 'redis-6'
import { mastersOf } from '../support/redis-cluster.ts'
import { type RedisServer, startCluster, startRedis, until } from '../support/redis-server.ts'
import { startSentinel } from '../support/redis-ways.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { freshName } from './support.ts'
import { application as open, useAll } from './whole.ts'

jest.setTimeout(60_000)

const redis6 = newer as unknown as typeof redis5
const closing: (() => unknown)[] = []
let server: RedisServer

beforeAll(async () => {
  server = await startRedis()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(() => server.stop())

type ClientOptions = NonNullable<Parameters<typeof redis5.createClient>[0]>

/** As an application makes one: it queues what is called while there is no connection, and tries for ever. */
function clientOf({ createClient }: Pick<typeof redis5, 'createClient'>, options: ClientOptions = {}) {
  const client = createClient({ url: server.url, ...options })
  client.on('error', () => {})
  closing.push(() => client.isOpen && client.destroy())
  return client
}

function sluiceOn(target: Parameters<typeof redis>[0], options: RedisOptions = {}) {
  const sluice = createSluice({
    backend: redis(target, { namespace: freshName(), ...options }),
    limits: { few: '10/min', many: '1000/min' },
  })
  const errors: string[] = []
  sluice.on('error', ({ error }) => errors.push(error.message))
  sluice.on('store-error', ({ error }) => errors.push(String(error)))
  closing.push(() => sluice.close())
  return { sluice, errors }
}

type Sluice = ReturnType<typeof sluiceOn>['sluice']

const admitted = async (sluice: Sluice, count: number): Promise<number> => {
  const answers = await Promise.all(Array.from({ length: count }, () => sluice.check('few', { key: 'k' })))
  return answers.filter(({ allowed }) => allowed).length
}

const viaStore = async (sluice: Sluice, key = 'any'): Promise<boolean> =>
  (await sluice.check('many', { key })).via === 'store'

/** The line of the README, word by word. */
const readme = readFileSync(new URL('../../packages/redis/README.md', import.meta.url), 'utf8')
const acl = /^ *ACL (SETUSER sluice .*)$/m.exec(readme)![1]!.replace('PASSWORD', 'pass').split(' ')

/** With `SLUICE_TEST_CLIENT` everything with everything; else what is most likely, or hardest. */
const whole = process.env.SLUICE_TEST_CLIENT !== undefined
const some = <T>(usual: readonly T[], all: readonly T[]): readonly T[] => (whole ? all : usual)
const [five, six] = [['5', redis5] as const, ['6', redis6] as const]
const [five2, five3] = [['5, RESP2', redis5, 2] as const, ['5, RESP3', redis5, 3] as const]
const [six2, six3] = [['6, RESP2', redis6, 2] as const, ['6, RESP3', redis6, 3] as const]

describe.each(some([five2, six3], [five2, five3, six2, six3]))('a client of node-redis %s', (_, library, RESP) => {
  test('has all there is, with the rights of the README, and stays the application’s', async () => {
    const own = await startRedis()
    closing.push(() => own.stop())
    expect(await own.cli('ACL', ...acl)).toBe('OK')
    const url = `redis://sluice:pass@127.0.0.1:${own.port}/2`
    const client = clientOf(library, { url, RESP, disableClientInfo: true })
    let errors = 0
    client.on('error', () => errors++)
    await client.connect()
    const app = await open(client, { namespace: 'shop' })
    await useAll(app.sluice, app.memo)
    expect(app.errors).toEqual([])
    const log = await own.cli('ACL', 'LOG')
    expect(log).toBe('')
    await until(async () => (await own.cli('CLIENT', 'LIST', 'TYPE', 'pubsub')).length > 0)
    await app.sluice.close()
    expect(client.isReady).toBe(true)
    await until(async () => (await own.cli('CLIENT', 'LIST')).split('\n').length === 2)
    // Its listeners still hear.
    await own.kill()
    await until(() => errors > 0)
  })

  test('is connected by the first call, or by its owner', async () => {
    const [idle, quick] = [clientOf(library, { RESP }), clientOf(library, { RESP })]
    const first = sluiceOn(idle)
    expect(idle.isOpen).toBe(false)
    expect(await admitted(first.sluice, 50)).toBe(10)
    const second = sluiceOn(quick)
    // The application's own call must not find that somebody else has done so already.
    const asked = admitted(second.sluice, 50)
    await quick.connect()
    expect(await asked).toBe(10)
    expect([...first.errors, ...second.errors]).toEqual([])
  })
})

describe.each([five, six])('node-redis %s', (_, library) => {
  test('holds nobody up while Redis is gone, and charges nothing afterwards that was given up', async () => {
    const own = await startRedis()
    closing.push(() => own.stop())
    const client = clientOf(library, { url: own.url, socket: { reconnectStrategy: 50 } })
    await client.connect()
    const { sluice } = sluiceOn(client, { tier: false })
    await sluice.ready()
    await own.kill()
    const from = performance.now()
    // Local counts take over.
    expect(await admitted(sluice, 20)).toBe(10)
    expect(performance.now() - from).toBeLessThan(1_000)
    await own.restart()
    await until(() => viaStore(sluice))
    expect(await admitted(sluice, 20)).toBe(10)
  })

  test('forgets commands that were not written to the connection that is lost', async () => {
    const proxy = await new TcpProxy(server.port).start()
    closing.push(() => proxy.stop())
    const url = `redis://127.0.0.1:${proxy.port}`
    const client = clientOf(library, { url, socket: { reconnectStrategy: 20 } })
    await client.connect()
    const { sluice } = sluiceOn(client, { tier: false })
    await sluice.ready()
    // As where a buffer is full.
    const { _pause, _unpause } = client as unknown as Record<'_pause' | '_unpause', () => void>
    _pause.call(client)
    const given = admitted(sluice, 7)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const lost = new Promise((resolve) => client.once('reconnecting', resolve))
    proxy.cut()
    await lost
    _unpause.call(client)
    // Local counts, as there is no connection.
    expect(await given).toBe(7)
    await until(() => viaStore(sluice))
    expect((await sluice.check('few', { key: 'k' })).remaining).toBe(9)
  })

  test('a frozen server does not hold close() up', async () => {
    const own = await startRedis()
    closing.push(() => own.stop())
    const client = clientOf(library, { url: own.url })
    const { sluice } = sluiceOn(client)
    await sluice.ready()
    own.freeze()
    const from = performance.now()
    await sluice.close()
    expect(performance.now() - from).toBeLessThan(1_000)
    own.thaw()
  })

  test('says what is the matter, without the password', async () => {
    const own = await startRedis('--requirepass', 'right')
    closing.push(() => own.stop())
    const { sluice } = sluiceOn(clientOf(library, { url: `redis://:wr0ng-secret@127.0.0.1:${own.port}` }))
    const error = await sluice.ready({ timeout: '5s' }).then(
      () => undefined,
      (thrown) => thrown,
    )
    expect(error.message).toMatch(/does not accept the user or the password/)
    expect(`${error.message} ${JSON.stringify(error.cause)} ${String(error.stack)}`).not.toContain('wr0ng-secret')
  })
})

test.each(some([five], [five, six]))(
  'node-redis %s, Sentinel: the new leader is found, for commands and for what is listened to',
  async (_, library) => {
    const [leader, follower] = [await startRedis(), await startRedis('--repl-diskless-sync-delay', '0')]
    closing.push(
      () => leader.stop(),
      () => follower.stop(),
    )
    await follower.cli('REPLICAOF', '127.0.0.1', String(leader.port))
    await until(async () => /master_link_status:up/.test(await follower.cli('INFO', 'replication')))
    const sentinel = await startSentinel(leader.port)
    closing.push(() => sentinel.stop())
    const tell = (...args: string[]) => leader.cli('-p', String(sentinel.port), ...args)
    await tell('SENTINEL', 'SET', sentinel.name, 'down-after-milliseconds', '500')
    await until(async () => /slaves=1/.test(await tell('INFO', 'sentinel')))
    const client = library.createSentinel({
      name: sentinel.name,
      sentinelRootNodes: [{ host: '127.0.0.1', port: sentinel.port }],
      nodeClientOptions: { database: 3, socket: { reconnectStrategy: 50 } },
    })
    client.on('error', () => {})
    closing.push(async () => {
      if (client.isOpen) await client.destroy()
    })
    await client.connect()
    const { sluice } = sluiceOn(client)
    await sluice.ready({ timeout: '10s' })
    expect(await admitted(sluice, 20)).toBe(10)
    expect(await leader.cli('INFO', 'keyspace')).toMatch(/^db3:/m)
    const channels = async (one: RedisServer) => (await one.cli('PUBSUB', 'CHANNELS')).match(/@3/g)?.length ?? 0
    await until(async () => (await channels(leader)) > 0)
    // With orders to hand over, and not killed: nobody has to wait until it counts as dead.
    await until(async () => (await tell('SENTINEL', 'FAILOVER', sentinel.name)) === 'OK')
    await until(async () => /role:master/.test(await follower.cli('INFO', 'replication')), 30_000)
    await until(async () => (await viaStore(sluice)) && (await channels(follower)) > 0, 30_000)
    await until(() =>
      sluice.purge({ all: true }).then(
        () => true,
        () => false,
      ),
    )
    expect(client.isOpen).toBe(true)
  },
)

test.each(some([six], [five, six]))(
  'node-redis %s, a Cluster: all there is, and a lost node does not take the others along',
  async (_, library) => {
    const cluster = await startCluster(3)
    closing.push(() => cluster.stop())
    const client = library.createCluster({
      rootNodes: cluster.nodes.map(({ url }) => ({ url })),
      defaults: { socket: { reconnectStrategy: 50 } },
    })
    for (const event of ['error', 'node-error']) client.on(event, () => {})
    closing.push(() => client.isOpen && client.destroy())
    const app = await open(client)
    closing.push(() => app.sluice.close())
    await useAll(app.sluice, app.memo)
    expect(app.errors).toEqual([])
    expect(await app.sluice.reset('few')).toBeGreaterThanOrEqual(0)
    const { sluice } = sluiceOn(client, { tier: false })
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
    const counted = async () => (await Promise.all(keys.map((key) => viaStore(sluice, key)))).filter(Boolean).length
    await until(async () => (await counted()) === keys.length)
    const lost = cluster.nodes[0]!
    await lost.kill()
    await until(async () => (await counted()) < keys.length)
    await until(async () => (await counted()) > keys.length / 3)
    await lost.restart()
    await until(async () => (await counted()) === keys.length, 20_000)
  },
)

test('a Cluster of node-redis 5: who has taken the place of a lost node is asked for', async () => {
  const cluster = await startCluster(3, 1)
  closing.push(() => cluster.stop())
  const client = redis5.createCluster({
    rootNodes: cluster.nodes.map(({ url }) => ({ url })),
    defaults: { socket: { reconnectStrategy: 50 } },
  })
  for (const event of ['error', 'node-error']) client.on(event, () => {})
  closing.push(() => client.isOpen && client.destroy())
  await client.connect()
  const { sluice } = sluiceOn(client)
  await sluice.ready({ timeout: '5s' })
  const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
  const all = async () => (await Promise.all(keys.map((key) => viaStore(sluice, key)))).every(Boolean)
  await until(all)
  const { server: lost } = (await mastersOf(cluster))[0]!
  await lost.kill()
  await until(async () => !(await all()))
  await until(all, 30_000)
  await sluice.purge({ all: true })
})

test('what cannot be used is refused, with what to give instead', () => {
  const pool = redis5.createClientPool({ url: server.url })
  expect(() => redis(pool as never)).toThrow(/a pool of node-redis.*createClient/)
  expect(() => redis(redis6.createClientPool() as never)).toThrow(/a pool of node-redis/)
  const old = { isOpen: false, isReady: false, sendCommand() {}, duplicate() {}, executeIsolated() {} }
  expect(() => redis(old as never)).toThrow(/node-redis 4 or older/)
  expect(() => redis(clientOf(redis5).legacy() as never)).toThrow(/must be a URL such as/)
})
