import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe } from '@jest/globals'
import type { AppSpec, TestSluice } from './app.ts'
import { type Answer, Client, type Opened, type RequestFields, type RequestOptions } from './client.ts'
import { type TestClock, testClock } from './clock.ts'
import { express4Host, express5Host } from './express-host.ts'
import { fastifyHost } from './fastify-host.ts'
import { koa2Host, koa3Host } from './koa-host.ts'
import { nodeHost } from './node-host.ts'
import { Again, behindDoor, goesThroughDoor, runsOn } from './through-door.ts'

export type { AppSpec, Ctx, Route, Step } from './app.ts'
export { Answer, type Opened, type RequestFields } from './client.ts'
export { type TestClock, testClock } from './clock.ts'

/** A framework of one major version, and how an app described neutrally becomes one of its apps. */
export interface HostKind {
  readonly name: string
  readonly framework: 'node' | 'express' | 'koa' | 'fastify'
  boot(spec: AppSpec, clock: TestClock): Promise<Booted>
}

export interface Booted {
  readonly server: Server
  readonly sluice: TestSluice
  close?(): Promise<void>
  readonly [own: string]: unknown
}

const kinds: readonly HostKind[] = [nodeHost, express4Host, express5Host, koa2Host, koa3Host, fastifyHost]

/** A host inside a suite: it closes at the end of each test whatever that test booted. */
export interface TestHost extends Omit<HostKind, 'boot'> {
  boot(spec: AppSpec): Promise<TestApp>
}

export interface TestApp {
  readonly clock: TestClock
  readonly sluice: TestSluice
  readonly port: number
  readonly client: Client
  readonly server: Server
  /** How many requests have reached the server. */
  readonly arrivals: number
  /** What the host has besides: `fastify`, `express`. */
  readonly own: Booted
  get(path: string, headers?: RequestFields): Promise<Answer>
  request(path: string, options?: RequestOptions): Promise<Answer>
  open(path: string, options?: RequestOptions): Promise<Opened>
  /** Resolves when that many requests have reached the application and had their turn there. */
  arrived(count: number): Promise<void>
  close(): Promise<void>
}

/** Runs a suite once for every host. What differs between frameworks is for `only` to say, and seldom. */
export function describeHosts(
  title: string,
  suite: (host: TestHost) => void,
  only?: (kind: HostKind) => boolean,
): void {
  describe.each(
    kinds.filter((kind) => runsOn(kind.name) && (!only || only(kind))).map((kind) => [kind.name, kind] as const),
  )(`${title}: %s`, (_, kind) => {
    const opened: TestApp[] = []
    afterEach(async () => {
      for (const app of opened.splice(0)) await app.close()
    })
    suite({
      name: kind.name,
      framework: kind.framework,
      async boot(spec) {
        const app = await start(kind, spec)
        opened.push(app)
        return app
      },
    })
  })
}

async function start(kind: HostKind, spec: AppSpec): Promise<TestApp> {
  const clock = testClock()
  const booted = await kind.boot(goesThroughDoor(spec) ? behindDoor(spec) : spec, clock)
  const { server, sluice } = booted
  const again = goesThroughDoor(spec) ? new Again(sluice) : undefined
  let arrivals = 0
  server.prependListener('request', () => arrivals++)
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, spec.listen ?? '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = new Client(port)
  let closed: Promise<void> | undefined
  const request = async (path: string, options?: RequestOptions): Promise<Answer> => {
    const ask = (): Promise<Answer> => client.request(path, options)
    const answer = await ask()
    return again ? again.settled(answer, ask) : answer
  }
  const close = async (): Promise<void> => {
    client.close()
    server.closeAllConnections?.()
    await (booted.close?.() ?? new Promise<void>((resolve) => server.close(() => resolve())))
    await sluice.close()
  }
  return {
    clock,
    sluice: again?.sluice ?? sluice,
    port,
    client,
    server,
    own: booted,
    get arrivals() {
      return arrivals - (again?.extra ?? 0)
    },
    get: (path, headers) => request(path, { headers }),
    request,
    open: (path, options) => client.open(path, options),
    async arrived(count) {
      await until(() => arrivals - (again?.extra ?? 0) >= count)
      // Frameworks take a few turns of the event loop from there to the cache.
      for (let i = 0; i < 5; i++) await turn()
    },
    close: () => (closed ??= close()),
  }
}

/** One turn of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Waits for something that happens by itself, and soon. */
export async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 3_000; !holds(); await turn()) {
    if (performance.now() > end) throw new Error(`never: ${holds.toString()}`)
  }
}

/** A promise and its key: holds a handler until the test has seen enough. */
export interface Gate extends Promise<void> {
  open(): void
}

export function gate(): Gate {
  let open!: () => void
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return Object.assign(promise, { open })
}
