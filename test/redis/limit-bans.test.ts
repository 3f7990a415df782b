import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import type { Ban } from '../../packages/core/src/limit/bans/bans.ts'
import { createLimiter, type Limiter } from '../../packages/core/src/limit/limiter.ts'
import type { PolicyInput, PolicyOptions } from '../../packages/core/src/limit/policy/options.ts'
import { Connection } from '../../packages/redis/src/connection/connection.ts'
import { redis } from '../../packages/redis/src/index.ts'
import { Client } from '../hosts/harness/client.ts'
import { express5Host } from '../hosts/harness/express-host.ts'
import { fastifyHost } from '../hosts/harness/fastify-host.ts'
import { says } from '../hosts/harness/handlers.ts'
import type { HostKind } from '../hosts/harness/host.ts'
import { koa3Host } from '../hosts/harness/koa-host.ts'
import { nodeHost } from '../hosts/harness/node-host.ts'
import { timed } from '../support/lateness.ts'
import { type RedisServer, startCluster, startRedis, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { likewise } from './library.ts'
import { limitsOn } from './limits/support.ts'
import { LimitWorker } from './limits/workers.ts'
import { connect, freshName } from './support.ts'

let server: RedisServer
const closing: (() => unknown)[] = []

beforeAll(async () => {
  server = await startRedis()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(() => server.stop())

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const login: PolicyOptions = { rate: '2/h', algorithm: 'fixed-window', ban: { after: 3, for: '15m' } }
const graceMs = 500
/** How long refusals are repeated here where nobody tells whether they still hold. */
const unconfirmedMs = 300

/** One process: its limiter, on a client of its own. */
async function processOn(
  namespace: string,
  limits: Record<string, PolicyInput>,
  client: unknown = undefined,
): Promise<Limiter> {
  const own = client ?? (await connect(server.port))
  const connections = new Connection(likewise(own), () => {})
  const store = limitsOn(own, { namespace, unconfirmedMs, open: (node) => connections.listener(node) })
  const limiter = createLimiter({ limits, store, deadlineMs: 5_000 })
  closing.push(async () => {
    await limiter.close()
    connections.close()
    const { disconnect } = own as Redis
    disconnect.call(own)
  })
  return limiter
}

async function scriptsDuring(run: () => Promise<unknown>): Promise<number> {
  await server.resetStats()
  await run()
  const { evalsha = 0, eval: sources = 0 } = await server.calls()
  return evalsha + sources
}

const shutOut = async (limiter: Limiter, name = 'login', key = 'a'): Promise<void> =>
  until(async () => (await limiter.check(name, { key })).banned !== undefined)

/** From then on it is repeated for as long as the ban lasts. */
const repeated = (limiter: Limiter, key: string): Promise<void> =>
  until(async () => {
    const scripts = await scriptsDuring(async () => {
      for (const end = performance.now() + unconfirmedMs + 100; performance.now() < end; await sleep(20)) {
        await limiter.check('login', { key })
      }
    })
    return scripts === 0
  })

describe('several processes', () => {
  const ban = { after: 40, within: '1h', for: '1h' }
  const limits = {
    login: { rate: '5/366 d', ban },
    bucket: { rate: '5/h burst 5', ban },
    hand: { rate: '1000/h', ban: 'by-hand' },
  }
  const workers: LimitWorker[] = []
  const namespace = freshName()
  // Of their own: what else they ask must not be counted with what others do.
  let theirs: RedisServer

  beforeAll(async () => {
    theirs = await startRedis()
    const start = async () => workers.push(await LimitWorker.start(theirs.url, namespace, limits))
    await Promise.all([start(), start(), start()])
    for (const worker of workers) {
      await until(async () => (await worker.check('hand', 'first', 1, 1)).elsewhere === 0, 20_000)
    }
  }, 120_000)
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.kill()))
    await theirs.stop()
  })
  const here = async () => processOn(namespace, limits as never, await connect(theirs.port))

  test.each(['login', 'bucket'])(
    'refuse exactly as often as the ban says before it begins, once: %s',
    async (policy) => {
      const checked = await Promise.all(workers.map((worker) => worker.check(policy, 'hot', 200)))
      const sum = (of: 'allowed' | 'banned' | 'begun' | 'elsewhere') => checked.reduce((n, one) => n + one[of], 0)
      expect([sum('elsewhere'), sum('allowed'), sum('begun')]).toEqual([0, 5, 1])
      expect(600 - sum('allowed') - sum('banned')).toBe(ban.after - 1)
    },
  )

  test('know of a ban by hand at once, and a process that starts later knows it too', async () => {
    const limiter = await here()
    await limiter.ban('hand', { key: 'k', for: '1h', reason: 'ticket' })
    const checked = await Promise.all(workers.map((worker) => worker.check('hand', 'k', 20)))
    expect(checked.map(({ banned }) => banned)).toEqual([20, 20, 20])
    const late = await here()
    expect(await late.check('hand', { key: 'k' })).toMatchObject({ allowed: false, banned: { times: 1 } })
    expect(await late.bans('hand')).toMatchObject([{ byHand: true, times: 1, reason: 'ticket' }])
  })

  test('let a key in again within moments of its ban being lifted in one of them', async () => {
    const limiter = await here()
    await limiter.ban('hand', { key: 'm', for: '1h' })
    for (const worker of workers) expect((await worker.check('hand', 'm', 100)).banned).toBe(100)
    expect(await limiter.unban('hand', { key: 'm' })).toBe(true)
    const { ms } = await timed(() =>
      Promise.all(workers.map((worker) => until(async () => (await worker.check('hand', 'm', 1, 1)).allowed === 1))),
    )
    expect(ms).toBeLessThan(graceMs)
  })
})

