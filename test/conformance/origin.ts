import type { Ctx, Step } from '../hosts/harness/app.ts'
import type { TestClock } from '../hosts/harness/clock.ts'
import { type Case, type Line, pauseSeconds, type Request } from './case.ts'

/** A request that reached the handler, and what was said to it. */
export interface Arrival {
  /** Which of the case's requests the client made when this arrived; a refresh repeats the one it began with. */
  readonly request: number
  readonly sent: Readonly<Record<string, unknown>>
  readonly status: number
  /** The fields that have to reach the client as they were said. */
  readonly said: readonly (readonly [name: string, value: string])[]
}

const dateFields: ReadonlySet<string> = new Set(['date', 'expires', 'last-modified', 'if-modified-since'])

/** A line's value as it is sent: numbers are dates, `{self}` is the URL of the request. */
export function lineText([name, value]: Line, nowMs: number, url = ''): string {
  if (typeof value === 'number' && dateFields.has(name.toLowerCase())) {
    return new Date(nowMs + value * 1000).toUTCString()
  }
  return String(value).replace('{self}', url)
}

/** The handler behind the cache: answers what the case says, with what tells later which of its answers it was. */
export class Origin {
  readonly #cases: ReadonlyMap<string, Case>
  readonly #arrivals = new Map<string, Arrival[]>()
  clock: TestClock | undefined
  /** Handlers that are running. */
  busy = 0

  constructor(cases: readonly Case[]) {
    this.#cases = new Map(cases.map((one) => [one.id, one]))
  }

  arrivals(id: string): readonly Arrival[] {
    return this.#arrivals.get(id) ?? []
  }

  readonly handler: Step = async (c) => {
    this.busy++
    try {
      await this.#answer(c)
    } finally {
      this.busy--
    }
  }

  async #answer(c: Ctx): Promise<void> {
    const id = c.params.id!
    const number = Number(c.header('req-num'))
    const { requests } = this.#cases.get(id)!
    const request = requests[number - 1]!
    const arrivals = this.#arrivals.get(id) ?? []
    this.#arrivals.set(id, arrivals)
    // What a handler meets whose own server closed the connection.
    if (request.gone) throw Object.assign(new Error('the origin is gone'), { status: 502 })
    for (const [status, fields] of request.interim ?? []) {
      if (status === 102) c.raw.res.writeProcessing()
      else c.raw.res.writeEarlyHints({ ...fields } as { link: string })
    }
    const nowMs = this.clock!.wall()
    const url = c.raw.req.url!
    const status = confirms(c, request, requests[number - 2], nowMs) ? 304 : (request.status ?? 200)
    const lines = new Map<string, string[]>()
    const said = new Map<string, string>()
    for (const line of request.say ?? []) {
      const name = line[0].toLowerCase()
      const list = [...(lines.get(name) ?? []), lineText(line, nowMs, url)]
      lines.set(name, list)
      if (line[2] !== false && name !== 'date') said.set(name, list.join(', '))
    }
    const sent = { ...c.headers() }
    arrivals.push({ request: number, sent, status, said: [...said] })
    for (const [name, list] of lines) c.set(name, list.length === 1 ? list[0]! : list)
    if (!lines.has('content-type')) c.set('Content-Type', 'text/plain')
    c.set('Server-Request-Count', String(arrivals.length))
    c.set('Client-Request-Count', String(number))
    c.set('Server-Now', String(nowMs))
    c.status(status).send(contentOf(status, request.text ?? id, lines.get('content-length')?.[0]))
  }
}

/** Whether the origin's answer to these conditions is 304: what the request before was given is still there. */
function confirms(c: Ctx, request: Request, before: Request | undefined, nowMs: number): boolean {
  if (!request.type?.endsWith('validated')) return false
  const tag = before?.say?.find(([name]) => name === 'ETag')
  if (tag && c.header('if-none-match') === tag[1]) return true
  const modified = before?.say?.find(([name]) => name === 'Last-Modified')
  // Said by the request before, and so long ago.
  const saidMs = nowMs - (before?.pause ? pauseSeconds * 1000 : 0)
  return modified !== undefined && c.header('if-modified-since') === lineText(modified, saidMs)
}

/**
 * No more than its Content-Length says: what any client of such an origin would read of it. Bytes and not text, to whose
 * type Express adds a charset.
 */
function contentOf(status: number, text: string, declared: string | undefined): Uint8Array | undefined {
  if (status === 204 || status === 304) return undefined
  return Buffer.from(declared === undefined ? text : text.slice(0, Number(declared)))
}
