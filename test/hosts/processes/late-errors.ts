/**
 * A process in which background refreshes fail where nobody catches it. `hosts` prints, a host a line, the ways it has
 * survived; `door` has the refreshes begun by a front door; `stranger` and `listener` have something else fail while one runs.
 */
import { EventEmitter, once } from 'node:events'
import { createReadStream } from 'node:fs'
import type { AddressInfo } from 'node:net'
import type { Ctx } from '../harness/app.ts'
import { Client } from '../harness/client.ts'
import { testClock } from '../harness/clock.ts'
import { express4Host, express5Host } from '../harness/express-host.ts'
import { fastifyHost } from '../harness/fastify-host.ts'
import type { HostKind } from '../harness/host.ts'
import { koa2Host, koa3Host } from '../harness/koa-host.ts'
import { nodeHost } from '../harness/node-host.ts'

const boom = (): Error => new Error('boom')

/** What a handler does wrong. `undefined`: it has left the rest to what it began. */
const ways: Readonly<Record<string, (c: Ctx) => unknown>> = {
  timer: () => new Promise(() => setTimeout(() => fail(), 1)),
  immediate: () => new Promise(() => setImmediate(() => fail())),
  tick: () => new Promise(() => process.nextTick(() => fail())),
  'a promise nobody waits for': () => {
    void Promise.reject(boom())
    return new Promise(() => {})
  },
  'an async function nobody waits for': () => {
    void (async () => {
      await new Promise((resolve) => setTimeout(resolve, 1))
      fail()
    })()
    return new Promise(() => {})
  },
  'an emitter nobody listens to': () => new Promise(() => setImmediate(() => new EventEmitter().emit('error', boom()))),
  'a file that is not there': (c) => {
    createReadStream('/no/such/file').pipe(c.raw.res)
    return new Promise(() => {})
  },
  'behind its answer': (c) => {
    setTimeout(() => fail(), 20)
    c.send('done')
  },
  'throws at once': () => fail(),
  rejects: () => Promise.reject(boom()),
  'a stream that breaks': (c) => c.stream(breaking()),
  'a response destroyed': (c) => {
    c.raw.res.destroy(boom())
    return new Promise(() => {})
  },
  'a socket destroyed': (c) => {
    c.raw.req.socket.destroy(boom())
    return new Promise(() => {})
  },
  'a socket reset': (c) => {
    c.raw.req.socket.resetAndDestroy()
    return new Promise(() => {})
  },
  'a request destroyed': (c) => {
    c.raw.req.destroy(boom())
    return new Promise(() => {})
  },
  'a write after the end': (c) => {
    c.raw.res.end('x')
    c.raw.res.write('y')
    return new Promise(() => {})
  },
}

function fail(): never {
  throw boom()
}

async function* breaking(): AsyncGenerator<string> {
  yield 'a'
  fail()
}

const cache = { ttl: '10s', staleWhileRevalidate: '60s', guard: 'off' } as const
const turns = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function bootFailing(kind: HostKind, failing: Readonly<Record<string, (c: Ctx) => unknown>>, front = false) {
  const clock = testClock()
  const runs = new Map<string, number>()
  const routes = Object.entries(failing).map(([name, wrong]) => ({
    path: `/${name.replaceAll(' ', '-')}`,
    cache: { ...cache, ...(front ? { front, public: true } : {}) },
    handler(c: Ctx): unknown {
      const run = (runs.get(name) ?? 0) + 1
      runs.set(name, run)
      return run === 2 ? wrong(c) : c.send(`run ${run}`)
    },
  }))
  const booted = await kind.boot({ routes, front }, clock)
  if (!booted.server.listening) {
    booted.server.listen(0, '127.0.0.1')
    await once(booted.server, 'listening')
  }
  const client = new Client((booted.server.address() as AddressInfo).port)
  return { client, clock, runs, booted }
}

async function survive(kind: HostKind, front: boolean): Promise<string[]> {
  const { client, clock, runs, booted } = await bootFailing(kind, ways, front)
  let atTheDoor = 0
  booted.sluice.on('front', () => atTheDoor++)
  const survived: string[] = []
  for (const name of Object.keys(ways)) {
    const path = `/${name.replaceAll(' ', '-')}`
    const first = await client.request(path)
    // So often the door learns.
    if (front) for (let i = 0; i < 4; i++) await client.request(path)
    await clock.advance(11_000)
    const before = atTheDoor
    const stale = await client.request(path)
    const asMeant = atTheDoor - before === (front ? 1 : 0)
    for (let i = 0; i < 200 && (runs.get(name) ?? 0) < 2; i++) await turns(5)
    await turns(40)
    const here = await client.request(path)
    if (
      asMeant &&
      first.text === 'run 1' &&
      stale.text === 'run 1' &&
      here.status === 200 &&
      (runs.get(name) ?? 0) >= 2
    )
      survived.push(name)
    // What the failed run brought must be gone before the next.
    await clock.advance(120_000)
  }
  return survived
}

async function strange(): Promise<void> {
  const { client, clock, runs } = await bootFailing(nodeHost, { slow: () => new Promise(() => {}) })
  await client.request('/slow')
  await clock.advance(11_000)
  await client.request('/slow')
  while ((runs.get('slow') ?? 0) < 2) await turns(5)
}

const [what] = process.argv.slice(2)
if (what === 'hosts' || what === 'door') {
  for (const kind of [nodeHost, express4Host, express5Host, koa2Host, koa3Host, fastifyHost]) {
    process.stdout.write(`${JSON.stringify([kind.name, await survive(kind, what === 'door')])}\n`)
  }
  process.stdout.write(`${JSON.stringify(['all', Object.keys(ways)])}\n`)
  process.exit(0)
}
await strange()
if (what === 'listener') process.on('uncaughtException', (error) => process.stdout.write(`told ${error.message}\n`))
// Not in the refresh: begun in front of it, as it were.
setTimeout(() => {
  throw new Error('stranger')
}, 1)
setTimeout(() => process.stdout.write('alive\n', () => process.exit(0)), 200)
