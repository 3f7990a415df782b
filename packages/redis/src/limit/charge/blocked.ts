import type { Charge, Clock, Verdict } from '@sluice/core'
import { Told } from './acknowledged.ts'
import type { News } from './messages.ts'

/**
 * How long a refusal is repeated without asking Redis, at most, where nobody tells whether it still holds. It bounds how
 * long a process may go on refusing after another one has reset the key or given units back.
 */
export const untoldMs = 1_000

/** How many refused keys are remembered. The ones refused longest ago leave first. */
const maxKeys = 10_000

interface Refusal {
  readonly name: string
  readonly charges: readonly Charge[]
  readonly verdicts: readonly Verdict[]
  readonly arrivedMs: number
  /** Until when it is repeated whoever may have been missed. */
  readonly untoldUntilMs: number
  untilMs: number
}

export interface BlockedOptions {
  readonly clock: Clock
  /** What news call a charge's key. */
  readonly nameOf: (charge: Charge) => string
  /** What others give back. Without it nothing is repeated for longer than a second. */
  readonly news?: Pick<News, 'listen' | 'sinceMs' | 'reliableUntilMs'> | undefined
  /** At most; 0 asks Redis each time. Default {@link untoldMs}. */
  readonly untoldMs?: number | undefined
}

/** When a question was asked, to hold its answer against what was told since. */
export interface Asked {
  /** The state it is answered from is no older. */
  readonly sentMs: number
  readonly moment: number
}

/**
 * Keys that are known to be used up. A refused request costs a round trip once, and then none until its time is up,
 * however often it comes; while news of other processes may be missed, one in a second.
 *
 * Only what can be told for certain is told: a key of which nothing at all was left has nothing until some comes back by
 * itself, at a time that Redis has said, or is given back, of which there are news. What was counted in other keys of the
 * same request may be as old as the refusal. Concurrent permits come back at any time, so they are never blocked.
 */
export class Blocked {
  readonly #clock: Clock
  readonly #nameOf: BlockedOptions['nameOf']
  readonly #news: BlockedOptions['news']
  readonly #untoldMs: number
  readonly #refusals = new Map<string, Refusal>()
  /** The keys by their names in news. */
  readonly #keys = new Map<string, string>()
  readonly #told = new Told()

  constructor({ clock, nameOf, news, untoldMs: ms = untoldMs }: BlockedOptions) {
    this.#clock = clock
    this.#nameOf = nameOf
    this.#news = news
    this.#untoldMs = ms
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
      if (now < refusal.untilMs && (now < refusal.untoldUntilMs || now < this.#news!.reliableUntilMs)) {
        return later(refusal, Math.floor(now - refusal.arrivedMs))
      }
      this.#drop(charges[i]!.key)
    }
    return undefined
  }

  /** Before a question is sent. */
  asking(): Asked {
    return { sentMs: this.#clock.now(), moment: this.#told.moment }
  }

  note(charges: readonly Charge[], verdicts: readonly Verdict[], { sentMs, moment }: Asked): void {
    if (this.#untoldMs === 0) return
    for (let i = 0; i < charges.length; i++) {
      const charge = charges[i]!
      const { quota, key } = charge
      const { allowed, permanent, remaining, resetMs } = verdicts[i]!
      if (allowed || permanent || quota.shadow || remaining > 0 || quota.algorithm.kind === 'concurrent') continue
      const name = this.#nameOf(charge)
      // The answer may be from before what was told meanwhile.
      if (this.#told.since(moment, name)) continue
      this.#drop(key)
      if (this.#refusals.size >= maxKeys) this.#drop(this.#refusals.keys().next().value!)
      const untoldUntilMs = sentMs + Math.min(resetMs, this.#untoldMs)
      const untilMs = this.#hears(resetMs, sentMs) ? sentMs + resetMs : untoldUntilMs
      const arrivedMs = this.#clock.now()
      this.#refusals.set(key, { name, charges, verdicts, arrivedMs, untoldUntilMs, untilMs })
      this.#keys.set(name, key)
      return
    }
  }

  /** Whether all news about what was true at that moment will come. */
  #hears(waitMs: number, sentMs: number): boolean {
    if (!this.#news || waitMs <= this.#untoldMs) return false
    this.#news.listen()
    return sentMs >= this.#news.sinceMs
  }

  /** Something of that key was given back, here or elsewhere. */
  told(name: string): void {
    this.#told.add(name)
    const key = this.#keys.get(name)
    if (key !== undefined) this.#drop(key)
  }

  /** From now on news may be missed. */
  doubt(): void {
    const untilMs = this.#clock.now() + this.#untoldMs
    for (const refusal of this.#refusals.values()) refusal.untilMs = Math.min(refusal.untilMs, untilMs)
  }

  clear(): void {
    this.#refusals.clear()
    this.#keys.clear()
  }

  #drop(key: string): void {
    const refusal = this.#refusals.get(key)
    if (!refusal) return
    this.#refusals.delete(key)
    this.#keys.delete(refusal.name)
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