describe('whoever is shut out', () => {
  test('costs Redis nothing, whatever else is asked of it; before that each refusal is counted there', async () => {
    const limits = { login: { ...login, ban: { after: 30, for: '15m' } }, all: '1000/h' }
    const limiter = await processOn(freshName(), limits as never)
    await limiter.check('login', { key: 'a', cost: 2 })
    const refused = await scriptsDuring(async () => {
      for (let i = 0; i < 20; i++) expect((await limiter.check('login', { key: 'a' })).banned).toBeUndefined()
    })
    expect(refused).toBe(20)
    await shutOut(limiter)
    await repeated(limiter, 'a')
    const asked = await scriptsDuring(async () => {
      for (let i = 0; i < 200; i++) {
        const verdict = await limiter.check('login', { key: 'a', cost: i % 3 })
        expect(verdict).toMatchObject({ allowed: false, banned: { begins: false, times: 1 } })
      }
    })
    expect(asked).toBe(0)
    expect(limiter.stats()).toMatchObject({ bans: 1 })
  })

  test('is let in here within moments of an `unban` elsewhere; keys expire, and stand there without a name', async () => {
    const namespace = freshName()
    const [here, there] = [await processOn(namespace, { login }), await processOn(namespace, { login })]
    await shutOut(here, 'login', '192.0.2.7')
    await repeated(here, '192.0.2.7')
    const [ban] = (await there.bans('login')) as [Ban]
    expect(Math.abs(ban.until.getTime() - Date.now() - 900_000)).toBeLessThan(5_000)
    const client = await connect(server.port)
    closing.push(() => client.disconnect())
    const keys = await client.keys(`${namespace}:*`)
    expect(keys).toHaveLength(2)
    expect(keys.join()).not.toContain('192.0.2.7')
    for (const key of keys) expect(await client.pttl(key)).toBeGreaterThan(0)
    expect(await there.unban('login', JSON.parse(JSON.stringify(ban)))).toBe(true)
    await there.reset('login', { key: '192.0.2.7' })
    const { ms } = await timed(() => until(async () => (await here.check('login', { key: '192.0.2.7' })).allowed))
    expect(ms).toBeLessThan(graceMs)
  })

  test('stays so while Redis is out, as far as this process knows', async () => {
    const proxy = await new TcpProxy(server.port).start()
    closing.push(() => proxy.stop())
    const client = await connect(proxy.port)
    closing.push(() => client.disconnect())
    const store = limitsOn(client)
    const limiter = createLimiter({ limits: { login }, store, deadlineMs: 300 })
    closing.push(() => limiter.close())
    await shutOut(limiter)
    proxy.refuse()
    // Past what is repeated anyway.
    await until(async () => (await limiter.check('login', { key: 'a' })).via === 'local')
    for (let i = 0; i < 5; i++) {
      expect(await limiter.check('login', { key: 'a' })).toMatchObject({
        allowed: false,
        via: 'local',
        banned: { times: 1 },
      })
    }
    expect((await limiter.check('login', { key: 'b' })).allowed).toBe(true)
  }, 20_000)
})

