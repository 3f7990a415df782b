import type {
  Frame,
  Memory,
  PolicyRow,
  ProcessRow,
  RefusedKey,
  RouteRow,
  Sample,
  ShedRow,
  TagRow,
  Totals,
  UrlRow,
} from '../page/contract.ts'
import { quantilesOf } from '../watch/log-histogram.ts'
import { type Report, type Slot, slotMs } from '../watch/report.ts'
import type { Known } from './peers.ts'

/** How many slots are waited for a process that has not told its own yet. */
const patience = 3
/** A process that was silent for so long is not waited for. Milliseconds. */
const silentMs = 3 * slotMs
const shown = 20
const shownProcesses = 64

/** The slots of all processes after `since`, each once all have told theirs, or nobody waits any longer. */
export function samplesOf(all: readonly Known[], since: number): Sample[] {
  const slots = new Map<number, Slot[]>()
  let newest = 0
  let complete = Number.POSITIVE_INFINITY
  for (const { report, ageMs } of all) {
    const last = report.slots.at(-1)?.slot ?? 0
    newest = Math.max(newest, last)
    if (ageMs < silentMs && last > 0) complete = Math.min(complete, last)
    for (const slot of report.slots) slots.set(slot.slot, [...(slots.get(slot.slot) ?? []), slot])
  }
  const until = Math.max(Math.min(complete, newest), newest - patience)
  return [...slots]
    .filter(([slot]) => slot <= until && endOf(slot) > since)
    .sort(([a], [b]) => a - b)
    .map(([slot, parts]) => sampleOf(slot, parts))
}

const endOf = (slot: number): number => (slot + 1) * slotMs

function sampleOf(slot: number, parts: readonly Slot[]): Sample {
  const sum = (of: (slot: Slot) => number): number => parts.reduce((all, part) => all + of(part), 0)
  return {
    at: endOf(slot),
    ms: slotMs,
    hit: sum((one) => one.hit),
    stale: sum((one) => one.stale),
    miss: sum((one) => one.miss),
    collapsed: sum((one) => one.collapsed),
    bypass: sum((one) => one.bypass),
    allowed: sum((one) => one.allowed),
    refused: sum((one) => one.refused),
    errors: sum((one) => one.errors),
    lookups: quantilesOf(parts.map((one) => one.lookups)),
    fills: quantilesOf(parts.map((one) => one.fills)),
    backendCalls: quantilesOf(parts.map((one) => one.backendCalls)),
  }
}

/** What all processes come to together. */
export function joinReports(all: readonly Known[]): Pick<
  Frame,
  'processes' | 'totals' | 'policies' | 'refusedKeys' | 'shed' | 'top' | 'tags'
> & {
  readonly memory: Memory
} {
  const reports = all.map(({ report }) => report)
  return {
    processes: all.slice(0, shownProcesses).map(processRow),
    totals: addUp(reports.map(({ totals }) => totals)) as unknown as Totals,
    memory: addUp(reports.map(({ memory }) => memory)) as unknown as Memory,
    policies: policiesOf(reports),
    refusedKeys: refusedOf(reports),
    // Stages are numbered in each process alike: the same application runs in all of them.
    shed: shedOf(reports),
    top: {
      hits: urlsOf(
        reports.map(({ top }) => top.hits),
        (a, b) => a + b,
      ),
      size: urlsOf(
        reports.map(({ top }) => top.size),
        Math.max,
      ),
      fill: urlsOf(
        reports.map(({ top }) => top.fill),
        Math.max,
      ),
    },
    tags: tagsOf(reports),
  }
}

function processRow({ report, ageMs }: Known, i: number): ProcessRow {
  const { id, host, pid, node, sluice, uptimeMs, rssBytes, loopDelayMs, lagMs, totals, slots } = report
  const requests = totals.hit + totals.stale + totals.miss + totals.collapsed + totals.bypass
  const recent = slots.slice(-5)
  const counted = recent.reduce((sum, one) => sum + one.hit + one.stale + one.miss + one.collapsed + one.bypass, 0)
  return {
    id,
    host,
    pid,
    node,
    sluice,
    uptimeMs,
    rssBytes,
    loopDelayMs,
    lagMs,
    ageMs: Math.round(ageMs),
    isThis: i === 0,
    requestsPerSecond: recent.length > 0 ? (counted * 1_000) / (recent.length * slotMs) : 0,
    hitRate: requests > 0 ? (totals.hit + totals.stale + totals.collapsed) / requests : null,
  }
}

