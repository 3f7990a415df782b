import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import Redis5 from 'ioredis5'
import type { LimitStore, Quota } from '../../packages/core/src/limit/store/store.ts'
import type { ScriptClient } from '../../packages/redis/src/connection/client.ts'
import { Connection } from '../../packages/redis/src/connection/connection.ts'
import { Blocked } from '../../packages/redis/src/limit/charge/blocked.ts'
import { Releases } from '../../packages/redis/src/limit/charge/releases.ts'
import { nameOf } from '../../packages/redis/src/limit/store/keys.ts'
import { timed } from '../support/lateness.ts'
import { type RedisServer, startCluster, startRedis, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { likewise, redis } from './library.ts'
import { chargeOf, limitsOn, quotaOf, StillClock } from './limits/support.ts'
import { onIoredis } from './skips.ts'
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
const quota = quotaOf('1/h', { algorithm: 'fixed-window' })
/** How long refusals are repeated here where nobody tells whether they still hold. A second, unless tests are in a hurry. */
const unconfirmedMs = 300
/** By when it is noticed that messages are lost in silence. A busy machine is granted half a second more. */
const silenceMs = 2_000
const graceMs = 500

async function open(port = server.port): Promise<Redis> {
  const client = await connect(port)
  closing.push(() => client.disconnect())
  return client
}

/** One process: its client, its limits, and the connections it listens over. */
function processOn(client: unknown, namespace: string, listensOver: unknown = client) {
  const connections = new Connection(likewise(listensOver), () => {})
  const listeners: ScriptClient[] = []
  const store = limitsOn(client, {
    namespace,
    unconfirmedMs,
    open: (node) => {
      const listener = connections.listener(listensOver === client ? node : undefined)
      listeners.push(listener)
      return listener
    },
  })
  closing.push(async () => {
    await store.close()
    connections.close()
  })
  return { store, listeners }
}

const allowed = async (store: LimitStore, subject = 'a', of: Quota = quota): Promise<boolean> =>
  (await store.consume([chargeOf(of, subject)]))[0]!.allowed

/** Uses up a key and asks until its refusal is repeated for as long as it holds: longer than without messages. */
async function blocked(store: ReturnType<typeof limitsOn>, subject = 'a', of: Quota = quota): Promise<void> {
  await until(() => allowed(store, subject, of).then((yes) => !yes))
  await until(async () => {
    const scripts = await scriptsDuring(async () => {
      for (const end = performance.now() + unconfirmedMs + 100; performance.now() < end; await sleep(20)) {
        expect(await allowed(store, subject, of)).toBe(false)
      }
    })
    return scripts === 0
  })
}

async function scriptsDuring(run: () => Promise<unknown>): Promise<number> {
  await server.resetStats()
  await run()
  const { evalsha = 0, eval: sources = 0 } = await server.calls()
  return evalsha + sources
}

/** How long a process goes on refusing. */
async function refusedFor(store: LimitStore, subject = 'a'): Promise<number> {
  return (await timed(() => until(() => allowed(store, subject), 10_000))).ms
}

describe('a key that is used up', () => {
  test('is refused until its time is up without any call, with an honest wait, and then admitted', async () => {
    const { store } = processOn(await open(), freshName())
    await blocked(store, 'another')
    const short = quotaOf('1/3 s', { algorithm: 'fixed-window' })
    expect(await allowed(store, 'b', short)).toBe(true)
    const [first] = await store.consume([chargeOf(short, 'b')])
    const from = performance.now()
    let asked = 0
    const scripts = await scriptsDuring(async () => {
      for (; performance.now() - from < first!.retryAfterMs - 800; asked++) {
        const [verdict] = await store.consume([chargeOf(short, 'b')])
        const left = first!.retryAfterMs - (performance.now() - from)
        expect(verdict!.allowed).toBe(false)
        expect(Math.abs(verdict!.retryAfterMs - left)).toBeLessThan(50)
        await sleep(5)
      }
    })
    expect([scripts, asked > 100]).toEqual([0, true])
    const [last] = await store.consume([chargeOf(short, 'b')])
    expect(last!.allowed).toBe(false)
    await sleep(last!.retryAfterMs + 2)
    expect(await allowed(store, 'b', short)).toBe(true)
  }, 20_000)

  test('opens a connection to hear messages with the first refusal that lasts, and no other', async () => {
    const { store, listeners } = processOn(await open(), freshName())
    const soon = quotaOf('1/250 ms', { algorithm: 'fixed-window' })
    for (let i = 0; i < 5; i++) await allowed(store, 'a', soon)
    expect(listeners).toHaveLength(0)
    for (const subject of ['a', 'b', 'c']) for (let i = 0; i < 3; i++) await allowed(store, subject)
    expect(listeners).toHaveLength(1)
  })

  test.each(['reset', 'refund', 'settle'] as const)(
    'is free here within moments of a %s elsewhere',
    async (how) => {
      const namespace = freshName()
      const here = processOn(await open(), namespace)
      const there = processOn(await open(), namespace)
      const charge = chargeOf(quota)
      const [verdict] = await there.store.consume([charge])
      await blocked(here.store)
      if (how === 'settle') await there.store.settle([{ charge, verdict: verdict!, refund: 1 }])
      else await there.store[how]([charge])
      expect(await refusedFor(here.store)).toBeLessThan(graceMs)
    },
    20_000,
  )

  test('is free here within moments of another process giving back units it had taken in advance', async () => {
    const namespace = freshName()
    const leased = quotaOf('10/h', { lease: 10 })
    const here = processOn(await open(), namespace)
    const there = processOn(await open(), namespace)
    expect(await allowed(there.store, 'a', leased)).toBe(true)
    expect(await allowed(here.store, 'a', leased)).toBe(false)
    // After the second for which they are held.
    const { ms } = await timed(() => until(() => allowed(here.store, 'a', leased)))
    expect(ms).toBeLessThan(1_000 + graceMs)
  })

  test('is told of once for many keys, only where nothing was left, and always where it is reset', async () => {
    const client = await open()
    const { store } = processOn(client, freshName())
    const ample = quotaOf('100/h')
    const charges = Array.from({ length: 150 }, (_, i) => chargeOf(ample, `s${i}`))
    const scarce = Array.from({ length: 150 }, (_, i) => chargeOf(quota, `s${i}`))
    await Promise.all([...charges, ...scarce].map((charge) => store.consume([charge])))
    const told = async (run: () => Promise<void>): Promise<number> => {
      const listener = await open()
      let messages = 0
      await listener.psubscribe('*:back')
      let over = false
      listener.on('pmessage', (_pattern, channel) => {
        if (channel === 'x:back') over = true
        else messages++
      })
      await run()
      await client.publish('x:back', '')
      await until(() => over)
      return messages
    }
    expect(await told(() => store.refund(charges))).toBe(0)
    expect(await told(() => store.refund(scarce))).toBe(1)
    expect(await told(() => store.reset(charges))).toBe(1)
  })

  test.each([
    { of: 6, make: (port: number) => new Redis({ port, keyPrefix: 'app:' }) },
    {
      of: 5,
      make: (port: number) => new (Redis5 as unknown as typeof Redis)({ port, keyPrefix: 'app:' }),
    },
  ])(
    'is told of through ioredis $of, and with a key prefix',
    async ({ make }) => {
      const namespace = freshName()
      const client = make(server.port)
      closing.push(() => client.disconnect())
      await client.ping()
      const [here, there] = [processOn(client, namespace), processOn(client, namespace)]
      await blocked(here.store)
      await there.store.reset([chargeOf(quota)])
      expect(await refusedFor(here.store)).toBeLessThan(graceMs)
    },
    20_000,
  )

  test('that an ACL keeps from being told of is refused for no longer than a second, and can be reset and refunded', async () => {
    await server.cli('ACL', 'SETUSER', 'mute', 'on', '>pw', '~*', '+@all', 'resetchannels')
    const client = new Redis({ port: server.port, username: 'mute', password: 'pw' })
    closing.push(() => client.disconnect())
    await client.ping()
    const namespace = freshName()
    const [here, there] = [processOn(client, namespace), processOn(client, namespace)]
    for (const how of ['reset', 'refund'] as const) {
      await until(() => allowed(here.store).then((yes) => !yes))
      await sleep(unconfirmedMs + 50)
      expect(await allowed(here.store)).toBe(false)
      await there.store[how]([chargeOf(quota)])
      expect(await refusedFor(here.store)).toBeLessThan(unconfirmedMs + graceMs)
    }
  }, 20_000)

  test('stays refused whatever anybody else publishes', async () => {
    const client = await open()
    const namespace = freshName()
    const { store } = processOn(client, namespace)
    await blocked(store)
    for (const text of ['', 'x', 'y'.repeat(10_000)]) await client.publish(`${namespace}:l2:back`, text)
    await sleep(50)
    expect(await scriptsDuring(() => allowed(store))).toBe(0)
  }, 20_000)
})

describe('an answer from before a reset', () => {
  test('that arrives after the messages of it is not repeated', async () => {
    const proxy = await new TcpProxy(server.port).start()
    closing.push(() => proxy.stop())
    const namespace = freshName()
    const slow = await open(proxy.port)
    const here = processOn(slow, namespace, await open())
    const there = processOn(await open(), namespace)
    await blocked(here.store, 'another')
    expect(await allowed(there.store)).toBe(true)
    proxy.delayMs = 150
    const late = here.store.consume([chargeOf(quota)])
    await sleep(75)
    await there.store.reset([chargeOf(quota)])
    expect((await late)[0]!.allowed).toBe(false)
    expect(here.store.decided([chargeOf(quota)])).toBeUndefined()
    expect(await allowed(here.store)).toBe(true)
  }, 20_000)
})

describe('a listener', () => {
  async function pair() {
    const proxy = await new TcpProxy(server.port).start()
    closing.push(() => proxy.stop())
    const namespace = freshName()
    const here = processOn(await open(), namespace, await open(proxy.port))
    const there = processOn(await open(), namespace)
    await blocked(here.store)
    return { proxy, here, there }
  }

  onIoredis(
    'that is killed: what was reset meanwhile is free when that time is over',
    async () => {
      const { here, there } = await pair()
      ;(here.listeners[0] as unknown as { raw: Redis }).raw.options.retryStrategy = () => 5_000
      await server.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await there.store.reset([chargeOf(quota)])
      expect(await refusedFor(here.store)).toBeLessThan(unconfirmedMs + graceMs)
    },
    20_000,
  )

  onIoredis(
    'that is back at once: refusals from before are not believed again',
    async () => {
      const { here, there } = await pair()
      ;(here.listeners[0] as unknown as { raw: Redis }).raw.options.retryStrategy = () => 1
      await server.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await there.store.reset([chargeOf(quota)])
      expect(await refusedFor(here.store)).toBeLessThan(1_000 + graceMs)
      await blocked(here.store)
    },
    20_000,
  )

  test('whose connections are cut and refused: the same', async () => {
    const { proxy, here, there } = await pair()
    proxy.refuse()
    await there.store.reset([chargeOf(quota)])
    expect(await refusedFor(here.store)).toBeLessThan(unconfirmedMs + graceMs)
  }, 20_000)

  test('that hears nothing any more though its connection stands: within two seconds', async () => {
    const { proxy, here, there } = await pair()
    proxy.delayMs = 60_000
    await there.store.reset([chargeOf(quota)])
    expect(await refusedFor(here.store)).toBeLessThan(silenceMs + graceMs)
  }, 20_000)

  test('of a frozen server: refusals are not repeated for longer than two seconds, until they are heard of again', async () => {
    const frozen = await startRedis()
    closing.push(() => frozen.stop())
    const namespace = freshName()
    const { store } = processOn(await open(frozen.port), namespace)
    await until(() => allowed(store).then((yes) => !yes))
    await sleep(unconfirmedMs + 100)
    await allowed(store)
    frozen.freeze()
    const decided = () => store.decided([chargeOf(quota)])
    expect(decided()).toBeDefined()
    const { ms } = await timed(() => until(() => decided() === undefined))
    expect(ms).toBeLessThan(silenceMs + graceMs)
    frozen.thaw()
    await until(async () => !(await allowed(store)) && decided() !== undefined)
  }, 20_000)

  test('closes with the store, also where the server is frozen', async () => {
    const frozen = await startRedis()
    closing.push(() => frozen.stop())
    const { store, listeners } = processOn(await open(frozen.port), freshName())
    for (let i = 0; i < 2; i++) await allowed(store)
    await until(async () => /sub=2/.test(await frozen.cli('CLIENT', 'LIST', 'TYPE', 'pubsub')))
    frozen.freeze()
    const { ms } = await timed(() => store.close())
    frozen.thaw()
    expect(ms).toBeLessThan(graceMs)
    await until(() => listeners[0]!.state === 'ended')
  })

  test('belongs to the backend, and is gone with it', async () => {
    const own = await startRedis()
    closing.push(() => own.stop())
    const backend = redis(own.url, { namespace: freshName(), tier: false })
    const store = backend.limitStore!({ clock: new StillClock(), report: () => {} })
    await until(async () => allowed(store).catch(() => false))
    expect(await allowed(store)).toBe(false)
    await until(async () => /sub=2/.test(await own.cli('CLIENT', 'LIST')))
    await backend.close!()
    await until(async () => (await own.cli('CLIENT', 'LIST')).split('\n').length === 1)
  })
})

describe('in a Cluster', () => {
  test('messages come from every master, from one that has just become it, and a frozen one is noticed', async () => {
    const cluster = await startCluster(3, 1)
    const clients = [0, 1].map(() => new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))))
    closing.push(async () => {
      for (const client of clients) client.disconnect()
      await cluster.stop()
    })
    for (const client of clients) {
      client.on('error', () => {})
      if (client.status !== 'ready') await new Promise<void>((resolve) => client.once('ready', () => resolve()))
    }
    const namespace = freshName()
    const [here, there] = clients.map((client) => processOn(client, namespace)) as [
      ReturnType<typeof processOn>,
      ReturnType<typeof processOn>,
    ]
    const subjects = Array.from({ length: 30 }, (_, i) => `s${i}`)
    const charges = () => subjects.map((subject) => chargeOf(quota, subject))
    const each = () => Promise.all(subjects.map((subject) => allowed(here.store, subject)))
    const decided = () => charges().every((charge) => here.store.decided([charge]))
    /** All of them, and for longer than without messages. */
    const allBlocked = () =>
      until(async () => {
        await each()
        for (const end = performance.now() + unconfirmedMs + 100; performance.now() < end; await sleep(20)) {
          if (!decided()) return false
        }
        return true
      }, 20_000)
    const free = () => until(() => charges().every((charge) => !here.store.decided([charge])), graceMs)

    await allBlocked()
    expect(here.listeners).toHaveLength(3)
    await there.store.reset(charges())
    await free()
    expect(await each()).toEqual(subjects.map(() => true))

    // A failover that is asked for breaks no connection.
    const replica = (
      await Promise.all(cluster.nodes.map(async (node) => [node, await node.cli('ROLE')] as const))
    ).find(([, role]) => role.startsWith('slave'))![0]
    await allBlocked()
    await replica.cli('CLUSTER', 'FAILOVER')
    await until(async () => (await replica.cli('ROLE')).startsWith('master'))
    await there.store.reset(charges())
    await free()
    await until(async () => (await each().catch(() => [true])).every((yes) => !yes))
    await allBlocked()
    expect(here.listeners.length).toBeGreaterThan(3)

    replica.freeze()
    closing.push(() => replica.thaw())
    const { ms } = await timed(() => until(() => charges().every((charge) => !here.store.decided([charge]))))
    expect(ms).toBeLessThan(silenceMs + graceMs)
  }, 60_000)
})

