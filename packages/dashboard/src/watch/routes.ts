import type { AnswerFigures, Explanation, FiguresSnapshot, FillFigures } from '@sluice/core'
import type { RouteRow, Why } from '../page/contract.ts'

type Counts = { -readonly [Name in keyof Pick<RouteRow, 'hit' | 'stale' | 'miss' | 'collapsed' | 'bypass'>]: number }

interface Gathered {
  readonly counts: Counts
  readonly methods: Map<string, number>
  fills: number
  fillMs: number
  fillBytes: number
}

/** What is known of a route beside its figures. */
export interface RouteNotes {
  /** What became of its last answer. */
  why(method: string, route: string): Explanation
  /** The line to write, where a developer was told one. */
  adviceOf(route: string): string | undefined
}

/** The routes of a snapshot, the busiest first. */
export function routeRows({ answers, fills }: FiguresSnapshot, notes: RouteNotes): RouteRow[] {
  const routes = new Map<string, Gathered>()
  for (const figures of answers) addAnswers(gatheredOf(routes, figures.route), figures)
  for (const figures of fills) addFills(gatheredOf(routes, figures.route), figures)
  return [...routes].map(([route, gathered]) => rowOf(route, gathered, notes)).sort((a, b) => b.requests - a.requests)
}

function gatheredOf(routes: Map<string, Gathered>, route: string): Gathered {
  let gathered = routes.get(route)
  if (!gathered) {
    const counts = { hit: 0, stale: 0, miss: 0, collapsed: 0, bypass: 0 }
    gathered = { counts, methods: new Map(), fills: 0, fillMs: 0, fillBytes: 0 }
    routes.set(route, gathered)
  }
  return gathered
}

function addAnswers({ counts, methods }: Gathered, { method, result, count }: AnswerFigures): void {
  counts[result] += count
  methods.set(method, (methods.get(method) ?? 0) + count)
}

function addFills(gathered: Gathered, { durations, bytes }: FillFigures): void {
  gathered.fillBytes += bytes
  // Refreshes take as long as what a client waits for: they tell what a hit saves.
  gathered.fills += durations.count
  gathered.fillMs += durations.sumMs
}

function rowOf(route: string, { counts, methods, fills, fillMs, fillBytes }: Gathered, notes: RouteNotes): RouteRow {
  const mean = fills > 0 ? fillMs / fills : null
  const served = counts.hit + counts.stale + counts.collapsed
  const requests = served + counts.miss + counts.bypass
  const method = [...methods].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'GET'
  const told = notes.why(method === 'HEAD' ? 'GET' : method, route)
  const why = whyOf(told, notes.adviceOf(route))
  return {
    route,
    requests,
    ...counts,
    hitRate: requests > 0 ? served / requests : 0,
    savedMs: Math.round(served * (mean ?? 0)),
    fillMs: mean,
    fillBytes,
    ...(why ? { why } : {}),
    terms: told.terms,
  }
}

export function whyOf({ stored, reason, cause, remedy }: Explanation, advice: string | undefined): Why | undefined {
  if (stored !== false || reason === undefined) return undefined
  return { reason, cause: cause ?? '', remedy: advice ?? remedy ?? '' }
}
