import type { Cancel, Clock } from '@sluice/core'

/** A clock that stands still until a test moves it. Timers fire when time passes them, in their order. */
export interface TestClock extends Clock {
  /** Lets time pass and runs what was waiting for it; resolves when that had its turn. */
  advance(ms: number): Promise<void>
}

interface Timer {
  readonly at: number
  readonly fn: () => void
}

export function testClock(startMs: number = Date.UTC(2026, 10, 21, 12, 0, 0)): TestClock {
  let now = startMs
  const timers = new Set<Timer>()
  const due = (until: number): Timer | undefined =>
    [...timers].filter((t) => t.at <= until).sort((a, b) => a.at - b.at)[0]
  return {
    now: () => now,
    wall: () => now,
    after(ms, fn): Cancel {
      const timer: Timer = { at: now + ms, fn }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    async advance(ms) {
      const until = now + ms
      for (let next = due(until); next; next = due(until)) {
        timers.delete(next)
        now = Math.max(now, next.at)
        next.fn()
      }
      now = until
      await new Promise<void>((resolve) => setImmediate(resolve))
    },
  }
}
