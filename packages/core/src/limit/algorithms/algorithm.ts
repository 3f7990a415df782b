import type { Calendar } from '../../base/calendar.ts'

/** The ways of counting. See the guarantee of each in its own file. */
export type AlgorithmKind =
  | 'sliding-window'
  | 'sliding-log'
  | 'token-bucket'
  | 'fixed-window'
  | 'calendar-window'
  | 'concurrent'

/** What states are kept by: a way of counting, or what shuts keys out that are refused again and again. */
export type StateKind = AlgorithmKind | 'ban'

/**
 * How one limit counts: pure functions over a state of plain numbers. The memory store runs them; a Redis script mirrors
 * them, which is why each file states its layout and its arithmetic. All of it is integers (exact up to 2^53).
 *
 * Asking and charging are two steps because several limits of a request are charged together or not at all: first every
 * `waitMs` is asked, and only when all answer 0 is `charge` called for each. Asking never changes the state, so a
 * refusal changes nothing; but those that have a third step, `refused`, are told of it.
 *
 * Time is whole milliseconds. A window of W ms is any span of time whose first and last instant are less than W apart.
 * A `nowMs` that is earlier than one the state has seen (a clock that was set back) never admits more than the later
 * one would have.
 *
 * `S` is an array that `charge` and `refund` change in place: a decision then costs no garbage. Whoever needs values
 * copies it, or uses {@link step}.
 */
export interface LimitAlgorithm<S = unknown> {
  readonly kind: StateKind
  /** What a script needs to run the same algorithm, in the order of the table `parameters`. */
  readonly params: readonly number[]
  /** Of a calendar window: the periods it counts in. Whoever runs it elsewhere needs their bounds there. */
  readonly calendar?: Calendar | undefined
  /** The most units there can be at once. A cost above it can never be admitted. */
  readonly limit: number
  /** How long after its last charge a state can still matter: what an external store's expiry is set to. */
  readonly stateTtlMs: number
  /** Tells apart what may not share a state: kind and parameters. */
  readonly signature: string
  /** The same algorithm at `share` of its limit, and never less than one unit. */
  scaled(share: number): LimitAlgorithm<S>
  /** The state of a key that was never seen: the whole quota is there. */
  fresh(): S
  /**
   * The same state where the rate was another one until now, counted by the same kind of state with `params`: what was used
   * stays used. May answer with the state it was given, which it does not change.
   */
  carry(state: S, params: readonly number[], nowMs: number): S
  /** 0: `cost` may be charged now. Else how long to wait, alone, until it may; `Infinity`: never. Changes nothing. */
  waitMs(state: S, cost: number, nowMs: number): number
  /** Takes `cost` units. Only after `waitMs` has answered 0 for the same `nowMs`. */
  charge(state: S, cost: number, nowMs: number, permit?: string): void
  /**
   * A policy of this key's has refused the request, or this algorithm itself did. Whether that changed anything. Without this
   * step a refusal changes nothing.
   */
  refused?(state: S, nowMs: number): boolean
  /** Gives back what `charge` took, and never more than that has left missing: what has run out since is not given twice. */
  refund(state: S, back: GivenBack, nowMs: number): void
  /** Units that could be charged now. */
  remaining(state: S, nowMs: number): number
  /** How long until more is there than now; 0 where the quota is full. */
  resetMs(state: S, nowMs: number): number
  /** How long until all is there again. */
  fullMs(state: S, nowMs: number): number
}

/** Units to give back. */
export interface GivenBack {
  readonly cost: number
  /** When they were charged. Without it the newest units are given back. */
  readonly atMs?: number | undefined
  /** Of a token bucket: how many tokens were missing then, these included. Without it the newest are given back. */
  readonly missing?: number | undefined
  /** The name of a concurrent permit, which is given back once. */
  readonly permit?: string | undefined
}

/** What a store decided about one charge. */
export interface Verdict {
  readonly allowed: boolean
  /** The most units there can be at once. */
  readonly limit: number
  /** Units left after this decision. */
  readonly remaining: number
  /** 0 where allowed. Wait that long, alone, and you are admitted. `Infinity` where that will never be. */
  readonly retryAfterMs: number
  /** How long until more quota is there than now (`t` of the RateLimit field); 0 where it is full. */
  readonly resetMs: number
  /** The cost is above the limit: no waiting helps. */
  readonly permanent: boolean
  /** When the charge was made, by the store's clock: what `settle` wants to be told. */
  readonly atMs: number
  /**
   * Who decided: the store from the key's own state; `overflow`: from the bucket that unknown keys share while the store
   * is saturated; the others while the store is out, as the policy's `onOutage` says.
   */
  readonly via: 'store' | 'overflow' | 'open' | 'closed' | 'local'
  /** The key is shut out: see `ban`. `begins`: by this very decision. `times`: how often by now, as far as is remembered. */
  readonly banned?: { readonly begins: boolean; readonly times: number } | undefined
}

/** The verdict about a state as it is now. `waitMs`: what the algorithm answered before charging. */
export function verdictOf<S>(
  algorithm: LimitAlgorithm<S>,
  state: S,
  waitMs: number,
  nowMs: number,
  via: Verdict['via'] = 'store',
): Verdict {
  return {
    allowed: waitMs === 0,
    limit: algorithm.limit,
    remaining: algorithm.remaining(state, nowMs),
    retryAfterMs: waitMs,
    resetMs: algorithm.resetMs(state, nowMs),
    permanent: waitMs === Number.POSITIVE_INFINITY,
    atMs: nowMs,
    via,
  }
}

/** One decision about one limit, without touching `state`: the reference a mirror is compared with. */
export function step<S>(
  algorithm: LimitAlgorithm<S>,
  state: S | undefined,
  cost: number,
  nowMs: number,
  permit?: string,
): { state: S; verdict: Verdict } {
  const next = state === undefined ? algorithm.fresh() : structuredClone(state)
  const waitMs = algorithm.waitMs(next, cost, nowMs)
  if (waitMs === 0) algorithm.charge(next, cost, nowMs, permit)
  return { state: next, verdict: verdictOf(algorithm, next, waitMs, nowMs) }
}
