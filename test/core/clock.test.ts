import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { systemClock } from '../../packages/core/src/base/clock.ts'

describe('the clock', () => {
  afterEach(() => {
    jest.restoreAllMocks()
    jest.useRealTimers()
  })

  /** Both of the platform's clocks in our hands. */
  function twoClocks(start = 1_000_000) {
    const at = { wall: start, monotonic: 50 }
    jest.spyOn(Date, 'now').mockImplementation(() => at.wall)
    jest.spyOn(performance, 'now').mockImplementation(() => at.monotonic)
    const pass = (ms: number): void => {
      at.wall += ms
      at.monotonic += ms
    }
    return { at, pass, clock: systemClock() }
  }

  test('advances with both', () => {
    const { clock, pass } = twoClocks()
    const start = clock.now()
    for (const ms of [1, 5, 16, 17, 3_600_000]) pass(ms)
    expect(clock.now() - start).toBe(3_600_039)
  })

  test('a calendar set back does not stop it: an entry does not outlive its TTL', () => {
    const { clock, at, pass } = twoClocks()
    const start = clock.now()
    at.wall -= 86_400_000
    for (let i = 0; i < 10; i++) {
      pass(1_000)
      clock.now()
    }
    expect(clock.now() - start).toBe(10_000)
  })

  test('a set-back that hides in an idle hour is seen within 64 readings', () => {
    const { clock, at } = twoClocks()
    const start = clock.now()
    at.monotonic += 3_600_000
    at.wall += 5
    let latest = 0
    for (let i = 0; i < 64; i++) latest = clock.now()
    expect(latest - start).toBe(3_600_000)
  })

  test('a calendar set forward, or a machine that slept, takes it along', () => {
    const { clock, at } = twoClocks()
    const start = clock.now()
    at.wall += 7_200_000
    expect(clock.now() - start).toBe(7_200_000)
  })

  test('never runs backwards, whatever the two do', () => {
    const { clock, at } = twoClocks()
    let before = clock.now()
    let seed = 7
    for (let i = 0; i < 5_000; i++) {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      at.wall += (seed % 2_000) - 900
      at.monotonic += seed % 50
      const now = clock.now()
      expect(now).toBeGreaterThanOrEqual(before)
      before = now
    }
  })

  test('a calendar that is slewed is followed, and not taken for one that was set back', () => {
    const { clock, at } = twoClocks()
    for (let i = 0; i < 1_000; i++) {
      at.monotonic += 1_000
      at.wall += 999
      clock.now()
    }
    expect(clock.now()).toBe(at.wall)
  })

  test('follows the fake timers of those who test their own application', () => {
    jest.useFakeTimers({ now: 5_000_000 })
    const clock = systemClock()
    let fired = 0
    clock.after(60_000, () => fired++)
    const start = clock.now()
    jest.advanceTimersByTime(60_000)
    expect([clock.now() - start, fired]).toEqual([60_000, 1])
  })

  test('timers longer than 2^31 ms do not fire at once, and can be stopped', () => {
    jest.useFakeTimers()
    const clock = systemClock()
    let fired = 0
    const days = 86_400_000
    clock.after(30 * days, () => fired++)
    const stop = clock.after(60 * days, () => fired++)
    jest.advanceTimersByTime(29 * days)
    expect(fired).toBe(0)
    jest.advanceTimersByTime(days)
    expect(fired).toBe(1)
    stop()
    jest.advanceTimersByTime(60 * days)
    expect(fired).toBe(1)
  })
})
