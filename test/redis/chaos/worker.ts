// One process of the application under chaos, on the framework it is told: limits, and a cache and a memo of items that live in
// a database behind HTTP. Its calendar may be wrong, and jumps when it is told to. It tells its parent what happens to requests.
import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { by, type PolicyInput } from '@sluice/node'
import { redis } from '@sluice/redis'
import { Cluster } from 'ioredis'
import { systemClock } from '../../../packages/core/src/base/clock.ts'
import type { Ctx, Route } from '../../hosts/harness/app.ts'
import type { HostKind } from '../../hosts/harness/host.ts'
import { beatMs, machineMs, type Told } from './history.ts'
import { limits, routes } from './policies.ts'

const { DATABASE = '', HOST = '', OPTIONS = '{}', REDIS = '', NODES, PERMIT_TTL = '6s', SABOTAGE = '' } = process.env
let offsetMs = Number(process.env.CLOCK_OFFSET ?? 0)
const calendar = Date.now
Date.now = () => calendar() + offsetMs

// Where nobody listens any more, nobody is to be told.
const tell = (told: Told): void => void process.send?.(told, undefined, undefined, () => {})

/** The request that is being worked on, whatever is awaited meanwhile. */
interface Current {
  readonly id: string
  over: boolean
}
const current = new AsyncLocalStorage<Current>()

/** Before its permits are given back. Once. */
function over(one: Current | undefined): void {
  if (!one || one.over) return
  one.over = true
  tell({ is: 'ended', id: one.id, ms: machineMs() })
}

const target = NODES ? new Cluster(JSON.parse(NODES), { redisOptions: { maxRetriesPerRequest: 1 } }) : REDIS
if (target instanceof Cluster) target.on('error', () => {})
const client = by.header('x-client')
const policies = Object.fromEntries(
  Object.entries(limits).map(([name, policy]): [string, PolicyInput] => {
    const { countIf, everyone, ...rest } = { countIf: undefined, everyone: false, ...policy }
    return [
      name,
      {
        ...rest,
        key: everyone ? () => 'everyone' : client,
        ...(countIf === undefined ? {} : { countIf: (r: { status: number }) => r.status === countIf }),
        ...(name === 'permits' ? { permitTtl: PERMIT_TTL as '6s' } : {}),
      } as PolicyInput,
    ]
  }),
)

/** The handler runs: whoever let the request come here has admitted it. */
function admitted(c: Ctx): void {
  const one = current.getStore()
  if (one) tell({ is: 'admitted', id: one.id, ms: machineMs() })
  c.set('cache-control', 'no-store')
}

async function* pieces(ms: number): AsyncGenerator<string> {
  const one = current.getStore()
  for (const end = performance.now() + ms; performance.now() < end; await sleep(20)) yield 'x'.repeat(500)
  over(one)
}

const handlers: Partial<Record<keyof typeof routes, (c: Ctx) => unknown>> = {
  login(c) {
    admitted(c)
    c.status(c.header('x-fails') ? 401 : 200).send('login')
  },
  async stream(c) {
    admitted(c)
    if (SABOTAGE.includes('release') && booted.sluice)
      void booted.sluice.check('permits', { key: c.header('x-client')! })
    return c.stream(pieces(Number(c.header('x-ms') ?? 100)))
  },
}

const limited = Object.entries(routes).map(
  ([name, charged]): Route => ({
    method: name === 'upload' ? 'POST' : 'GET',
    path: `/${name}`,
    limit: charged as readonly string[],
    handler:
      handlers[name as keyof typeof routes] ??
      ((c) => {
        admitted(c)
        c.send(name)
      }),
  }),
)

const ask = async (path: string, method = 'GET'): Promise<string> =>
  (await fetch(`${DATABASE}${path}`, { method })).text()

const timeout = '2s'

/** How late a purge is that was not waited for: so long that all others have read by then, also where a machine is slow. */
const lateMs = 3_000

