import http, { type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterEach, expect } from '@jest/globals'
import { type Answer, Client, type RequestFields } from '../hosts/harness/client.ts'

/** An application that is served, and those who visit it. */
export interface Served {
  /** Somebody new. `cookies` are those that he brings from elsewhere. */
  visitor(cookies?: Readonly<Record<string, string>>): Visitor
}

const open: (() => Promise<void>)[] = []

/** Closes at the end of each test what it served. For the top of a test file. */
export function closeServed(): void {
  afterEach(async () => {
    for (const close of open.splice(0)) await close()
  })
}

/** @param close - of the framework and of what the test made with it */
export async function serve(listener: RequestListener, close: () => unknown): Promise<Served> {
  const server = http.createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return servedAt((server.address() as AddressInfo).port, async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await close()
  })
}

export function servedAt(port: number, close: () => Promise<unknown>): Served {
  const client = new Client(port)
  open.push(async () => {
    client.close()
    await close()
  })
  return { visitor: (cookies = {}) => new Visitor(client, cookies) }
}

/** Keeps the cookies he is given, as browsers do. */
export class Visitor {
  readonly #client: Client
  readonly #cookies: Map<string, string>

  constructor(client: Client, cookies: Readonly<Record<string, string>>) {
    this.#client = client
    this.#cookies = new Map(Object.entries(cookies))
  }

  async get(path = '/', fields: RequestFields = {}): Promise<Answer> {
    return this.#keep(await this.#client.request(path, { headers: { ...this.#cookie(), ...fields } }))
  }

  async login(name: string): Promise<this> {
    const headers = { ...this.#cookie(), 'content-type': 'application/json' }
    const body = JSON.stringify({ username: name, password: 'secret' })
    const answer = this.#keep(await this.#client.request('/login', { method: 'POST', headers, body }))
    expect([answer.status, answer.text]).toEqual([200, `signed in ${name}`])
    return this
  }

  #cookie(): Record<string, string> {
    return this.#cookies.size ? { cookie: [...this.#cookies].map((pair) => pair.join('=')).join('; ') } : {}
  }

  #keep(answer: Answer): Answer {
    for (const line of answer.lines('set-cookie')) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      this.#cookies.set(name!, value!)
    }
    return answer
  }
}

/** A client that was told the length of a stream has all of it before its end is known to the server. */
const stored = (): Promise<void> => setTimeout(20)

/** A page that does not look at who asks: hit by everybody new. */
export async function expectHits(app: Served, path: string): Promise<void> {
  const first = await app.visitor().get(path)
  expect([path, first.status, first.detail]).toEqual([path, 200, undefined])
  // Of a whole body the first answer says that it is stored; a stream may still be ending.
  let second = await app.visitor().get(path)
  for (let i = 0; !first.stored && i < 10 && second.cache !== 'hit'; i++) {
    await stored()
    second = await app.visitor().get(path)
  }
  expect([path, second.status, second.cache, second.text]).toEqual([path, 200, 'hit', first.text])
}

/** A page that greets: everybody who has signed in has his own, and it is never kept; all others have one together. */
export async function expectGreetings(app: Served, path: string): Promise<void> {
  const alice = await app.visitor().login('alice')
  await expectOwn(alice, path, 'alice')
  const anybody = await app.visitor().get(path)
  expect([path, anybody.text.trim(), anybody.detail]).toEqual([path, 'hello visitor', undefined])
  await expectOwn(alice, path, 'alice')
  const bob = await app.visitor().login('bob')
  for (const [visitor, name] of [
    [bob, 'bob'],
    [alice, 'alice'],
    [bob, 'bob'],
  ] as const) {
    await expectOwn(visitor, path, name)
  }
  const again = await app.visitor().get(path)
  expect([path, again.text.trim(), again.cache]).toEqual([path, 'hello visitor', 'hit'])
}

async function expectOwn(visitor: Visitor, path: string, name: string): Promise<void> {
  const answer = await visitor.get(path)
  expect([path, answer.status, answer.text.trim(), answer.stored]).toEqual([path, 200, `hello ${name}`, false])
  expect([path, answer.cache]).toEqual([path, expect.not.stringMatching('hit')])
  expect(answer.header('cache-control') ?? 'private').not.toMatch(/public/)
}

/** Visitors who bring cookies that nobody reads: one of them confirms what another was given, then all of them hit. */
export async function expectHitsWithAnalytics(app: Served, path: string): Promise<void> {
  const answers: string[] = []
  for (let i = 0; i < 5; i++) {
    const answer = await app.visitor({ _ga: `GA1.${i}`, _gid: `${i}` }).get(path)
    expect(answer.status).toBe(200)
    answers.push(answer.cache)
    // Each of those who follow finds what this one left behind.
    if (answer.cache !== 'hit' && !answer.stored) await stored()
  }
  expect([path, answers.slice(2)]).toEqual([path, ['hit', 'hit', 'hit']])
}
