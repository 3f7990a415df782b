import type { Frame, Memory, ProcessRow, RouteRow, Sample } from '../page/contract.ts'
import type { SparseCounts } from './log-histogram.ts'

/** Of reports: processes of another format are left out. */
export const format = 1

/** How long a slot is: processes count in the same ones, by the time of the board. Milliseconds. */
export const slotMs = 2_000

/** How many slots are remembered: five minutes. */
export const slotsKept = 150

/** What happened in one slot, in one process. */
export interface Slot
  extends Pick<Sample, 'hit' | 'stale' | 'miss' | 'collapsed' | 'bypass' | 'allowed' | 'refused' | 'errors'> {
  /** Which one: milliseconds since 1970, in units of {@link slotMs}. */
  readonly slot: number
  readonly lookups: SparseCounts
  readonly fills: SparseCounts
  readonly backendCalls: SparseCounts
}

/** What a process tells of itself. */
export interface Report
  extends Pick<
      ProcessRow,
      'id' | 'host' | 'pid' | 'node' | 'sluice' | 'uptimeMs' | 'rssBytes' | 'loopDelayMs' | 'lagMs'
    >,
    Pick<Frame, 'totals' | 'policies' | 'shed' | 'refusedKeys' | 'top' | 'tags' | 'events'> {
  readonly format: typeof format
  readonly memory: Omit<Memory, 'server'>
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
