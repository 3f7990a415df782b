import type { Cancel, Charge, Clock, Verdict } from '@sluice/core'
import type { Spec } from '../store/spec.ts'

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
  /** Fetched while this one was still in use. */
  next: Parcel | undefined
  /** The next one is being fetched, or there is none to be had. */
  followed: boolean
}

/** Units that were charged to be used later. */
export interface Taken {
  readonly units: number
  readonly verdict: Verdict
  /** When they were asked for. */
  readonly sentMs: number
}

/** The next parcel is fetched when of this one less than this part is left, so that nobody has to wait for it. */
const lastPart = 1 / 4

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
  /** Takes as many units of that key as are taken at a time, or none. */
  readonly takeMore: (charge: Charge, spec: Spec) => Promise<Taken>
}

/** The units a process has taken in advance (`lease: n`), by key. What is not used in time goes back. */
export class Parcels {
  readonly #clock: Clock
  readonly #giveBack: ParcelsOptions['giveBack']
  /** The oldest first. */
  readonly #parcels = new Map<string, Parcel>()
  /** Keys for which units are being fetched: who needs them too waits, or fifty requests would fetch fifty parcels. */
  readonly #fetching = new Map<string, Promise<unknown>>()
  readonly #takeMore: ParcelsOptions['takeMore']
  #cancel: Cancel | undefined

  constructor({ clock, giveBack, takeMore }: ParcelsOptions) {
    this.#clock = clock
    this.#giveBack = giveBack
    this.#takeMore = takeMore
  }

  /** Charges all of them to what is here, or none. */
  take(charges: readonly Charge[]): readonly Verdict[] | undefined {
    if (this.#parcels.size === 0) return undefined
    const now = this.#clock.now()
    for (let i = 0; i < charges.length; i++) if (!this.#live(charges[i]!, now)) return undefined
    return charges.map(({ key, cost }) => {
      const parcel = this.#parcels.get(key)!
      parcel.units -= cost
      if (!parcel.followed && parcel.units < parcel.spec.take * lastPart) void this.#follow(key, parcel)
      return {
        allowed: true,
        limit: parcel.spec.limit,
        remaining: (parcel.next ?? parcel).remaining + parcel.units + (parcel.next?.units ?? 0),
        retryAfterMs: 0,
        resetMs: Math.max(1, Math.ceil(parcel.resetAtMs - now)),
        permanent: false,
        atMs: parcel.atMs,
        via: 'store',
      }
    })
  }

  /** A parcel that is enough, which may be the next one. */
  #live({ key, cost }: Charge, now: number): Parcel | undefined {
    const parcel = this.#parcels.get(key)
    if (!parcel) return undefined
    if (parcel.units >= cost && now < parcel.untilMs) return parcel
    const { next } = parcel
    if (!next || next.units < cost || now >= next.untilMs) return undefined
    // Behind all others: its time is over later than theirs.
    this.#parcels.delete(key)
    this.#parcels.set(key, next)
    if (parcel.units > 0) this.#giveBack([parcel])
    return next
  }

  async #follow(key: string, parcel: Parcel): Promise<void> {
    parcel.followed = true
    if (parcel.remaining === 0) return
    // Whoever needs units meanwhile waits for these, and finds them in their place.
    const fetched = this.fetch([parcel.charge], () => this.#fetchNext(key, parcel))
    // Where that failed, whoever needs units asks for them and learns why there are none.
    await fetched.catch(() => {})
  }

  async #fetchNext(key: string, parcel: Parcel): Promise<void> {
    const { units, verdict, sentMs } = await this.#takeMore(parcel.charge, parcel.spec)
    if (units === 0) return
    const next = this.#parcel(parcel.charge, parcel.spec, units, verdict, sentMs)
    // It may have been replaced or dropped meanwhile.
    if (this.#parcels.get(key) === parcel) parcel.next = next
    else this.#giveBack([next])
  }

  /** Units of that key that could be used now. */
  units(key: string): number {
    const parcel = this.#parcels.get(key)
    const now = this.#clock.now()
    let units = 0
    for (let one = parcel; one; one = one.next) if (now < one.untilMs) units += one.units
    return units
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
    this.#parcels.set(charge.key, this.#parcel(charge, spec, units, verdict, sentMs))
    if (before) this.#giveBackAll([before])
    this.#cancel ??= this.#clock.after(spec.holdMs, () => this.#sweep())
  }

  #parcel(charge: Charge, spec: Spec, units: number, verdict: Verdict, sentMs: number): Parcel {
    const { atMs, remaining, resetMs } = verdict
    return {
      charge,
      spec,
      units,
      atMs,
      remaining,
      resetAtMs: this.#clock.now() + resetMs,
      untilMs: sentMs + spec.holdMs,
      next: undefined,
      followed: false,
    }
  }

  #giveBackAll(parcels: readonly Parcel[]): void {
    const unused = unusedOf(parcels)
    if (unused.length > 0) this.#giveBack(unused)
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
    const over: Parcel[] = []
    this.#cancel = undefined
    for (const [key, parcel] of this.#parcels) {
      const { untilMs } = parcel.next ?? parcel
      if (now < untilMs) {
        this.#cancel = this.#clock.after(Math.max(1, untilMs - now), () => this.#sweep())
        break
      }
      this.#parcels.delete(key)
      over.push(parcel)
    }
    this.#giveBackAll(over)
  }

  /** Stops the timer; answers with all that was not used. */
  close(): readonly Unused[] {
    this.#cancel?.()
    this.#cancel = undefined
    const unused = unusedOf([...this.#parcels.values()])
    this.#parcels.clear()
    return unused
  }
}

function unusedOf(parcels: readonly Parcel[]): readonly Unused[] {
  return parcels.flatMap((parcel) => [parcel, ...(parcel.next ? [parcel.next] : [])]).filter(({ units }) => units > 0)
}
