import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import { Client } from '../hosts/harness/client.ts'
import { express5Host } from '../hosts/harness/express-host.ts'
import { fastifyHost } from '../hosts/harness/fastify-host.ts'
import { says } from '../hosts/harness/handlers.ts'
import type { Booted, HostKind } from '../hosts/harness/host.ts'
import { koa3Host } from '../hosts/harness/koa-host.ts'
import { timed } from '../support/lateness.ts'
import { until } from '../support/redis-server.ts'
import { startStage, troubles, urlFor } from '../support/redis-troubles.ts'
import { redis } from './library.ts'
import { freshName } from './support.ts'

const graceMs = 50

const limit = 5
const ofTheProcess = 2

const limits = {
  open: { rate: `${limit}/h`, onOutage: 'open' },
  closed: { rate: `${limit}/h`, onOutage: 'closed' },
  local: { rate: `${limit}/h`, onOutage: 'local', share: ofTheProcess / limit },
} as const

const policies = Object.keys(limits) as PolicyName[]

type PolicyName = keyof typeof limits

/** What may be answered meanwhile, by what the trouble leaves of Redis. Nothing else that is 5xx is anybody's wish. */
const meanwhile = {
  nothing: { open: [200], closed: [503], local: [200, 429] },
  reads: { open: [200], closed: [503], local: [200, 429] },
  moments: { open: [200, 429], closed: [200, 429, 503], local: [200, 429] },
  everything: { open: [200, 429], closed: [200, 429], local: [200, 429] },
} as const

interface Reply {
  readonly policy: PolicyName
  readonly status: number
  readonly ms: number
}

/** A server of that framework with a route for each policy. */
class App {
  readonly name: string
  readonly replies: Reply[] = []
  readonly events: unknown[] = []
  readonly #booted: Booted
  readonly #client: Client

  static async on({ boot, name }: HostKind, url: string, deadlineMs: number): Promise<App> {
    const booted = await boot(
      {
        sluice: {
          limits,
          backend: redis(url, { namespace: freshName(), tier: false, deadlines: { limit: deadlineMs } }),
        },
        routes: policies.map((policy) => ({ path: `/${policy}`, limit: [policy], handler: says({}) })),
      },
      Object.assign(systemClock(), { advance: () => Promise.resolve() }),
    )
    const { server } = booted
    if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new App(name, booted)
  }

  private constructor(name: string, booted: Booted) {
    this.name = name
    this.#booted = booted
    this.#client = new Client((booted.server.address() as AddressInfo).port)
    booted.sluice.on('store-error', (event) => this.events.push(event))
  }

  async get(policy: PolicyName): Promise<Reply> {
    const { value, ms } = await timed(() => this.#client.request(`/${policy}`))
    const reply = { policy, status: value.status, ms }
    this.replies.push(reply)
    return reply
  }

  /** Redis has decided something. */
  reached(): Promise<void> {
    return until(async () => (await this.#booted.sluice.check('open', { key: 'reached' })).via === 'store', 20_000)
  }

  async close(): Promise<void> {
    const { server, sluice, close } = this.#booted
    this.#client.close()
    server.closeAllConnections()
    await (close?.() ?? new Promise<void>((resolve) => server.close(() => resolve())))
    await sluice.close()
  }
}

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

describe('applications with limits, while Redis is', () => {
  test.each(troubles)(
    '$name: answers in time, no 5xx but the 503 a policy asks for, and as before afterwards',
    async (trouble) => {
      const stage = await startStage()
      closing.push(() => stage.stop())
      const url = urlFor(trouble, stage)
      // Where nothing may be noticed, a busy machine should not be either.
      const deadlineMs = trouble.leaves === 'everything' ? 1_000 : 100
      const hosts = [express5Host, koa3Host, fastifyHost]
      const apps = await Promise.all(hosts.map((host) => App.on(host, url, deadlineMs)))
      for (const app of apps) closing.push(() => app.close())
      const all = (act: (app: App) => Promise<unknown>) => Promise.all(apps.map(act))
      await all((app) => app.reached())
      for (const policy of policies) await all((app) => app.get(policy))
      for (const app of apps) app.events.length = 0
      const before = apps.map(({ replies }) => replies.length)

      const end = await trouble.begin(stage)
      const over = performance.now() + (trouble.lastsMs ?? 300)
      while (performance.now() < over) {
        await all((app) => Promise.all(policies.map((policy) => app.get(policy))))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await end()
      await all((app) => app.reached())
      const back = apps.map(({ replies }) => replies.length)
      // Redis admits what is left, and then refuses.
      await all(async (app) => {
        for (const policy of policies) await until(async () => (await app.get(policy)).status === 429)
      })

      for (const [i, app] of apps.entries()) {
        const during = app.replies.slice(before[i], back[i])
        const after = app.replies.slice(back[i])
        const others = (replies: readonly Reply[], expected: (typeof meanwhile)[keyof typeof meanwhile]) =>
          replies.filter(({ policy, status }) => !(expected[policy] as readonly number[]).includes(status))
        expect(others(during, meanwhile[trouble.leaves])).toEqual([])
        expect(others(after, meanwhile.moments)).toEqual([])
        expect(app.events.length > 0).toBe(trouble.leaves !== 'everything')
        for (const policy of policies) {
          const admitted = (replies: readonly Reply[]) =>
            replies.filter((reply) => reply.policy === policy && reply.status === 200).length
          const limitOfAll = trouble.forgets ? limit + 1 : limit
          const instead = { open: admitted(during), closed: 0, local: ofTheProcess }
          expect(admitted(app.replies)).toBeLessThanOrEqual(limitOfAll + instead[policy])
        }
        expect(Math.max(...app.replies.map(({ ms }) => ms))).toBeLessThanOrEqual(deadlineMs + graceMs)
      }
    },
    40_000,
  )
})
