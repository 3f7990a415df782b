/**
 * What the page is told by the server, and nothing else: both sides are checked against these types. Moments are milliseconds
 * since 1970, durations milliseconds.
 */

/** The newest of what is known. Sent as server-sent event `frame`, and by `GET /frame?since=` to who polls. */
export interface Frame {
  readonly at: number
  /** What the figures are of: `memory` shows one process, `redis` joins all that share it. */
  readonly backend: string
  /** Whether processes are joined. Where not, the page says that it shows one. */
  readonly joined: boolean
  /** Trouble with joining them: then what is shown is of this process alone. */
  readonly joinError?: string | undefined
  readonly processes: readonly ProcessRow[]
  /** Those that the page has not had yet: on arrival all of the last minutes. */
  readonly samples: readonly Sample[]
  readonly totals: Totals
  readonly memory: Memory
  readonly policies: readonly PolicyRow[]
  /** Keys that were refused most in the last minutes. */
  readonly refusedKeys: readonly RefusedKey[]
  readonly bans: number
  readonly shed: readonly ShedRow[]
  readonly top: { readonly hits: readonly UrlRow[]; readonly size: readonly UrlRow[]; readonly fill: readonly UrlRow[] }
  readonly tags: readonly TagRow[]
  /** Those that the page has not had yet, the newest last. */
  readonly events: readonly EventLine[]
  /** What may be done through this page; empty: only looking. */
  readonly actions: readonly ('purge' | 'limits' | 'bans')[]
}

/** Some seconds of all processes. */
export interface Sample {
  /** When they ended. Strictly rising. */
  readonly at: number
  /** How long they were. Milliseconds. */
  readonly ms: number
  /** Requests that passed a cache, by what became of them. */
  readonly hit: number
  readonly stale: number
  readonly miss: number
  readonly collapsed: number
  readonly bypass: number
  /** Decisions of limits. */
  readonly allowed: number
  readonly refused: number
  /** How long answers from the store took to find, handlers to bring theirs, and Redis to answer. `null`: there were none. */
  readonly lookups: Quantiles | null
  readonly fills: Quantiles | null
  readonly backendCalls: Quantiles | null
  readonly errors: number
}

/** Milliseconds. */
export interface Quantiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

export interface ProcessRow {
  readonly id: string
  readonly host: string
  readonly pid: number
  /** Versions. */
  readonly node: string
  readonly sluice: string
  readonly uptimeMs: number
  readonly rssBytes: number
  /** How long the event loop keeps a request waiting; `null`: not measured. */
  readonly loopDelayMs: number | null
  /** How old what is known of it is. */
  readonly ageMs: number
  /** How far it is behind with invalidations of others; `null`: it keeps nothing that could be. */
  readonly lagMs: number | null
  /** The one that has answered. */
  readonly isThis: boolean
  readonly requestsPerSecond: number
  /** 0 to 1; `null`: no requests yet. */
  readonly hitRate: number | null
}

/** Since the processes began. */
export interface Totals {
  readonly hit: number
  readonly stale: number
  readonly miss: number
  readonly collapsed: number
  readonly bypass: number
  readonly stored: number
  readonly notStored: number
  readonly purges: number
  readonly expires: number
  /** What hits would have taken their handlers, by what fills of their routes take. */
  readonly savedMs: number
  readonly errors: number
}

export interface Memory {
  readonly entries: number
  readonly bytes: number
  /** Of all processes together; 0: not known. */
  readonly maxBytes: number
  readonly evictions: number
  readonly limitKeys: number
  readonly breakersOpen: number
  readonly server?: { readonly usedBytes: number; readonly maxBytes: number; readonly evictedKeys: number } | undefined
}

export interface PolicyRow {
  readonly policy: string
  readonly allowed: number
  readonly refused: number
  readonly shadowRefused: number
  readonly banRefused: number
  readonly delayed: number
  /** Of a concurrency: how many are out of all keys, how many of the key that has most, and how many a key may have. */
  readonly occupancy?: { readonly out: number; readonly busiest: number; readonly of: number } | undefined
}

export interface RefusedKey {
  readonly policy: string
  /** A hash; the key itself where the dashboard is told to show keys. */
  readonly key: string
  readonly count: number
}

export interface ShedRow {
  readonly stage: number
  /** 0 nothing is refused, 1 sheddable, 2 default too, 3 critical too. */
  readonly level: number
  readonly admitted: number
  readonly refused: number
  readonly inFlight: number | null
  readonly limit: number | null
}

export interface UrlRow {
  readonly method: string
  readonly url: string
  readonly route: string
  /** Hits of the last minutes (by samples), bytes, or milliseconds. */
  readonly value: number
}

export interface TagRow {
  readonly tag: string
  /** Answers stored with it, and purges and expiries of it, in the last minutes. */
  readonly stored: number
  readonly invalidated: number
}

export interface EventLine {
  /** Rising. */
  readonly id: number
  readonly at: number
  readonly level: 'info' | 'warn' | 'error'
  readonly event: string
  readonly message: string
  /** Short texts: route, policy, reason, advice, who. */
  readonly fields: Readonly<Record<string, string>>
}

/** `GET /routes?q=&sort=&limit=&offset=`. */
export interface RoutesAnswer {
  /** How many fit `q`. */
  readonly total: number
  readonly rows: readonly RouteRow[]
}

export type RouteSort = 'requests' | 'saved' | 'hitRate' | 'fill' | 'route'

export interface RouteRow {
  /** A pattern, `(unmatched)`, or `(other)`. */
  readonly route: string
  readonly requests: number
  readonly hit: number
  readonly stale: number
  readonly miss: number
  readonly collapsed: number
  readonly bypass: number
  /** 0 to 1. */
  readonly hitRate: number
  readonly savedMs: number
  /** In the mean; `null`: none yet. */
  readonly fillMs: number | null
  readonly fillBytes: number
  /** Why its last answer was not stored; absent where it was. */
  readonly why?: Why | undefined
  /** What its answers are told apart by. */
  readonly terms: readonly string[]
}

export interface Why {
  /** The word of `Cache-Status`. */
  readonly reason: string
  readonly cause: string
  /** What to do; for what a handler read, the line to write. */
  readonly remedy: string
}

/** `GET /find?url=`. */
export interface FindAnswer {
  readonly url: string
  readonly route?: string | undefined
  /** Whether the last answer of it was stored; `null`: this process has seen none. */
  readonly lastStored: boolean | null
  readonly why?: Why | undefined
  /** What is stored under it. */
  readonly entries: readonly FoundEntry[]
  /** What could not be looked at, and why. */
  readonly note?: string | undefined
}

export interface FoundEntry {
  readonly key: string
  /** What it is told apart by from other answers of the URL: names, and no values, which may be somebody's. */
  readonly terms: readonly string[]
  readonly status: number
  readonly storedAt: number
  /** Negative: stale for so long. */
  readonly freshForMs: number
  /** Until it may not be used at all. */
  readonly usableForMs: number
  readonly bytes: number
  readonly codings: readonly string[]
  readonly etag: string | null
  readonly tags: readonly string[]
  /** Whether it is everybody's by now, or only who caused it is given it. */
  readonly shared: boolean
}
