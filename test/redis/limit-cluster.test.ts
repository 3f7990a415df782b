import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Cluster } from 'ioredis'
import { createLimiter } from '../../packages/core/src/limit/limiter.ts'
import type { Charge } from '../../packages/core/src/limit/store.ts'
import { type RedisCluster, startCluster, until } from '../support/redis-server.ts'
import { chargeOf, limitsOn, quotaOf } from './limits/support.ts'
import { kinds } from './limits/trace.ts'
import { freshName } from './support.ts'

let cluster: RedisCluster
let client: Cluster

beforeAll(async () => {
  cluster = await startCluster()
  client = new Cluster(
    cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    { redisOptions: { maxRetriesPerRequest: 1 } },
  )
  client.on('error', () => {})
  await new Promise<void>((resolve) => client.once('ready', () => resolve()))
}, 60_000)
afterAll(async () => {
  client.disconnect()
  await cluster.stop()
})

const subjects = Array.from({ length: 40 }, (_, i) => `subject${i}`)

async function scripts(): Promise<number> {
  const calls = await Promise.all(cluster.nodes.map((node) => node.calls()))
  return calls.reduce((sum, { evalsha = 0, eval: sources = 0 }) => sum + evalsha + sources, 0)
}
const resetStats = () => Promise.all(cluster.nodes.map((node) => node.resetStats()))

describe('in a Cluster', () => {
  test('all policies of a subject share a slot, and a request is one call; subjects are spread over all nodes', async () => {
    const namespace = freshName()
    const store = limitsOn(client, { namespace })
    const quotas = ['one', 'two', 'three'].map((name) => quotaOf('100/h', { name }))
    const ask = (subject: string) => store.consume(quotas.map((quota) => chargeOf(quota, subject)))
    await Promise.all(subjects.map(ask))
    await resetStats()
    for (const subject of subjects) {
      const verdicts = await ask(subject)
      expect(verdicts.map(({ remaining }) => remaining)).toEqual([98, 98, 98])
    }
    expect(await scripts()).toBe(subjects.length)
    for (const node of cluster.nodes) {
      const keys = (await node.cli('KEYS', `${namespace}:*`)).split('\n').filter(Boolean)
      expect(keys.length).toBeGreaterThan(0)
      expect(keys.length % 3).toBe(0)
    }
  })

  test.each(kinds)('a policy with another subject is charged with the others or not at all: %s', async (kind) => {
    const store = limitsOn(client)
    const rate = (n: number) => (kind === 'concurrent' ? `${n} concurrent` : `${n}/d`)
    const mine = quotaOf(rate(4), { name: 'mine', algorithm: kind })
    const shared = quotaOf(rate(10), { name: 'shared', algorithm: kind })
    const ask = (subject: string): Charge[] => [chargeOf(shared, 'everyone'), chargeOf(mine, subject)]
    const admitted: boolean[] = []
    for (const subject of subjects.slice(0, 5)) {
      for (let i = 0; i < 5; i++) {
        admitted.push((await store.consume(ask(subject))).every(({ allowed }) => allowed))
      }
    }
    expect(admitted.filter(Boolean)).toHaveLength(10)
    // Refused by the shared one: what had been taken of their own was given back.
    const [own] = await store.peek([chargeOf(mine, subjects[4]!)])
    expect(own!.remaining).toBe(4)
    // Refused by their own: the shared one was not asked for, only looked at.
    const [all] = await store.peek([chargeOf(shared, 'everyone')])
    expect(all!.remaining).toBe(0)
  })

  test('a refusal tells what is left for the policies of other subjects', async () => {
    const store = limitsOn(client)
    const mine = quotaOf('1/d', { name: 'mine' })
    const shared = quotaOf('10/d', { name: 'shared' })
    await store.consume([chargeOf(shared, 'everyone'), chargeOf(mine, 'me')])
    const verdicts = await store.consume([chargeOf(shared, 'everyone'), chargeOf(mine, 'me')])
    expect(verdicts.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
      [true, 9],
      [false, 0],
    ])
  })

  test('what is asked about many subjects at once reaches each of them: settle, renew, reset, peek', async () => {
    const store = limitsOn(client)
    const quota = quotaOf('5 concurrent', { permitTtlMs: 60_000 })
    const charges = subjects.map((subject) => chargeOf(quota, subject))
    const made = await Promise.all(
      charges.map(async (charge) => ({ charge, verdict: (await store.consume([charge]))[0]! })),
    )
    await store.renew(charges)
    const left = async () => new Set((await store.peek(charges)).map(({ remaining }) => remaining))
    expect(await left()).toEqual(new Set([4]))
    await store.settle(made.map((one) => ({ ...one, refund: 1 })))
    expect(await left()).toEqual(new Set([5]))
    await Promise.all(subjects.map((subject) => store.consume([chargeOf(quota, subject)])))
    await store.reset(charges)
    expect(await left()).toEqual(new Set([5]))
  })

  test('scripts that a node has not seen are sent to it', async () => {
    const store = limitsOn(client)
    await Promise.all(cluster.nodes.map((node) => node.cli('SCRIPT', 'FLUSH')))
    const quota = quotaOf('3/d')
    for (const subject of subjects) expect((await store.consume([chargeOf(quota, subject)]))[0]!.allowed).toBe(true)
  })

  test('a node that is lost takes only its own subjects along, nobody waits longer, and it comes back', async () => {
    const store = limitsOn(client)
    const limiter = createLimiter({ store, limits: { p: { rate: '1000/d', onOutage: 'open' } } })
    const ask = async (key: string) => {
      const start = performance.now()
      const { via, allowed } = await limiter.check('p', { key })
      expect(allowed).toBe(true)
      return { via, ms: performance.now() - start }
    }
    for (const key of subjects) expect((await ask(key)).via).toBe('store')
    const [lost] = cluster.nodes
    lost!.freeze()
    const answers = []
    for (const key of subjects.slice(0, 12)) answers.push(await ask(key))
    expect(answers.filter(({ via }) => via === 'store').length).toBeGreaterThan(0)
    expect(answers.filter(({ via }) => via === 'open').length).toBeGreaterThan(0)
    // The deadline, 50 ms, and what a machine that runs other tests too is late by.
    for (const { ms } of answers) expect(ms).toBeLessThan(100 + 50 + 100)
    lost!.thaw()
    await until(async () => (await Promise.all(subjects.map(ask))).every(({ via }) => via === 'store'), 20_000)
    await limiter.close()
  }, 40_000)
})
