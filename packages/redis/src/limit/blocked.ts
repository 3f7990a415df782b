import type { Charge, Clock, Verdict } from '@sluice/core'

/**
 * How long a refusal is repeated without asking Redis, at most. It bounds how long a process may go on refusing after
 * another one has reset the key or given units back: this process's own resets and refunds count at once.
 */
export const longestMs = 1_000

/** How many refused keys are remembered. The ones refused longest ago leave first: their time is up soonest. */
const maxKeys = 10_000

interface Refusal {
  readonly charges: readonly Charge[]
  readonly verdicts: readonly Verdict[]
  readonly arrivedMs: number
  readonly untilMs: number
}

/**
 * Keys that are known to be used up. A refused request costs a round trip once, and then one in a second at most, however
 * often it comes.
 *
 * Only what can be told for certain is told: a key of which nothing at all was left has nothing until some comes back by
 * itself, at a time that Redis has said. What was counted in other keys of the same request may be a second old.
 * Concurrent permits come back at any time, so they are never blocked.
 */
export class Blocked {
  readonly #clock: Clock
  readonly #forMs: number
  readonly #refusals = new Map<string, Refusal>()

  /** @param forMs - 0 asks Redis each time */
  constructor(clock: Clock, forMs = longestMs) {
    this.#clock = clock
    this.#forMs = forMs
  }

  get size(): number {
    return this.#refusals.size
  }

  /** What was answered to the same question, where the answer must still be the same. */
  find(charges: readonly Charge[]): readonly Verdict[] | undefined {
    if (this.#refusals.size === 0) return undefined
    for (let i = 0; i < charges.length; i++) {
      const refusal = this.#refusals.get(charges[i]!.key)
      if (!refusal || !same(refusal.charges, charges)) continue
      const now = this.#clock.now()
      if (now < refusal.untilMs) return later(refusal, Math.floor(now - refusal.arrivedMs))
      this.#refusals.delete(charges[i]!.key)
    }
    return undefined
  }

  /** @param sentMs - when the question was sent: the state it was answered from is no older */
  note(charges: readonly Charge[], verdicts: readonly Verdict[], sentMs: number): void {
    if (this.#forMs === 0) return
    for (let i = 0; i < charges.length; i++) {
      const { quota, key } = charges[i]!
      const { allowed, permanent, remaining, resetMs } = verdicts[i]!
      if (allowed || permanent || quota.shadow || remaining > 0 || quota.algorithm.kind === 'concurrent') continue
      this.#refusals.delete(key)
      if (this.#refusals.size >= maxKeys) this.#refusals.delete(this.#refusals.keys().next().value!)
      const untilMs = sentMs + Math.min(resetMs, this.#forMs)
      this.#refusals.set(key, { charges, verdicts, arrivedMs: this.#clock.now(), untilMs })
      return
    }
  }

  forget(key: string): void {
    this.#refusals.delete(key)
  }

  clear(): void {
    this.#refusals.clear()
  }
}

function same(a: readonly Charge[], b: readonly Charge[]): boolean {
  return a.length === b.length && a.every(({ key, cost }, i) => key === b[i]!.key && cost === b[i]!.cost)
}

function later({ verdicts }: Refusal, elapsedMs: number): readonly Verdict[] {
  const since = (ms: number): number => (ms === 0 ? 0 : Math.max(1, ms - elapsedMs))
  return verdicts.map((verdict) => ({
    ...verdict,
    retryAfterMs: since(verdict.retryAfterMs),
    resetMs: since(verdict.resetMs),
    atMs: verdict.atMs + elapsedMs,
  }))
}