const items: Route[] = [
  {
    path: '/items/:item',
    cache: { ttl: '1m', tags: (r) => [`item:${r.request.path.split('/')[2]}`], timeout, guard: 'off' },
    async handler(c) {
      c.set('content-type', 'text/plain')
      c.send(await ask(c.path))
    },
  },
  {
    path: '/memo/:item',
    async handler(c) {
      const before = remembered.info().hits
      const value = await remembered(c.params.item!)
      c.set('cache-status', remembered.info().hits > before ? 'memo; hit' : 'memo')
      c.send(value)
    },
  },
  {
    // 200 when nobody can be given the old value any more, 202 when that is not certain.
    method: 'POST',
    path: '/items/:item',
    async handler(c) {
      const value = await ask(c.path, 'POST')
      const replicas = NODES ? { replicas: 1 } : {}
      const purge = (): Promise<boolean> =>
        Promise.resolve(instance.purge({ tags: [`item:${c.params.item}`] }, replicas)).then(
          (purged) => !NODES || purged.reached,
          () => false,
        )
      // Says that it is done, and does it when it is too late for whoever asks next.
      if (SABOTAGE.includes('purge')) {
        setTimeout(purge, lateMs)
        c.send(value)
      } else c.status((await purge()) ? 200 : 202).send(value)
    },
  },
]

// Each loads its own only: a process that starts is one of the faults, and should not take longer than it must.
const hosts: Readonly<Record<string, () => Promise<HostKind>>> = {
  node: async () => (await import('../../hosts/harness/node-host.ts')).nodeHost,
  express4: async () => (await import('../../hosts/harness/express-host.ts')).express4Host,
  express5: async () => (await import('../../hosts/harness/express-host.ts')).express5Host,
  koa: async () => (await import('../../hosts/harness/koa-host.ts')).koa3Host,
  fastify: async () => (await import('../../hosts/harness/fastify-host.ts')).fastifyHost,
}
const booted = await (await hosts[HOST]!()).boot(
  { sluice: { backend: redis(target, JSON.parse(OPTIONS)), limits: policies }, routes: [...limited, ...items] },
  Object.assign(systemClock(), { advance: () => Promise.resolve() }),
)
// Every host's has these too; the harness names what its own tests use.
type Instance = import('@sluice/node').NodeSluice
const instance = booted.sluice as unknown as Instance
const remembered = instance.memo((item: string) => ask(`/items/${item}`), {
  name: 'items',
  ttl: '1m',
  timeout,
  tags: (value) => [`item:${value.split('=')[0]}`],
})

for (const name of ['allowed', 'denied'] as const) {
  booted.sluice.on(name, (event) => {
    const id = current.getStore()?.id
    if (id === undefined) return
    const via = Object.fromEntries(event.policies.map(({ policy, verdict }) => [policy, verdict.via]))
    const violated = 'violated' in event ? event.violated : []
    tell({ is: 'decided', id, ms: machineMs(), allowed: name === 'allowed', via, violated })
  })
}
booted.sluice.on('error', () => {})
booted.sluice.on('store-error', () => {})

const { server } = booted
const emit = server.emit.bind(server) as (event: string, ...args: unknown[]) => boolean
let seen = 0
server.emit = ((event: string, ...args: unknown[]): boolean => {
  const [req, res] = args as [IncomingMessage, ServerResponse]
  const id = event === 'request' ? (req.headers['x-id'] as string | undefined) : undefined
  if (id === undefined) return emit(event, ...args)
  const one: Current = { id, over: false }
  tell({ is: 'asked', id, ms: machineMs() })
  for (const end of ['finish', 'close']) res.prependListener(end, () => over(one))
  req.socket.prependOnceListener('close', () => over(one))
  // The parser tells of a body in a context of its own.
  const emitOwn = req.emit.bind(req) as (...args: unknown[]) => boolean
  req.emit = ((...own: unknown[]) => current.run(one, () => emitOwn(...own))) as typeof req.emit
  return current.run(one, () => {
    if (SABOTAGE.includes('admit') && req.url === '/window' && ++seen % 3 === 0) {
      tell({ is: 'admitted', id, ms: machineMs() })
      res.end('window')
      return true
    }
    return emit(event, ...args)
  })
}) as typeof server.emit

interface Call {
  readonly call: number
  readonly do: 'check' | 'peek' | 'clock'
  readonly policy: string
  readonly key: string
  readonly ms: number
}
process.on('message', async ({ call, do: what, policy, key, ms }: Call) => {
  let value: unknown
  if (what === 'clock') offsetMs = ms
  else {
    const { allowed, remaining, via } = await instance[what](policy, { key })
    value = { allowed, remaining, via }
  }
  tell({ is: 'answer', call, value })
})
setInterval(() => tell({ is: 'beat', ms: machineMs() }), beatMs)
process.on('disconnect', () => process.exit())
if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
tell({ is: 'listening', port: (server.address() as AddressInfo).port })
