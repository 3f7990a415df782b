import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from '@jest/globals'
import { createSluice, type NodeSluice } from '@sluice/node'
import type { RedisOptions } from '@sluice/redis'
import { timed } from '../support/lateness.ts'
import { until } from '../support/redis-server.ts'
import { redis } from './library.ts'

const graceMs = 50

/** So few replies would not show anything. */
const fewest = 25

/** The paths that are stored before trouble begins. */
const paths = Array.from({ length: 6 }, (_, i) => `/${i}`)

type Target = Parameters<typeof redis>[0]

export interface Reply {
  readonly status: number
  readonly body: string
  readonly hit: boolean
  readonly ms: number
}

/** An application whose answers are versions: what a correct cache may answer is known at every moment. */
export class Versions {
  readonly sluice: NodeSluice
  readonly errors: string[] = []
  readonly #http: Server
  readonly #deadlineMs: number
  #n = 0
  #asked = 0

  /** @param readMs - how long look-ups may take */
  static async on(target: Target, options: RedisOptions = {}, readMs = 50): Promise<Versions> {
    const app = new Versions(target, options, readMs)
    await new Promise<void>((resolve) => app.#http.listen(0, '127.0.0.1', resolve))
    return app
  }

  private constructor(target: Target, options: RedisOptions, readMs: number) {
    this.#deadlineMs = readMs
    const deadlines = { ...options.deadlines, read: readMs }
    this.sluice = createSluice({ backend: redis(target, { tier: false, ...options, deadlines }) })
    const cached = this.sluice.cache('1m', { tags: ['v'], guard: 'off' })
    this.sluice.on('error', ({ error }) => this.errors.push(`${error.code} ${error.message}`))
    this.#http = createServer((req: IncomingMessage, res: ServerResponse) =>
      cached(req, res, () => {
        res.setHeader('content-type', 'text/plain')
        res.end(this.version)
      }),
    )
  }

  get version(): string {
    return `v${this.#n}`
  }

  /** From now on every other answer is wrong, once a purge has resolved or was tried here. */
  change(): void {
    this.#n++
  }

  async get(path: string): Promise<Reply> {
    const { value, ms } = await timed(() => this.#fetch(path))
    return { ...value, ms }
  }

  #fetch(path: string): Promise<Omit<Reply, 'ms'>> {
    const { port } = this.#http.address() as AddressInfo
    return new Promise((resolve, reject) => {
      request({ port, host: '127.0.0.1', path }, (res) => {
        let body = ''
        res.on('data', (part) => {
          body += part
        })
        res.on('end', () => {
          resolve({ status: res.statusCode!, body, hit: /hit/.test(String(res.headers['cache-status'])) })
        })
      })
        .on('error', reject)
        .end()
    })
  }

  /** Requests, whatever is the matter: all answered, rightly and in time. */
  async serves(forMs: number): Promise<readonly Reply[]> {
    const replies: Reply[] = []
    const end = performance.now() + forMs
    for (let i = 0; performance.now() < end || replies.length < fewest; i++) {
      const some = [0, 1, 2, 3].map((j) => paths[(i + j) % paths.length]!)
      replies.push(...(await Promise.all([...some, `/new/${this.#asked++}`].map((path) => this.get(path)))))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    for (const { status, body, ms } of replies) {
      expect([status, body]).toEqual([200, this.version])
      expect(ms).toBeLessThanOrEqual(this.#deadlineMs + graceMs)
    }
    return replies
  }

  /** Everything is stored. */
  async warm(): Promise<void> {
    await this.recovered()
    for (const path of paths) await until(async () => (await this.get(path)).hit)
    this.errors.length = 0
  }

  /** Redis answers again, and nothing older has been served until then. */
  async recovered(): Promise<void> {
    await until(async () => {
      const { hit, body } = await this.get(paths[0]!)
      expect(body).toBe(this.version)
      return hit
    }, 20_000)
  }

  async close(): Promise<void> {
    this.#http.closeAllConnections()
    this.#http.close()
    await this.sluice.close()
  }
}
