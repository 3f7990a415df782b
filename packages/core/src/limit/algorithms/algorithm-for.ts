import { calendarOf } from '../../base/calendar.ts'
import { optionError } from '../../base/errors.ts'
import type { BanState } from '../bans/ban.ts'
import { longestWindowMs, type Rate } from '../policy/rate.ts'
import type { AlgorithmKind, LimitAlgorithm } from './algorithm.ts'
import { calendarWindow } from './calendar-window.ts'
import { concurrent, type PermitState } from './concurrent.ts'
import { fixedWindow } from './fixed-window.ts'
import { slidingLog } from './sliding-log.ts'
import { slidingWindow } from './sliding-window.ts'
import { tokenBucket } from './token-bucket.ts'

/** The state of one of the algorithms: what stores keep, copy and send. */
export type LimitState = number[] | PermitState | BanState

/** An algorithm with its state's type put aside: a store keeps states of all kinds, each with its own algorithm. */
export type AnyAlgorithm = LimitAlgorithm<LimitState>

/**
 * The algorithm that counts `rate`: `concurrent` for a concurrency, `calendar-window` for a rate per calendar month, else the
 * one asked for, else the token bucket where the rate has a burst, else the sliding window.
 *
 * @param option - the path of the policy, for messages
 * @param leaseMs - how long a concurrent permit lasts without being renewed
 * @throws SluiceError `ERR_SLUICE_OPTION` where rate and algorithm do not go together
 */
export function algorithmFor(
  option: string,
  rate: Rate,
  kind: AlgorithmKind | undefined,
  leaseMs: number,
): AnyAlgorithm {
  if ('concurrent' in rate) {
    // A policy may join a rate and a concurrency: the algorithm it names is then about the rate.
    return concurrent(rate.concurrent, leaseMs) as unknown as AnyAlgorithm
  }
  // Nor is it about a rate of the calendar.
  if ('calendar' in rate) {
    return calendarWindow(rate.quota, calendarOf(rate.calendar, rate.timeZone)) as unknown as AnyAlgorithm
  }
  const { quota, windowMs, burst } = rate
  // Nothing is ever counted of nothing.
  if (quota === 0) return fixedWindow(0, windowMs) as unknown as AnyAlgorithm
  if (burst !== undefined && kind !== undefined && kind !== 'token-bucket') {
    throw optionError(`${option}.algorithm`, "must be 'token-bucket' (or left out) where the rate has a burst", kind)
  }
  // So that the arithmetic stays exact: integers up to 2^53.
  if (burst !== undefined && (burst / quota) * windowMs > 100 * longestWindowMs) {
    throw optionError(`${option}.rate`, 'must have a burst that fills within a hundred years', `burst ${burst}`)
  }
  switch (kind ?? (burst === undefined ? 'sliding-window' : 'token-bucket')) {
    case 'sliding-window':
      return slidingWindow(quota, windowMs) as unknown as AnyAlgorithm
    case 'sliding-log':
      return slidingLog(quota, windowMs) as unknown as AnyAlgorithm
    case 'token-bucket':
      return tokenBucket(quota, windowMs, burst) as unknown as AnyAlgorithm
    case 'fixed-window':
      return fixedWindow(quota, windowMs) as unknown as AnyAlgorithm
    case 'calendar-window':
      throw optionError(
        `${option}.rate`,
        "must be 'N per calendar day' (or week, or month) with the algorithm 'calendar-window'",
        `${quota} in ${windowMs} ms`,
      )
    case 'concurrent':
      throw optionError(
        `${option}.rate`,
        "must be 'N concurrent' with the algorithm 'concurrent'",
        `${quota} in ${windowMs} ms`,
      )
  }
}
