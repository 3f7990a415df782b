import type { LimitAlgorithm } from '../algorithms/algorithm.ts'
import { listOf } from '../algorithms/parameters.ts'
import { slidingLog } from '../algorithms/sliding-log.ts'
import { slidingWindow } from '../algorithms/sliding-window.ts'

/** When a key is shut out, and for how long. Milliseconds. */
export interface BanRules {
  readonly after: number
  readonly withinMs: number
  /** How long the first ban lasts; 0: keys are shut out by hand only. */
  readonly forMs: number
  readonly factor: number
  readonly maxMs: number
  readonly forgetMs: number
}

/** What is known of a key that was refused. */
export interface BanState {
  /** The ban that holds, or the last one: it holds while `now < untilMs`. */
  sinceMs: number
  untilMs: number
  /** How often the key was shut out, as far as is remembered. */
  times: number
  /** When it was last refused. */
  lastMs: number
  byHand: boolean
  reason: string
  /** The refusals that count towards the next ban: the state of a sliding log or window. */
  refused: number[]
}

/** Shuts a key out by hand. */
export interface ByHand {
  readonly forMs: number
  readonly reason: string
}

export interface BanAlgorithm extends LimitAlgorithm<BanState> {
  refused(state: BanState, nowMs: number): boolean
  /** Shuts out from now on, however long a ban that holds would have lasted. */
  shut(state: BanState, by: ByHand, nowMs: number): void
}

/** Up to so many refusals each is remembered by its millisecond; more are counted in sixteenths of the window. */
export const mostExact = 100

/**
 * Shuts a key out that is refused again and again. It takes no units: its charges cost 0 and stand behind those of the
 * policy's quotas, so that a ban is asked about in the same decision as they are, and refuses with them all or none.
 *
 * **Guarantee:** with `after` refusals in less than W = `withinMs` a ban begins, in the decision that refuses for the
 * `after`th time; with fewer than `after` in any span of W (of W · 17/16 where `after` is above {@link mostExact}) none does.
 *
 * **Parameters:** `[quota, windowMs, bucketMs, span]` of the log in which refusals are counted, `quota` being `after`; then
 * `[forMs, factor, maxMs, forgetMs]`.
 *
 * **State:** see {@link BanState}; in Redis `{ since, until, times, last, byHand, reason, refused }`.
 * - a ban holds while `now < until`; the wait is `until − now`, and never more than the ban's whole length: a clock that was
 *   set back to before it began makes it begin anew at the next refusal, so that it ends neither early nor ages later;
 * - a refusal while a ban holds counts for nothing. Any other: `times = 0` where the key has behaved for `forgetMs` since
 *   the last ban ended and the last refusal; then it is counted. The `after`th begins a ban: `times` grows by one, and the
 *   ban lasts `forMs · factor^(times − 1)`, rounded down at each step, and `maxMs` at most. The log is empty then.
 */
export function banAlgorithm(rules: BanRules): BanAlgorithm {
  const { after, withinMs, forMs, factor, maxMs, forgetMs } = rules
  const log = after <= mostExact ? slidingLog(after, withinMs) : slidingWindow(after, withinMs)
  const [quota, windowMs, bucketMs, span] = log.params as readonly [number, number, number, number]
  const params = listOf('ban', { quota, windowMs, bucketMs, span, forMs, factor, maxMs, forgetMs })

  const waitMs = ({ sinceMs, untilMs }: BanState, nowMs: number): number =>
    nowMs < untilMs ? Math.min(untilMs - nowMs, untilMs - sinceMs) : 0
  const forgottenAt = ({ untilMs, lastMs }: BanState, afterMs = forgetMs): number => Math.max(untilMs, lastMs) + afterMs
  const forget = (state: BanState, nowMs: number): void => {
    if (nowMs >= forgottenAt(state)) state.times = 0
  }
  // Not by a power, which is not rounded alike everywhere.
  const lengthOf = (times: number): number => {
    let ms = forMs
    for (let i = 1; i < times && ms < maxMs && factor > 1; i++) ms = Math.min(maxMs, Math.floor(ms * factor))
    return ms
  }
  const begin = (state: BanState, nowMs: number, ms: number): void => {
    state.sinceMs = nowMs
    state.untilMs = nowMs + ms
    state.lastMs = nowMs
    state.refused = log.fresh()
  }

  const algorithm: BanAlgorithm = {
    kind: 'ban',
    params,
    limit: after,
    stateTtlMs: maxMs + forgetMs,
    signature: `ban:${params.join(':')}`,
    scaled: () => algorithm,
    fresh: () => ({ sinceMs: 0, untilMs: 0, times: 0, lastMs: 0, byHand: false, reason: '', refused: log.fresh() }),
    // What was forgotten by the former rules stays so.
    carry: (state, former, nowMs) => ({
      ...state,
      times: nowMs < forgottenAt(state, former[params.length - 1]) ? state.times : 0,
      refused: log.carry(state.refused, former, nowMs),
    }),
    waitMs: (state, _cost, nowMs) => waitMs(state, nowMs),
    charge: () => {},
    refund: () => {},

    refused(state, nowMs) {
      if (nowMs < state.untilMs) {
        if (nowMs >= state.sinceMs) return false
        // The clock was set back.
        state.untilMs = nowMs + state.untilMs - state.sinceMs
        state.sinceMs = nowMs
        return true
      }
      if (forMs === 0) return false
      forget(state, nowMs)
      // What was counted by a clock that was ahead would never be over.
      if (nowMs + windowMs < state.lastMs) state.refused = log.fresh()
      // The last ban is over, whatever a clock says later on.
      state.sinceMs = 0
      state.untilMs = 0
      state.lastMs = nowMs
      log.charge(state.refused, 1, nowMs)
      if (log.remaining(state.refused, nowMs) > 0) return true
      state.times++
      state.byHand = false
      state.reason = ''
      begin(state, nowMs, lengthOf(state.times))
      return true
    },

    shut(state, by, nowMs) {
      if (nowMs >= state.untilMs) {
        forget(state, nowMs)
        state.times++
      }
      state.byHand = true
      state.reason = by.reason
      begin(state, nowMs, by.forMs)
    },

    remaining: (state, nowMs) => (nowMs < state.untilMs ? 0 : log.remaining(state.refused, nowMs)),
    resetMs: (state, nowMs) => waitMs(state, nowMs) || log.resetMs(state.refused, nowMs),

    fullMs(state, nowMs) {
      const banMs = waitMs(state, nowMs)
      if (banMs > 0) return banMs + forgetMs
      const knownMs = state.times > 0 ? Math.max(0, forgottenAt(state) - nowMs) : 0
      return Math.max(knownMs, log.fullMs(state.refused, nowMs))
    },
  }
  return algorithm
}
