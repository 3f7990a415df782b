import { expect } from '@jest/globals'
import type { AppSpec, TestSluice } from './app.ts'
import type { Answer } from './client.ts'

/** `all`: every suite on every host. */
let through: 'no' | 'some' | 'all' = process.env.SLUICE_TEST_FRONT === '1' ? 'all' : 'no'
let answered = 0

/** The suites that are imported from now on run behind a door, on one version of each framework. */
export function sendThroughDoor(): void {
  if (through === 'no') through = 'some'
}

/** Whether this application's requests are to go through a door. One that says `false` itself counts what comes to it. */
export const goesThroughDoor = (spec: AppSpec): boolean => through !== 'no' && spec.front !== false

/** Whether the suites are to run on this host. */
export const runsOn = (name: string): boolean => through !== 'some' || !['Express 4', 'Koa 2'].includes(name)

/** How many answers of the door were given to tests of this file in place of those of the ordinary way. */
export const answeredInstead = (): number => answered

/** The same application, served through the door, which may answer every route that has a cache. */
export function behindDoor(spec: AppSpec): AppSpec {
  return {
    ...spec,
    front: spec.front ?? true,
    routes: spec.routes.map((route) => (route.cache ? { ...route, cache: { front: true, ...route.cache } } : route)),
  }
}

/** Asking again more often teaches the door nothing. */
const often = 5

/** What a hit is asked for again through. */
export class Again {
  readonly #sluice: TestSluice
  #told = 0
  #asked = 0
  #hits = 0

  constructor(sluice: TestSluice) {
    this.#sluice = sluice
    sluice.on('front', () => this.#told++)
  }

  /** Requests that no test made. */
  get extra(): number {
    return this.#asked
  }

  /** The instance as the test's own requests leave it. */
  get sluice(): TestSluice {
    const stats = (): ReturnType<TestSluice['stats']> => {
      const all = this.#sluice.stats()
      return { ...all, cache: { ...all.cache, hits: all.cache.hits - this.#hits } }
    }
    return new Proxy(this.#sluice, {
      get: (sluice, name) => {
        if (name === 'stats') return stats
        const value: unknown = Reflect.get(sluice, name)
        return typeof value === 'function' ? value.bind(sluice) : value
      },
    })
  }

  /** The answer of the door where it has one, which must be that of the ordinary way. */
  async settled(first: Answer, ask: () => Promise<Answer>): Promise<Answer> {
    // One that is stale is refreshed behind it.
    if (!isFreshHit(first)) return first
    const ordinary = [first]
    for (let i = 0; i < often; i++) {
      const before = this.#told
      const answer = await this.#askAgain(ask)
      if (this.#told > before) {
        expect(seen(answer, ordinary)).toEqual(seen(first, ordinary))
        answered++
        return answer
      }
      ordinary.push(answer)
    }
    return first
  }

  async #askAgain(ask: () => Promise<Answer>): Promise<Answer> {
    this.#asked++
    const { hits } = this.#sluice.stats().cache
    const answer = await ask()
    this.#hits += this.#sluice.stats().cache.hits - hits
    return answer
  }
}

const isFreshHit = (answer: Answer): boolean => /(^|, )Sluice; hit; ttl=[1-9]/.test(answer.header('cache-status') ?? '')

/** All that two answers of one moment may not differ in, but for fields that differ each time. */
function seen(answer: Answer, ordinary: readonly Answer[]): unknown {
  const names = [...new Set(answer.fields.map(([name]) => name))].sort()
  const fields = names
    .filter((name) => new Set(ordinary.map((one) => one.header(name))).size === 1)
    .map((name) => `${name}: ${answer.header(name)}`)
  return { status: answer.status, fields, body: answer.body.toString('latin1') }
}