describe.each([nodeHost, express5Host, koa3Host, fastifyHost])('over HTTP: $name', ({ boot }: HostKind) => {
  test('two servers shut a client out together, and let it in together', async () => {
    const namespace = freshName()
    const start = async () => {
      const { server: http, sluice } = await boot(
        {
          sluice: {
            limits: { login, all: '100/h' },
            backend: redis(server.url, { namespace, tier: false, deadlines: { limit: 5_000 } }),
          },
          routes: [{ path: '/', limit: ['login', 'all'], handler: says({}) }],
        },
        Object.assign(systemClock(), { advance: () => Promise.resolve() }),
      )
      if (!http.listening) await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
      const client = new Client((http.address() as { port: number }).port)
      closing.push(async () => {
        client.close()
        http.closeAllConnections()
        await new Promise((resolve) => http.close(resolve))
        await sluice.close()
      })
      return { sluice, get: () => client.request('/') }
    }
    const [one, two] = [await start(), await start()]
    const seen: number[] = []
    for (let i = 0; i < 3; i++) for (const { get } of [one, two]) seen.push((await get()).status)
    expect(seen).toEqual([200, 200, 429, 429, 429, 429])
    for (const { get } of [one, two]) {
      const answer = await get()
      expect(answer.text).toContain('abnormal-usage-detected')
      // The quota takes longer than the ban: nobody is told to come back to another refusal.
      expect(Number(answer.header('retry-after'))).toBeGreaterThan(3_590)
    }
    expect(await one.sluice.peek('all', { key: '127.0.0.1' })).toMatchObject({ remaining: 98 })
    const [ban] = await two.sluice.bans()
    await one.sluice.unban('login', ban!)
    await one.sluice.reset('login', { key: '127.0.0.1' })
    await until(async () => (await two.get()).status === 200)
    expect((await one.get()).status).toBe(200)
  }, 20_000)
})

/** How long the server has worked so far. */
async function cpuMs(): Promise<number> {
  const said = await server.cli('INFO', 'cpu')
  const seconds = [/^used_cpu_sys:([\d.]+)/m, /^used_cpu_user:([\d.]+)/m].map((line) => Number(line.exec(said)![1]))
  return 1_000 * (seconds[0]! + seconds[1]!)
}

describe('many bans', () => {
  test('100,000 are listed in pieces that hold nobody up, and each can be lifted', async () => {
    const many = 100_000
    const namespace = freshName()
    const limiter = await processOn(namespace, { login, other: login })
    await limiter.ban('other', { key: 'another', for: '1h' })
    const { subject } = await limiter.ban('login', { key: 'a', for: '1h', reason: 'one of many' })
    const client = await connect(server.port)
    closing.push(() => client.disconnect())
    const key = (await client.keys(`${namespace}:*${subject}*`))[0]!
    // The same under other names, a few at a time.
    const copy = `
      local held, at = redis.call('GET', KEYS[1]), string.find(KEYS[1], '{', 1, true)
      for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
        local key = string.sub(KEYS[1], 1, at) .. string.format('%022d', i) .. string.sub(KEYS[1], at + 23)
        redis.call('SET', key, held, 'PX', 3600000)
      end`
    for (let at = 2; at <= many; at += 5_000) await client.eval(copy, 1, key, at, Math.min(many, at + 4_999))
    const before = await cpuMs()
    await server.resetStats()
    const bans = await limiter.bans('login')
    const { scan = 0, evalsha = 0 } = await server.calls()
    const each = ((await cpuMs()) - before) / (scan + evalsha)
    expect(new Set(bans.map((one) => one.subject)).size).toBe(many)
    expect(scan).toBeGreaterThanOrEqual(many / 1_000)
    expect(evalsha).toBeGreaterThanOrEqual(many / 200)
    // Of the processor's time: on the clock of a busy machine even a PING may take that long.
    expect(each).toBeLessThan(5)
    expect(await limiter.unban('login', bans[bans.length - 1]!)).toBe(true)
    expect(await limiter.unban('login', bans[bans.length - 1]!)).toBe(false)
    await client.flushall()
  }, 60_000)
})

describe('clients', () => {
  test('with a key prefix list and lift what they have', async () => {
    const client = new Redis({ port: server.port, keyPrefix: 'app:' })
    closing.push(() => client.disconnect())
    await client.ping()
    const limiter = await processOn(freshName(), { login }, client)
    await limiter.ban('login', { key: 'a', for: '1h' })
    const bans = await limiter.bans()
    expect(bans).toHaveLength(1)
    expect(await limiter.unban('login', bans[0]!)).toBe(true)
    expect(await limiter.bans()).toEqual([])
  })

  test('of a Cluster too, on all its masters', async () => {
    const cluster = await startCluster(3)
    closing.push(() => cluster.stop())
    const client = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
    client.on('error', () => {})
    closing.push(() => client.disconnect())
    await new Promise<void>((resolve) => client.once('ready', () => resolve()))
    const namespace = freshName()
    const [one, two] = [await processOn(namespace, { login }, client), await processOn(namespace, { login }, client)]
    const names = Array.from({ length: 30 }, (_, i) => `k${i}`)
    for (const key of names) for (let i = 0; i < 5; i++) await one.check('login', { key })
    expect(await two.bans('login')).toHaveLength(30)
    expect(await two.check('login', { key: 'k7' })).toMatchObject({
      allowed: false,
      banned: { begins: false, times: 1 },
    })
    for (const ban of await two.bans()) expect(await two.unban('login', ban)).toBe(true)
    expect(await two.bans()).toEqual([])
    expect((await two.check('login', { key: 'k7' })).banned).toBeUndefined()
  }, 60_000)
})
