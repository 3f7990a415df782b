import { createRequire } from 'node:module'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { AlgorithmKind } from '../../../packages/core/src/limit/algorithms/algorithm.ts'
import { createLimiter } from '../../../packages/core/src/limit/limiter.ts'
import { flexible } from '../../../packages/core/src/limit/store/flexible.ts'
import { chargeOf } from '../../redis/limits/support.ts'
import { type RedisCluster, type RedisServer, startCluster, startRedis, until } from '../../support/redis-server.ts'
import { attack, Client, letters, quotaFor, type Stage, toEdge, windowOf } from './attack.ts'
import { connectAll, connectCluster, guardedStage, memoryStage, reached, redisStage } from './stages.ts'
import { type Bound, bounds, type Cell, type Column, cells, guarantees } from './table.ts'

const boundOf = (cell: Cell): number => bounds[cell.slice(2) as Bound](letters)

/** Holds what was admitted at most against a cell. */
function expectAtMost(most: number, cell: Cell): void {
  expect(most).toBeLessThanOrEqual(boundOf(cell))
  // It is not that nothing was admitted; and where the cell says so, all there is was.
  expect(most).toBeGreaterThanOrEqual(cell.startsWith('=') ? boundOf(cell) : 1)
}

let server: RedisServer
let clients: Awaited<ReturnType<typeof connectAll>>
let cluster: RedisCluster
let clusterClients: Awaited<ReturnType<typeof connectCluster>>[]

beforeAll(async () => {
  ;[server, cluster] = await Promise.all([startRedis(), startCluster(3)])
  clients = await connectAll(server)
  clusterClients = await Promise.all([connectCluster(cluster), connectCluster(cluster)])
}, 60_000)
afterAll(async () => {
  for (const client of [...clients, ...clusterClients]) client.disconnect()
  await Promise.all([server.stop(), cluster.stop()])
})

const seed = 20_261_128

type Attack = (kind: AlgorithmKind, cell: Cell) => Promise<void>

/** How each column is attacked: a cell of a new column or a new row has a test as soon as it stands in the table. */
const attacks: Readonly<Record<Column, Attack>> = {
  async memory(kind, cell) {
    expectAtMost(await attack(memoryStage(quotaFor(kind)), 12, seed), cell)
  },

  async redis(kind, cell) {
    expectAtMost(await attack(redisStage(quotaFor(kind), clients), 2, seed), cell)
  },

  async cluster(kind, cell) {
    expectAtMost(await attack(redisStage(quotaFor(kind), clusterClients), 1, seed), cell)
  },

  async lease(kind, cell) {
    const stage = redisStage(quotaFor(kind, { lease: 2 }), clients)
    const most = await attack(stage, 2, seed)
    expectAtMost(most, cell)
    if (cell.startsWith('≤')) expect(await refusedThoughThereIsOne(stage)).toBe(true)
  },

  async closed(kind, cell) {
    const { client, meanwhile } = await outage(kind, 'closed')
    expect(meanwhile.filter(({ allowed }) => allowed)).toEqual([])
    expectAtMost(client.most, cell)
  },

  async local(kind, cell) {
    const { client } = await outage(kind, 'local')
    expectAtMost(client.most, cell)
    // What the processes admit comes on top: the attack reaches beyond what holds with Redis.
    expect(client.most).toBeGreaterThan(boundOf(guarantees[kind].redis))
  },

  async open(kind) {
    const { meanwhile, client } = await outage(kind, 'open')
    // A refusal that Redis gave just before is repeated; nobody else refuses.
    expect(meanwhile.filter(({ allowed, via }) => !allowed && via !== 'store')).toEqual([])
    expect(client.most).toBeGreaterThan(boundOf(guarantees[kind].local))
  },

  async failover(kind, cell) {
    const most = Math.max(await failover(kind, 'all is lost'), await failover(kind, 'the last writes are lost'))
    expectAtMost(most, cell)
    expect(most).toBeGreaterThan(boundOf(guarantees[kind].redis))
  },
}

