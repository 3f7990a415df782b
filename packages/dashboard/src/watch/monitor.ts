import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import {
  collectFigures,
  type Figures,
  type FiguresSnapshot,
  type FiguresSource,
  type OperatorAccess,
  type SluiceEvents,
} from '@sluice/core'
import type { RefusedKey, RouteRow, TagRow, UrlRow } from '../page/contract.ts'
import { EventLines, type Logging } from './event-lines.ts'
import { type Highest, largest, mostFrequent } from './highest.ts'
import { LogHistogram } from './log-histogram.ts'
import { format, type Report, type Slot, slotsKept } from './report.ts'
import { routeRows } from './routes.ts'
import { policyRows, shedRows, totalsOf } from './stats-rows.ts'

/** An instance, as it is watched. */
export type Watched = FiguresSource & Logging

export interface MonitorOptions {
  /** How many routes are told apart. */
  readonly maxRoutes: number
  /** Whether refused keys are shown as they are, and not hashed. */
  readonly showKeys: boolean
}

/** How many of each list are told. */
const shown = 20
const toldRoutes = 100
/** After how many slots what was counted is of an older period, and then forgotten: half of what is shown. */
const slotsPerTurn = Math.ceil(slotsKept / 2)
const rememberedAdvice = 1_000

/** Counters of which slots hold what was added. */
type Counted = Omit<Slot, 'slot' | 'lookups' | 'fills' | 'backendCalls'>

/** Watches an instance in this process, and remembers the last minutes. */
export class Monitor {
  readonly id = randomBytes(9).toString('base64url')
  readonly #source: Watched
  readonly #access: OperatorAccess
  readonly #options: MonitorOptions
  readonly #figures: Figures
  readonly #lines: EventLines
  readonly #lookups = new LogHistogram()
  readonly #fills = new LogHistogram()
  readonly #backendCalls = new LogHistogram()
  readonly #topHits = mostFrequent()
  readonly #largest = largest()
  readonly #slowest = largest()
  readonly #tagsStored = mostFrequent()
  readonly #tagsInvalidated = mostFrequent()
  readonly #refusedKeys = mostFrequent()
  readonly #advice = new Map<string, string>()
  readonly #ends: (() => void)[]
  readonly #slots: Slot[] = []
  #before: Counted
  #errors = 0
  #lastSlot = 0
  #late: number | null = null