/** Of objects of numbers, each sum. */
function addUp(all: readonly object[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const one of all) {
    for (const [name, value] of Object.entries(one))
      if (typeof value === 'number') sums[name] = (sums[name] ?? 0) + value
  }
  return sums
}

/** Rows of the same name become one. */
function merge<Row>(rows: readonly Row[], nameOf: (row: Row) => string, both: (a: Row, b: Row) => Row): Row[] {
  const merged = new Map<string, Row>()
  for (const row of rows) {
    const name = nameOf(row)
    const known = merged.get(name)
    merged.set(name, known === undefined ? row : both(known, row))
  }
  return [...merged.values()]
}

function policiesOf(reports: readonly Report[]): PolicyRow[] {
  return merge(
    reports.flatMap(({ policies }) => policies),
    ({ policy }) => policy,
    (a, b) => {
      const { occupancy: first, ...one } = a
      const { occupancy: second, ...two } = b
      return { ...(addUp([one, two]) as unknown as PolicyRow), policy: a.policy, ...joinOccupancy(first, second) }
    },
  )
}

/** How many a key may have is one number for all that share a store. Two processes may have the same key busiest. */
function joinOccupancy(a: PolicyRow['occupancy'], b: PolicyRow['occupancy']): Pick<PolicyRow, 'occupancy'> {
  if (!a || !b) return a || b ? { occupancy: a ?? b } : {}
  const occupancy = { out: a.out + b.out, busiest: Math.max(a.busiest, b.busiest), of: Math.max(a.of, b.of) }
  return { occupancy }
}

function refusedOf(reports: readonly Report[]): RefusedKey[] {
  return merge(
    reports.flatMap(({ refusedKeys }) => refusedKeys),
    ({ policy, key }) => `${policy}\n${key}`,
    (a, b) => ({ ...a, count: a.count + b.count }),
  )
    .sort((a, b) => b.count - a.count)
    .slice(0, shown)
}

function shedOf(reports: readonly Report[]): ShedRow[] {
  const added = (a: number | null, b: number | null): number | null =>
    a === null && b === null ? null : (a ?? 0) + (b ?? 0)
  return merge(
    reports.flatMap(({ shed }) => shed),
    ({ stage }) => String(stage),
    (a, b) => ({
      stage: a.stage,
      level: Math.max(a.level, b.level),
      admitted: a.admitted + b.admitted,
      refused: a.refused + b.refused,
      inFlight: added(a.inFlight, b.inFlight),
      limit: added(a.limit, b.limit),
    }),
  )
}

function urlsOf(lists: readonly (readonly UrlRow[])[], both: (a: number, b: number) => number): UrlRow[] {
  return merge(
    lists.flat(),
    ({ method, url }) => `${method} ${url}`,
    (a, b) => ({ ...a, value: both(a.value, b.value) }),
  )
    .sort((a, b) => b.value - a.value)
    .slice(0, shown)
}

function tagsOf(reports: readonly Report[]): TagRow[] {
  return merge(
    reports.flatMap(({ tags }) => tags),
    ({ tag }) => tag,
    // A purge is told by the process that began it.
    (a, b) => ({ tag: a.tag, stored: a.stored + b.stored, invalidated: a.invalidated + b.invalidated }),
  )
    .sort((a, b) => b.stored + b.invalidated - a.stored - a.invalidated)
    .slice(0, 2 * shown)
}

/** Routes of this process, and the busiest of the others. */
export function joinRoutes(own: readonly RouteRow[], others: readonly Known[]): RouteRow[] {
  return merge([...own, ...others.flatMap(({ report }) => report.routes)], ({ route }) => route, joinRoute)
}

function joinRoute(a: RouteRow, b: RouteRow): RouteRow {
  const counts = addUp([a, b]) as unknown as RouteRow
  const served = counts.hit + counts.stale + counts.collapsed
  const why = a.why ?? b.why
  const fillMs = a.fillMs === null ? b.fillMs : b.fillMs === null ? a.fillMs : weighted(a, b)
  return {
    ...counts,
    route: a.route,
    hitRate: counts.requests > 0 ? served / counts.requests : 0,
    fillMs,
    terms: [...new Set([...a.terms, ...b.terms])],
    ...(why ? { why } : {}),
  }
}

/** By how often their handlers ran, as near as misses tell. */
function weighted(a: RouteRow, b: RouteRow): number {
  const [one, two] = [a.miss + 1, b.miss + 1]
  return (a.fillMs! * one + b.fillMs! * two) / (one + two)
}
