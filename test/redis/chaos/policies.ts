/**
 * The limits of the chaos run, and what the guide promises of each: the workers run them, and the checker holds the history
 * against the promises. The numbers of the promises are written down and not computed by what is tested.
 */

/** What `docs/guide/limits.md` and `docs/guide/redis-limits.md` promise of a policy. */
export interface Promised {
  /** At most so many in any window of `windowMs`; of a bucket `most` at once and `perMs` more; of permits `most` at once. */
  readonly kind: 'window' | 'bucket' | 'permits'
  readonly most: number
  readonly windowMs?: number
  readonly perMs?: number
  /** What each process admits by itself while Redis is out, in place of `most`. */
  readonly local: number
  readonly onOutage: 'open' | 'closed' | 'local'
  /** Only requests that their response counts for. */
  readonly counted?: true
  /** For how long units can be used that a process had taken in advance. Milliseconds. */
  readonly inAdvanceMs?: number
  /** From how many charges on, in what time before it, a refusal is explained. */
  readonly explained?: { readonly charges: number; readonly withinMs: number }
}

export const processes = 4

const share = 1 / processes

export const limits = {
  window: { rate: '20/2s', onOutage: 'local', share },
  log: { rate: '15/s', algorithm: 'sliding-log', onOutage: 'open' },
  bucket: { rate: '10/s burst 15', onOutage: 'closed' },
  fixed: { rate: '12/s', algorithm: 'fixed-window', onOutage: 'local', share },
  fails: { rate: '6/2s', countIf: 401, onOutage: 'closed' },
  permits: { rate: '3 concurrent', onOutage: 'local', share },
  advance: { rate: '40/2s', lease: 5, onOutage: 'closed' },
  everyone: { rate: '150/s', everyone: true, onOutage: 'open' },
  calm: { rate: '25/min', onOutage: 'closed' },
  calmBucket: { rate: '60/min burst 40', onOutage: 'closed' },
} as const

export type PolicyName = keyof typeof limits

export const promised: Readonly<Record<PolicyName, Promised>> = {
  // A unit comes back a sixteenth of its window late.
  window: {
    kind: 'window',
    most: 20,
    windowMs: 2_000,
    local: 5,
    onOutage: 'local',
    explained: { charges: 20, withinMs: 2_125 },
  },
  log: {
    kind: 'window',
    most: 15,
    windowMs: 1_000,
    local: 3,
    onOutage: 'open',
    explained: { charges: 15, withinMs: 1_000 },
  },
  bucket: {
    kind: 'bucket',
    most: 15,
    perMs: 10 / 1_000,
    local: 3,
    onOutage: 'closed',
    explained: { charges: 14, withinMs: 1_500 },
  },
  // 2N - 1.
  fixed: {
    kind: 'window',
    most: 23,
    windowMs: 1_000,
    local: 5,
    onOutage: 'local',
    explained: { charges: 12, withinMs: 1_000 },
  },
  fails: { kind: 'window', most: 6, windowMs: 2_000, local: 1, onOutage: 'closed', counted: true },
  permits: { kind: 'permits', most: 3, local: 1, onOutage: 'local' },
  advance: { kind: 'window', most: 40, windowMs: 2_000, local: 10, onOutage: 'closed', inAdvanceMs: 125 },
  everyone: { kind: 'window', most: 150, windowMs: 1_000, local: 150, onOutage: 'open' },
  calm: { kind: 'window', most: 25, windowMs: 60_000, local: 6, onOutage: 'closed' },
  calmBucket: { kind: 'bucket', most: 40, perMs: 1 / 1_000, local: 10, onOutage: 'closed' },
}

/** Which policies a route charges together. */
export const routes = {
  window: ['window'],
  mixed: ['window', 'bucket', 'log'],
  login: ['fails', 'fixed'],
  stream: ['permits', 'fixed'],
  upload: ['bucket'],
  advance: ['advance'],
  everyone: ['log', 'everyone'],
  calm: ['calm', 'calmBucket'],
} as const satisfies Record<string, readonly PolicyName[]>

export type RouteName = keyof typeof routes

/** The key under which a policy counts a client. */
export const keyOf = (policy: PolicyName, client: string): string => (policy === 'everyone' ? 'everyone' : client)
