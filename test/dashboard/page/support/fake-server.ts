import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FindAnswer, RouteRow, RouteSort } from '../../../../packages/dashboard/src/page/contract.ts'
import { html } from '../../../../packages/dashboard/src/page/document.ts'
import { pagePolicy } from '../../../../packages/dashboard/src/page/page.ts'
import type { World } from './world.ts'

interface Asked {
  readonly method: string
  readonly path: string
  readonly type: string | undefined
  readonly body: unknown
}

export interface FakeOptions {
  /** In front of all paths. */
  readonly mount?: string
  /** A proxy that hands nothing of a stream on. */
  readonly buffers?: boolean
  /** Milliseconds between frames; 0: only when told to. */
  readonly everyMs?: number
}

/** A server that keeps to the contract of the page, with a story made up: for what a real one is rarely like. */
export class FakeServer {
  readonly asked: Asked[] = []
  /** Answers instead of its own, by `METHOD path`. */
  readonly instead = new Map<string, { readonly status: number; readonly body: unknown }>()
  world: World
  readonly #options: Required<FakeOptions>
  #buffers: boolean
  readonly #streams = new Set<ServerResponse>()
  #server: Server | undefined
  #port = 0
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(world: World, options: FakeOptions = {}) {
    this.world = world
    this.#options = { mount: '/sluice', buffers: false, everyMs: 0, ...options }
    this.#buffers = this.#options.buffers
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}${this.#options.mount}`
  }

  /** Begins to answer; after `stop`, at the same address. */
  async start(): Promise<this> {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => response.writeHead(500).end(String(error)))
    })
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
    if (this.#options.everyMs > 0) this.#timer = setInterval(() => this.tick(), this.#options.everyMs)
    return this
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#streams.clear()
    const server = this.#server
    if (!server) return
    this.#server = undefined
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }

  /** Time goes on, and who listens is told. */
  tick(): void {
    const since = this.world.now
    this.world.tick()
    for (const stream of this.#streams) this.#send(stream, since)
  }

  /** The proxy holds nothing back any more. */
  handOn(): void {
    this.#buffers = false
  }

  /** Ends all streams. */
  hangUp(): void {
    for (const stream of this.#streams) stream.destroy()
  }

  /** How many pages listen. */
  get listeners(): number {
    return this.#streams.size
  }

  #send(stream: ServerResponse, since: number): void {
    if (!this.#buffers) stream.write(`event: frame\ndata: ${JSON.stringify(this.world.frame(since))}\n\n`)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const { mount } = this.#options
    if (!pathname.startsWith(mount)) return json(response, 404, { title: 'Not found' })
    const path = pathname.slice(mount.length)
    const name = `${request.method} ${path}`
    const text = await textOf(request)
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    this.asked.push({ method: request.method!, path, type: request.headers['content-type'], body })
    const instead = this.instead.get(name)
    if (instead) return json(response, instead.status, instead.body)
    switch (name) {
      case 'GET ':
      case 'GET /':
        response.writeHead(200, {
          'content-type': 'text/html; charset=utf-8',
          'content-security-policy': pagePolicy,
          'x-content-type-options': 'nosniff',
          'referrer-policy': 'no-referrer',
          'cache-control': 'no-store',
        })
        response.end(html)
        return
      case 'GET /live':
        response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
        response.flushHeaders()
        this.#streams.add(response)
        response.on('close', () => this.#streams.delete(response))
        this.#send(response, 0)
        return
      case 'GET /frame':
        return json(response, 200, this.world.frame(Number(searchParams.get('since') ?? 0)))
      case 'GET /routes':
        return json(response, 200, this.#routes(searchParams))
      case 'GET /find':
        return json(response, 200, this.#find(searchParams.get('url') ?? ''))
      case 'GET /bans':
        return json(response, 200, { bans: this.#bans() })
      case 'POST /bans/lift':
        this.world.bans--
        return json(response, 200, { status: 'ok', policy: 'login', lifted: true })
      case 'POST /purge':
      case 'POST /limits/reset':
      case 'POST /bans/add':
        return json(response, 200, { status: 'ok' })
    }
    json(response, 404, { title: 'Not found', detail: `There is no ${name}.` })
  }

  #routes(query: URLSearchParams): { total: number; rows: readonly RouteRow[] } {
    const q = query.get('q') ?? ''
    const by: Record<RouteSort, (one: RouteRow, other: RouteRow) => number> = {
      requests: (one, other) => other.requests - one.requests,
      saved: (one, other) => other.savedMs - one.savedMs,
      hitRate: (one, other) => one.hitRate - other.hitRate,
      fill: (one, other) => (other.fillMs ?? 0) - (one.fillMs ?? 0),
      route: (one, other) => (one.route < other.route ? -1 : 1),
    }
    const fitting = this.world.routes.filter(({ route }) => route.includes(q))
    const offset = Number(query.get('offset') ?? 0)
    const rows = fitting.toSorted(by[query.get('sort') as RouteSort]).slice(offset, offset + Number(query.get('limit')))
    return { total: fitting.length, rows }
  }

  #find(url: string): FindAnswer {
    const { hostile, empty } = this.world.options
    const h = (text: string): string => hostile ?? text
    if (empty || url.includes('nothing')) return { url, lastStored: null, entries: [] }
    const entry = {
      status: 200,
      storedAt: this.world.now - 14_000,
      usableForMs: 3_600_000,
      etag: h('"5f-9a3c"'),
      tags: [h('cities'), 'city:7'],
      shared: true,
    }
    return {
      url,
      route: h('/cities/:id'),
      lastStored: true,
      entries: [
        {
          ...entry,
          key: h(`GET example.com${url}`),
          terms: [h('accept-language: en')],
          freshForMs: 46_000,
          bytes: 4_812,
          codings: ['identity', 'br', 'gzip'],
        },
        {
          ...entry,
          key: h(`GET example.com${url} de`),
          terms: ['accept-language: de'],
          freshForMs: -4_000,
          bytes: 5_020,
          codings: [],
        },
      ],
    }
  }

  #bans() {
    const { hostile } = this.world.options
    return Array.from({ length: this.world.bans }, (_, index) => ({
      policy: 'login',
      subject: `subject-${index}-8fK2_x`,
      until: new Date(Date.now() + 600_000 * (index + 1)).toISOString(),
      times: index + 1,
      byHand: index === 0,
      ...(index === 0 && { reason: hostile ?? 'Tries passwords of others' }),
    }))
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' })
  response.end(JSON.stringify(body))
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString()
}
