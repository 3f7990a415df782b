import { bad, type DoorAnswer, json, type Operated, type Passage } from '@sluice/admin'
import type { OperatorAccess, ServerFacts } from '@sluice/core'
import { joinReports, joinRoutes, samplesOf } from '../joined/join.ts'
import type { Known, Peers } from '../joined/peers.ts'
import type { Monitor } from '../watch/monitor.ts'
import type { EventLine, Frame, RouteRow, RouteSort } from './contract.ts'

export interface FiguresParts {
  readonly sluice: Pick<Operated, 'bans'>
  readonly access: OperatorAccess
  readonly monitor: Monitor
  readonly peers: Peers
  readonly actions: ReadonlySet<string>
}

/** What takes a store some time to tell is asked for as often as that. Milliseconds. */
const askedEveryMs = 30_000
const inspectMs = 2_000
const mostEvents = 100

/** What is told of all processes. */
export class Figures {
  readonly #parts: FiguresParts
  readonly #bans: Slow<number>
  readonly #server: Slow<ServerFacts | undefined>
  #joined: { readonly of: readonly Known[]; readonly figures: ReturnType<typeof joinReports> } | undefined

  constructor(parts: FiguresParts) {
    this.#parts = parts
    this.#bans = new Slow(0, async () => (await parts.sluice.bans()).length)
    this.#server = new Slow<ServerFacts | undefined>(undefined, () => parts.access.inspect(inspectMs))
  }

  /** `GET /frame?since=`. */
  async frame({ query }: Passage): Promise<DoorAnswer> {
    const since = numberOf(query, 'since', 0, Number.MAX_SAFE_INTEGER)
    return json(await this.since(since, since * 1_000))
  }

  /**
   * @param since - the end of the last sample that is known already
   * @param eventId - of the last event that is
   */
  async since(since: number, eventId: number): Promise<Frame> {
    const { access, peers, actions } = this.#parts
    const { all, trouble } = await peers.together()
    // Who listens is told of the same reading: it is joined once for all of them.
    if (this.#joined?.of !== all) this.#joined = { of: all, figures: joinReports(all) }
    const joined = this.#joined.figures
    const server = this.#server.value()
    return {
      at: access.now(),
      backend: access.backend,
      joined: peers.joined,
      ...(trouble === undefined ? {} : { joinError: trouble }),
      samples: samplesOf(all, since),
      ...joined,
      memory: {
        ...joined.memory,
        ...(server && {
          server: {
            usedBytes: server.usedMemoryBytes,
            maxBytes: server.maxMemoryBytes,
            evictedKeys: server.evictedKeys,
          },
        }),
      },
      bans: this.#bans.value(),
      events: eventsOf(
        all.map(({ report }) => report.events),
        eventId,
      ),
      actions: [...actions] as Frame['actions'],
    }
  }

  /** `GET /routes?q=&sort=&limit=&offset=`. */
  async routes({ query }: Passage): Promise<DoorAnswer> {
    const { monitor, peers } = this.#parts
    const limit = numberOf(query, 'limit', 50, 1_000)
    const offset = numberOf(query, 'offset', 0, Number.MAX_SAFE_INTEGER)
    const sort = (query.get('sort') ?? 'requests') as RouteSort
    const order = Object.hasOwn(orders, sort) ? orders[sort] : undefined
    if (!order) bad(`\`sort\` must be one of ${Object.keys(orders).join(', ')}.`)
    const wanted = (query.get('q') ?? '').toLowerCase()
    const { all } = await peers.together()
    const rows = joinRoutes(monitor.routes(), all.slice(1)).filter(({ route }) => route.toLowerCase().includes(wanted))
    return json({ total: rows.length, rows: rows.sort(order).slice(offset, offset + limit) })
  }
}

/** What is wrong comes first: a low hit rate is what somebody looks for. */
const orders: Readonly<Record<RouteSort, (a: RouteRow, b: RouteRow) => number>> = {
  requests: (a, b) => b.requests - a.requests,
  saved: (a, b) => b.savedMs - a.savedMs,
  hitRate: (a, b) => a.hitRate - b.hitRate || b.requests - a.requests,
  fill: (a, b) => (b.fillMs ?? -1) - (a.fillMs ?? -1),
  route: (a, b) => (a.route < b.route ? -1 : 1),
}

function numberOf(query: URLSearchParams, name: string, otherwise: number, most: number): number {
  const text = query.get(name)
  if (text === null || text === '') return otherwise
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0 || value > most)
    bad(`\`${name}\` must be a whole number up to ${most}.`)
  return value
}

function eventsOf(lists: readonly (readonly EventLine[])[], after: number): EventLine[] {
  return lists
    .flat()
    .filter(({ id }) => id > after)
    .sort((a, b) => a.id - b.id)
    .slice(-mostEvents)
}

/** What is asked for now and then, and is not waited for. */
class Slow<T> {
  readonly #ask: () => Promise<T>
  #last: T
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(first: T, ask: () => Promise<T>) {
    this.#last = first
    this.#ask = ask
  }

  value(): T {
    const now = performance.now()
    if (now - this.#askedAt >= askedEveryMs) {
      this.#askedAt = now
      this.#ask().then(
        (value) => {
          this.#last = value
        },
        // What was true stays what was true.
        () => undefined,
      )
    }
    return this.#last
  }
}
