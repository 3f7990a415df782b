/**
 * Where time comes from. Nothing else in Sluice reads a clock or sets a timer.
 *
 * The globals are looked up at every call and never captured, so that our users' fake timers (Jest, Vitest, Sinon)
 * govern Sluice too.
 */
export interface Clock {
  /**
   * Milliseconds since the epoch, never running backwards and never slower than real time: what ages and windows are
   * measured with.
   */
  now(): number
  /** Milliseconds since the epoch as the machine's calendar has it: what `Date` fields are made of. */
  wall(): number
  /**
   * Milliseconds with their fractions, of no particular beginning: for durations that are only told. Costs more than `now()`.
   * Default: `now()`.
   */
  precise?(): number
  /** Runs `fn` once after `ms` (longer than 2^31 − 1 ms is fine). The timer does not keep the process alive. */
  after(ms: number, fn: () => void): Cancel
}

/** Stops a timer. Calling it twice, or after it has fired, does nothing. */
export type Cancel = () => void

/** For the difference between two of them. */
export const preciseTime = (clock: Clock): number => clock.precise?.() ?? clock.now()

/** The longest delay a timer of the platform takes; longer ones fire at once (overflow of a 32-bit integer). */
const longestDelayMs = 2 ** 31 - 1

/**
 * The clock Sluice uses unless it is given one.
 *
 * `now()` joins two clocks. The calendar follows fake timers and survives a suspended machine, but can be set back, and
 * an entry would then live longer than its TTL. The monotonic clock cannot be set back, but costs more than the rest of a
 * decision. So the calendar is believed while it moves in small steps forward, and held against the monotonic clock when
 * it does not, and at every 64th reading in any case: a set-back that hides in an idle moment is seen that late at worst.
 */
export function systemClock(): Clock {
  let last = Date.now()
  let readings = 0
  /** Where both clocks were read together and agreed. */
  let wallThen = last
  let monotonicThen = performance.now()

  const compare = (wall: number): number => {
    const monotonic = performance.now()
    const elapsed = Math.max(0, monotonic - monotonicThen)
    const expected = wallThen + elapsed
    if (wall >= expected - toleratedMs - elapsed * toleratedDrift) {
      wallThen = wall
      monotonicThen = monotonic
      return Math.max(last, wall)
    }
    return Math.max(last, expected)
  }

  return {
    now() {
      const wall = Date.now()
      const step = wall - last
      readings = (readings + 1) & 63
      last = step >= 0 && step <= plausibleStepMs && readings !== 0 ? wall : compare(wall)
      return last
    },
    wall: () => Date.now(),
    precise: () => performance.now(),
    after: startTimer,
  }
}

/** Steps of the calendar that need no second opinion. */
const plausibleStepMs = 16
/** The calendar reads whole milliseconds, and is slewed by those who keep it right. */
const toleratedMs = 1
const toleratedDrift = 0.01

function startTimer(ms: number, fn: () => void): Cancel {
  let timer: ReturnType<typeof setTimeout> | undefined
  const arm = (left: number): void => {
    const step = Math.min(Math.max(left, 0), longestDelayMs)
    timer = setTimeout(() => (left > step ? arm(left - step) : fn()), step)
    // Fake timers may answer with a bare number.
    ;(timer as { unref?: () => void }).unref?.()
  }
  arm(ms)
  return () => clearTimeout(timer)
}
