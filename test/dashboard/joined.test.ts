import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { FindAnswer, Frame, RoutesAnswer } from '../../packages/dashboard/src/page/contract.ts'
import { Client } from '../hosts/harness/client.ts'
import { express5Host } from '../hosts/harness/express-host.ts'
import {
  type Answer,
  type AppSpec,
  type Booted,
  type RequestFields,
  type TestClock,
  testClock,
} from '../hosts/harness/host.ts'
import { redis } from '../redis/library.ts'
import { client, server } from '../redis/one-client.ts'
import { freshName } from '../redis/support.ts'
import { until } from '../support/redis-server.ts'

interface Process {
  readonly clock: TestClock
  readonly client: Client
  get(path: string, headers?: RequestFields): Promise<Answer>
  readonly booted: Booted
  frame(since?: number): Promise<Frame>
  /** So many slots go by. */
  slots(count: number): Promise<void>
}

const running: Process[] = []
afterEach(async () => {
  for (const { booted, client: own } of running.splice(0)) {
    own.close()
    await booted.close?.()
    await booted.sluice.close()
    booted.server.close()
  }
})

/** A process of an application, as far as its figures are concerned: an instance of its own, on the Redis that all share. */
async function process(
  namespace: string,
  over: Partial<AppSpec> = {},
  tier: false | undefined = undefined,
): Promise<Process> {
  const clock = testClock(Math.ceil(Date.now() / 2_000) * 2_000)
  const booted = await express5Host.boot(
    {
      door: { page: { authorize: () => 'ann', actions: true } },
      sluice: {
        backend: redis(`redis://127.0.0.1:${server.port}`, { namespace, ...(tier === false ? { tier } : {}) }),
        limits: { few: '2/h' },
      },
      routes: [
        { path: '/a/:id', cache: { ttl: '1h', tags: ['a'] }, handler: (c) => c.send('a'.repeat(100)) },
        { path: '/few', limit: ['few'], handler: (c) => c.send('few') },
        {
          path: '/lang',
          cache: { ttl: '1h', public: true },
          handler: (c) => c.send(String(c.header('accept-language'))),
        },
      ],
      ...over,
    },
    clock,
  )
  await new Promise<void>((resolve) => booted.server.listen(0, '127.0.0.1', resolve))
  const own = new Client((booted.server.address() as AddressInfo).port)
  const get: Process['get'] = (path, headers) => own.request(path, { headers })
  const made: Process = {
    get,
    clock,
    client: own,
    booted,
    frame: async (since = 0) => (await get(`/ops/frame?since=${since}`)).json() as Frame,
    slots: async (count) => {
      for (let i = 0; i < count; i++) {
        await clock.advance(2_000)
        // What it tells the others is on its way.
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
  }
  running.push(made)
  return made
}

describe('processes that share a store', () => {
  test('are shown together, whichever of them is asked', async () => {
    const name = freshName()
    const [one, two] = [await process(name), await process(name)]
    await one.get('/a/1')
    await until(async () => (await one.get('/a/1')).cache === 'hit')
    await until(async () => (await two.get('/a/1')).cache === 'hit')
    for (let i = 0; i < 3; i++) await two.get('/few')
    await one.frame()
    for (const each of [one, two]) await each.slots(6)
    const frames = [await one.frame(), await two.frame()]
    for (const frame of frames) {
      expect(frame).toMatchObject({ backend: 'redis', joined: true })
      expect(frame.joinError).toBeUndefined()
      expect(frame.processes).toHaveLength(2)
      expect(frame.totals.miss).toBe(1)
      expect(frame.totals.hit).toBeGreaterThanOrEqual(2)
      expect(frame.policies).toEqual([expect.objectContaining({ policy: 'few', allowed: 2, refused: 1 })])
      expect(frame.samples.reduce((sum, { miss }) => sum + miss, 0)).toBe(1)
      expect(frame.samples.map(({ at }) => at)).toEqual([...new Set(frame.samples.map(({ at }) => at))].sort())
    }
    expect(frames.map(({ processes }) => processes.filter(({ isThis }) => isThis).length)).toEqual([1, 1])
    const routes = (await one.get('/ops/routes')).json() as RoutesAnswer
    expect(routes.rows.find(({ route }) => route === '/a/:id')!.requests).toBe(frames[0]!.totals.hit + 1)
  })

  test('one that ends is gone at once', async () => {
    const name = freshName()
    const [one, two] = [await process(name), await process(name)]
    for (const each of [one, two]) await each.slots(1)
    await until(async () => (await one.frame()).processes.length === 2)
    await two.booted.sluice.close()
    await until(async () => (await one.frame()).processes.length === 1)
  })

  test('notes that are none, or of another version, are left out', async () => {
    const name = freshName()
    const one = await process(name)
    const now = Date.now()
    for (const [id, note] of [
      ['x', 'no JSON'],
      ['y', '{"format":2,"slots":[]}'],
      ['z', `{"format":1,"slots":[],"pad":"${'x'.repeat(300_000)}"}`],
      ['n', 'null'],
    ]) {
      await client.hset(`${name}:board:1`, `n${id}`, note!, `a${id}`, now, `t${id}`, now + 60_000)
    }
    const frame = await one.frame()
    expect([frame.processes.length, frame.joinError]).toEqual([1, undefined])
  })

  test('while Redis does not answer, the page shows this process, and says why', async () => {
    const one = await process(freshName())
    await one.get('/a/1')
    await one.slots(1)
    const { port } = server
    server.freeze()
    try {
      void one.clock.advance(2_000)
      const asked = one.frame()
      // Deadlines are counted by the clock of the instance.
      await new Promise((resolve) => setTimeout(resolve, 50))
      await one.clock.advance(1_500)
      const frame = await asked
      expect(frame.joinError).toMatch(/Redis/)
      expect(frame.processes).toHaveLength(1)
      expect(frame.totals.miss).toBe(1)
    } finally {
      server.thaw()
    }
    expect(port).toBe(server.port)
  })

  test.each([undefined, false] as const)('what is stored under a URL is found in Redis (tier: %s)', async (tier) => {
    const name = freshName()
    const [one, two] = [await process(name, {}, tier), await process(name, {}, tier)]
    for (const language of ['de', 'en']) await one.get('/lang', { 'accept-language': language })
    await one.get('/a/1?x=1')
    await until(async () => ((await one.get('/ops/find?url=/a/1%3Fx%3D1')).json() as FindAnswer).entries.length === 1)
    const host = `127.0.0.1:${(one.booted.server.address() as AddressInfo).port}`
    const origin = encodeURIComponent(`http://${host}`)
    const found = (await one.get(`/ops/find?url=/lang&origin=${origin}`)).json() as FindAnswer
    expect(found.entries).toHaveLength(2)
    for (const entry of found.entries) {
      expect(entry).toMatchObject({ status: 200, bytes: 2, terms: ['accept-language'], codings: ['identity'] })
      expect(entry.freshForMs).toBeGreaterThan(3_500_000)
    }
    await one.booted.sluice.purge({ url: '/lang' })
    expect(((await one.get('/ops/find?url=/lang')).json() as FindAnswer).entries).toEqual([])
    // It has stored none of them itself, and cannot tell their keys.
    const elsewhere = (await two.get('/ops/find?url=/a/1')).json() as FindAnswer
    expect(elsewhere).toMatchObject({ entries: [], note: expect.stringMatching(/cannot tell the key/) })
  })
})
