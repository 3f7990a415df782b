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
  /** Runs `fn` once after `ms` (longer than 2^31 − 1 ms is fine). The timer does not keep the process alive. */
  after(ms: number, fn: () => void): Cancel
}

/** Stops a timer. Calling it twice, or after it has fired, does nothing. */
export type Cancel = () => void

/** The longest delay a timer of the platform takes; longer ones fire at once (overflow of a 32-bit integer). */
const longestDelayMs = 2 ** 31 - 1

/**
 * The clock Sluice uses unless it is given one.
 *
 * `now()` joins two clocks. The calendar follows fake timers and survives a suspended machine, but can be set back, and
 * an entry would then live longer than its TTL. The monotonic clock cannot be set back. The result advances by
 * whichever advanced more since the last reading.
 */
export function systemClock(): Clock {
  let last = Date.now()
  let lastMonotonic = performance.now()
  return {
    now() {
      const monotonic = performance.now()
      const elapsed = monotonic - lastMonotonic
      lastMonotonic = monotonic
      last = Math.max(Date.now(), elapsed > 0 ? last + elapsed : last)
      return last
    },
    wall: () => Date.now(),
    after: startTimer,
  }
}

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
