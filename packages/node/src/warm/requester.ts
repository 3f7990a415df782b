import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { setTimeout as wait } from 'node:timers/promises'
import { durationMs } from '@sluice/core'
import type { WarmOptions } from './options.ts'
import type { OpenTarget } from './target.ts'

export type WarmAnswer =
  | { readonly kind: 'answered'; readonly status: number; readonly cache: 'hit' | 'stored' | 'none' }
  | { readonly kind: 'failed'; readonly error: unknown }

interface Raw {
  readonly message: IncomingMessage
  readonly body: Buffer
}

/** How long a `Retry-After` is obeyed. A server that wants more is not to be warmed now. */
const longestWaitMs = 60_000

/** Asks the target, as politely as the options say. */
export class Requester {
  readonly #base: URL
  readonly #options: WarmOptions
  readonly #agent: http.Agent
  readonly #delayMs: number
  readonly #timeoutMs: number

  constructor(target: OpenTarget, options: WarmOptions) {
    this.#base = target.base
    this.#options = options
    const kind = target.base.protocol === 'https:' ? https : http
    this.#agent = new kind.Agent({ keepAlive: true, maxSockets: options.concurrency ?? 4 })
    this.#delayMs = durationMs('warm.delay', options.delay ?? 0)
    this.#timeoutMs = durationMs('warm.timeout', options.timeout ?? '30s')
  }

  /** Between two requests. */
  async pause(): Promise<void> {
    await this.#wait(this.#delayMs)
  }

  /** Asks for a URL until it is answered, or too often. Does not throw. */
  async get(url: string, headers: Readonly<Record<string, string>>): Promise<WarmAnswer> {
    const { retries = 3, signal } = this.#options
    for (let attempt = 0; ; attempt++) {
      const last = attempt >= retries || signal?.aborted
      try {
        const { message } = await this.#request(url, headers)
        const status = message.statusCode!
        if ((status !== 429 && status !== 503) || last) {
          return { kind: 'answered', status, cache: cacheOf(message.headers['cache-status']) }
        }
        const asked = parseRetryAfter(message.headers['retry-after']) ?? 1_000 * 2 ** attempt
        if (asked > longestWaitMs) return { kind: 'answered', status, cache: 'none' }
        await this.#wait(asked)
      } catch (error) {
        if (last) return { kind: 'failed', error }
        await this.#wait(200 * 2 ** attempt)
      }
    }
  }

  /** Lets its connections go. */
  close(): void {
    this.#agent.destroy()
  }

  /** The body at a path of the target, for sitemaps. @throws Error where it is not answered with 200 */
  async body(url: string): Promise<Buffer> {
    const { message, body } = await this.#request(url, {})
    if (message.statusCode !== 200) throw new Error(`${url} was answered with ${message.statusCode}.`)
    return body
  }

  #request(url: string, headers: Readonly<Record<string, string>>): Promise<Raw> {
    const { host, signal } = this.#options
    const absolute = /^https?:\/\//i.test(url) ? new URL(url) : undefined
    const path = absolute ? `${absolute.pathname}${absolute.search}` : url
    const send = this.#base.protocol === 'https:' ? https.request : http.request
    return new Promise((resolve, reject) => {
      const request = send({
        hostname: this.#base.hostname.replace(/^\[|\]$/g, ''),
        port: this.#base.port,
        path: `${this.#base.pathname.replace(/\/$/, '')}${path}`,
        agent: this.#agent,
        timeout: this.#timeoutMs,
        headers: { 'user-agent': 'sluice-warm', ...headers, host: host ?? absolute?.host ?? this.#base.host },
        ...(signal ? { signal } : {}),
      })
      request.on('timeout', () => request.destroy(new Error(`no answer within ${this.#timeoutMs} ms`)))
      request.on('error', reject)
      request.on('response', (message) => {
        const chunks: Buffer[] = []
        message.on('data', (chunk: Buffer) => chunks.push(chunk))
        message.on('error', reject)
        message.on('end', () => resolve({ message, body: Buffer.concat(chunks) }))
      })
      request.end()
    })
  }

  async #wait(ms: number): Promise<void> {
    if (ms === 0) return
    // A timer that keeps the process alive: between two requests there may be nothing else that does.
    await wait(ms, undefined, this.#options.signal ? { signal: this.#options.signal } : {}).catch(() => {})
  }
}

/** What the nearest cache says that it did (RFC 9211 §2): the last member of the list. */
function cacheOf(field: string | string[] | undefined): 'hit' | 'stored' | 'none' {
  const member = String(field ?? '')
    .split(',')
    .at(-1)!
  if (/;\s*(hit|collapsed)\s*(;|$)/.test(member)) return 'hit'
  return /;\s*stored\s*(;|$)/.test(member) ? 'stored' : 'none'
}

/** Seconds or a date (RFC 9110 §10.2.3), in milliseconds from now. */
function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
