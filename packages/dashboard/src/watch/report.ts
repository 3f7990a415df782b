import type { EventLine, PolicyRow, RefusedKey, RouteRow, ShedRow, TagRow, Totals, UrlRow } from '../page/contract.ts'
import type { SparseCounts } from './log-histogram.ts'

/** Of reports: processes of another format are left out. */
export const format = 1

/** How long a slot is: processes count in the same ones, by the time of the board. Milliseconds. */
export const slotMs = 2_000

/** How many slots are remembered: five minutes. */
export const slotsKept = 150

/** What happened in one slot, in one process. */
export interface Slot {
  /** Which one: milliseconds since 1970, in units of {@link slotMs}. */
  readonly slot: number
  readonly hit: number
  readonly stale: number
  readonly miss: number
  readonly collapsed: number
  readonly bypass: number
  readonly allowed: number
  readonly refused: number
  readonly errors: number
  readonly lookups: SparseCounts
  readonly fills: SparseCounts
  readonly backendCalls: SparseCounts
}

/** What a process tells of itself. */
export interface Report {
  readonly format: typeof format
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly node: string
  readonly sluice: string
  readonly uptimeMs: number
  readonly rssBytes: number
  readonly loopDelayMs: number | null
  readonly lagMs: number | null
  readonly totals: Totals
  readonly memory: {
    readonly entries: number
    readonly bytes: number
    readonly maxBytes: number
    readonly evictions: number
    readonly limitKeys: number
    readonly breakersOpen: number
  }
  readonly policies: readonly PolicyRow[]
  readonly shed: readonly ShedRow[]
  readonly refusedKeys: readonly RefusedKey[]
  readonly top: { readonly hits: readonly UrlRow[]; readonly size: readonly UrlRow[]; readonly fill: readonly UrlRow[] }
  readonly tags: readonly TagRow[]
  readonly events: readonly EventLine[]
  readonly slots: readonly Slot[]
  /** The busiest. */
  readonly routes: readonly RouteRow[]
}

/** What a report may take: some hundred routes with their reasons, and five minutes. Characters. */
export const longestReport = 256 * 1024

/** @returns `undefined` for what is none, or of another version */
export function parseReport(text: string): Report | undefined {
  if (text.length > longestReport) return undefined
  try {
    const report = JSON.parse(text) as Report
    return report?.format === format && Array.isArray(report.slots) ? report : undefined
  } catch {
    return undefined
  }
}