  constructor(source: Watched, access: OperatorAccess, options: MonitorOptions) {
    this.#source = source
    this.#access = access
    this.#options = options
    this.#figures = collectFigures(source, { maxRoutes: options.maxRoutes })
    this.#lines = new EventLines(source, () => access.now())
    this.#ends = [
      source.on('lookup', (event) => this.#lookedUp(event)),
      source.on('fill', (event) => this.#filled(event)),
      source.on('backend', ({ ms }) => this.#backendCalls.add(ms)),
      source.on('invalidated', ({ tags }) => {
        for (const tag of tags) this.#tagsInvalidated.add(tag)
      }),
      source.on('denied', ({ violated, subjects }) => {
        for (const [i, policy] of violated.entries())
          if (subjects[i]) this.#refusedKeys.add(`${policy}\n${subjects[i]}`)
      }),
      source.on('error', () => {
        this.#errors++
      }),
      source.on('guard', ({ route, advice }) => this.#advised(route, advice)),
    ]
    this.#before = this.#counted()
  }

  /**
   * The slot is over.
   *
   * @param slot - which one
   * @param lateMs - how much later than it should have been: so long the event loop keeps everybody waiting
   */
  tick(slot: number, lateMs: number): void {
    const now = this.#counted()
    const before = this.#before
    this.#before = now
    const added = Object.fromEntries(
      Object.entries(now).map(([name, count]) => [name, Math.max(0, count - before[name as keyof Counted])]),
    ) as unknown as Counted
    this.#slots.push({
      slot,
      ...added,
      lookups: this.#lookups.take(),
      fills: this.#fills.take(),
      backendCalls: this.#backendCalls.take(),
    })
    if (this.#slots.length > slotsKept) this.#slots.shift()
    this.#late = lateMs
    if (Math.floor(slot / slotsPerTurn) !== Math.floor(this.#lastSlot / slotsPerTurn)) this.#turn()
    this.#lastSlot = slot
  }

  /** Everything there is to tell of this process. @param routes - how many of them */
  report(routes = toldRoutes): Report {
    const { uptime, pid, version, memoryUsage } = process
    const snapshot = this.#figures.snapshot()
    const rows = this.#rowsOf(snapshot)
    const { stats } = snapshot
    const { cache, limits } = stats
    return {
      format,
      id: this.id,
      host: hostname(),
      pid,
      node: version,
      sluice: this.#access.version,
      uptimeMs: Math.round(uptime() * 1_000),
      rssBytes: memoryUsage.rss(),
      loopDelayMs: this.#late,
      lagMs: cache.bus ? Math.round(cache.bus.behindMs) : null,
      totals: totalsOf(snapshot, rows, this.#errors),
      memory: {
        entries: cache.entries,
        bytes: cache.bytes,
        maxBytes: cache.maxBytes ?? 0,
        evictions: cache.evictions,
        limitKeys: limits.store.entries,
        breakersOpen: (cache.breakersOpen ?? 0) + (limits.store.breakersOpen ?? 0),
      },
      policies: policyRows(stats),
      shed: shedRows(stats),
      refusedKeys: this.#refused(),
      top: { hits: urlRows(this.#topHits), size: urlRows(this.#largest), fill: urlRows(this.#slowest) },
      tags: this.#tags(),
      events: this.#lines.read(),
      slots: [...this.#slots],
      routes: rows.slice(0, routes),
    }
  }

  /** All of them, the busiest first. */
  routes(): RouteRow[] {
    return this.#rowsOf(this.#figures.snapshot())
  }

  #rowsOf(snapshot: FiguresSnapshot): RouteRow[] {
    return routeRows(snapshot, {
      why: (method, route) => this.#access.why({ method, path: route, route }),
      adviceOf: (route) => this.#advice.get(route),
    })
  }

  adviceOf(route: string): string | undefined {
    return this.#advice.get(route)
  }

  stop(): void {
    for (const end of this.#ends.splice(0)) end()
    this.#figures.stop()
    this.#lines.stop()
  }

  #counted(): Counted {
    const { cache, limits } = this.#source.stats()
    return {
      hit: cache.hits,
      stale: cache.stale,
      miss: cache.misses,
      collapsed: cache.coalesced,
      bypass: cache.bypassed,
      allowed: limits.allowed,
      refused: limits.denied,
      errors: this.#errors,
    }
  }

  #lookedUp({ method, url, route, ms, weight, result }: SluiceEvents['lookup']): void {
    if (result === 'hit' || result === 'stale') this.#lookups.add(ms, weight)
    this.#topHits.add(nameOf(method, url, route), weight)
  }

  #filled({ method, url, route, ms, bytes, tags, stored }: SluiceEvents['fill']): void {
    this.#fills.add(ms)
    const name = nameOf(method, url, route)
    this.#slowest.add(name, ms)
    if (stored && bytes !== undefined) this.#largest.add(name, bytes)
    for (const tag of tags) this.#tagsStored.add(tag)
  }

  #advised(route: string | undefined, advice: string): void {
    if (route === undefined) return
    if (this.#advice.size >= rememberedAdvice && !this.#advice.has(route)) this.#advice.clear()
    this.#advice.set(route, advice)
  }

  #refused(): RefusedKey[] {
    return this.#refusedKeys.top(shown).map(([name, count]) => {
      const [policy = '', subject = ''] = name.split('\n')
      const key = this.#options.showKeys ? (this.#access.keyOf(policy, subject) ?? subject) : subject
      return { policy, key, count }
    })
  }

  #tags(): TagRow[] {
    const rows = new Map<string, { tag: string; stored: number; invalidated: number }>()
    const rowOf = (tag: string) => {
      const row = rows.get(tag) ?? { tag, stored: 0, invalidated: 0 }
      rows.set(tag, row)
      return row
    }
    for (const [tag, count] of this.#tagsStored.top(shown)) rowOf(tag).stored = count
    for (const [tag, count] of this.#tagsInvalidated.top(shown)) rowOf(tag).invalidated = count
    return [...rows.values()].sort((a, b) => b.stored + b.invalidated - a.stored - a.invalidated).slice(0, 2 * shown)
  }

  #turn(): void {
    for (const counts of [
      this.#topHits,
      this.#largest,
      this.#slowest,
      this.#tagsStored,
      this.#tagsInvalidated,
      this.#refusedKeys,
    ])
      counts.turn()
  }
}

const longestUrl = 500
const shortened = (url: string): string => (url.length > longestUrl ? `${url.slice(0, longestUrl)}…` : url)

/** No URL and no method has a line break. */
const nameOf = (method: string, url: string, route: string): string => `${method}\n${shortened(url)}\n${route}`

function urlRows(of: Highest): UrlRow[] {
  return of.top(shown).map(([name, value]) => {
    const [method = '', url = '', ...route] = name.split('\n')
    return { method, url, route: route.join('\n'), value: Math.round(value * 100) / 100 }
  })
}
