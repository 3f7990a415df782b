import type { PolicyName, RouteName } from './policies.ts'

/** What became of one request with limits, by the one monotonic clock that all processes of a machine share. */
export interface Entry {
  readonly id: string
  readonly route: RouteName
  readonly client: string
  /** Which process, and which of its lives: one that was killed and started again counts anew. */
  readonly worker: string
  /** `countIf` counts the response it asks for. */
  readonly counted: boolean
  readonly sentMs: number
  /** When the process got it. Charged no earlier than that. */
  askedMs?: number
  /** When its handler ran. Charged no later than that. */
  admittedMs?: number
  refusedMs?: number
  /** When it was over, at the latest: before its permits were given back. */
  endedMs?: number
  /** Who decided, by policy, as the process was told: the store, or what stands in for it. */
  via?: Readonly<Partial<Record<PolicyName, string>>>
  violated?: readonly string[]
  /** What the client got. */
  status?: number
  answeredMs?: number
  /** The client did not wait for the answer. */
  left?: boolean
}

/** A time in which Redis is not there, or not for all. */
export interface Outage {
  readonly what: string
  readonly fromMs: number
  untilMs: number
  /** Only that process is without it. */
  readonly worker?: string
}

/** What a server has forgotten for good: charges made since `sinceMs`, as somewhere between the other two it lost its memory. */
export interface Loss {
  readonly what: string
  readonly sinceMs: number
  readonly fromMs: number
  untilMs: number
  /** Only that process has forgotten: what it counted by itself. */
  readonly worker?: string
}

/** All there is to judge. */
export interface History {
  readonly entries: readonly Entry[]
  readonly outages: readonly Outage[]
  readonly losses: readonly Loss[]
}

/** Milliseconds of the machine's monotonic clock: the same in every process, whatever their calendars say. */
export const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** How often a worker says that it runs, and how much later than that it was kept from running. Milliseconds. */
export const beatMs = 50
export const missedMs = 250

/** What a worker tells as it happens. It is in the pipe then, also if the worker is killed next. */
export type Told =
  | { readonly is: 'listening'; readonly port: number }
  | { readonly is: 'beat'; readonly ms: number }
  | { readonly is: 'asked' | 'admitted' | 'ended'; readonly id: string; readonly ms: number }
  | {
      readonly is: 'decided'
      readonly id: string
      readonly ms: number
      readonly allowed: boolean
      readonly via: Readonly<Record<string, string>>
      readonly violated: readonly string[]
    }
  | { readonly is: 'answer'; readonly call: number; readonly value: unknown }