describe('the most that is admitted in any window', () => {
  test.each(cells)('$name', ({ kind, column, cell }) => attacks[column](kind, cell), 30_000)
})

test('flexible(limiter): = 2N − 1', async () => {
  const { N } = letters
  const { RateLimiterMemory } = createRequire(new URL('../../../packages/core/package.json', import.meta.url))(
    'rate-limiter-flexible',
  )
  const limiter = createLimiter({
    limits: { p: { store: flexible(new RateLimiterMemory({ points: N, duration: 1 })) } },
    deadlineMs: 20_000,
  })
  let lastMs = 0
  const ask = async (count: number): Promise<number> => {
    const verdicts = await Promise.all(Array.from({ length: count }, () => limiter.check('p', { key: 'a' })))
    lastMs = performance.now()
    return verdicts.filter(({ allowed }) => allowed).length
  }
  expect(await ask(1)).toBe(1)
  await setTimeout(700)
  expect(await ask(2 * N)).toBe(N - 1)
  const fromMs = lastMs
  // The next window, as soon as there is one.
  await until(async () => (await limiter.peek('p', { key: 'a' })).remaining === N)
  expect(await ask(2 * N)).toBe(N)
  expect(lastMs - fromMs).toBeLessThan(1_000)
  await limiter.close()
})

/** What the sign of that column means: units that one process holds in advance are not there for another. */
async function refusedThoughThereIsOne(stage: Stage): Promise<boolean> {
  const [first, second] = stage.stores
  const ask = async (store = first!) => (await store.consume([chargeOf(stage.quota, 'apart')]))[0]!.allowed
  expect(await ask()).toBe(true)
  while (await ask(second));
  return ask()
}

/** A client that has used up what there is asks on while Redis is frozen, and after it: at every edge of a window. */
async function outage(kind: AlgorithmKind, onOutage: 'open' | 'closed' | 'local') {
  const { N, n } = letters
  const stage = guardedStage(quotaFor(kind, { onOutage, share: n / N }), clients)
  const windowMs = windowOf(kind)
  try {
    toEdge(stage)
    const client = new Client(stage, 'a')
    const meanwhile = []
    const atEdges = async () => {
      const verdicts = [...(await client.ask(1))]
      // Permits are renewed by those who hold them, which has nothing to do with windows.
      for (const ms of kind === 'concurrent' ? [0, 0] : [windowMs - 1_000, 1_000, 0]) {
        stage.pass(ms)
        verdicts.push(...(await client.burst()))
      }
      return verdicts
    }
    await atEdges()
    // Until refusals are not repeated any more.
    if (kind !== 'concurrent') stage.pass(1_001)
    server.freeze()
    try {
      meanwhile.push(...(await client.burst()), ...(await atEdges()))
    } finally {
      server.thaw()
    }
    await reached(stage, [chargeOf(stage.quota, 'b')])
    await client.burst()
    await atEdges()
    return { client, meanwhile }
  } finally {
    await stage.close()
  }
}

/**
 * What a replica has not received when it takes over is forgotten: here a server that comes back with what it had at some
 * moment before. The client asks for all there is just before and just after.
 */
async function failover(kind: AlgorithmKind, how: 'all is lost' | 'the last writes are lost'): Promise<number> {
  const stage = redisStage(quotaFor(kind), clients)
  const client = new Client(stage, 'a')
  const windowMs = windowOf(kind)
  toEdge(stage)
  const save = async () => void (how === 'the last writes are lost' && (await server.cli('SAVE')))
  await client.ask(1)
  if (kind !== 'concurrent') stage.pass(windowMs - 1)
  await save()
  await client.burst()
  if (kind !== 'concurrent') stage.pass(1)
  await client.burst()
  await server.kill()
  await server.restart()
  await until(() => clients.every(({ status }) => status === 'ready'))
  await client.burst()
  for (const ms of kind === 'concurrent' ? [0] : [1, windowMs / 16, windowMs / 2, windowMs - 1]) {
    stage.pass(ms)
    await client.burst()
  }
  return client.most
}
