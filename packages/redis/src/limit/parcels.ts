import type { Cancel, Charge, Clock, Verdict } from '@sluice/core'
import type { Spec } from './spec.ts'

/** Units of one key that were charged in advance, and are this process's to use until their time is over. */
interface Parcel {
  readonly charge: Charge
  readonly spec: Spec
  units: number
  /** When they were charged, by Redis's clock: what giving them back has to name. */
  readonly atMs: number
  /** By this process's clock, counted from when they were asked for: never later than Redis would say. */
  readonly untilMs: number
  /** What Redis had left besides, and until when there was no more. */
  readonly remaining: number
  readonly resetAtMs: number
}

/** Units to give back. */
export interface Unused {
  readonly charge: Charge
  readonly units: number
  readonly atMs: number
}

export interface ParcelsOptions {
  readonly clock: Clock
  /** Gives units back to Redis. Never throws. */
  readonly giveBack: (unused: readonly Unused[]) => void
}

/** The units a process has taken in advance (`lease: n`), by key. What is not used in time goes back. */
export class Parcels {
  readonly #clock: Clock
  readonly #giveBack: ParcelsOptions['giveBack']
  /** The oldest first. */
  readonly #parcels = new Map<string, Parcel>()
  /** Keys for which units are being fetched: who needs them too waits, or fifty requests would fetch fifty parcels. */
  readonly #fetching = new Map<string, Promise<unknown>>()
  #cancel: Cancel | undefined

  constructor({ clock, giveBack }: ParcelsOptions) {
    this.#clock = clock
    this.#giveBack = giveBack
  }

  /** Charges all of them to what is here, or none. */
  take(charges: readonly Charge[]): readonly Verdict[] | undefined {
    if (this.#parcels.size === 0) return undefined
    const now = this.#clock.now()
    for (let i = 0; i < charges.length; i++) if (!this.#live(charges[i]!, now)) return undefined
    return charges.map(({ key, cost }) => {
      const parcel = this.#parcels.get(key)!
      parcel.units -= cost
      return {
        allowed: true,
        limit: parcel.spec.limit,
        remaining: parcel.remaining + parcel.units,
        retryAfterMs: 0,
        resetMs: Math.max(1, Math.ceil(parcel.resetAtMs - now)),
        permanent: false,
        atMs: parcel.atMs,
        via: 'store',
      }
    })
  }

  #live({ key, cost }: Charge, now: number): Parcel | undefined {
    const parcel = this.#parcels.get(key)
    return parcel && parcel.units >= cost && now < parcel.untilMs ? parcel : undefined
  }

  /** Units of that key that could be used now. */
  units(key: string): number {
    const parcel = this.#parcels.get(key)
    return parcel && this.#clock.now() < parcel.untilMs ? parcel.units : 0
  }

  /** Resolves when somebody has fetched what one of the charges needs; rejects where that failed. */
  fetching(charges: readonly Charge[]): Promise<unknown> | undefined {
    if (this.#fetching.size === 0) return undefined
    for (let i = 0; i < charges.length; i++) {
      const fetching = this.#fetching.get(charges[i]!.key)
      if (fetching) return fetching
    }
    return undefined
  }

  async fetch<T>(charges: readonly Charge[], ask: () => Promise<T>): Promise<T> {
    const asked = ask()
    for (const { key } of charges) this.#fetching.set(key, asked)
    try {
      return await asked
    } finally {
      for (const { key } of charges) if (this.#fetching.get(key) === asked) this.#fetching.delete(key)
    }
  }

  /** @param sentMs - when it was asked for */
  put(charge: Charge, spec: Spec, units: number, verdict: Verdict, sentMs: number): void {
    const before = this.#parcels.get(charge.key)
    this.#parcels.delete(charge.key)
    const { atMs, remaining, resetMs } = verdict
    const resetAtMs = this.#clock.now() + resetMs
    this.#parcels.set(charge.key, {
      charge,
      spec,
      units,
      atMs,
      remaining,
      resetAtMs,
      untilMs: sentMs + spec.holdMs,
    })
    if (before && before.units > 0) this.#giveBack([before])
    this.#cancel ??= this.#clock.after(spec.holdMs, () => this.#sweep())
  }

  /** Puts units back that a parcel here was charged for; whether there was one. */
  putBack({ key }: Charge, units: number, atMs: number): boolean {
    const parcel = this.#parcels.get(key)
    if (parcel?.atMs !== atMs || this.#clock.now() >= parcel.untilMs) return false
    parcel.units += units
    return true
  }

  drop(key: string): void {
    this.#parcels.delete(key)
  }

  /** Gives back what is over. Stops at the first that is not: who was put there later is mostly over later. */
  #sweep(): void {
    const now = this.#clock.now()
    const unused: Unused[] = []
    this.#cancel = undefined
    for (const [key, parcel] of this.#parcels) {
      if (now < parcel.untilMs) {
        this.#cancel = this.#clock.after(Math.max(1, parcel.untilMs - now), () => this.#sweep())
        break
      }
      this.#parcels.delete(key)
      if (parcel.units > 0) unused.push(parcel)
    }
    if (unused.length > 0) this.#giveBack(unused)
  }

  /** Stops the timer; answers with all that was not used. */
  close(): readonly Unused[] {
    this.#cancel?.()
    this.#cancel = undefined
    const unused = [...this.#parcels.values()].filter(({ units }) => units > 0)
    this.#parcels.clear()
    return unused
  }
}