describe('what is remembered of refusals', () => {
  const verdict = { limit: 1, permanent: false, atMs: 0, via: 'store' } as const
  const refused = (resetMs: number) => [{ ...verdict, allowed: false, remaining: 0, retryAfterMs: resetMs, resetMs }]

  function setUp() {
    const clock = new StillClock(0)
    const messages = {
      sinceMs: 0,
      reliableUntilMs: Number.POSITIVE_INFINITY,
      listens: 0,
      listen: () => void messages.listens++,
    }
    const remembered = new Blocked({ clock, messages, nameOf: ({ key }) => nameOf(key) })
    const note = (subject = 'a', resetMs = 60_000, asked = remembered.asking()) =>
      remembered.note([chargeOf(quota, subject)], refused(resetMs), asked)
    const blocks = (subject = 'a') => remembered.find([chargeOf(quota, subject)]) !== undefined
    const nameFor = (subject: string) => nameOf(chargeOf(quota, subject).key)
    /** From when on it is not repeated any more, to a hundred milliseconds. */
    const until = () => {
      for (;;) {
        if (!blocks()) return clock.ms
        clock.ms += 100
      }
    }
    return { clock, messages, remembered, note, blocks, until, nameFor }
  }

  test.each([
    { what: 'while all messages come', act: () => {}, ends: 60_000 },
    {
      what: 'noted before messages came',
      before: (messages: { sinceMs: number }) => (messages.sinceMs = 1),
      ends: 1_000,
    },
    {
      what: 'of which the last was a while ago',
      act: ({ messages }: ReturnType<typeof setUp>) => (messages.reliableUntilMs = 7_000),
      ends: 7_000,
    },
    {
      what: 'that are lost, from that moment',
      act: ({ clock, remembered }: ReturnType<typeof setUp>) => {
        clock.ms = 5_000
        remembered.doubt()
      },
      ends: 6_000,
    },
    {
      what: 'that are lost and come back at once',
      act: ({ clock, remembered, messages }: ReturnType<typeof setUp>) => {
        clock.ms = 5_000
        remembered.doubt()
        messages.sinceMs = 5_000
      },
      ends: 6_000,
    },
  ])('messages $what: repeated for $ends ms', ({ act, before, ends }) => {
    const all = setUp()
    before?.(all.messages)
    all.note()
    act?.(all)
    expect(all.until()).toBe(ends)
  })

  test('is not what was answered before messages of that key, and is what was asked after them', () => {
    const { remembered, note, blocks, nameFor } = setUp()
    const asked = remembered.asking()
    remembered.released(nameFor('a'))
    note('b', 60_000, asked)
    note('a', 60_000, asked)
    expect([blocks('a'), blocks('b')]).toEqual([false, true])
    note('a')
    expect(blocks('a')).toBe(true)
  })

  test('is bounded: ten thousand keys, however many are refused, and however long', () => {
    const { remembered, note, blocks } = setUp()
    for (let i = 0; i < 12_000; i++) note(`s${i}`, 86_400_000)
    expect(remembered.size).toBe(10_000)
    expect([blocks('s1999'), blocks('s2000'), blocks('s11999')]).toEqual([false, true, true])
  })

  test('of messages is bounded: what may have been forgotten counts as told', () => {
    const releases = new Releases()
    releases.add('x')
    const then = releases.moment
    expect([releases.since(then, 'x'), releases.since(then - 1, 'x')]).toEqual([false, true])
    for (let i = 0; i < 1_000; i++) releases.add(`y${i}`)
    const now = releases.moment
    expect([releases.since(then, 'x'), releases.since(0, 'x'), releases.since(now, 'x')]).toEqual([false, true, false])
    releases.add('z')
    expect([releases.since(then, 'x'), releases.since(now, 'x')]).toEqual([true, false])
  })
})
